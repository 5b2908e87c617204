import { join } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AdminHandlers } from '../kit/admin-api.ts';
import { createClock, type LabClock } from '../kit/clock.ts';
import { createFaultBook, type FaultBook } from '../kit/faults.ts';
import { createHttpsApp, rawBody } from '../kit/https-app.ts';
import { createRequestLog, type RequestLog } from '../kit/request-log.ts';
import type { LabAuthority } from '../kit/tls.ts';
import { createAccess, type AccessRule } from './access.ts';
import { createAccounts, type LabUser, type SeedUser } from './accounts.ts';
import { createAttachmentFiles } from './attachment-files.ts';
import { createBackground } from './background.ts';
import { createImportSets, type InsertMultiple } from './import-sets.ts';
import { ruleHandlers } from './admin-rules.ts';
import { adminHandlers, summary, type TableSummary } from './admin.ts';
import { createAvailability, type Availability } from './availability.ts';
import { createClones } from './clone.ts';
import { loadCredentials, saveCredentials, type Credentials } from './credentials.ts';
import { createDomains } from './domains.ts';
import { apiRequest, type ApiRequest, type ApiResponse } from './http.ts';
import { createLocks } from './ire/index.ts';
import { isJobActive, stockJobs } from './jobs/index.ts';
import { createScheduler, type Scheduler } from './jobs/scheduler.ts';
import { openJournal, type Journal } from './journal.ts';
import { createPace, type LatencyModel } from './latency.ts';
import { generateClientCredentials, registerSeedClients, type LabOAuthClient } from './oauth-clients.ts';
import { createOAuth } from './oauth.ts';
import { handlePages } from './pages.ts';
import { createRateLimits, type RateLimitSettings } from './rate-limits.ts';
import { patternOf, route, type RouterContext } from './router.ts';
import { createInstanceRules, type BusinessProfile } from './rules/index.ts';
import type { Policy } from './rules/policies.ts';
import { buildSchema, readSeeds, type ContainerDialect, type Edition, type SeedData } from './schema.ts';
import { loadSeedRows } from './seed-rows.ts';
import { createSessions, type SessionSettings } from './sessions.ts';
import { cloneRows, createSnapshots, setInstanceProperties } from './snapshot.ts';
import { createStore, type Row, type Store } from './store.ts';
import { cancelledAnswer } from './transaction.ts';
import type { Transform } from './transform.ts';

export interface ServiceNowLabOptions {
  authority: LabAuthority;
  /** Folder for data and credentials (`<dir>/servicenow`); without it nothing is kept. */
  dir?: string;
  /** Wanted port; a free one where it is taken or absent. */
  port?: number;
  clock?: LabClock;
  /** Keeps the records over a restart; needs `dir`. Default false. */
  persist?: boolean;
  latency?: LatencyModel;
  /** The batch transaction quota (servicenow.md §5.4). Default 30,000 ms. */
  batchQuotaMs?: number;
  /** The transaction quota of every other request (servicenow.md §5.8). Default 60,000 ms. */
  transactionQuotaMs?: number;
  /** Further seed folders, read after the lab's own. */
  seedFolders?: string[];
  /** Which spelling of the container image columns the instance has. Default singular. */
  containerDialect?: ContainerDialect;
  /** Before or after the upgrade to USEM. Default usem. */
  edition?: Edition;
  /** How direct writes to the instance's tables are treated, and whether stock jobs run by the clock. Default plain. */
  business?: BusinessProfile;
  /** Domain separation from the start (servicenow.md §11). Default false; the admin API can switch it on later. */
  domains?: boolean;
  rateLimits?: Partial<RateLimitSettings>;
  sessions?: Partial<SessionSettings>;
  /** Starts as a clone: these records instead of the seeds' rows. */
  cloneOf?: InstanceImage;
}

/** What a clone takes from its source. */
export interface InstanceImage {
  /** Of the clone. */
  name: string;
  rows: Row[];
  passwords: Credentials['passwords'];
}

/** A running local ServiceNow. */
export interface ServiceNowLab {
  url: string;
  port: number;
  users: LabUser[];
  oauthClients: LabOAuthClient[];
  /** The property instance_id. */
  instanceId: string;
  /** Handlers for the admin API, to be registered under `/servicenow`. */
  adminHandlers: AdminHandlers;
  faults: FaultBook;
  log: RequestLog;
  store: Store;
  /** The stock jobs; `run` by name, whatever the profile. */
  jobs: Scheduler;
  summary(): Record<string, TableSummary>;
  close(): Promise<void>;
}

const DEFAULT_BATCH_QUOTA_MS = 30_000;
const DEFAULT_TRANSACTION_QUOTA_MS = 60_000;

/** Starts a local ServiceNow over TLS, filled from the seed files. */
export async function createServiceNowLab(options: ServiceNowLabOptions): Promise<ServiceNowLab> {
  const clock = options.clock ?? createClock();
  const dataDir = options.dir === undefined ? undefined : join(options.dir, 'servicenow');
  const seeds = readSeeds([join(import.meta.dirname, 'seed'), ...(options.seedFolders ?? [])]);
  const store = createStore(buildSchema(seeds, options.containerDialect ?? 'singular', options.edition ?? 'usem'), clock);
  const domains = createDomains(store, options.domains ?? false);
  loadRows(store, seeds, options.cloneOf);
  const journal = options.persist === true && dataDir !== undefined ? openJournal(dataDir, store) : undefined;
  const rules = createInstanceRules(store, options.business ?? 'plain');
  const jobs = createScheduler(clock, stockJobs(store, rules), (title) => isJobActive(store, title));
  jobs.setOn(rules.profile() === 'strict');
  store.addRule(generateClientCredentials);
  const seedUsers = seeds['users'] as SeedUser[];
  const credentials = loadCredentials(dataDir);
  Object.assign(credentials.passwords, options.cloneOf?.passwords);
  const accounts = createAccounts(store, seedUsers, credentials);
  const oauthClients = await registerSeedClients(store, seedUsers, credentials);
  saveCredentials(dataDir, credentials);
  const access = createAccess(store.schema, seeds['rules'] as AccessRule[], rules.restrictions);
  const background = createBackground();
  for (const policy of (seeds['policies'] ?? []) as Policy[]) rules.policies.add(policy);
  const attachments = createAttachmentFiles(store, background, journal === undefined ? undefined : join(dataDir ?? '', 'attachments'));
  const importSets = createImportSets(store, background, {
    transforms: (seeds['transforms'] ?? []) as Transform[],
    insertMultiple: (seeds['insertMultiple'] ?? []) as InsertMultiple[],
  });
  const oauth = createOAuth(store, accounts, clock);
  const pace = createPace(options.latency ?? {});
  const sessions = createSessions(clock, options.sessions);
  const rateLimits = createRateLimits(store, clock, options.rateLimits);
  const availability = createAvailability(clock);
  const faults = createFaultBook('servicenow');
  const log = createRequestLog();
  let url = '';
  const context: RouterContext = {
    store,
    access,
    accounts,
    oauth,
    faults,
    attachments,
    importSets,
    baseUrl: () => url,
    pace,
    locks: createLocks(),
    sessions,
    rateLimits,
    domains,
    batchQuotaMs: options.batchQuotaMs ?? DEFAULT_BATCH_QUOTA_MS,
    transactionQuotaMs: options.transactionQuotaMs ?? DEFAULT_TRANSACTION_QUOTA_MS,
    onBatchItem: (request, response) => logBatchItem(log, clock, request, `batch:${patternOf(request.url)}`, response.status),
    // No status: nobody was told what became of it.
    onUnserviced: (item) => logBatchItem(log, clock, item, 'batch:unserviced', 0),
  };
  const server = await startServer(context, options, { clock, log, availability });
  url = server.url;
  const { instanceId } = credentials;
  const named = options.cloneOf === undefined ? {} : { instance_name: options.cloneOf.name };
  setInstanceProperties(store, { instance_id: instanceId, 'glide.servlet.uri': `${url}/`, ...named });
  const snapshots = createSnapshots(store, oauth.tokens);
  const clones = createClones((name) => startClone(options, { name, store, clock, credentials, hasDomains: domains.isEnabled() }));
  return {
    url,
    port: server.port,
    users: accounts.users,
    oauthClients,
    instanceId,
    adminHandlers: {
      ...adminHandlers({
        store,
        access,
        oauth,
        faults,
        log,
        availability,
        pace,
        sessions,
        rateLimits,
        domains,
        quotas: context,
        snapshots,
        clones,
        attachments,
      }),
      ...ruleHandlers(store.schema, rules, jobs),
    },
    faults,
    log,
    store,
    jobs,
    summary: () => summary(store),
    close: async () => {
      jobs.close();
      pace.close();
      await clones.close();
      await server.close();
      background.close();
      closeJournal(journal);
    },
  };
}

function loadRows(store: Store, seeds: SeedData, image: InstanceImage | undefined): void {
  if (image === undefined) loadSeedRows(store, seeds);
  else for (const row of image.rows) store.load({ ...row });
}

/** A clone lives in memory on a port of its own; what it is made of is copied now. */
function startClone(
  options: ServiceNowLabOptions,
  source: { name: string; store: Store; clock: LabClock; credentials: Credentials; hasDomains: boolean },
): Promise<ServiceNowLab> {
  const same = { ...options };
  delete same.dir;
  delete same.port;
  delete same.persist;
  const image = { name: source.name, rows: cloneRows(source.store), passwords: { ...source.credentials.passwords } };
  return createServiceNowLab({ ...same, clock: source.clock, domains: source.hasDomains, cloneOf: image });
}

function closeJournal(journal: Journal | undefined): void {
  journal?.close();
}

async function startServer(
  context: RouterContext,
  options: ServiceNowLabOptions,
  parts: { clock: LabClock; log: RequestLog; availability: Availability },
): Promise<{ url: string; port: number; close: () => Promise<void> }> {
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const incoming = apiRequest({ method: request.method, url: request.url, headers: request.headers, body: rawBody(request) });
    const response = await respond(context, parts.availability, incoming);
    if (response.cookies !== undefined) void reply.header('set-cookie', response.cookies);
    return reply.code(response.status).headers(response.headers).send(response.body);
  };
  const server = createHttpsApp({
    certificate: await options.authority.issue({ hostNames: ['localhost', '127.0.0.1'] }),
    clock: parts.clock,
    log: parts.log,
    faults: context.faults,
    cancelled: cancelledAnswer,
    patternOf: (request) => patternOf(request.url),
    notFound: answer,
    failed: async (error, _request, reply) => reply.code(400).send(Error.isError(error) ? error.message : 'Bad request'),
  });
  server.app.all('/*', answer);
  const { url, port } = await server.listen({ port: options.port });
  return { url, port, close: () => server.close() };
}

/** The lab's own pages stay open whatever the instance does. */
async function respond(context: RouterContext, availability: Availability, request: ApiRequest): Promise<ApiResponse> {
  if (request.path === '/' || request.path === '/lab') return { status: 302, headers: { location: '/lab/' }, body: '' };
  if (request.path.startsWith('/lab/')) return handlePages(context.store, request);
  return availability.page() ?? route(context, request);
}

function logBatchItem(
  log: RequestLog,
  clock: LabClock,
  { method, url }: { method: string; url: string },
  pattern: string,
  status: number,
): void {
  log.record({
    at: clock.now().toISOString(),
    method,
    pattern,
    url,
    status,
    durationMs: 0,
  });
}
