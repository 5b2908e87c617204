import { differences } from './compare.ts';
import { Presupposed, presuppose } from './presuppose.ts';
import { withLab, type Driver } from './send.ts';
import type { StartedLab } from '../start.ts';

interface Rule {
  table: string;
  read: string[];
  unreadable: 'empty' | 'forbidden';
}

function ruled(world: Presupposed, rules: Rule[]): void {
  world.extra['rules'] = rules.map((rule) => ({ ...rule, create: [], write: [], delete: [] }));
}

function account(userName: string, roles: string[]): object {
  return { userName, firstName: 'Probe', lastName: userName, roles, login: true };
}

function fill(started: StartedLab, table: string, count: number, values: (index: number) => Record<string, string>): void {
  for (let index = 0; index < count; index += 1) started.lab.store.insert(table, values(index), 'admin');
}

/** The class tables of the measured instance, as far as accounts differ in them. */
function tasks(world: Presupposed): void {
  for (const name of ['active', 'sys_class_name', 'short_description'])
    world.column('task', { name, type: name === 'active' ? 'boolean' : 'string' });
  ruled(world, [
    { table: 'task', read: ['sn_incident_read', 'itil'], unreadable: 'empty' },
    { table: 'incident', read: ['sn_incident_read', 'itil'], unreadable: 'empty' },
    { table: 'problem', read: ['itil'], unreadable: 'empty' },
    { table: 'metric_definition', read: ['itil'], unreadable: 'forbidden' },
    { table: 'metric_instance', read: ['itil'], unreadable: 'forbidden' },
    { table: 'change_request', read: ['sn_incident_read', 'itil'], unreadable: 'empty' },
    { table: 'sc_task', read: ['sn_incident_read', 'itil'], unreadable: 'empty' },
    { table: 'sys_plugins', read: [], unreadable: 'forbidden' },
  ]);
  world.extra['extraRoles'] = ['sn_incident_read', 'sn_change_read', 'sn_request_read', 'snc_read_only'].map((name) => ({
    name,
    contains: [],
  }));
  for (const name of ['metric_definition', 'metric_instance', 'sys_plugins']) world.table(name);
  for (const name of ['incident', 'problem', 'change_request', 'sc_task']) world.subclass(name, 'task');
}

/** table-api/acl_blind_x_total_count.json: the measured counts themselves, not shapes. */
const aclBlindTotals: Driver = ({ raw }) => {
  const world = new Presupposed();
  tasks(world);
  world.extra['users'] = [
    account('lh_probe_itil', ['itil']),
    account('lh_probe_snc_read', ['sn_incident_read']),
    account('lh_probe_none', []),
  ];
  return withLab(world, async (started) => {
    fill(started, 'incident', 103, (index) => ({ active: String(index < 70) }));
    fill(started, 'problem', 24, (index) => ({ active: String(index < 15) }));
    fill(started, 'task', 725 - 103 - 24, () => ({ active: 'true' }));
    const found: string[] = [];
    for (const { account: as, table, ...expected } of raw.measurements as Record<string, string>[]) {
      const answer = await started.get(`/api/now/table/${String(table)}?sysparm_limit=1`, { as: as! });
      const actual = {
        status: answer.status,
        'X-Total-Count': Number(answer.headers['x-total-count']),
        rows: answer.json.result.length as number,
      };
      if (JSON.stringify(actual) !== JSON.stringify(expected)) found.push(`${String(as)} ${String(table)}: ${JSON.stringify(actual)}`);
    }
    for (const { account: as, url, rows } of raw.class_filter as { account: string; url: string; rows: number }[]) {
      const answer = await started.get(url, { as });
      if (answer.json.result.length !== rows)
        found.push(`${as} ${url}: ${String(answer.json.result.length)} rows instead of ${String(rows)}`);
    }
    for (const { account: as, table, status } of raw.platform_tables as { account: string; table: string; status: number }[]) {
      const answer = await started.get(`/api/now/table/${table}?sysparm_limit=1`, { as });
      if (answer.status !== status) found.push(`${as} ${table}: ${String(answer.status)} instead of ${String(status)}`);
    }
    return found;
  });
};

const ACCOUNTS: Record<string, string> = {
  admin: 'admin',
  'no roles': 'probe.none',
  snc_read_only: 'probe.snc',
  'sn_*_read': 'probe.read',
  itil: 'probe.itil',
};

/** schema/role_visibility_matrix.json: status and emptiness of every cell. */
const roleVisibility: Driver = ({ raw }) => {
  const world = new Presupposed();
  tasks(world);
  world.extra['users'] = [
    account('probe.none', []),
    account('probe.snc', ['snc_read_only']),
    account('probe.read', ['sn_incident_read', 'sn_change_read', 'sn_request_read']),
    account('probe.itil', ['itil']),
  ];
  return withLab(world, async (started) => {
    for (const table of ['incident', 'change_request', 'task', 'metric_definition', 'metric_instance', 'sys_plugins']) {
      fill(started, table, 5, () => ({}));
    }
    fill(started, 'sc_task', 1, () => ({}));
    const found: string[] = [];
    for (const [table, cells] of Object.entries(raw.matrix as Record<string, Record<string, string>>)) {
      for (const [name, expected] of Object.entries(cells)) {
        if (expected === '') continue;
        const answer = await started.get(`/api/now/table/${table}?sysparm_limit=5`, { as: ACCOUNTS[name]! });
        const rows = (answer.json.result ?? []) as Record<string, string>[];
        const verdict = answer.status === 200 ? (rows.length === 0 ? '200/EMPTY' : '200') : String(answer.status);
        const isLabelOnly = rows.length > 0 && rows.every((row) => row['label'] !== undefined && !('value' in row));
        if (verdict !== expected.replace(/\/\d+.*$/, '')) found.push(`${name} ${table}: ${verdict} instead of ${expected}`);
        if (expected.includes('label only') !== (table === 'sys_choice' && isLabelOnly)) found.push(`${name} ${table}: not label alone`);
      }
    }
    const query = '/api/now/table/sys_choice?sysparm_query=name=cmdb_ci^element=operational_status';
    for (const as of Object.values(ACCOUNTS)) {
      const answer = await started.get(query, { as });
      if (answer.status !== (as === 'admin' ? 200 : 403)) found.push(`${as} queries sys_choice: ${String(answer.status)}`);
    }
    return found;
  });
};

/** table-api/query_errors_silent_or_empty.json: 94 incidents made so that every well-formed query has its measured total. */
const queryErrors: Driver = ({ raw }) => {
  const world = new Presupposed();
  for (const name of ['short_description']) world.column('incident', { name, type: 'string' });
  for (const name of ['state', 'priority']) world.column('incident', { name, type: 'integer' });
  world.column('incident', { name: 'active', type: 'boolean' });
  world.column('incident', { name: 'opened_at', type: 'glide_date_time' });
  return withLab(world, async (started) => {
    const state = (index: number): string => (index < 29 ? '1' : index < 56 ? '2' : index < 64 ? '3' : '7');
    fill(started, 'incident', 94, (index) => ({
      state: state(index),
      priority: index < 9 ? '3' : '4',
      short_description: index === 0 ? 'VPN down' : index < 9 ? 'no email' : 'other',
      opened_at: index < 28 ? started.clock.now().toISOString().slice(0, 19).replace('T', ' ') : '2016-01-01 00:00:00',
      active: String(index < 66),
    }));
    const found: string[] = [];
    for (const { sysparm_query: query, status, total } of raw.measurements as { sysparm_query: string; status: number; total: number }[]) {
      const answer = await started.get(`/api/now/table/incident?sysparm_limit=1&sysparm_query=${encodeURIComponent(query)}`, {
        as: 'admin',
      });
      const got = Number(answer.headers['x-total-count']);
      if (answer.status !== status || got !== total)
        found.push(`${query}: ${String(answer.status)}, ${String(got)} instead of ${String(total)}`);
    }
    return found;
  });
};

/** schema/basic_auth_restriction_properties.json: the rows, by name and value. */
const basicAuthProperties: Driver = ({ raw }) =>
  withLab(new Presupposed(), async (started) => {
    const query = 'sysparm_query=nameSTARTSWITHglide.authenticate.basic_auth^ORDERBYname&sysparm_fields=name,value';
    const answer = await started.get(`/api/now/table/sys_properties?${query}`, { as: 'admin' });
    const sorted = (rows: { name: string; value: string }[]): string =>
      rows
        .map(({ name, value }) => `${name}=${value}`)
        .sort()
        .join();
    const [actual, expected] = [sorted(answer.json.result), sorted(raw.rows)];
    return actual === expected ? [] : [`${actual} instead of ${expected}`];
  });

/** The excerpt shows one of the rows that the list had. */
const dictionaryRow: Driver = ({ exchanges }) =>
  withLab(presuppose(exchanges), async (started) => {
    const { response } = exchanges[0]!;
    const [row] = (response.body as { result: { sys_id: string }[] }).result;
    const answer = await started.get(`/api/now/table/sys_dictionary?sysparm_query=sys_id=${String(row?.sys_id)}`, { as: 'admin' });
    return differences(response, answer);
  });

export const measurementDrivers: Record<string, Driver> = {
  'schema/basic_auth_restriction_properties.json': basicAuthProperties,
  'schema/role_visibility_matrix.json': roleVisibility,
  'schema/sys_dictionary_full_row.json': dictionaryRow,
  'table-api/acl_blind_x_total_count.json': aclBlindTotals,
  'table-api/query_errors_silent_or_empty.json': queryErrors,
};
