import type { Answer, StartedLab } from './start.ts';

export type IreItem = Record<string, unknown> & { className: string; values: Record<string, unknown> };
export interface IreBody {
  items: IreItem[];
  relations?: object[];
  referenceItems?: object[];
}
export interface AnsweredItem {
  className: string;
  operation?: string;
  sysId?: string;
  errors?: { error: string; message: string }[];
  warnings?: { error: string; message: string }[];
  inputIndices: number[];
}

export const HOSTED = 'Hosted on::Hosts';
export const CONTAINS = 'Contains::Contained by';

export const account = (id: string, values: Record<string, unknown> = {}): IreItem => ({
  className: 'cmdb_ci_cloud_service_account',
  values: { object_id: id, account_id: id, name: `Account ${id}`, datacenter_type: 'cmdb_ci_azure_datacenter', ...values },
});
export const datacenter = (region = 'eastus'): IreItem => ({
  className: 'cmdb_ci_azure_datacenter',
  values: { object_id: region, region, name: region },
});
export const resource = (id: string, values: Record<string, unknown> = {}): IreItem => ({
  className: 'cmdb_ci_cmp_resource',
  values: { object_id: id, name: id, resource_type: 'microsoft.storage/storageaccounts', ...values },
});
export const image = (id: string, values: Record<string, unknown> = {}): IreItem => ({
  className: 'cmdb_ci_docker_image',
  values: { image_id: id, name: id, ...values },
});
export const server = (name: string, className = 'cmdb_ci_linux_server', values: Record<string, unknown> = {}): IreItem => ({
  className,
  values: { name, ...values },
});
export const source = (key: string, recency?: string): object => ({
  sys_object_source_info: {
    source_name: 'ServiceNow',
    source_native_key: key,
    ...(recency === undefined ? {} : { source_recency_timestamp: recency }),
  },
});

/** The chain of servicenow.md §5.1: each resource on the datacenter, the datacenter on the account. */
export function chain(accountId: string, resources: IreItem[], region = 'eastus'): IreBody & { relations: object[] } {
  return {
    items: [account(accountId), datacenter(region), ...resources],
    relations: [{ parent: 1, child: 0, type: HOSTED }, ...resources.map((_, index) => ({ parent: index + 2, child: 1, type: HOSTED }))],
  };
}

export const itemsOf = (answer: Answer): AnsweredItem[] => answer.json.result.items as AnsweredItem[];
export const codes = ({ errors = [] }: Pick<AnsweredItem, 'errors'>): string[] => errors.map(({ error }) => error);
export const operations = (answer: Answer): unknown[] => itemsOf(answer).map(({ operation }) => operation);
export const errorsOf = (answer: Answer): string[][] => itemsOf(answer).map(codes);
export const sysIdOf = (answer: Answer, index: number): string => String(itemsOf(answer)[index]?.sysId);

/** Rows over the Table API, references as values. */
export async function rows(started: StartedLab, table: string, query: string, as = 'admin'): Promise<Record<string, string>[]> {
  const parameters = `sysparm_query=${encodeURIComponent(query)}&sysparm_exclude_reference_link=true`;
  return (await started.get(`/api/now/table/${table}?${parameters}`, { as })).json.result as Record<string, string>[];
}

/** Plays the administrator: a record, or its change. Answers its sys_id. */
export async function addRow(started: StartedLab, table: string, values: Record<string, string>): Promise<string> {
  const { rows: inserted } = await started.admin('POST', `/servicenow/rows/${table}`, values);
  return inserted[0]?.['sys_id'] ?? '';
}
export async function changeRow(started: StartedLab, table: string, sysId: string, values: Record<string, string>): Promise<void> {
  await started.admin('PATCH', `/servicenow/rows/${table}/${sysId}`, values);
}

/** Sets a system property until `undo`. */
export async function setProperty(started: StartedLab, name: string, value: string): Promise<() => Promise<void>> {
  const [row] = await rows(started, 'sys_properties', `name=${name}`);
  const sysId = row?.['sys_id'] ?? '';
  await changeRow(started, 'sys_properties', sysId, { value });
  return () => changeRow(started, 'sys_properties', sysId, { value: row?.['value'] ?? '' });
}

export const ENGINE_PROPERTY = 'glide.identification_engine';

/** The identification rule of a class. */
export async function ruleOf(started: StartedLab, className: string): Promise<string> {
  const [rule] = await rows(started, 'cmdb_identifier', `applies_to=${className}`);
  return rule?.['sys_id'] ?? '';
}

/** A hosting rule of the administrator's: `parent` hangs on `child`. */
export async function addHosting(started: StartedLab, parent: string, child: string, relation: string): Promise<string> {
  const [type] = await rows(started, 'cmdb_rel_type', `name=${relation}`);
  return addRow(started, 'cmdb_metadata_hosting', { parent_type: parent, child_type: child, rel_type: type?.['sys_id'] ?? '' });
}
