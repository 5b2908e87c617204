/** The ServiceNow room: everything that talks to an instance. */
import { SyncError } from '../errors.ts';
import type { Gate } from '../model.ts';
import { createAggregateApi, type AggregateApi } from './aggregate.ts';
import { createAttachmentApi, type AttachmentApi } from './attachments.ts';
import { createBatchApi, type BatchApi } from './batch.ts';
import { createColumnCheck } from './columns.ts';
import { probeDictionary, type InstanceDictionary } from './dictionary.ts';
import { createSend, defaultTimeouts, type Timeouts } from './http.ts';
import { createIdentifyReconcileApi, type IdentifyReconcileApi } from './identify-reconcile.ts';
import { createAuthorizer, type ServiceNowAuth } from './oauth.ts';
import { createRateLimitBook, type RateLimit } from './rate-limits.ts';
import { createReachApi, type ReachApi } from './reach.ts';
import { createPropertiesApi, type PropertiesApi } from './properties.ts';
import { createRolesApi, type RolesApi } from './roles.ts';
import { createTableApi, type TableApi } from './table.ts';
import { createTransport } from '../transport.ts';

export type { AggregateApi } from './aggregate.ts';
export type { Attachment, AttachmentApi } from './attachments.ts';
export { batchLimits, createBatchPaces, type BatchMeasurement, type BatchPaces } from './batch-pace.ts';
export {
  classifyRemoval,
  classifyWrite,
  cutBatches,
  itemBytes,
  type BatchApi,
  type BatchItem,
  type BatchOptions,
  type BatchOutcome,
  type RemovalResult,
  type WriteResult,
} from './batch.ts';
export {
  cutKey,
  cutText,
  isFeatureAbsent,
  mapTable,
  type Dropped,
  type MappedTable,
  type MissingColumn,
  type PlainValue,
  type Shaped,
} from './column-mapping.ts';
export type { Choice, DictionaryColumn, DictionaryTable, InstanceDictionary } from './dictionary.ts';
export { itemError, notServiceNow, refusalOf, type Refusal } from './errors.ts';
export type { Timeouts } from './http.ts';
export {
  engineName,
  hasColumns,
  integrationTables,
  readDataSources,
  readIntegrations,
  readPluginScopes,
  type DataSources,
  type Integration,
  type IntegrationDataSource,
  type PluginScope,
} from './integration-records.ts';
export {
  ireBatchItem,
  readIreAnswer,
  type EnhancedOptions,
  type IdentifyReconcileApi,
  type IreAnswer,
  type IreItem,
  type IreOptions,
  type IreOutcome,
  type IrePayload,
  type IreRelation,
} from './identify-reconcile.ts';
export type { ServiceNowAuth } from './oauth.ts';
export { encodedBytes, isQueryable, query, splitByBytes, type Query } from './query.ts';
export { notKeptRemedy, undoneRemedy, type Attempt } from './remedies.ts';
export type { RateLimit } from './rate-limits.ts';
export type { ApiReach, ReachApi, SignInDiagnosis } from './reach.ts';
export type { PropertiesApi } from './properties.ts';
export type { InstanceUser, IntegrationRecord, RolesApi, UserRoles } from './roles.ts';
export { sameOnInstance, type NotKept } from './stored-values.ts';
export { rightTo, writeRights, type WriteRight } from './write-rights.ts';
export {
  everything,
  listRowsOf,
  valueOf,
  type ListOptions,
  type Row,
  type TableApi,
  type WriteValues,
  type WrittenRecord,
} from './table.ts';

export interface ServiceNowConnectionOptions {
  /** https URL of the instance. */
  readonly url: string;
  readonly auth: ServiceNowAuth;
  readonly caFile?: string | undefined;
  readonly timeouts?: Partial<Timeouts> | undefined;
  readonly nowMs?: (() => number) | undefined;
}

export interface ServiceNowClient {
  readonly table: TableApi;
  readonly batch: BatchApi;
  readonly identifyReconcile: IdentifyReconcileApi;
  readonly aggregate: AggregateApi;
  readonly attachments: AttachmentApi;
  readonly roles: RolesApi;
  readonly properties: PropertiesApi;
  /** Which APIs let us in, and what a refused sign-in is due to. */
  readonly reach: ReachApi;
  /** The rate-limit rules that have counted requests of this connection, one per API and method. */
  rateLimits(): readonly RateLimit[];
  /** Reads the definitions of the given tables. */
  probeDictionary(tables: readonly string[], signal?: AbortSignal): Promise<InstanceDictionary>;
  /** The same client, allowed to use the columns of this dictionary; without one only the platform's own tables can be used. */
  withDictionary(dictionary: InstanceDictionary): ServiceNowClient;
}

/** What lives as long as the worker: the token and the connections of one instance and user. */
export interface ServiceNowConnection {
  /** https origin of the instance. */
  readonly url: string;
  /** A client whose every request passes the given gate (one per run and fence); cheap to make. */
  through(gate: Gate, dictionary?: InstanceDictionary): ServiceNowClient;
  close(): void;
}

/** The largest answer that is read: 16 MB. */
const maxAnswerBytes = 16 * 1024 * 1024;

/** Opens nothing yet: the first request does. @throws SyncError `usage` when the URL is not https */
export function createServiceNowConnection(options: ServiceNowConnectionOptions): ServiceNowConnection {
  const url = URL.parse(options.url);
  if (url?.protocol !== 'https:') {
    throw new SyncError({
      kind: 'usage',
      service: 'servicenow',
      message: 'The URL of the ServiceNow instance is not an https URL.',
      remedy: 'Write it as https://<instance>.service-now.com.',
    });
  }
  const transport = createTransport({ caFile: options.caFile, maxAnswerBytes });
  const authorizer = createAuthorizer({ url: url.origin, auth: options.auth, transport, nowMs: options.nowMs });
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const rateLimits = createRateLimitBook();
  const through = (gate: Gate, dictionary?: InstanceDictionary): ServiceNowClient => {
    const send = createSend({ url: url.origin, transport, authorizer, gate, timeouts, rateLimits });
    const checkColumns = createColumnCheck(dictionary);
    const table = createTableApi({ send, checkColumns });
    const batch = createBatchApi({ send, timeouts, gate });
    const aggregate = createAggregateApi({ send, checkColumns });
    return {
      table,
      batch,
      aggregate,
      identifyReconcile: createIdentifyReconcileApi({ send }),
      attachments: createAttachmentApi({ table, aggregate, send }),
      roles: createRolesApi(table),
      properties: createPropertiesApi(table),
      reach: createReachApi({ url: url.origin, auth: options.auth, transport, gate, timeouts, send }),
      rateLimits: () => rateLimits.seen(),
      probeDictionary: (tables, signal) => probeDictionary(tables, { table, batch }, signal),
      withDictionary: (known) => through(gate, known),
    };
  };
  return { url: url.origin, through, close: () => transport.close() };
}

/** A connection and its client in one, for those who need only one gate. */
export function createServiceNowClient(
  options: ServiceNowConnectionOptions & { readonly gate: Gate; readonly dictionary?: InstanceDictionary | undefined },
): ServiceNowClient {
  return createServiceNowConnection(options).through(options.gate, options.dictionary);
}
