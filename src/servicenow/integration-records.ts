/**
 * The integration records on an instance that have to do with Defender for Cloud: those of ServiceNow's own plugin, and the engine's
 * (servicenow.md §1.3, §6). Which columns there are is read from the dictionary; the plugin's scope from the fields of its form (§1.2).
 */
import type { SysId } from '../model.ts';
import type { InstanceDictionary } from './dictionary.ts';
import type { ServiceNowClient } from './index.ts';
import { query, splitByBytes } from './query.ts';
import { everything, valueOf, type Row } from './table.ts';

/** What has to be in the dictionary for {@link readIntegrations}, {@link readDataSources} and {@link readPluginScopes}. */
export const integrationTables = [
  'sn_vul_integration',
  'sn_sec_int_integration',
  'sn_sec_int_impl',
  'sn_sec_int_config',
  'sn_sec_int_impl_config',
  'sn_vul_int_data_src',
  'sn_vul_integration_run',
] as const;
const recordTable = 'sn_vul_integration';
const linkTable = 'sn_vul_int_data_src';

/** `id` of the engine's integration, and the name its records begin with. */
export const engineName = 'defender-sync';
const pluginName = /microsoft defender for cloud|azure security center/i;

export interface Integration {
  readonly sysId: SysId;
  readonly name: string;
  readonly owner: 'plugin' | 'engine';
  /** Its schedule is on, and its integration instance is not switched off. */
  readonly active: boolean;
  /** `userName` is '' where the user is not readable; both are '' where nobody is set. */
  readonly runAs: { readonly sysId: string; readonly userName: string };
  /** sys_id of its integration instance; '' where it has none. */
  readonly instance: string;
  /** Who last changed the record, and when (UTC, `YYYY-MM-DD HH:mm:ss`): the record says no more of its single fields. */
  readonly updatedBy: string;
  readonly updatedOn: string;
}

/** Whether the instance shows columns of a table. */
export function hasColumns({ tables }: InstanceDictionary, table: string, ...columns: readonly string[]): boolean {
  const found = tables[table];
  return found?.state === 'present' && columns.every((column) => Object.hasOwn(found.columns, column));
}

/**
 * Records of the plugin for Defender for Cloud and of the engine. Tens of them on a real instance; the platform has no search by part of a
 * name that could be trusted, so all are read. The caller has made sure that `name`, `active` and `run_as` are there.
 */
export async function readIntegrations(
  client: ServiceNowClient,
  dictionary: InstanceDictionary,
  signal?: AbortSignal,
): Promise<readonly Integration[]> {
  const viaIntegration =
    hasColumns(dictionary, recordTable, 'integration') && hasColumns(dictionary, 'sn_sec_int_integration', 'name', 'id');
  const viaInstance = hasColumns(dictionary, recordTable, 'instance') && hasColumns(dictionary, 'sn_sec_int_impl', 'name', 'active');
  const fields = [
    ...['name', 'active', 'run_as', 'run_as.user_name'],
    ...['sys_updated_by', 'sys_updated_on'].filter((column) => hasColumns(dictionary, recordTable, column)),
    ...(viaIntegration ? ['integration.name', 'integration.id'] : []),
    ...(viaInstance ? ['instance', 'instance.name', 'instance.active'] : []),
  ];
  const found: Integration[] = [];
  for await (const row of client.table.listAll(recordTable, { query: everything, fields }, signal)) {
    const owner = ownerOf(row);
    if (owner === undefined) continue;
    found.push({
      sysId: valueOf(row, 'sys_id') as SysId,
      name: valueOf(row, 'name'),
      owner,
      // The instance's switch is the real one; the record's own says whether its schedule runs.
      active: isTrue(row, 'active') && valueOf(row, 'instance.active') !== 'false',
      runAs: { sysId: valueOf(row, 'run_as'), userName: valueOf(row, 'run_as.user_name') },
      instance: valueOf(row, 'instance'),
      updatedBy: valueOf(row, 'sys_updated_by'),
      updatedOn: valueOf(row, 'sys_updated_on'),
    });
  }
  return found;
}

function ownerOf(row: Row): Integration['owner'] | undefined {
  if (valueOf(row, 'integration.id') === engineName || valueOf(row, 'name').startsWith(`${engineName} `)) return 'engine';
  return ['name', 'integration.name', 'instance.name'].some((column) => pluginName.test(valueOf(row, column))) ? 'plugin' : undefined;
}

/** A data source that an integration attaches its pages to. */
export interface IntegrationDataSource {
  readonly sysId: SysId;
  readonly name: string;
  readonly integration: Integration;
  /** A run of the integration is in progress: what is attached now is its work. */
  readonly running: boolean;
}

export type DataSources = { readonly dataSources: readonly IntegrationDataSource[] } | { readonly notReadable: string };

/** The data sources of integrations, or what hides them. A hidden table reads as empty: a link whose data source is not there is hidden. */
export async function readDataSources(
  client: ServiceNowClient,
  dictionary: InstanceDictionary,
  integrations: readonly Integration[],
  signal?: AbortSignal,
): Promise<DataSources> {
  if (integrations.length === 0) return { dataSources: [] };
  const columns = Object.values(dictionary.tables[linkTable]?.columns ?? {});
  const toIntegration = columns.find(({ reference }) => reference === recordTable)?.name;
  const toSource = columns.find(({ reference }) => reference === 'sys_data_source')?.name;
  if (toIntegration === undefined || toSource === undefined) return { notReadable: `${linkTable} (which data source an integration has)` };
  const byId = new Map<string, Integration>(integrations.map((integration) => [integration.sysId, integration]));
  const links = new Map<string, Integration>();
  for (const part of splitByBytes(query(), toIntegration, [...byId.keys()])) {
    for await (const row of client.table.listAll(linkTable, { query: part, fields: [toIntegration, toSource] }, signal)) {
      const integration = byId.get(valueOf(row, toIntegration));
      if (integration !== undefined && valueOf(row, toSource) !== '') links.set(valueOf(row, toSource), integration);
    }
  }
  if (links.size === 0) return { notReadable: `${linkTable}: no data source of ${integrations.length} integration records` };
  const names = new Map<string, string>();
  for (const part of splitByBytes(query(), 'sys_id', [...links.keys()])) {
    for await (const row of client.table.listAll('sys_data_source', { query: part, fields: ['name'] }, signal)) {
      names.set(valueOf(row, 'sys_id'), valueOf(row, 'name'));
    }
  }
  const hidden = [...links.keys()].filter((sysId) => !names.has(sysId));
  if (hidden.length > 0) return { notReadable: `sys_data_source: ${hidden.join(', ')}` };
  const running = await runningIntegrations(client, dictionary, [...byId.keys()], signal);
  return {
    dataSources: [...links].map(([sysId, integration]) => ({
      sysId: sysId as SysId,
      name: names.get(sysId) ?? '',
      integration,
      running: running.has(integration.sysId),
    })),
  };
}

/** sys_ids of those integrations that have a run in progress; none where that cannot be read. */
async function runningIntegrations(
  client: ServiceNowClient,
  dictionary: InstanceDictionary,
  integrations: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const table = 'sn_vul_integration_run';
  const running = new Set<string>();
  if (!hasColumns(dictionary, table, 'integration', 'state')) return running;
  for (const part of splitByBytes(query().equals('state', 'running'), 'integration', integrations)) {
    for await (const row of client.table.listAll(table, { query: part, fields: ['integration', 'state'] }, signal))
      running.add(valueOf(row, 'integration'));
  }
  return running;
}

/** What an integration instance of the plugin imports from; undefined or empty where its form says nothing, or that is not readable. */
export interface PluginScope {
  readonly tenantId: string | undefined;
  /** As the form offers it: `Specific Subscriptions`, `Specific Management Groups`, or everything. */
  readonly importFrom: 'subscriptions' | 'management-groups' | 'everything';
  readonly subscriptions: readonly string[];
  readonly managementGroups: readonly string[];
}

/** The scopes of integration instances by sys_id; those without a readable parameter are missing. Values of secrets are never asked for. */
export async function readPluginScopes(
  client: ServiceNowClient,
  dictionary: InstanceDictionary,
  instances: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, PluginScope>> {
  const table = 'sn_sec_int_impl_config';
  const isReadable =
    hasColumns(dictionary, table, 'configuration', 'implementation', 'value') &&
    hasColumns(dictionary, 'sn_sec_int_config', 'name', 'label');
  if (!isReadable || instances.length === 0) return new Map();
  const parameters = new Map<string, Map<string, string>>();
  const fields = ['configuration.name', 'configuration.label', 'implementation', 'value'];
  for (const part of splitByBytes(query(), 'implementation', instances)) {
    for await (const row of client.table.listAll(table, { query: part, fields }, signal)) {
      const of = parameters.get(valueOf(row, 'implementation')) ?? new Map<string, string>();
      of.set(wordOf(valueOf(row, 'configuration.label') || valueOf(row, 'configuration.name')), valueOf(row, 'value').trim());
      parameters.set(valueOf(row, 'implementation'), of);
    }
  }
  return new Map([...parameters].map(([instance, values]) => [instance, scopeOf(values)]));
}

/** Labels of the form are documented, names of its parameters are not: compared by their letters alone. */
function wordOf(label: string): string {
  return label.toLowerCase().replaceAll(/[^a-z]/g, '');
}

function scopeOf(values: ReadonlyMap<string, string>): PluginScope {
  const value = (pattern: RegExp): string => [...values].find(([word, text]) => pattern.test(word) && text !== '')?.[1] ?? '';
  const list = (pattern: RegExp): string[] => [
    ...new Set(
      value(pattern)
        .toLowerCase()
        .split(/[\s,;]+/)
        .filter((id) => id !== ''),
    ),
  ];
  const subscriptions = list(/^subscription/);
  const managementGroups = list(/^managementgroup/);
  const chosen = value(/^importfindings/).toLowerCase();
  return {
    tenantId: value(/^tenant/).toLowerCase() || undefined,
    importFrom: chosenFrom(chosen, subscriptions, managementGroups),
    subscriptions,
    managementGroups,
  };
}

/** A choice without ids restricts nothing that we could know of. */
function chosenFrom(chosen: string, subscriptions: readonly string[], managementGroups: readonly string[]): PluginScope['importFrom'] {
  const isOpen = chosen === '';
  if (subscriptions.length > 0 && (chosen.includes('subscription') || (isOpen && managementGroups.length === 0))) return 'subscriptions';
  if (managementGroups.length > 0 && (chosen.includes('management') || (isOpen && subscriptions.length === 0))) return 'management-groups';
  return 'everything';
}

function isTrue(row: Row, column: string): boolean {
  return ['true', '1'].includes(valueOf(row, column).toLowerCase());
}
