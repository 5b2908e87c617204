/**
 * What an instance does with a write, and what becomes of the record: one row per (profile, what an administrator or the platform
 * did, table, write). The outcome is that of the run; `says` are words of the reason or the remedy that the report shows.
 *
 * written   the record is on the instance, whole
 * patched   a column was dropped on insert and set by a second step
 * left-out  written without a column that never sticks, which the report names
 * retried   written after trouble that passes, exactly once
 * parked    not written (or not whole); the run goes on, tries it no more, and the next run follows once it is put right
 * stopped   the integration ends with the remedy
 */
export type Outcome = 'written' | 'patched' | 'left-out' | 'retried' | 'parked' | 'stopped';

/** What happens on the instance before the write. `{key}` stands for the record's key. */
export type Act =
  /** An administrator takes the right to create or write a table away. */
  | { readonly revoke: 'create' | 'write' }
  /** A field ACL or a before rule: refuse the write, skip the column, put it back. */
  | {
      readonly guard: readonly string[];
      readonly effect: 'refuse' | 'skip' | 'revert';
      readonly on?: readonly ('create' | 'write')[];
    }
  /** A business rule of the customer's own that stops records under a condition. */
  | { readonly rule: string; readonly condition: string }
  | { readonly dataPolicy: readonly string[]; readonly condition?: string }
  /** Something on the instance changes the column after the write. */
  | { readonly undoes: string }
  /** The instance has the record already. */
  | { readonly has: Readonly<Record<string, string>> }
  /** The record is deleted on the instance. */
  | { readonly deleted: true }
  /** The request, or one item of it, is answered otherwise. Items are named by their method and path. */
  | { readonly batch: Fault; readonly times?: number }
  | { readonly item: Fault; readonly times?: number };

export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly delayMs?: number;
  readonly dropConnection?: 'before' | 'after';
  readonly truncateBody?: boolean;
}

export interface Row {
  readonly profile: 'plain' | 'strict';
  readonly table: string;
  readonly write: 'create' | 'update';
  readonly act?: Act;
  readonly outcome: Outcome;
  readonly says?: readonly string[];
  /** Outcome of the record beside it in the same request; default: the same. */
  readonly mate?: Outcome;
  /** What the administrator does instead of taking the act back. */
  readonly putRightBy?: Act;
  /** Taking the act back is no remedy here, or none is needed. */
  readonly followsNot?: true;
}

const failure = (message: string, detail: string): unknown => ({ error: { message, detail }, status: 'failure' });
const hibernating = '<!DOCTYPE html><html><body class="instance-hibernating-page">Your instance is hibernating</body></html>';
const maintenance = '<html><head><title>Maintenance</title></head><body>Scheduled maintenance</body></html>';
const html = { 'content-type': 'text/html' };
const acl = ['System Security › Access Control (ACL)', 'User Administration › Users'];

/** Nobody stands in the way (servicenow.md §5.3: what of a strict instance is not the engine's to write, it does not write). */
const undisturbed: readonly Row[] = [
  ...[
    'sn_sec_int_impl',
    'sn_vul_integration',
    'sn_vul_integration_run',
    'sn_vulc_policy',
    'sn_vulc_test',
    'sn_vulc_policy_test',
    'sn_vulc_auth_src',
    'sn_vulc_citation',
    'sn_sec_cmn_region',
    'sn_vul_container_image',
    'sn_vul_container_image_package',
    'sn_vul_container_image_findings',
    'sn_vul_container_finding_m2m_vul_item',
  ].map((table): Row => ({ profile: 'strict', table, write: 'create', outcome: 'written' })),
  { profile: 'strict', table: 'sn_vulc_policy', write: 'update', outcome: 'written' },
  { profile: 'strict', table: 'sn_vul_container_image_vulnerable_item', write: 'update', outcome: 'written' },
  ...['sn_vulc_result', 'sn_sec_cmn_src_ci', 'sn_vul_nvd_entry', 'sn_vul_container_image_vulnerable_item'].map((table): Row => ({
    profile: 'plain',
    table,
    write: 'create',
    outcome: 'written',
  })),
];

/** What profile strict does by itself. */
const strict: readonly Row[] = [
  { profile: 'strict', table: 'sn_vulc_result', write: 'create', outcome: 'left-out', says: ['sn_vulc_result.source_risk_score'] },
  { profile: 'strict', table: 'sn_vulc_result', write: 'update', outcome: 'left-out', says: ['sn_vulc_result.source_risk_score'] },
  { profile: 'strict', table: 'sn_sec_cmn_src_ci', write: 'create', outcome: 'left-out', says: ['sn_sec_cmn_src_ci.matching_type'] },
  // Written on creation alone, so an update does not meet the guard.
  { profile: 'strict', table: 'sn_sec_cmn_src_ci', write: 'update', outcome: 'written' },
  {
    profile: 'strict',
    table: 'sn_vul_nvd_entry',
    write: 'create',
    outcome: 'parked',
    says: ['sn_vul.vulnerability_write', 'sn_vul_entry', 'NIST National Vulnerability Database Integration', 'Execute Now'],
    putRightBy: { has: { id: '{key}' } },
  },
  {
    profile: 'strict',
    table: 'sn_vul_nvd_entry',
    write: 'create',
    act: { has: { id: '{key}' } },
    outcome: 'written',
    mate: 'parked',
    followsNot: true,
  },
  { profile: 'strict', table: 'sn_vul_container_image_vulnerable_item', write: 'create', outcome: 'patched', says: ['vulnerability'] },
  {
    profile: 'strict',
    table: 'sn_vul_container_image_vulnerable_item',
    write: 'create',
    act: { revoke: 'write' },
    outcome: 'parked',
    says: ['acl', 'sn_vul_container.create_vi', 'Operation = write', ...acl],
  },
];

/** Rights that an administrator takes away. */
const access: readonly Row[] = [
  ...(
    [
      ['sn_vulc_policy', 'sn_vulc.write'],
      ['sn_vulc_result', 'sn_vulc.write'],
      ['sn_sec_cmn_src_ci', 'sn_vulc.import_admin or sn_vul.vr_import_admin'],
      ['sn_vul_container_image', 'sn_vul_container.write_all'],
      ['sn_vul_container_image_vulnerable_item', 'sn_vul_container.create_vi'],
      ['sn_vul_integration_run', 'sn_vul.vr_import_admin'],
    ] as const
  ).map(([table, role]): Row => {
    const says = ['ACL Exception Insert Failed', role, `Name = ${table}`, 'Operation = create', ...acl];
    // What the sync cannot do without parks the whole run; of the rest each record is parked.
    const outcome = table.startsWith('sn_vul_') ? 'parked' : 'stopped';
    return { profile: 'plain', table, write: 'create', act: { revoke: 'create' }, outcome, says };
  }),
  ...['sn_vulc_policy', 'sn_vulc_result'].map((table): Row => {
    const says = ['ACL Exception Update Failed', `Name = ${table}`, 'Operation = write', ...acl];
    return { profile: 'plain', table, write: 'update', act: { revoke: 'write' }, outcome: 'stopped', says };
  }),
];

/** Rules of the customer's own. */
const rules: readonly Row[] = [
  ...(['create', 'update'] as const).map((write): Row => ({
    profile: 'plain',
    table: 'sn_vulc_policy',
    write,
    act: { rule: 'Keep scanners out', condition: 'source_id={key}' },
    outcome: 'parked',
    says: ['business-rule', '"Keep scanners out"', 'System Definition › Business Rules', '/sys_script.do?sys_id='],
    mate: 'written',
  })),
  {
    profile: 'strict',
    table: 'sn_vulc_result',
    write: 'create',
    act: { rule: 'No results at night', condition: 'source_id={key}' },
    outcome: 'parked',
    says: ['"No results at night"', 'Table = sn_vulc_result'],
    mate: 'left-out',
  },
  {
    profile: 'plain',
    table: 'sn_vulc_test',
    write: 'create',
    act: { dataPolicy: ['remediation'], condition: 'source_id={key}' },
    outcome: 'parked',
    says: ['Data Policy Exception', 'System Policy › Data Policies', 'Table = sn_vulc_test'],
    mate: 'written',
  },
  {
    profile: 'plain',
    table: 'sn_vulc_policy',
    write: 'update',
    act: { dataPolicy: ['source_updated'], condition: 'source_id={key}' },
    outcome: 'parked',
    says: ['System Policy › Data Policies'],
    mate: 'written',
  },
];

/** Columns that are dropped without a word, or guarded. */
const columns: readonly Row[] = [
  {
    effect: 'skip',
    column: 'description',
    outcome: 'left-out',
    says: ['sn_vulc_policy.description', 'System Definition › Business Rules', 'When = before'],
  },
  { effect: 'revert', column: 'description', outcome: 'left-out', says: ['Name = sn_vulc_policy.description'] },
  { effect: 'skip', column: 'description', on: ['create'], outcome: 'patched', says: ['description'] },
  { effect: 'skip', column: 'short_description', on: ['create'], outcome: 'patched', says: ['short_description'] },
  {
    effect: 'skip',
    column: 'short_description',
    outcome: 'parked',
    says: ['short_description is not kept', 'comes back empty', ...acl.slice(0, 1)],
  },
  { effect: 'revert', column: 'source_id', outcome: 'parked', says: ['source_id is not kept'] },
  { effect: 'refuse', column: 'description', outcome: 'stopped', says: ['ACL Exception Insert Failed', 'sn_vulc_policy.*'] },
].map(({ effect, column, on, outcome, says }): Row => ({
  profile: 'plain',
  table: 'sn_vulc_policy',
  write: 'create',
  act: { guard: [column], effect: effect as 'skip', ...(on === undefined ? {} : { on: on as ['create'] }) },
  outcome: outcome as Outcome,
  says,
}));

const columnUpdates: readonly Row[] = [
  {
    profile: 'plain',
    table: 'sn_vulc_policy',
    write: 'update',
    act: { guard: ['description'], effect: 'skip' },
    outcome: 'left-out',
    says: ['sn_vulc_policy.description'],
  },
  {
    profile: 'plain',
    table: 'sn_vulc_result',
    write: 'update',
    act: { guard: ['result'], effect: 'revert' },
    outcome: 'parked',
    says: ['sn_vulc_result.result is not kept', 'comes back with another value', 'Name = sn_vulc_result.result'],
  },
  {
    profile: 'plain',
    table: 'sn_vulc_policy',
    write: 'create',
    act: { undoes: 'description' },
    outcome: 'left-out',
    says: ['sn_vulc_policy.description', 'When = async or after', 'Scheduled Jobs'],
  },
  {
    profile: 'plain',
    table: 'sn_vulc_policy',
    write: 'create',
    act: { undoes: 'short_description' },
    outcome: 'parked',
    says: ['was kept, and is another a little later', 'When = async or after'],
    mate: 'written',
  },
];

/** Trouble that passes, and how long it may last (design §4). */
const trouble: readonly Row[] = [
  ...(
    [
      {
        batch: {
          status: 429,
          headers: { 'retry-after': '1' },
          body: failure('Rate limit exceeded', 'Rate limit of 100 requests per hour'),
        },
      },
      { batch: { status: 202, body: '' } },
      { batch: { dropConnection: 'before' } },
      { batch: { dropConnection: 'after' } },
      { batch: { truncateBody: true } },
      { batch: { status: 200, headers: html, body: hibernating } },
      { batch: { status: 503, headers: html, body: maintenance } },
      { batch: { status: 500, body: failure('Transaction cancelled: maximum execution time exceeded', 'x') } },
      { item: { status: 500, body: failure('java.lang.NullPointerException', '') } },
      { item: { status: 503, body: '' } },
      { item: { status: 202, body: '' } },
      { item: { delayMs: 500 } },
    ] satisfies Act[]
  ).map((act): Row => ({ profile: 'plain', table: 'sn_vulc_policy', write: 'create', act: { ...act, times: 1 }, outcome: 'retried' })),
  // The second step of a container item is lost: strict instances have it without its vulnerability until it is adopted.
  {
    profile: 'strict',
    table: 'sn_vul_container_image_vulnerable_item',
    write: 'create',
    act: { batch: { dropConnection: 'after' }, times: 1 },
    outcome: 'patched',
  },
  { profile: 'plain', table: 'sn_vulc_policy', write: 'update', act: { batch: { dropConnection: 'after' }, times: 1 }, outcome: 'retried' },
  { profile: 'plain', table: 'sn_vulc_policy', write: 'update', act: { deleted: true }, outcome: 'retried' },
  {
    profile: 'plain',
    table: 'sn_vulc_policy',
    write: 'create',
    act: { item: { status: 500, body: failure('java.lang.NullPointerException', '') } },
    outcome: 'parked',
    says: ['answered status 500'],
    mate: 'written',
  },
  {
    profile: 'plain',
    table: 'sn_vulc_policy',
    write: 'create',
    act: { item: { status: 403, body: failure('Operation Failed', 'Unique Key violation detected by database for sn_vulc_policy') } },
    outcome: 'parked',
    says: ['duplicate', 'same unique key', 'sn_vulc_policy.list'],
    mate: 'written',
  },
  {
    profile: 'plain',
    table: 'sn_vulc_policy',
    write: 'create',
    act: { item: { status: 403, body: failure('User Not Authorized', 'Access to unscoped api is not allowed') } },
    outcome: 'parked',
    says: ['oauth-scope', 'REST API Auth Scope', 'System OAuth › Application Registry'],
    mate: 'written',
  },
  {
    profile: 'plain',
    table: 'sn_vulc_policy',
    write: 'create',
    act: { batch: { status: 401, body: failure('User Not Authenticated', 'x') } },
    outcome: 'stopped',
    says: ['401', 'password'],
  },
  {
    profile: 'plain',
    table: 'sn_vulc_policy',
    write: 'create',
    act: { batch: { status: 403, body: failure('User Not Authorized', 'Failed API level ACL Validation') } },
    outcome: 'stopped',
    says: ['403', 'REST endpoint ACL'],
  },
];

export const refusals: readonly Row[] = [...undisturbed, ...strict, ...access, ...rules, ...columns, ...columnUpdates, ...trouble];
