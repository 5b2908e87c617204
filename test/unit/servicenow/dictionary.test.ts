import { describe, expect, test } from '@jest/globals';
import { SyncError } from '../../../src/errors.ts';
import type { BatchApi, BatchOutcome, InstanceDictionary, ListOptions, Row, TableApi } from '../../../src/servicenow/index.ts';
import { probeDictionary } from '../../../src/servicenow/dictionary.ts';

interface Instance {
  readonly sys_db_object: readonly Row[] | 'forbidden';
  readonly sys_dictionary: readonly Row[] | 'forbidden';
  readonly sys_choice: readonly Row[] | 'forbidden';
  /** What one record of each table shows, in the order of the attempts. */
  readonly samples?: (name: string, attempt: number) => BatchOutcome;
}

const userTable = { name: 'sys_user', super_class: '', 'super_class.name': '' };
const userColumn = { name: 'sys_user', element: 'user_name', internal_type: 'string', max_length: '40', reference: '', active: 'true' };
const column = (name: string, element: string, rest: Row = {}): Row => ({
  name,
  element,
  internal_type: { value: 'string' },
  max_length: '100',
  reference: '',
  read_only: 'false',
  active: 'true',
  ...rest,
});

const plain: Instance = {
  sys_db_object: [
    userTable,
    { name: 'child', super_class: { value: 'f'.repeat(32) }, 'super_class.name': 'parent' },
    { name: 'parent', super_class: { value: 'top' } },
    { name: 'top', super_class: '' },
  ],
  sys_dictionary: [
    userColumn,
    { name: 'child', element: '', internal_type: 'collection' },
    column('child', 'state', { max_length: '40' }),
    column('parent', 'state', { max_length: '10' }),
    column('parent', 'owner', { internal_type: { value: 'reference' }, reference: { value: 'sys_user' } }),
    column('parent', 'retired', { active: 'false' }),
    column('top', 'name'),
  ],
  sys_choice: [
    { name: 'parent', element: 'state', value: '1', label: 'Offen', language: 'de', inactive: 'false' },
    { name: 'parent', element: 'state', value: '1', label: 'Open', language: 'en', inactive: 'false' },
    { name: 'parent', element: 'state', value: '9', label: 'Old', language: 'en', inactive: 'true' },
  ],
};

/** Answers like an instance: rows whose `name` is asked for. */
function probe(instance: Instance, tables = ['child']): Promise<InstanceDictionary> {
  const attempts = new Map<string, number>();
  const table = {
    sampleItem: (id: string, name: string) => ({ id, method: 'GET', path: name }),
    async *listAll(from: keyof Omit<Instance, 'samples'>, { query }: ListOptions) {
      await Promise.resolve();
      const rows = instance[from];
      if (rows === 'forbidden') throw new SyncError({ kind: 'forbidden', message: 'Insufficient rights to query records' });
      const asked = query.exact.map(({ column: name, values }) => ({ name, values }));
      yield* rows.filter((row) => asked.every(({ name, values }) => row[name] === undefined || values.includes(row[name] as string)));
    },
  } as unknown as TableApi;
  const batch: BatchApi = {
    sendBatch: (items) =>
      Promise.resolve(
        items.map(({ id }) => {
          attempts.set(id, (attempts.get(id) ?? 0) + 1);
          const answer = instance.samples?.(id, attempts.get(id)!);
          return answer ?? { outcome: 'answered', status: 200, executionMs: 1, body: { result: [{ state: '1', owner: '' }] } };
        }),
      ),
  };
  return probeDictionary(tables, { table, batch });
}

const invalidTable: BatchOutcome = {
  outcome: 'answered',
  status: 400,
  executionMs: 1,
  body: { error: { message: 'Invalid table child', detail: null }, status: 'failure' },
};

describe('probeDictionary', () => {
  test('a table has its own columns and those of all its super classes, its own definition first', async () => {
    const { child } = (await probe(plain)).tables;
    expect(child).toMatchObject({ state: 'present', superClasses: ['parent', 'top'] });
    expect(Object.keys(child!.columns).sort()).toEqual(['name', 'owner', 'state']);
    expect(child!.columns['state']).toMatchObject({ type: 'string', maxLength: 40 });
    expect(child!.columns['owner']).toMatchObject({ type: 'reference', reference: 'sys_user' });
  });

  test('choices are inherited, active ones only, one label each, the English one', async () => {
    const { child } = (await probe(plain)).tables;
    expect(child!.columns['state']!.choices).toEqual([{ value: '1', label: 'Open' }]);
    expect(child!.columns['name']!.choices).toBeUndefined();
  });

  test('a column that a record does not show is not readable; without a record that is not known', async () => {
    const { child } = (await probe(plain)).tables;
    expect(child!.columns['owner']!.readable).toBe(true);
    expect(child!.columns['name']!.readable).toBe(false);
    const empty = await probe({ ...plain, samples: () => ({ outcome: 'answered', status: 200, executionMs: 1, body: { result: [] } }) });
    expect(empty.tables['child']!.columns['name']!.readable).toBeUndefined();
  });

  test.each<[string, Partial<Instance>, InstanceDictionary['readable']]>([
    ['definitions refused', { sys_db_object: 'forbidden' }, { tables: false, columns: true, choices: true }],
    ['definitions empty', { sys_db_object: [] }, { tables: false, columns: true, choices: true }],
    ['columns empty for everybody', { sys_dictionary: [] }, { tables: true, columns: false, choices: true }],
    ['columns refused', { sys_dictionary: 'forbidden' }, { tables: true, columns: false, choices: true }],
    ['choices refused', { sys_choice: 'forbidden' }, { tables: true, columns: true, choices: false }],
    ['choices by label alone', { sys_choice: [{ label: 'Open' }] }, { tables: true, columns: true, choices: false }],
  ])('%s: said as such', async (_name, instance, readable) => {
    expect((await probe({ ...plain, ...instance })).readable).toEqual(readable);
  });

  test('a table without readable columns is hidden, although it answers', async () => {
    expect((await probe({ ...plain, sys_dictionary: [userColumn] })).tables['child']).toMatchObject({ state: 'hidden', columns: {} });
  });

  test('absent is only what the instance calls an invalid table; refused is hidden', async () => {
    expect((await probe({ ...plain, samples: () => invalidTable })).tables['child']!.state).toBe('absent');
    const refused: BatchOutcome = { outcome: 'answered', status: 403, executionMs: 1, body: { error: { message: 'x', detail: 'y' } } };
    expect((await probe({ ...plain, samples: () => refused })).tables['child']!.state).toBe('hidden');
  });

  test('what a batch did not reach is asked again, and given up when nothing moves', async () => {
    const later = await probe(
      { ...plain, samples: (name, attempt) => (name === 'parent' && attempt === 1 ? { outcome: 'unserviced' } : invalidTable) },
      ['child', 'parent'],
    );
    expect(later.tables['parent']!.state).toBe('absent');
    const never = await probe({ ...plain, samples: () => ({ outcome: 'unserviced' }) });
    expect(never.tables['child']!.state).toBe('hidden');
  });
});
