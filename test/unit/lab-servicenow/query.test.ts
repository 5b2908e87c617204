import { describe, expect, it } from '@jest/globals';
import { createClock } from '../../../lab/kit/clock.ts';
import { parseQuery } from '../../../lab/servicenow/query/parse.ts';
import { runQuery } from '../../../lab/servicenow/query/evaluate.ts';
import { buildSchema, type SeedData } from '../../../lab/servicenow/schema.ts';
import { createStore, type Store } from '../../../lab/servicenow/store.ts';

const SYSTEM = ['sys_id', 'sys_created_on', 'sys_mod_count'].map((name) => ({ name }));
const seeds: SeedData = {
  rows: [],
  tables: [
    {
      name: 'task',
      label: 'Task',
      columns: [...SYSTEM, { name: 'number' }, { name: 'sys_class_name' }, { name: 'active', type: 'boolean' }],
    },
    {
      name: 'incident',
      extends: 'task',
      columns: [
        { name: 'state', type: 'integer' },
        { name: 'short_description' },
        { name: 'opened_at', type: 'glide_date_time' },
        { name: 'caller', type: 'reference', reference: 'person' },
      ],
    },
    { name: 'person', columns: [...SYSTEM, { name: 'name' }, { name: 'boss', type: 'reference', reference: 'person' }] },
  ],
};

function filled(): Store {
  const store = createStore(buildSchema(seeds, 'singular'), createClock(new Date('2026-11-22T10:00:00Z')));
  const boss = store.insert('person', { name: 'Ada' }, 'test');
  const worker = store.insert('person', { name: 'Grace', boss: boss.sysId }, 'test');
  store.insert('incident', { number: 'I1', state: '1', short_description: 'VPN down', active: 'true', caller: worker.sysId }, 'test');
  store.insert('incident', { number: 'I2', state: '2', short_description: 'Email is slow', opened_at: '2026-11-21 09:00:00' }, 'test');
  store.insert(
    'incident',
    { number: 'I3', state: '10', short_description: '', opened_at: '2026-10-05 09:00:00', caller: boss.sysId },
    'test',
  );
  store.insert('task', { number: 'T1' }, 'test');
  return store;
}

function numbers(query: string, table = 'incident'): string[] {
  const store = filled();
  const { rows } = runQuery(store, store.schema.get(table)!, query, { userSysId: 'me', mayRead: () => true });
  return rows.map((row) => row.values['number'] ?? '');
}

describe('encoded queries (servicenow.md §5.2, table-api/query_errors_silent_or_empty.json)', () => {
  it.each([
    ['state=1', ['I1']],
    ['state!=1', ['I2', 'I3']],
    ['state=1^ORstate=2', ['I1', 'I2']],
    ['state=1^ORstate=2^short_descriptionLIKEslow', ['I2']],
    ['stateIN1,10', ['I1', 'I3']],
    ['stateNOTIN1,10', ['I2']],
    ['stateNOT IN1,10', ['I2']],
    ['state>2', ['I3']],
    ['state>=2', ['I2', 'I3']],
    ['state<10', ['I1', 'I2']],
    ['state<=1', ['I1']],
    ['short_descriptionSTARTSWITHvpn', ['I1']],
    ['short_descriptionENDSWITHSLOW', ['I2']],
    ['short_descriptionLIKEEMAIL', ['I2']],
    ['short_descriptionNOT LIKEemail', ['I1', 'I3']],
    ['short_descriptionISEMPTY', ['I3']],
    ['short_descriptionISNOTEMPTY', ['I1', 'I2']],
    ['short_description=vpn DOWN', ['I1']],
    ['active=true', ['I1']],
    ['active=false', ['I2', 'I3']],
    ['opened_at>javascript:gs.daysAgo(7)', ['I2']],
    ['opened_at>javascript:gs.beginningOfLastMonth()', ['I2', 'I3']],
    ['caller.name=Grace', ['I1']],
    ['caller.nameINgrace,ada', ['I1', 'I3']],
    ['caller.boss.name=Ada', ['I1']],
    ['state=1^NQstate=10', ['I1', 'I3']],
    ['ORDERBYDESCstate', ['I3', 'I2', 'I1']],
    ['stateIN1,2^ORDERBYDESCnumber', ['I2', 'I1']],
    ['ORDERBYcaller.name', ['I2', 'I3', 'I1']],
  ])('%s', (query, expected) => {
    expect(numbers(query)).toEqual(expected);
  });

  it.each([
    ['no_such_field=banana', 3],
    ['^^^', 3],
    ['banana', 3],
    ['caller.no_such=1', 3],
    ['state=1^no_such_field=banana', 1],
    ['state=1^NQno_such_field=banana', 3],
    ['no_such_field=banana^ORstate=1', 1],
    ['state=NOT_A_NUMBER', 0],
    ['state==1', 0],
    ['short_description=VPN^down', 0],
    ['opened_at>javascript:gs.unknownThing()', 0],
  ])('%s: bad fragments are dropped, bad values match nothing', (query, count) => {
    expect(numbers(query)).toHaveLength(count);
  });

  it('sees the records of extending tables through the parent, and only the parent columns', () => {
    expect(numbers('ORDERBYnumber', 'task')).toEqual(['I1', 'I2', 'I3', 'T1']);
    expect(numbers('sys_class_name=incident', 'task')).toEqual(['I1', 'I2', 'I3']);
    expect(numbers('state=1', 'task')).toHaveLength(4);
  });

  it('keeps indexes true while records change', () => {
    const store = filled();
    const table = store.schema.get('incident')!;
    const find = (number: string): number => runQuery(store, table, `number=${number}`, { userSysId: '', mayRead: () => true }).rows.length;
    expect(find('i2')).toBe(1);
    const row = [...store.rows('incident')].find(({ values }) => values['number'] === 'I2')!;
    store.update(row, { number: 'I9' }, 'test');
    expect([find('I2'), find('I9')]).toEqual([0, 1]);
    store.delete(row);
    expect(find('I9')).toBe(0);
  });

  it('refuses a query on a hidden column, ORDERBY included', () => {
    const store = filled();
    const table = store.schema.get('incident')!;
    const ask = (query: string): string | undefined =>
      runQuery(store, table, query, { userSysId: '', mayRead: (_table, column) => column !== 'state' }).unreadable;
    expect(ask('state=1')).toBe('state');
    expect(ask('number=I1^ORDERBYstate')).toBe('state');
    expect(ask('number=I1')).toBeUndefined();
  });

  it('reads OR, NQ and ORDERBY into a tree', () => {
    expect(parseQuery('a=1^ORb=2^c=3^NQd=4^ORDERBYDESCe')).toEqual({
      alternatives: [
        [
          [
            { field: 'a', operator: '=', value: '1' },
            { field: 'b', operator: '=', value: '2' },
          ],
          [{ field: 'c', operator: '=', value: '3' }],
        ],
        [[{ field: 'd', operator: '=', value: '4' }]],
      ],
      orderBy: [{ field: 'e', descending: true }],
      dropped: [],
    });
  });
});
