import type { Configuration } from '../src/config/index.ts';
import { isSyncError, SyncError } from '../src/errors.ts';
import {
  createReadingGate,
  keepAttachmentList,
  usableAttachmentList,
  useAttachmentList,
  type AttachmentList,
  type Ledger,
  type ListedAttachment,
  type ListedDataSource,
} from '../src/ledger/index.ts';
import type { Clock } from '../src/observability/clock.ts';
import { expectedAttachments } from '../src/preflight/index.ts';
import {
  createServiceNowConnection,
  hasColumns,
  integrationTables,
  readDataSources,
  readIntegrations,
  type IntegrationDataSource,
  type ServiceNowClient,
} from '../src/servicenow/index.ts';
import { slotHoldMs } from './create-context.ts';
import { whenNotThrottled } from './when-not-throttled.ts';
import { authOf } from './sign-in.ts';

export interface AttachmentOptions {
  readonly configuration: Configuration;
  readonly ledger: Ledger;
  readonly signal: AbortSignal;
  /** Told after each data source, or attachment: how many of how many are done. */
  readonly onProgress: (progress: { readonly done: number; readonly of: number }) => void;
}

export interface FoundAttachments {
  /** Of the plugin's integrations for Defender for Cloud. */
  readonly dataSources: readonly ListedDataSource[];
  /** What may be deleted, kept as it is shown; undefined where there is no surplus. */
  readonly list: AttachmentList | undefined;
}

/** What became of the surplus of one data source. */
export interface Deletion {
  readonly dataSource: Pick<ListedDataSource, 'sysId' | 'name'>;
  readonly deleted: readonly ListedAttachment[];
  readonly left: readonly (ListedAttachment & { readonly because: string })[];
  /** What changed since it was shown, for which nothing there was touched; null: it was as shown. */
  readonly refused: string | null;
}

/**
 * Lists the attachments on the data sources of ServiceNow's own plugin for Defender for Cloud, and keeps what it found in the ledger. Reads
 * the instance and writes nothing there; like `findPairs` it needs no worker. Errors: SyncError where what answers it is not readable.
 */
export async function listAttachments(options: AttachmentOptions, clock: Clock): Promise<FoundAttachments> {
  const { configuration, ledger } = options;
  const dataSources = await withClient(options, clock, (client) => readListed(client, options));
  const list = dataSources.some((source) => surplusOf(source).length > 0)
    ? await keepAttachmentList(ledger.database, configuration.serviceNow.url, dataSources)
    : undefined;
  return { dataSources, list };
}

/** What of a data source may be deleted as it stands. */
export function surplusOf({ obstacle, attachments }: ListedDataSource): readonly ListedAttachment[] {
  return obstacle === null ? attachments.filter(({ surplus }) => surplus) : [];
}

/**
 * Deletes the surplus of a list exactly as it was shown: a data source where anything has changed since is refused, with the difference. What
 * is gone is said by the instance afterwards, not by its answers. Errors: SyncError `usage` as `usableAttachmentList`, and as reads have them.
 */
export async function deleteAttachments(
  options: AttachmentOptions & { readonly listId: string },
  clock: Clock,
): Promise<readonly Deletion[]> {
  const shown = (
    await usableAttachmentList(options.ledger.database, options.configuration.serviceNow.url, options.listId)
  ).dataSources.filter((source) => surplusOf(source).length > 0);
  return withClient(options, clock, async (client) => {
    const now = new Map((await readListed(client, { ...options, onProgress: () => undefined })).map((source) => [source.sysId, source]));
    await useAttachmentList(options.ledger.database, options.listId);
    const of = shown.reduce((sum, source) => sum + surplusOf(source).length, 0);
    let done = 0;
    const deletions: Deletion[] = [];
    for (const source of shown) {
      const refused = difference(source, now.get(source.sysId));
      const surplus = surplusOf(source);
      const onDeleted = (): void => options.onProgress({ done: (done += 1), of });
      const end = refused === undefined ? await deleteAll(client, source, surplus, { ...options, onDeleted }) : { deleted: [], left: [] };
      deletions.push({ dataSource: { sysId: source.sysId, name: source.name }, ...end, refused: refused ?? null });
    }
    return deletions;
  });
}

/** What is not as it was shown; undefined where nothing has changed. */
function difference(shown: ListedDataSource, now: ListedDataSource | undefined): string | undefined {
  if (now === undefined) return 'it is no data source of the plugin any more';
  if (now.obstacle !== null) return now.obstacle;
  const idsOf = ({ attachments }: ListedDataSource): ReadonlySet<string> => new Set(attachments.map(({ sysId }) => sysId));
  const [before, after] = [idsOf(shown), idsOf(now)];
  const added = now.attachments.filter(({ sysId }) => !before.has(sysId));
  const gone = shown.attachments.filter(({ sysId }) => !after.has(sysId));
  const said = [...named(added, 'new'), ...named(gone, 'gone')];
  return said.length === 0 ? undefined : said.join('; ');
}

function named(attachments: readonly ListedAttachment[], what: string): string[] {
  return attachments.length === 0
    ? []
    : [`${what} since it was shown: ${attachments.map(({ fileName, sysId }) => `${fileName} (${sysId})`).join(', ')}`];
}

async function deleteAll(
  client: ServiceNowClient,
  { sysId }: ListedDataSource,
  surplus: readonly ListedAttachment[],
  { signal, onDeleted }: { readonly signal: AbortSignal; readonly onDeleted: () => void },
): Promise<Pick<Deletion, 'deleted' | 'left'>> {
  const refusals = new Map<string, string>();
  for (const attachment of surplus) {
    try {
      await whenNotThrottled(() => client.attachments.remove(attachment.sysId, signal), signal);
    } catch (error) {
      if (!isSyncError(error, 'forbidden', 'rejected', 'outcome-unknown', 'transient')) throw error;
      refusals.set(attachment.sysId, error.message);
    }
    onDeleted();
  }
  const after = await whenNotThrottled(() => client.attachments.list('sys_data_source', sysId, signal), signal);
  const still = new Set(after.map((attachment) => attachment.sysId));
  return {
    deleted: surplus.filter((attachment) => !still.has(attachment.sysId)),
    left: surplus
      .filter((attachment) => still.has(attachment.sysId))
      .map((attachment) => ({
        ...attachment,
        because: refusals.get(attachment.sysId) ?? 'the instance said that it deleted it, and still has it',
      })),
  };
}

async function readListed(client: ServiceNowClient, { signal, onProgress }: AttachmentOptions): Promise<readonly ListedDataSource[]> {
  const patiently = <Result>(work: () => Promise<Result>): Promise<Result> => whenNotThrottled(work, signal);
  const dictionary = await patiently(() => client.probeDictionary(integrationTables, signal));
  if (dictionary.tables['sn_vul_integration']?.state === 'absent') return [];
  if (!hasColumns(dictionary, 'sn_vul_integration', 'name', 'active', 'run_as'))
    throw notReadable('sn_vul_integration (name, active, run_as)', 'sn_sec_cmn.read, sn_vul.read_all and personalize_read_dictionary');
  const reader = client.withDictionary(dictionary);
  const ofPlugin = (await patiently(() => readIntegrations(reader, dictionary, signal))).filter(({ owner }) => owner === 'plugin');
  const read = await patiently(() => readDataSources(reader, dictionary, ofPlugin, signal));
  if ('notReadable' in read) throw notReadable(read.notReadable, 'sn_vul.vr_import_admin');
  const listed: ListedDataSource[] = [];
  for (const source of read.dataSources) {
    listed.push(await patiently(() => listOne(reader, source, signal)));
    onProgress({ done: listed.length, of: read.dataSources.length });
  }
  return listed;
}

function notReadable(what: string, roles: string): SyncError {
  return new SyncError({
    kind: 'forbidden',
    service: 'servicenow',
    message: `The data sources of the plugin's integrations are not readable: ${what}.`,
    remedy: `Give the integration user ${roles} (User Administration › Users › the user › Roles › Edit).`,
  });
}

async function listOne(
  client: ServiceNowClient,
  { sysId, name, integration, running }: IntegrationDataSource,
  signal: AbortSignal,
): Promise<ListedDataSource> {
  const found = [...(await client.attachments.list('sys_data_source', sysId, signal))].sort((left, right) =>
    `${left.createdOn} ${left.sysId}` < `${right.createdOn} ${right.sysId}` ? -1 : 1,
  );
  return {
    sysId,
    name,
    integration: { sysId: integration.sysId, name: integration.name, runAs: integration.runAs.userName || integration.runAs.sysId },
    obstacle: running ? 'a run of its integration is in progress: what is attached now is its work' : null,
    attachments: found.map(({ sysId: attachment, fileName, createdOn, sizeBytes }, index) => ({
      sysId: attachment,
      fileName,
      createdOn,
      sizeBytes: sizeBytes ?? null,
      surplus: index < found.length - expectedAttachments,
    })),
  };
}

/** A client behind the slots that everybody shares. */
async function withClient<Result>(
  { configuration, ledger }: AttachmentOptions,
  clock: Clock,
  work: (client: ServiceNowClient) => Promise<Result>,
): Promise<Result> {
  const { url, caFile, concurrentRequests } = configuration.serviceNow;
  const connection = createServiceNowConnection({ url, auth: authOf(configuration.serviceNow), caFile, nowMs: () => clock.nowMs() });
  try {
    const gate = await createReadingGate(ledger.database, {
      slotKey: `servicenow:${url}`,
      slots: concurrentRequests,
      holdMs: slotHoldMs(configuration.serviceNow),
    });
    return await work(connection.through(gate));
  } finally {
    connection.close();
  }
}
