import { AdminError, type AdminHandlers } from '../kit/admin-api.ts';
import type { Access, Operation } from './access.ts';
import { callerOf } from './accounts.ts';
import { asList, asObject, flagIn, optionalText, raw, recordNamed, tableNamed, textIn, writtenValues } from './admin-input.ts';
import type { AttachmentFiles } from './attachment-files.ts';
import type { Row, Store } from './store.ts';
import { dateTime } from './values.ts';

const ACTOR = 'system';
const RUN_AS = 'VR.System';
const SOURCE = 'Microsoft Defender for Cloud';

/** The plugin's integrations in their order (servicenow.md §1.3); the cadence of most is not documented, the lab takes daily. */
const INTEGRATIONS = [
  { name: 'Policy Definition Integration', runType: 'daily' },
  { name: 'Assessment Metadata Integration', runType: 'daily' },
  { name: 'Compliance Standards & Controls Integration', runType: 'daily' },
  { name: 'Assessment Integration', runType: 'daily' },
  { name: 'Comprehensive Assessment Integration', runType: 'weekly' },
  { name: 'Container Image Vulnerabilities Integration', runType: 'daily' },
] as const;

/** What its configuration form asks for (servicenow.md §1.2): the labels are documented, the names of the parameters are not. */
const PARAMETERS = {
  apiUrl: { name: 'api_url', label: 'API URL' },
  tenantId: { name: 'tenant_id', label: 'Tenant ID' },
  importFrom: { name: 'import_findings_from', label: 'Import Findings from' },
  managementGroups: { name: 'management_group_ids', label: 'Management Group IDs' },
  subscriptions: { name: 'subscription_ids', label: 'Subscription IDs' },
} as const;

/** Who plays along: the instance's rows, its ACLs, and what hides attachments whatever the ACLs say. */
export interface PluginContext {
  store: Store;
  access: Access;
  attachments: AttachmentFiles;
}

/** One page of a run: records that its transform writes. */
interface Page {
  records: { table: string; key: string; values: Record<string, string> }[];
}

/** Plays the original plugin: its records, and runs that attach pages to data sources and transform them (servicenow.md §6). */
export function pluginHandlers(context: PluginContext): AdminHandlers {
  /** Contents of the pages that are attached, by sys_id of the attachment. */
  const pages = new Map<string, Page>();
  return {
    'POST /play/plugin/install': ({ body }) => install(context.store, asObject(body ?? {})),
    'POST /play/plugin/run': ({ body }) => run(context, pages, asObject(body)),
  };
}

/** Makes what set-up makes: an integration instance with its configuration, six integrations with their run-as user, a data source for each. */
function install(store: Store, fields: Record<string, unknown>): object {
  const runAs = recordNamed(store, 'sys_user', 'user_name', optionalText(fields, 'runAs') ?? RUN_AS).sysId;
  const active = String(flagIn(fields, 'active', true));
  const name = optionalText(fields, 'name') ?? `${SOURCE} Integration`;
  const [integration = store.insert('sn_sec_int_integration', { name: SOURCE, source: SOURCE, ire_source_name: SOURCE }, ACTOR)] =
    store.equal('sn_sec_int_integration', 'name', [SOURCE]);
  const values = { name, integration: integration.sysId, active, is_default: 'true', validation_status: 'valid' };
  const instance = store.insert('sn_sec_int_impl', values, ACTOR);
  configure(store, integration, instance, fields);
  const jobs = INTEGRATIONS.map((job) => {
    const jobName = `${SOURCE} ${job.name}`;
    const shared = { name: jobName, active, run_as: runAs, run_type: job.runType };
    const row = store.insert('sn_vul_integration', { ...shared, integration: integration.sysId, instance: instance.sysId }, ACTOR);
    const source = { name: jobName, type: 'File', format: 'JSON', file_retrieval_method: 'Attachment' };
    const dataSource = store.insert('sys_data_source', source, ACTOR);
    store.insert('sn_vul_int_data_src', { integration: row.sysId, data_source: dataSource.sysId }, ACTOR);
    return { integration: row.sysId, name: jobName, dataSource: dataSource.sysId };
  });
  return { instance: instance.sysId, integrations: jobs };
}

/** The values of the form, a list in one value: separated by commas. A field that is not given stays without a value. */
function configure(store: Store, integration: Row, instance: Row, fields: Record<string, unknown>): void {
  for (const [field, { name, label }] of Object.entries(PARAMETERS)) {
    const given = fields[field];
    const value = Array.isArray(given) ? given.join(',') : (optionalText(fields, field) ?? '');
    const definition = { integration: integration.sysId, name, label, elem_type: 'string' };
    const [known = store.insert('sn_sec_int_config', definition, ACTOR)] = store.equal('sn_sec_int_config', 'name', [name]);
    store.insert('sn_sec_int_impl_config', { configuration: known.sysId, implementation: instance.sysId, value }, ACTOR);
  }
}

/**
 * One run (servicenow.md §1.7, §6): every page is attached to the data source and queued, everything attached there is transformed, then
 * removed. A run-as user who may not attach fails ("Error writing attachment"); one who may not see or delete attachments leaves them, and
 * each later run transforms them once more. Oldest first; the order is not documented. `"until":"attached"` leaves the run in progress.
 */
function run(context: PluginContext, pages: Map<string, Page>, fields: Record<string, unknown>): object {
  const { store } = context;
  const integration = recordNamed(store, 'sn_vul_integration', 'name', textIn(fields, 'integration'));
  const instance = store.find('sn_sec_int_impl', integration.values['instance'] ?? '');
  if (integration.values['active'] !== 'true' || instance?.values['active'] !== 'true') {
    throw new AdminError(409, 'The integration or its instance (sn_sec_int_impl.active) is switched off: it does not run.');
  }
  const incoming = asList(fields['pages'] ?? [{}]).map((page) => pageOf(store, page));
  const runRow = store.insert(
    'sn_vul_integration_run',
    {
      integration: integration.sysId,
      implementation: instance.sysId,
      source: SOURCE,
      state: 'running',
      start_datetime: dateTime(store.clock.now()),
    },
    ACTOR,
  );
  if (!mayUse(context, integration, 'create')) {
    const failed = { state: 'complete', substate: 'failed', end_datetime: dateTime(store.clock.now()), notes: 'Error writing attachment' };
    store.update(runRow, failed, ACTOR);
    return { run: raw(runRow), transformed: 0, inserted: 0, updated: 0, left: 0 };
  }
  const dataSource = store.equal('sn_vul_int_data_src', 'integration', [integration.sysId])[0]?.values['data_source'] ?? '';
  const queued = incoming.map((page, index) => {
    pages.set(attach(store, dataSource, `${runRow.values['number'] ?? ''}-${String(index + 1)}.json`, page).sysId, page);
    const entry = { state: 'queued', integration_run: runRow.sysId, data_source: dataSource };
    return store.insert('sn_vul_ds_import_q_entry', entry, ACTOR);
  });
  const attached = attachmentsOf(store, dataSource);
  const counts = { inserted: 0, updated: 0 };
  if (optionalText(fields, 'until') === 'attached') return { run: raw(runRow), transformed: 0, ...counts, left: attached.length };
  for (const attachment of attached) transform(store, runRow, attachment, pages.get(attachment.sysId), counts);
  const now = dateTime(store.clock.now());
  for (const entry of queued) store.update(entry, { state: 'complete', last_record_processed: now }, ACTOR);
  const left = mayUse(context, integration, 'delete') ? [] : attached;
  for (const attachment of attached.filter((row) => !left.includes(row))) {
    pages.delete(attachment.sysId);
    store.delete(attachment);
  }
  const end = { state: 'complete', substate: 'success', end_datetime: now };
  store.update(runRow, { ...end, vi_created: String(counts.inserted), vi_updated: String(counts.updated) }, ACTOR);
  return { run: raw(runRow), transformed: attached.length, ...counts, left: left.length };
}

/** `{"records":[{"table","key":"source_id","values":{…}}]}`: what the page says; `key` is the column that tells records apart. */
function pageOf(store: Store, page: Record<string, unknown>): Page {
  return {
    records: asList(page['records'] ?? []).map((record) => {
      const table = tableNamed(store, textIn(record, 'table'));
      return { table, key: optionalText(record, 'key') ?? 'source_id', values: writtenValues(store, table, asObject(record['values'])) };
    }),
  };
}

function attach(store: Store, dataSource: string, fileName: string, page: Page): Row {
  const size = String(Buffer.byteLength(JSON.stringify(page)));
  const where = { table_name: 'sys_data_source', table_sys_id: dataSource };
  return store.insert(
    'sys_attachment',
    { ...where, file_name: fileName, content_type: 'application/json', size_bytes: size, state: 'available' },
    ACTOR,
  );
}

function attachmentsOf(store: Store, dataSource: string): Row[] {
  return store.equal('sys_attachment', 'table_sys_id', [dataSource]).filter(({ values }) => values['table_name'] === 'sys_data_source');
}

function transform(
  store: Store,
  runRow: Row,
  attachment: Row,
  page: Page | undefined,
  counts: { inserted: number; updated: number },
): void {
  const parameters = JSON.stringify({ attachment: attachment.values['file_name'] });
  store.insert('sn_vul_integration_process', { integration_run: runRow.sysId, state: 'complete', parameters }, ACTOR);
  for (const { table, key, values } of page?.records ?? []) {
    const [existing] = store.equal(table, key, [values[key] ?? '']);
    if (existing === undefined) {
      store.insert(table, values, RUN_AS);
      counts.inserted += 1;
    } else if (store.update(existing, values, RUN_AS)) counts.updated += 1;
  }
}

/**
 * Whether the run-as user may attach, or see and delete, what hangs on the data source: VR.System may (servicenow.md §6). Attachments that an
 * IP restriction hides are seen by nobody.
 */
function mayUse({ store, access, attachments }: PluginContext, integration: Row, operation: Operation): boolean {
  const user = store.find('sys_user', integration.values['run_as'] ?? '');
  const [dataSources, files] = [store.schema.get('sys_data_source'), store.schema.get('sys_attachment')];
  if (user === undefined || dataSources === undefined || files === undefined) return false;
  const caller = callerOf(store, user);
  const sees = access.may(caller, dataSources, 'read') && access.may(caller, files, 'read');
  return sees && access.may(caller, files, operation) && (operation === 'create' || !attachments.isHidden('sys_data_source'));
}
