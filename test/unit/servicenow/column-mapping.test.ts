import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { TableSpec } from '../../../src/model.ts';
import {
  cutKey,
  cutText,
  mapTable,
  sameOnInstance,
  type DictionaryColumn,
  type InstanceDictionary,
} from '../../../src/servicenow/index.ts';

function column(name: string, type: string, rest: Partial<DictionaryColumn> = {}): [string, DictionaryColumn] {
  return [name, { name, type, maxLength: 40, reference: undefined, readable: true, readOnly: false, choices: undefined, ...rest }];
}

const results = Object.fromEntries([
  column('short_description', 'string', { maxLength: 20 }),
  column('source_id', 'string', { maxLength: 30 }),
  column('last_found', 'glide_date_time'),
  column('is_ignored', 'boolean'),
  column('times_found', 'integer'),
  column('score', 'decimal'),
  column('version', 'string'),
  column('control', 'reference', { reference: 'sn_vulc_test' }),
  column('parent_ci', 'reference', { reference: 'cmdb_ci' }),
  column('other_ci', 'reference', { reference: 'cmdb_ci' }),
  column('library', 'reference', { reference: 'sn_vul_entry' }),
  column('result', 'string', {
    choices: [
      { value: 'passed', label: 'Passed' },
      { value: 'failed', label: 'Failed' },
    ],
  }),
  column('criticality', 'integer', {
    choices: [
      { value: '1', label: 'Critical' },
      { value: '2', label: 'High' },
    ],
  }),
  column('free_choice', 'string'),
]);

const dictionary: InstanceDictionary = {
  readable: { tables: true, columns: true, choices: true },
  tables: {
    t: { name: 't', state: 'present', superClasses: [], columns: results },
    sn_vul_nvd_entry: { name: 'sn_vul_nvd_entry', state: 'present', superClasses: ['sn_vul_entry'], columns: {} },
  },
};

const spec: TableSpec = {
  name: 't',
  traffic: 'data',
  naturalKey: ['sourceId'],
  ifMissing: 'stop',
  columns: {
    title: { names: ['short_description'], type: 'text' },
    sourceId: { names: ['source_id'], type: 'key', required: true },
    lastFound: { names: ['last_found_dt_tm', 'last_found'], type: 'time' },
    ignored: { names: ['is_ignored'], type: 'boolean' },
    timesFound: { names: ['times_found'], type: 'integer' },
    score: { names: ['score'], type: 'decimal' },
    test: { names: [], references: 'sn_vulc_test', type: 'reference', required: true },
    ci: { names: [], references: 'cmdb_ci', type: 'reference', required: true },
    cve: { names: ['vulnerability'], references: 'sn_vul_nvd_entry', type: 'reference' },
    result: { names: ['result'], type: 'choice' },
    criticality: { names: ['criticality'], type: 'label' },
    free: { names: ['free_choice'], type: 'choice' },
    firstState: { names: ['version'], type: 'text', onCreateOnly: true },
    nowhere: { names: ['a', 'b'], type: 'text', required: true },
    nothing: { names: ['c'], type: 'text' },
  },
};

const mapped = mapTable(spec, dictionary);

describe('mapTable', () => {
  test('takes the first name that exists, or the only reference to the table', () => {
    expect(mapped.column('lastFound')).toBe('last_found');
    expect(mapped.column('test')).toBe('control');
    expect(mapped.column('cve')).toBe('library');
    expect(mapped.column('nothing')).toBeUndefined();
    expect(mapped.column('unheard')).toBeUndefined();
  });

  test('says which required columns are missing and why', () => {
    expect(mapped.missingRequired).toEqual([
      { column: 'ci', because: '2 columns refer to cmdb_ci: parent_ci, other_ci' },
      { column: 'nowhere', because: 'no column is named a or b' },
    ]);
    expect(mapped.missingOptional).toEqual([{ column: 'nothing', because: 'no column is named c' }]);
  });

  test('a table that the instance lacks maps to one without columns', () => {
    const absent: InstanceDictionary = { ...dictionary, tables: { t: { name: 't', state: 'absent', superClasses: [], columns: {} } } };
    expect(mapTable(spec, absent)).toMatchObject({
      state: 'absent',
      missingRequired: expect.arrayContaining([expect.objectContaining({ column: 'sourceId' })]),
    });
    expect(mapTable(spec, { ...dictionary, tables: {} }).state).toBe('hidden');
  });
});

describe('shape', () => {
  const shape = (fields: Parameters<typeof mapped.shape>[0], create = true): ReturnType<typeof mapped.shape> =>
    mapped.shape(fields, { create });

  test('gives every type its form', () => {
    expect(
      shape({
        title: 'a description that is too long',
        lastFound: '2026-08-21T10:11:12.999Z',
        ignored: true,
        timesFound: 7.9,
        score: 9.8,
        test: 'abc',
        result: 'failed',
        criticality: 'high',
        free: 'anything',
        nothing: 'left out',
      }),
    ).toEqual({
      values: {
        short_description: 'a description that …',
        last_found: '2026-08-21 10:11:12',
        is_ignored: 'true',
        times_found: '7',
        score: '9.8',
        control: 'abc',
        result: 'failed',
        criticality: '2',
        free_choice: 'anything',
      },
      dropped: [],
    });
  });

  test('null empties, false is not emptiness', () => {
    expect(shape({ title: null, ignored: false, lastFound: null, result: null }).values).toEqual({
      short_description: '',
      is_ignored: 'false',
      last_found: '',
      result: '',
    });
  });

  test.each([
    [Date.UTC(2026, 0, 2, 3, 4, 5), '2026-01-02 03:04:05'],
    ['2026-01-02 03:04:05', '2026-01-02 03:04:05'],
    ['2026-01-02T03:04:05+02:00', '2026-01-02 01:04:05'],
    ['2026-01-02', '2026-01-02 00:00:00'],
  ])('time %s', (value, expected) => expect(shape({ lastFound: value }).values['last_found']).toBe(expected));

  test.each([
    [0.0000001, '0.0000001'],
    ['7.50', '7.5'],
    [1e21, '1000000000000000000000'],
  ])('decimal %s', (value, expected) => expect(shape({ score: value }).values['score']).toBe(expected));

  test('what the instance cannot take is dropped, and said', () => {
    const { values, dropped } = shape({
      result: 'not-applicable',
      criticality: 'Extreme',
      lastFound: 'yesterday',
      timesFound: 'many',
      score: '',
      ignored: 'maybe',
    });
    expect(values).toEqual({ score: '' });
    expect(dropped.map(({ column: name }) => name)).toEqual(['result', 'criticality', 'lastFound', 'timesFound', 'ignored']);
    expect(dropped[0]!.because).toBe('result does not offer the choice not-applicable');
  });

  test('what belongs to the platform after creation is sent once', () => {
    expect(shape({ firstState: 'x' }, true).values).toEqual({ version: 'x' });
    expect(shape({ firstState: 'x' }, false).values).toEqual({});
  });

  test('a logical column that nobody specified is a defect', () => {
    expect(() => shape({ titel: 'x' })).toThrow(expect.objectContaining({ kind: 'bug' }));
    expect(() => shape({ toString: 'x' })).toThrow(expect.objectContaining({ kind: 'bug' }));
  });

  test('texts arrive without NUL and half characters', () => {
    expect(shape({ title: 'a\u0000b\ud800' }).values).toEqual({ short_description: 'ab\ufffd' });
  });
});

describe('cutting', () => {
  test('text ends in … at exactly the column’s length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 120 }), fc.integer({ min: 1, max: 60 }), (text, maxLength) => {
        const cut = cutText(text, maxLength);
        expect(cut.length).toBeLessThanOrEqual(maxLength);
        expect(cut.isWellFormed()).toBe(true);
        if (text.length <= maxLength) expect(cut).toBe(text);
        else expect(cut.endsWith('…')).toBe(true);
      }),
    );
    expect(cutText('abc', undefined)).toBe('abc');
    expect(cutText('ab😀cd', 4)).toBe('ab…');
  });

  test('a key keeps its beginning and 16 digits of its hash', () => {
    const key = '/subscriptions/0000/resourcegroups/long/providers/x';
    const digest = createHash('sha256').update(key).digest('hex').slice(0, 16);
    expect(cutKey(key, 40)).toBe(`${key.slice(0, 23)}~${digest}`);
    expect(cutKey(key, 40)).toHaveLength(40);
    expect(cutKey(key, 200)).toBe(key);
  });

  test('different keys stay different, equal keys equal, and none is too long', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1 }),
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 20, max: 50 }),
        (prefix, tail, maxLength) => {
          const [one, two] = [prefix.repeat(40), `${prefix.repeat(40)}x${tail}`];
          expect(cutKey(one, maxLength)).not.toBe(cutKey(two, maxLength));
          expect(cutKey(one, maxLength)).toBe(cutKey(one, maxLength));
          expect(cutKey(two, maxLength).length).toBeLessThanOrEqual(maxLength);
          expect(cutKey(two, maxLength).isWellFormed()).toBe(true);
        },
      ),
    );
  });
});

describe('sameOnInstance', () => {
  test.each([
    [{ control: { value: 'abc', display_value: 'A' } }, { control: 'abc' }, true],
    [{ control: '' }, { control: 'abc' }, false],
    [{ is_ignored: '1' }, { is_ignored: 'true' }, true],
    [{ is_ignored: true }, { is_ignored: 'true' }, true],
    [{ is_ignored: '0' }, { is_ignored: 'true' }, false],
    [{ score: '9.80' }, { score: '9.8' }, true],
    [{ score: '1,234.50' }, { score: '1234.5' }, true],
    [{ version: '1.10' }, { version: '1.1' }, false],
    [{ short_description: 'text  \r\nmore ' }, { short_description: 'text  \nmore' }, true],
    [{ short_description: 'Text' }, { short_description: 'text' }, false],
    [{ short_description: null }, { short_description: '' }, true],
    [{}, { short_description: 'x' }, false],
    [{}, { short_description: '' }, false],
    [{ unknown: 'x' }, { unknown: 'x' }, true],
  ])('%j says %j: %s', (row, values, expected) => {
    expect(sameOnInstance(row, values as unknown as Record<string, string>, results)).toBe(expected);
  });

  test('what was shaped and stored unchanged is the same', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 60 }),
        fc.float({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
        (title, score, ignored) => {
          const { values } = mapped.shape({ title, score, ignored }, { create: true });
          expect(mapped.sameOnInstance({ ...values }, values)).toBe(true);
        },
      ),
    );
  });
});

describe('a list of references', () => {
  const listSpec: TableSpec = {
    name: 't',
    traffic: 'data',
    naturalKey: [],
    ifMissing: 'stop',
    columns: { tags: { names: ['tags'], references: 'tag', type: 'list' } },
  };
  const mapped = (type: string, rest: Partial<DictionaryColumn> = {}): ReturnType<typeof mapTable> =>
    mapTable(listSpec, {
      ...dictionary,
      tables: {
        t: {
          name: 't',
          state: 'present',
          superClasses: [],
          columns: Object.fromEntries([column('tags', type, { reference: 'tag', maxLength: 70, ...rest })]),
        },
      },
    });
  const ids = ['a', 'b', 'c'].map((letter) => letter.repeat(32));

  test.each<[string, ReturnType<typeof mapTable>, string | undefined]>([
    ['where the dictionary says so', mapped('glide_list'), 'tags'],
    ['not in a column of text', mapped('string'), undefined],
    ['not in a list of something else', mapped('glide_list', { reference: 'sys_user' }), undefined],
    ['not where it is read-only', mapped('glide_list', { readOnly: true }), undefined],
  ])('%s', (_name, table, found) => {
    expect(table.column('tags')).toBe(found);
  });

  test('is never cut through a sys_id, and is emptied by none', () => {
    const shape = (value: string): unknown => mapped('glide_list').shape({ tags: value }, { create: true }).values['tags'];
    expect(shape(ids.join())).toBe(ids.slice(0, 2).join());
    expect(shape(ids.slice(0, 2).join())).toBe(ids.slice(0, 2).join());
    expect(shape('')).toBe('');
  });

  test('says the same in any order', () => {
    const same = (value: string): boolean => mapped('glide_list').sameOnInstance({ tags: value }, { tags: ids.join() });
    expect(same([...ids].reverse().join())).toBe(true);
    expect(same(ids.slice(1).join())).toBe(false);
  });
});
