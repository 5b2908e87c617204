import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  classifyWrite,
  cutBatches,
  itemBytes,
  ireBatchItem,
  readIreAnswer,
  refusalOf,
  type BatchItem,
  type BatchOutcome,
} from '../../../src/servicenow/index.ts';

const answered = (status: number, body?: unknown): BatchOutcome => ({ outcome: 'answered', status, body, executionMs: 1 });
const failure = (message: string, detail: string | null): unknown => ({ error: { message, detail }, status: 'failure' });

describe('classifyWrite', () => {
  test('a record is written when the answer names it', () => {
    expect(classifyWrite(answered(201, { result: { sys_id: 'abc', name: 'x' } }))).toMatchObject({
      result: 'written',
      sysId: 'abc',
      row: { name: 'x' },
    });
    expect(classifyWrite(answered(200, { result: { sys_id: { value: 'abc', display_value: 'abc' } } }))).toMatchObject({
      result: 'written',
      sysId: 'abc',
    });
    expect(classifyWrite(answered(200, undefined))).toMatchObject({ result: 'unknown' });
    expect(classifyWrite(answered(201, { result: {} }))).toMatchObject({ result: 'unknown' });
  });

  test.each([
    ['acl', 403, failure('Operation Failed', 'ACL Exception Insert Failed due to security constraints')],
    ['acl', 403, failure('User Not Authorized', 'Failed API level ACL Validation')],
    ['acl', 403, failure('Operation Failed', 'something new')],
    [
      'business-rule',
      403,
      failure(
        'Operation Failed',
        "Operation against file 't' was aborted by Business Rule 'Keep out^0e5b9945'. Business Rule Stack:Keep out",
      ),
    ],
    ['data-policy', 403, failure('Operation Failed', 'Data Policy Exception: The following fields are mandatory: Resolution code')],
    ['invalid', 400, failure('Invalid table x', null)],
    ['invalid', 400, failure('Exception while reading request', 'Not able to parse request')],
    ['invalid', 404, failure('Requested URI does not represent any resource', null)],
  ])('%s: %i %j', (kind, status, body) => {
    const result = classifyWrite(answered(status, body));
    expect(result).toMatchObject({ result: 'refused', kind, status });
    expect(result).toHaveProperty('remedy', expect.stringMatching(/.+/));
  });

  test('a business rule is named in the remedy', () => {
    const body = failure(
      'Operation Failed',
      "Operation against file 't' was aborted by Business Rule 'Keep out^0e5b9945'. Business Rule Stack:Keep out",
    );
    expect(classifyWrite(answered(403, body))).toMatchObject({
      reason: expect.stringContaining('Keep out'),
      remedy: expect.stringContaining('"Keep out"'),
    });
  });

  test.each([
    ['gone', answered(404, failure('No Record found', "Record doesn't exist or ACL restricts the record retrieval"))],
    ['throttled', answered(429, failure('Rate limit exceeded', ''))],
    ['throttled', answered(503)],
    ['throttled', answered(401, failure('User Not Authenticated', ''))],
    ['unknown', answered(500, failure('Transaction cancelled: maximum execution time exceeded', ''))],
    ['unknown', answered(202)],
    ['unknown', { outcome: 'unserviced' } satisfies BatchOutcome],
  ])('%s: %j', (result, outcome) => expect(classifyWrite(outcome)).toMatchObject({ result }));

  test('an unscoped OAuth client and an unreadable column have remedies of their own', () => {
    expect(refusalOf({ message: 'User Not Authorized', detail: 'Access to unscoped api is not allowed' })).toMatchObject({
      kind: 'oauth-scope',
    });
    expect(
      refusalOf({
        message: 'Insufficient rights to query records',
        detail: 'Field(s) present in the query do not have permission to be read',
      }),
    ).toMatchObject({ kind: 'unreadable-column' });
  });
});

describe('cutBatches', () => {
  const item = (id: string, bytes: number): BatchItem => ({
    id,
    method: 'POST',
    path: '/api/now/table/t',
    body: { text: 'x'.repeat(bytes) },
  });

  test('keeps every item that fits, in order, below both limits', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3_000_000 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        (sizes, maxItems) => {
          const items = sizes.map((bytes, index) => item(String(index), bytes));
          const { batches, tooLarge } = cutBatches(items, maxItems);
          expect(tooLarge).toEqual([]);
          expect(batches.flat()).toEqual(items);
          for (const batch of batches) {
            expect(batch.length).toBeLessThanOrEqual(maxItems);
            expect(batch.reduce((sum, one) => sum + itemBytes(one), 0)).toBeLessThanOrEqual(5 * 1024 * 1024);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  test('an item above 5 MB is set apart and stops nothing', () => {
    const items = [item('a', 10), item('b', 6_000_000), item('c', 10)];
    const { batches, tooLarge } = cutBatches(items);
    expect(batches).toEqual([[items[0], items[2]]]);
    expect(tooLarge).toEqual([items[1]]);
  });
});

describe('readIreAnswer', () => {
  const recorded = (name: string): { response: { body: unknown } } =>
    JSON.parse(readFileSync(join(import.meta.dirname, 'identifyreconcile', `${name}.json`), 'utf8')) as { response: { body: unknown } };

  test('two updates of a published example', () => {
    const { items, relationOperations } = readIreAnswer(recorded('update-two-items').response.body, 2, {});
    expect(items).toEqual([
      { outcome: 'updated', sysId: '539747cac0a801640163e60735fbbf6e', className: 'cmdb_ci_linux_server', operation: 'UPDATE' },
      { outcome: 'updated', sysId: '304481257f701200bee45f19befa915b', className: 'cmdb_ci_ip_switch', operation: 'UPDATE' },
    ]);
    expect(relationOperations).toEqual(['INSERT']);
  });

  test('a partial item is refused with its warning, without the payload that the message quotes', () => {
    const [item] = readIreAnswer(recorded('insert-as-partial').response.body, 1, {}).items;
    expect(item).toMatchObject({ outcome: 'refused', code: 'MISSING_MATCHING_ATTRIBUTES', remedy: expect.stringMatching(/.+/) });
    expect(JSON.stringify(item)).not.toContain('My Company');
  });

  test('an invalid data source under 400 is refused with the step that fixes it', () => {
    expect(readIreAnswer(recorded('invalid-data-source').response.body, 1, {}, 400).items).toEqual([
      expect.objectContaining({ outcome: 'refused', code: 'INVALID_INPUT_DATA', remedy: expect.stringContaining('discovery_source') }),
    ]);
  });

  const answer = (items: unknown[], extra = {}): unknown => ({ result: { items, relations: [], ...extra } });
  const done = (operation: string, inputIndices?: number[], sysId: unknown = 'abc'): unknown => ({
    className: 'c',
    operation,
    sysId,
    ...(inputIndices ? { inputIndices } : {}),
  });

  test('outcomes go by inputIndices, not by place; one answer may stand for several inputs', () => {
    const { items } = readIreAnswer(answer([done('NO_CHANGE', [2]), done('INSERT', [0, 1], 'new')]), 3, {});
    expect(items.map((item) => item.outcome)).toEqual(['inserted', 'inserted', 'matched']);
  });

  test('without indices the place counts only if nothing is missing', () => {
    expect(readIreAnswer(answer([done('INSERT'), done('NO_CHANGE')]), 2, {}).items.map(({ outcome }) => outcome)).toEqual([
      'inserted',
      'matched',
    ]);
    expect(readIreAnswer(answer([done('INSERT')]), 2, {}).items).toEqual([
      expect.objectContaining({ outcome: 'retry', code: 'NOT_ANSWERED' }),
      expect.objectContaining({ outcome: 'retry', code: 'NOT_ANSWERED' }),
    ]);
  });

  test.each([
    ['LOCK_TIMEOUT', 'retry'],
    ['ABANDONED', 'retry'],
    ['MISSING_DEPENDENCY', 'refused'],
    ['MULTI_MATCH', 'refused'],
    ['SOMETHING_NEW', 'refused'],
  ])('%s: %s', (error, outcome) => {
    expect(readIreAnswer(answer([{ errors: [{ error, message: 'm' }], inputIndices: [0] }]), 1, {}).items[0]).toMatchObject({
      outcome,
      code: error,
    });
  });

  test('INSERT_AS_INCOMPLETE, no operation, an Unknown sysId: never taken for success', () => {
    expect(readIreAnswer(answer([done('INSERT_AS_INCOMPLETE', [0], 'Unknown')]), 1, {}).items[0]).toMatchObject({ outcome: 'refused' });
    expect(readIreAnswer(answer([{ inputIndices: [0] }]), 1, {}).items[0]).toMatchObject({ outcome: 'refused', code: 'NO_OPERATION' });
    expect(readIreAnswer(answer([done('INSERT', [0], 'Unknown')]), 1, {}).items[0]).toMatchObject({ outcome: 'retry', code: 'NO_SYS_ID' });
    expect(readIreAnswer(answer([done('INSERT', [0], undefined)]), 1, { simulate: true }).items[0]).toMatchObject({ outcome: 'inserted' });
  });

  test('no envelope is an error', () => {
    expect(() => readIreAnswer({}, 1, {})).toThrow(expect.objectContaining({ kind: 'malformed-answer' }));
    expect(() => readIreAnswer({ error: {} }, 1, {}, 400)).toThrow(expect.objectContaining({ kind: 'rejected' }));
  });

  test('whatever is in the list, there is one outcome per input', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.jsonValue(), fc.record({ inputIndices: fc.array(fc.integer()), operation: fc.string() }))),
        fc.nat(5),
        (items, count) => {
          const outcomes = readIreAnswer(answer(items), count, {}).items;
          expect(outcomes).toHaveLength(count);
          for (const { outcome } of outcomes) expect(['matched', 'inserted', 'updated', 'retry', 'refused']).toContain(outcome);
        },
      ),
    );
  });
});

describe('ireBatchItem', () => {
  const payload = { items: [{ className: 'cmdb_ci_cmp_resource', values: { object_id: 'x' } }] };

  test('chooses the endpoint and escapes the data source', () => {
    expect(ireBatchItem('1', payload, { dataSource: 'A & B' }).path).toBe('/api/now/identifyreconcile?sysparm_data_source=A%20%26%20B');
    expect(ireBatchItem('1', payload, { dataSource: 'A', simulate: true }).path).toBe(
      '/api/now/identifyreconcile/query?sysparm_data_source=A',
    );
    expect(
      ireBatchItem('1', payload, { dataSource: 'A', simulate: true, enhanced: { generateSummary: true, partialCommits: false } }).path,
    ).toBe('/api/now/identifyreconcile/queryEnhanced?sysparm_data_source=A&options=partial_commits%3Afalse%2Cgenerate_summary%3Atrue');
  });

  test.each([
    [{ items: [] }],
    [{ items: Array.from({ length: 501 }, () => payload.items[0]!) }],
    [{ items: [{ className: 'c', values: { sys_class_name: 'c' } }] }],
  ])('refuses a payload that the engine must not get', (wrong) => {
    expect(() => ireBatchItem('1', wrong, { dataSource: 'A' })).toThrow(expect.objectContaining({ kind: 'bug' }));
  });
});
