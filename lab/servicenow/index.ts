import { join } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AdminHandlers } from '../kit/admin-api.ts';
import { createClock, type LabClock } from '../kit/clock.ts';
import { createFaultBook, type FaultBook } from '../kit/faults.ts';
import { createHttpsApp, rawBody } from '../kit/https-app.ts';
import { createRequestLog, type RequestLog } from '../kit/request-log.ts';
import type { LabAuthority } from '../kit/tls.ts';
import { createAccess, type AccessRule } from './access.ts';
import { createAccounts, type LabOAuthClient, type LabUser, type SeedUser } from './accounts.ts';
import { adminHandlers, summary, type TableSummary } from './admin.ts';
import { businessRules, type BusinessProfile } from './business-rules.ts';
import { apiRequest, type ApiRequest, type ApiResponse } from './http.ts';
import { createLocks } from './ire/index.ts';
import { openJournal, type Journal } from './journal.ts';
import { createPace, type LatencyModel } from './latency.ts';
import { createOAuth } from './oauth.ts';
import { handlePages } from './pages.ts';
import { patternOf, route, type RouterContext } from './router.ts';
import { buildSchema, readSeeds, type ContainerDialect } from './schema.ts';
import { loadSeedRows } from './seed-rows.ts';
import { createStore, type Store } from './store.ts';

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
  /** Further seed folders, read after the lab's own. */
  seedFolders?: string[];
  /** Which spelling of the container image columns the instance has. Default singular. */
  containerDialect?: ContainerDialect;
  /** How much platform logic runs on writes. Default plain. */
  business?: BusinessProfile;
}

/** A running local ServiceNow. */
export interface ServiceNowLab {
  url: string;
  port: number;
  users: LabUser[];
  oauthClients: LabOAuthClient[];
  /** Handlers for the admin API, to be registered under `/servicenow`. */
  adminHandlers: AdminHandlers;
  faults: FaultBook;
  log: RequestLog;
  store: Store;
  summary(): Record<string, TableSummary>;
  close(): Promise<void>;
}

const DEFAULT_BATCH_QUOTA_MS = 30_000;

/** Starts a local ServiceNow over TLS, filled from the seed files. */
export async function createServiceNowLab(options: ServiceNowLabOptions): Promise<ServiceNowLab> {
  const clock = options.clock ?? createClock();
  const dataDir = options.dir === undefined ? undefined : join(options.dir, 'servicenow');
  const seeds = readSeeds([join(import.meta.dirname, 'seed'), ...(options.seedFolders ?? [])]);
  const schema = buildSchema(seeds, options.containerDialect ?? 'singular');
  const store = createStore(schema, clock);
  loadSeedRows(store, seeds);
  const journal = options.persist === true && dataDir !== undefined ? openJournal(dataDir, store) : undefined;
  for (const rule of businessRules(options.business ?? 'plain')) store.addRule(rule);
  const accounts = createAccounts(store, seeds['users'] as SeedUser[], dataDir);
  const access = createAccess(schema, seeds['rules'] as AccessRule[]);
  const oauth = createOAuth(store, accounts, clock);
  const faults = createFaultBook('servicenow');
  const log = createRequestLog();
  let url = '';
  const context: RouterContext = {
    store,
    access,
    accounts,
    oauth,
    faults,
    baseUrl: () => url,
    pace: createPace(options.latency ?? {}),
    locks: createLocks(),
    batchQuotaMs: options.batchQuotaMs ?? DEFAULT_BATCH_QUOTA_MS,
    onBatchItem: (request, response) => logBatchItem(log, clock, request, response),
  };
  const server = await startServer(context, options, { clock, log });
  url = server.url;
  return {
    url,
    port: server.port,
    users: accounts.users,
    oauthClients: accounts.oauthClients,
    adminHandlers: adminHandlers({ store, access, oauth, faults, log }),
    faults,
    log,
    store,
    summary: () => summary(store),
    close: async () => {
      await server.close();
      closeJournal(journal);
    },
  };
}

function closeJournal(journal: Journal | undefined): void {
  journal?.close();
}

async function startServer(
  context: RouterContext,
  options: ServiceNowLabOptions,
  parts: { clock: LabClock; log: RequestLog },
): Promise<{ url: string; port: number; close: () => Promise<void> }> {
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const response = await respond(
      context,
      apiRequest({ method: request.method, url: request.url, headers: request.headers, body: rawBody(request) }),
    );
    return reply.code(response.status).headers(response.headers).send(response.body);
  };
  const server = createHttpsApp({
    certificate: await options.authority.issue({ hostNames: ['localhost', '127.0.0.1'] }),
    clock: parts.clock,
    log: parts.log,
    faults: context.faults,
    patternOf: (request) => patternOf(request.url),
    notFound: answer,
    failed: async (error, _request, reply) => reply.code(400).send(Error.isError(error) ? error.message : 'Bad request'),
  });
  server.app.all('/*', answer);
  const { url, port } = await server.listen({ port: options.port });
  return { url, port, close: () => server.close() };
}

async function respond(context: RouterContext, request: ApiRequest): Promise<ApiResponse> {
  if (request.path === '/' || request.path === '/lab') return { status: 302, headers: { location: '/lab/' }, body: '' };
  if (request.path.startsWith('/lab/')) return handlePages(context.store, request);
  return route(context, request);
}

function logBatchItem(log: RequestLog, clock: LabClock, request: ApiRequest, response: ApiResponse): void {
  log.record({
    at: clock.now().toISOString(),
    method: request.method,
    pattern: `batch:${patternOf(request.url)}`,
    url: request.url,
    status: response.status,
    durationMs: 0,
  });
}
