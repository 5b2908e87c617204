import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodedBytes, isQueryable, query, splitByBytes } from '../../../src/servicenow/index.ts';
import { firstForeignRow } from '../../../src/servicenow/query.ts';

describe('query', () => {
  test('joins conditions and puts the order last', () => {
    const text = query()
      .orderBy('sys_id')
      .equals('source', 'a b')
      .in('control', ['x', 'y', 'x'])
      .startsWith('name', 'VPN')
      .notEquals('state', '3')
      .greaterThan('sys_id', 'abc')
      .isEmpty('cmdb_ci')
      .isNotEmpty('src_ci')
      .orderBy('sys_created_on', 'descending').text;
    expect(text).toBe(
      'source=a b^controlINx,y^nameSTARTSWITHVPN^state!=3^sys_id>abc^cmdb_ciISEMPTY^src_ciISNOTEMPTY^ORDERBYsys_id^ORDERBYDESCsys_created_on',
    );
  });

  test('names every column it uses', () => {
    expect(query().equals('a', '1').in('b.c', ['2']).isCurrentUser('user').orderBy('d').columns).toEqual(['a', 'b.c', 'user', 'd']);
  });

  test('is immutable', () => {
    const base = query().equals('a', '1');
    base.equals('b', '2');
    expect(base.text).toBe('a=1');
  });

  test('values that IN cannot carry become alternatives', () => {
    expect(query().equals('a', '1').in('b', ['x', 'y,z', 'k=v', 'w']).text).toBe('a=1^bINx,w^ORb=y,z^ORb=k=v');
    expect(query().in('b', ['y,z']).text).toBe('b=y,z');
  });

  test.each(['a^b', 'a\nb', 'a\u0000b', 'a\u2028b', '', '   ', 'javascript:gs.getUserID()', ' JavaScript:alert(1)', '=x', 'a\ud800'])(
    'refuses the value %j everywhere',
    (value) => {
      for (const build of [
        () => query().equals('a', value),
        () => query().notEquals('a', value),
        () => query().in('a', ['fine', value]),
        () => query().startsWith('a', value),
        () => query().greaterThan('a', value),
        () => splitByBytes(query(), 'a', ['fine', value]),
      ]) {
        expect(build).toThrow(expect.objectContaining({ kind: 'rejected', code: 'unsafe-query' }));
      }
      expect(isQueryable(value)).toBe(false);
    },
  );

  test('a refusal does not repeat the value', () => {
    expect(() => query().equals('password', 'canary^secret')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('canary') }),
    );
  });

  test.each(['', 'A', 'a b', 'a^b', 'a=1', '1a', 'a..b', 'a.', 'active=true^ORname', 'é'])('refuses the column %j', (column) => {
    expect(() => query().equals(column, 'x')).toThrow(expect.objectContaining({ kind: 'rejected' }));
    expect(() => query().orderBy(column)).toThrow(expect.objectContaining({ kind: 'rejected' }));
  });

  test('an empty list would match everything', () => {
    expect(() => query().in('a', [])).toThrow(expect.objectContaining({ kind: 'rejected' }));
    expect(splitByBytes(query(), 'a', [])).toEqual([]);
  });

  test('no value can add a condition', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        fc.pre(isQueryable(value));
        expect(query().equals('a', value).equals('b', 'x').text.split('^')).toEqual([`a=${value}`, 'b=x']);
        for (const condition of query().in('a', ['k', value]).text.split('^')) expect(condition).toMatch(/^(?:aIN|ORa=|a=)/);
      }),
    );
  });
});

describe('splitByBytes', () => {
  const value = fc
    .oneof(fc.uuid(), fc.string({ minLength: 1, maxLength: 60 }), fc.constant('a,b'), fc.constant('/subscriptions/é/x=y'))
    .filter(isQueryable);

  test('asks for every value once, in order, and never above the limit', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 80 }), fc.integer({ min: 400, max: 2_000 }), (values, maxBytes) => {
        const base = query().equals('source', 'Microsoft Defender for Cloud').orderBy('sys_id');
        const queries = splitByBytes(base, 'source_id', values, maxBytes);
        const asked = queries.flatMap(({ exact }) => exact.find(({ column }) => column === 'source_id')!.values);
        expect(asked).toEqual([...new Set(values)]);
        for (const part of queries) {
          expect(encodedBytes(part.text)).toBeLessThanOrEqual(maxBytes);
          expect(part.text).toContain('source=Microsoft Defender for Cloud^');
          expect(part.text).toMatch(/\^ORDERBYsys_id$/);
        }
      }),
    );
  });

  test('250 sys_ids fit into two URLs of 6,000 bytes', () => {
    const ids = Array.from({ length: 250 }, (_, index) => index.toString(16).padStart(32, '0'));
    expect(splitByBytes(query(), 'sys_id', ids)).toHaveLength(2);
  });

  test('a value that fits into no URL is refused', () => {
    expect(() => splitByBytes(query(), 'a', ['x'.repeat(7_000)])).toThrow(expect.objectContaining({ kind: 'rejected' }));
  });

  test('is linear: a million ids take seconds, not hours', () => {
    const ids = Array.from({ length: 200_000 }, (_, index) => index.toString(16).padStart(32, '0'));
    const start = performance.now();
    expect(splitByBytes(query(), 'sys_id', ids).length).toBeGreaterThan(1_000);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe('firstForeignRow', () => {
  const asked = query().equals('active', 'true').in('name', ['Élan', 'B']);

  test('rows that match, however the database compares, are ours', () => {
    expect(
      firstForeignRow([{ active: '1', name: 'elan ' }, { active: 'TRUE', name: 'b' }, { name: { value: 'B', link: 'x' } }, {}], asked),
    ).toBeUndefined();
  });

  test('a row that a condition excludes proves that the condition was dropped', () => {
    expect(
      firstForeignRow(
        [
          { active: 'true', name: 'B' },
          { active: 'true', name: 'C' },
        ],
        asked,
      ),
    ).toEqual({ active: 'true', name: 'C' });
    expect(firstForeignRow([{ active: 'false', name: 'B' }], asked)).toEqual({ active: 'false', name: 'B' });
  });
});
