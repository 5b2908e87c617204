/** A small Azure and a small ServiceNow in memory: healthy, until a test changes something. */
import { SyncError, type FailureFacts } from '../../../src/errors.ts';
import type { AzureClients, IncidentsProbe, PermissionEntry, Pricing, Subscription, TokenSource } from '../../../src/azure/index.ts';
import { Secret } from '../../../src/config/secret.ts';
import type { DeploymentSettings, ServiceNowSettings } from '../../../src/config/index.ts';
import type { DeploymentName, TableSpec } from '../../../src/model.ts';
import type { EngineProbes, Finding, PreflightInput } from '../../../src/preflight/index.ts';
import { createRolesApi } from '../../../src/servicenow/roles.ts';
import type {
  ApiReach,
  DictionaryColumn,
  InstanceDictionary,
  IreOutcome,
  ListOptions,
  RateLimit,
  Row,
  ServiceNowClient,
  SignInDiagnosis,
  TableApi,
} from '../../../src/servicenow/index.ts';

export const tenantId = '11111111-1111-4111-8111-111111111111';
export const clientId = '22222222-2222-4222-8222-222222222222';
export const objectId = '33333333-3333-4333-8333-333333333333';
export const ledgerId = '44444444-4444-4444-8444-444444444444';
export const secretText = 'canary~Secret.Value-0123456789';

/** `aaaaaaaa-0000-4000-8000-000000000007` */
export function subscriptionId(number: number): string {
  return `aaaaaaaa-0000-4000-8000-${String(number).padStart(12, '0')}`;
}

export interface World {
  scope: DeploymentSettings['scope'];
  incidents: boolean;
  clientId: string | undefined;
  /** By Entra resource (`arm`, `graph`): claims of its token, or the error instead of one. */
  tokens: Record<'arm' | 'graph', Readonly<Record<string, unknown>> | Error>;
  /** Claims of a Graph token asked for with `forceNew`; default: the same. */
  freshGraphClaims: Readonly<Record<string, unknown>> | undefined;
  subscriptions: Subscription[] | Error;
  managementGroups: Record<string, string[] | Error>;
  pricings: Record<string, Pricing[] | Error>;
  /** What the roles allow, by subscription; default: Reader. */
  permissions: Record<string, PermissionEntry[] | Error>;
  /** What Resource Graph shows: subscriptions (default: all that are visible), assessments by subscription, rows of cvedetails. */
  graphSubscriptions: string[] | Error | undefined;
  assessments: Record<string, number>;
  cveDetails: number | Error;
  incidentsProbe: IncidentsProbe | Error;
  directory: Record<string, unknown[] | Error> | undefined;
  dataSource: string;
  rows: Record<string, Row[] | Error>;
  /** How many attachments a data source has, by sys_id. */
  attachments: Record<string, number>;
  /** What an empty change of a record that does not exist is answered with, by table. */
  writes: Record<string, Error>;
  dictionary: Mutable<InstanceDictionary> | Error;
  dryRun: IreOutcome[] | Error;
  ledgerId: string | undefined;
  /** How far the worker's clock is ahead of Entra's. */
  clockSkewMs: number;
  reach: ApiReach[];
  /** Records that a read ACL hides, by table. */
  hiddenRows: Record<string, number>;
  diagnosis: SignInDiagnosis;
  rateLimits: RateLimit[];
  requests: string[];
}
type Mutable<Value> = Value extends readonly (infer Item)[]
  ? Mutable<Item>[]
  : Value extends object
    ? { -readonly [Key in keyof Value]: Mutable<Value[Key]> }
    : Value;

export function refusal(kind: FailureFacts['kind'], facts: Partial<FailureFacts> = {}): SyncError {
  return new SyncError({ kind, message: `refused: ${kind}`, ...facts });
}

export const forbiddenRead = refusal('forbidden', {
  status: 403,
  code: 'AuthorizationFailed',
  message:
    "GET /subscriptions/… was answered with 403 AuthorizationFailed: does not have authorization to perform action 'Microsoft.Security/pricings/read'",
});

const text = (name: string): TableSpec['columns'][string] => ({ names: [name], type: 'text', required: true });

export const specs: readonly TableSpec[] = [
  {
    name: 'sn_vulc_test',
    traffic: 'data',
    columns: { key: text('source_id'), title: text('short_description') },
    naturalKey: ['key'],
    ifMissing: 'stop',
  },
  { name: 'sn_sec_cmn_src_ci', traffic: 'data', columns: { key: text('source_id') }, naturalKey: ['key'], ifMissing: 'stop' },
  { name: 'sn_vul_nvd_entry', traffic: 'data', columns: { key: text('id') }, naturalKey: ['key'], ifMissing: 'skip' },
  { name: 'sn_vul_container_image', traffic: 'data', columns: { key: text('digest') }, naturalKey: ['key'], ifMissing: 'skip' },
];

function columnsOf(names: readonly string[]): Record<string, DictionaryColumn> {
  return Object.fromEntries(
    names.map((name) => [
      name,
      { name, type: 'string', maxLength: 255, reference: undefined, readable: true, readOnly: false, choices: undefined },
    ]),
  );
}

const tables: Readonly<Record<string, readonly string[]>> = {
  sn_vulc_test: ['source_id', 'short_description'],
  sn_sec_cmn_src_ci: ['source_id'],
  sn_vul_nvd_entry: ['id'],
  sn_vul_container_image: ['digest'],
  cmdb_ci: ['discovery_source'],
  sn_sec_int_integration: ['id', 'name', 'description'],
  sn_sec_int_impl: ['name', 'active', 'integration'],
  sn_vul_integration: ['name', 'active', 'run_as', 'instance', 'integration', 'sys_updated_by', 'sys_updated_on'],
  sn_sec_int_config: ['name', 'label'],
  sn_sec_int_impl_config: ['configuration', 'implementation', 'value'],
  sn_vul_int_data_src: ['integration', 'data_source'],
  sn_vul_integration_run: ['integration', 'state'],
};

function healthyDictionary(): Mutable<InstanceDictionary> {
  const entries = Object.entries(tables).map(([name, columns]) => [
    name,
    { name, state: 'present', superClasses: [], columns: columnsOf(columns) },
  ]);
  const dictionary: Mutable<InstanceDictionary> = {
    readable: { tables: true, columns: true, choices: true },
    tables: Object.fromEntries(entries),
  };
  const link = dictionary.tables['sn_vul_int_data_src']?.columns ?? {};
  link['integration']!.reference = 'sn_vul_integration';
  link['data_source']!.reference = 'sys_data_source';
  choicesOf(dictionary, ['ServiceNow', 'Microsoft Defender for Cloud']);
  return dictionary;
}

export function choicesOf(dictionary: World['dictionary'], values: readonly string[]): void {
  if (dictionary instanceof SyncError || !('tables' in dictionary)) throw new Error('This dictionary cannot be read.');
  dictionary.tables['cmdb_ci']!.columns['discovery_source']!.choices = values.map((value) => ({ value, label: value }));
}

/** The dictionary of a world where it can be read. */
export function dictionaryOf(world: World): Mutable<InstanceDictionary> {
  if (!('tables' in world.dictionary)) throw new Error('This dictionary cannot be read.');
  return world.dictionary;
}

export const engineRoles = [
  'itil',
  'personalize_read_dictionary',
  'sn_si.admin',
  'sn_si.ingestion_profile_admin',
  'sn_vul.vulnerability_write',
  'sn_vul_container.write_all',
  'sn_vulc.import_admin',
  'sn_vulc.write',
];

/** What the instance has besides: of the applications that are installed. */
const furtherRoles = [
  'sn_sec_cmn.write',
  'sn_sec_core.read_dictionary',
  'sn_sec_int.admin',
  'sn_vul.vr_import_admin',
  'sn_vul.vulnerability_admin',
  'sn_vul_container.create_vi',
];

const identifierClasses = [
  ['cmdb_ci_cloud_service_account', 'account_id'],
  ['cmdb_ci_azure_datacenter', 'object_id'],
  ['cmdb_ci_cmp_resource', 'object_id'],
  ['cmdb_ci_docker_image', 'image_id'],
] as const;

export function roleRows(userName: string, roles: readonly string[]): Row[] {
  return roles.map((role) => ({
    user: `sys-${userName}`,
    'user.user_name': userName,
    'role.name': role,
    inherited: 'true',
    state: 'active',
  }));
}

export function userRow(userName: string, changes: Row = {}): Row {
  return { sys_id: `sys-${userName}`, user_name: userName, active: 'true', locked_out: 'false', ...changes };
}

/** An integration record of ServiceNow's own plugin. */
export function pluginRow(changes: Row = {}): Row {
  return {
    sys_id: 'plugin-1',
    name: 'Microsoft Defender for Cloud Assessment Integration',
    active: 'true',
    run_as: 'sys-VR.System',
    'run_as.user_name': 'VR.System',
    'integration.name': 'Microsoft Defender for Cloud',
    'integration.id': 'microsoft_defender_for_cloud',
    instance: 'impl-plugin',
    'instance.name': 'Contoso',
    'instance.active': 'true',
    ...changes,
  };
}

/** What the form of the plugin's integration instance says, by label. */
export function scopeRows(values: Readonly<Record<string, string>>): Row[] {
  return Object.entries(values).map(([label, value], index) => ({
    sys_id: `parameter-${index}`,
    'configuration.name': `parameter_${index}`,
    'configuration.label': label,
    implementation: 'impl-plugin',
    value,
  }));
}

/** The plugin's record, inactive, with a data source that holds so many attachments. */
export function withDataSource(world: World, attachments: number, changes: Row = {}): void {
  world.rows['sn_vul_integration'] = [pluginRow({ active: 'false', ...changes })];
  world.rows['sn_vul_int_data_src'] = [{ sys_id: 'link-1', integration: 'plugin-1', data_source: 'source-1' }];
  world.rows['sys_data_source'] = [{ sys_id: 'source-1', name: 'Assessments' }];
  world.attachments = { 'source-1': attachments };
}

export function healthyWorld(): World {
  return {
    scope: { type: 'subscriptions', subscriptions: [subscriptionId(1), subscriptionId(2)] },
    incidents: true,
    clientId,
    tokens: {
      arm: { tid: tenantId, appid: clientId, oid: objectId },
      graph: { tid: tenantId, appid: clientId, oid: objectId, roles: ['SecurityIncident.Read.All'] },
    },
    freshGraphClaims: undefined,
    subscriptions: [subscription(1), subscription(2), subscription(3)],
    managementGroups: {},
    pricings: {},
    permissions: {},
    graphSubscriptions: undefined,
    assessments: {},
    cveDetails: 1,
    incidentsProbe: { verdict: 'missing-roles', required: ['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All'], held: [] },
    directory: undefined,
    dataSource: 'Microsoft Defender for Cloud',
    rows: {
      sys_user_has_role: [...roleRows('defender.sync', engineRoles), ...roleRows('VR.System', ['sn_vul.vr_import_admin', 'import_admin'])],
      sys_user_role: ['admin', ...engineRoles, ...furtherRoles].map((name) => ({ sys_id: `sys-${name}`, name })),
      cmdb_identifier: identifierClasses.map(([className]) => ({
        sys_id: `rule-${className}`,
        name: `${className} rule`,
        applies_to: className,
        active: 'true',
      })),
      cmdb_identifier_entry: identifierClasses.map(([className, attributes]) => ({
        sys_id: `entry-${className}`,
        identifier: `rule-${className}`,
        attributes,
        active: 'true',
      })),
      sys_user: [userRow('defender.sync'), userRow('VR.System')],
    },
    attachments: {},
    writes: {},
    dictionary: healthyDictionary(),
    dryRun: ['cmdb_ci_cloud_service_account', 'cmdb_ci_azure_datacenter', 'cmdb_ci_cmp_resource'].map((className) => ({
      outcome: 'inserted',
      sysId: undefined,
      className,
      operation: 'INSERT',
    })),
    ledgerId,
    clockSkewMs: 0,
    reach: [],
    hiddenRows: {},
    diagnosis: { fits: 'unknown' },
    rateLimits: [],
    requests: [],
  };
}

export function subscription(number: number, state = 'Enabled'): Subscription {
  return { subscriptionId: subscriptionId(number), displayName: `Subscription ${number}`, state, tenantId };
}

export const paid: Pricing[] = [
  { name: 'CloudPosture', tier: 'Standard', extensions: [] },
  { name: 'Containers', tier: 'Standard', extensions: [] },
];

export function inputOf(world: World, changes: Partial<PreflightInput> = {}): PreflightInput {
  return {
    deployment: deploymentOf(world),
    serviceNow: serviceNowOf(world),
    clients: { azure: azureOf(world), serviceNow: serviceNowClientOf(world) },
    tokens: tokensOf(world),
    tableSpecs: specs,
    signal: new AbortController().signal,
    onCheck: () => undefined,
    nowMs: () => 0,
    ledgerId: world.ledgerId,
    directory: directoryOf(world),
    engine: healthyEngine,
    ...changes,
  };
}

const healthyEngine: EngineProbes = {
  ledger: {
    place: 'ledger:5432/sync',
    connect: () => Promise.resolve('18.4'),
    schema: () => Promise.resolve({ missing: [], unknown: [], isThere: true }),
    rights: () => Promise.resolve({ user: 'sync', schema: 'public', isStandby: false, isReadOnly: false, missing: [] }),
  },
  memory: {
    read: () => Promise.resolve({ ledgerId, deploymentUrl: undefined, sequence: 0, hasPublished: false }),
    isOwnRun: () => Promise.resolve(false),
  },
  temporal: {
    address: 'temporal:7233',
    namespace: 'default',
    isLocal: false,
    connect: () => Promise.resolve(undefined),
    requireNamespace: () => Promise.resolve(),
    searchAttributes: () => Promise.resolve({ created: [], present: ['DefenderSyncPhase'], refused: [] }),
    pollers: () => Promise.resolve([{ taskQueue: 'defender-sync', workflows: 1, activities: 1 }]),
    schedules: () => Promise.resolve([]),
  },
};

function deploymentOf(world: World): DeploymentSettings {
  return {
    name: 'contoso' as DeploymentName,
    precedence: 0,
    azure: {
      cloud: 'public',
      authorityHost: 'https://login.microsoftonline.com',
      resourceManager: 'https://management.azure.com',
      graph: 'https://graph.microsoft.com',
      caFile: undefined,
      tenantId,
      clientId: world.clientId,
      credential: { type: 'client-secret', clientSecret: new Secret('the environment variable CONTOSO_SECRET', () => secretText) },
    },
    scope: world.scope,
    incidents: world.incidents,
    subAssessments: false,
    concurrentRequests: 4,
    schedule: undefined,
  };
}

function serviceNowOf(world: World): ServiceNowSettings {
  const secret = new Secret('the environment variable SNOW_SECRET', () => secretText);
  return {
    url: 'https://acme.service-now.com',
    auth: { type: 'client-credentials', clientId: 'oauth-client-1', clientSecret: secret },
    caFile: undefined,
    source: undefined,
    dataSource: world.dataSource,
    runAs: { mode: 'enforce', user: 'VR.System' },
    concurrentRequests: 4,
    batchTransactionQuotaMs: 30_000,
    transactionQuotaMs: 60_000,
    settleMs: 30_000,
    notApplicableResult: undefined,
    hostTags: true,
  };
}

function tokensOf(world: World): TokenSource {
  return {
    tenantId,
    clientId: world.clientId ?? '',
    getToken: async (scope, options) => {
      const which = scope.includes('graph') ? 'graph' : 'arm';
      world.requests.push(`token ${which}`);
      const fresh = options?.forceNew === true ? world.freshGraphClaims : undefined;
      const claims = fresh ?? orThrow(world.tokens[which]);
      const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
      return { token: `header.${payload}.signature`, expiresAtMs: 3_600_000, obtainedAtMs: 0, serverTimeMs: -world.clockSkewMs };
    },
  };
}

function azureOf(world: World): AzureClients {
  const unused = (): never => {
    throw new Error('Preflight does not ask this.');
  };
  return {
    arm: { getPage: unused, getOne: unused, post: unused },
    directory: { getPage: unused, getOne: unused, post: unused },
    resourceGraph: { queryPage: async ({ query }) => ({ ...emptyPage, rows: graphRowsOf(world, query) }) },
    discovery: {
      listSubscriptions: async () => {
        world.requests.push('subscriptions');
        return { subscriptions: orThrow(world.subscriptions), unreadable: 0 };
      },
      listManagementGroupSubscriptions: async (group) => ({
        subscriptions: orThrow<string[]>(world.managementGroups[group] ?? refusal('not-found')).map((id) => {
          return { subscriptionId: id, displayName: `In ${group}`, state: undefined, tenantId: undefined };
        }),
        unreadable: 0,
      }),
      readPricings: async (id) => {
        world.requests.push(`pricings ${id}`);
        return orThrow(world.pricings[id] ?? paid);
      },
      readPermissions: async (id) => orThrow(world.permissions[id] ?? [{ actions: ['*/read'], notActions: [] }]),
    },
    graph: { readIncidentsProbe: async () => orThrow(world.incidentsProbe) },
  };
}

const emptyPage = { totalRecords: undefined, skipToken: undefined, top: 1_000, quotaRemaining: undefined, quotaResetsAfterMs: undefined };

function graphRowsOf(world: World, query: string): unknown[] {
  if (query.includes('cvedetails')) return Array.from({ length: orThrow(world.cveDetails) }, (_, index) => ({ id: `cve-${index}` }));
  const visible = Array.isArray(world.subscriptions) ? world.subscriptions.map(({ subscriptionId: id }) => id) : [];
  if (query.startsWith('securityresources')) return visible.map((id) => ({ id, assessments: world.assessments[id] ?? 10 }));
  return orThrow<string[]>(world.graphSubscriptions ?? visible).map((id) => ({ id: `/subscriptions/${id}`, subscriptionId: id }));
}

function directoryOf(world: World): PreflightInput['directory'] {
  const { directory } = world;
  if (directory === undefined) return undefined;
  return {
    getPage: async (request) => {
      const path = 'path' in request ? request.path : '';
      const key = Object.keys(directory).find((end) => path.endsWith(end)) ?? '';
      return { items: orThrow(directory[key] ?? []) };
    },
  };
}

function serviceNowClientOf(world: World): ServiceNowClient {
  const unused = (): never => {
    throw new Error('Preflight does not ask this.');
  };
  const find = (table: string, { query }: ListOptions): Row[] => {
    world.requests.push(`${table}?${query.text}`);
    const own = query.text.includes('gs.getUserID()');
    return orThrow(world.rows[table] ?? [])
      .filter((row) => !own || row['user.user_name'] === 'defender.sync')
      .filter((row) => query.exact.every(({ column, values }) => values.includes(String(row[column]))));
  };
  const table: TableApi = {
    list: async (name, options) => find(name, options),
    async *listAll(name, options) {
      yield* find(name, options);
    },
    get: unused,
    create: unused,
    update: unused,
    listItem: unused,
    sampleItem: unused,
    createItem: unused,
    updateItem: (id, name) => ({ id, method: 'PATCH', path: name, body: {} }),
    deleteItem: unused,
  };
  const client: ServiceNowClient = {
    table,
    batch: {
      sendBatch: async (items) =>
        items.map(({ path }) => {
          const error = world.writes[path] as SyncError | undefined;
          const message = error === undefined ? 'No Record found' : error.message;
          return { outcome: 'answered', status: error?.status ?? 404, body: { error: { message, detail: '' } }, executionMs: 1 };
        }),
    },
    identifyReconcile: {
      identify: async (payload, options) => {
        if (options.simulate !== true) throw new Error('Preflight writes nothing.');
        world.requests.push(`dry run of ${payload.items.map(({ className }) => className).join(', ')}`);
        return { items: orThrow(world.dryRun), relationOperations: [], logContextId: undefined };
      },
    },
    aggregate: { count: unused, countBy: unused },
    attachments: {
      countPerRecord: async () => {
        world.requests.push('attachments');
        return new Map(Object.entries(world.attachments));
      },
      list: unused,
      remove: unused,
    },
    roles: createRolesApi(table),
    properties: { read: unused },
    reach: {
      probeApis: async () => world.reach,
      readHidden: async (name) => ({ shown: 0, counted: world.hiddenRows[name] ?? 0 }),
      diagnoseSignIn: async () => world.diagnosis,
    },
    rateLimits: () => world.rateLimits,
    probeDictionary: async () => orThrow(world.dictionary),
    withDictionary: () => client,
  };
  return client;
}

function orThrow<Value>(value: Value | Error): Value {
  if (Error.isError(value)) throw value;
  return value;
}

/** Findings of a check, those per scope included. */
export function findingsOf(findings: readonly Finding[], check: string): readonly Finding[] {
  return findings.filter((finding) => finding.check === check || finding.check.startsWith(`${check}.`));
}
