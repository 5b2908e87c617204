import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Server } from 'node:https';
import type { LabClock } from './clock.ts';
import type { FaultAction, FaultBook } from './faults.ts';
import { listenOnLoopback } from './listen.ts';
import type { RequestLog } from './request-log.ts';
import type { LabCertificate } from './tls.ts';

export interface HttpsAppOptions {
  /** Undefined: plain HTTP, as the metadata service of a virtual machine speaks it. */
  certificate: LabCertificate | undefined;
  clock: LabClock;
  faults: FaultBook;
  log: RequestLog;
  /** What a fault rule with `cancelTransaction` makes of an answer; without it such rules do nothing. */
  cancelled?: (
    kind: NonNullable<FaultAction['cancelTransaction']>,
    answer: { status: number; body: string | Buffer },
  ) => { status: number; body: string };
  /** Largest request body; default 64 MB, so that the routes decide what is too large. */
  bodyLimitBytes?: number;
  /** The pattern a request is counted under; default: the route's pattern, else the path. */
  patternOf?: (request: FastifyRequest) => string;
  /** Answers what no route answers. */
  notFound: (request: FastifyRequest, reply: FastifyReply) => unknown;
  /** Answers what a route threw; `error` may be one of fastify's own (a body over the limit: statusCode 413). */
  failed: (error: unknown, request: FastifyRequest, reply: FastifyReply) => unknown;
}

/** A fastify instance over TLS whose routes get the raw body: `request.body` is a Buffer, or undefined. */
export interface HttpsApp {
  app: FastifyInstance<Server>;
  /** Listens on 127.0.0.1, on the wanted port or a free one; returns `https://localhost:PORT` (plain: `http://127.0.0.1:PORT`) and the port. */
  listen(options: { port?: number | undefined }): Promise<{ url: string; port: number }>;
  /** Stops listening and ends open connections. */
  close(): Promise<void>;
}

const DEFAULT_BODY_LIMIT_BYTES = 64 * 1024 * 1024;
/** Long URLs must reach the routes: what is too long is theirs to say. */
const MAX_HEADER_BYTES = 256 * 1024;

/** Makes the server that both labs share: raw bodies, fault rules before the routes, every request counted. */
export function createHttpsApp(options: HttpsAppOptions): HttpsApp {
  const { certificate } = options;
  const app = openApp(options);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });
  app.setNotFoundHandler((request, reply) => options.notFound(request, reply));
  app.setErrorHandler((error, request, reply) => options.failed(error, request, reply));
  countRequests(app, options);
  injectFaults(app, options);
  return {
    app,
    listen: async ({ port }) => {
      await app.ready();
      const actual = await listenOnLoopback(app.server, port);
      return {
        url: certificate === undefined ? `http://127.0.0.1:${String(actual)}` : `https://localhost:${String(actual)}`,
        port: actual,
      };
    },
    close: async () => {
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

function openApp({ certificate, bodyLimitBytes = DEFAULT_BODY_LIMIT_BYTES }: HttpsAppOptions): FastifyInstance<Server> {
  const common = {
    bodyLimit: bodyLimitBytes,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: MAX_HEADER_BYTES },
  } as const;
  if (certificate !== undefined) return fastify({ ...common, https: { ...certificate, maxHeaderSize: MAX_HEADER_BYTES } });
  // Routes, hooks and listening are the same over both; only the type of the server underneath differs.
  return fastify({ ...common, http: { maxHeaderSize: MAX_HEADER_BYTES } }) as unknown as FastifyInstance<Server>;
}

/** The raw body of a request; empty where none was sent. */
export function rawBody(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

function countRequests(app: FastifyInstance<Server>, { clock, log, patternOf }: HttpsAppOptions): void {
  app.addHook('onRequest', async (request, reply) => {
    const startedMs = performance.now();
    // 'close' comes after an answer and after a cut connection alike.
    reply.raw.once('close', () => {
      log.record({
        at: clock.now().toISOString(),
        method: request.method,
        pattern: patternOf?.(request) ?? request.routeOptions.url ?? request.url.split('?', 1)[0] ?? '',
        url: request.url,
        status: reply.raw.writableFinished ? reply.statusCode : 0,
        durationMs: Math.round(performance.now() - startedMs),
      });
    });
  });
}

function injectFaults(app: FastifyInstance<Server>, { faults, cancelled }: HttpsAppOptions): void {
  const pending = new WeakMap<FastifyRequest, FaultAction>();
  app.addHook('preHandler', async (request, reply) => {
    const action = faults.take({ method: request.method, url: request.url, body: rawBody(request) });
    if (action === undefined) return;
    if (action.delayMs !== undefined) await sleep(action.delayMs);
    if (action.dropConnection === 'before') {
      reply.hijack();
      request.raw.socket.destroy();
      return;
    }
    if (action.status !== undefined) return sendFault(reply, action, action.status);
    pending.set(request, action);
  });
  app.addHook('onSend', async (request, reply, payload: unknown) => {
    const action = pending.get(request);
    if (action?.dropConnection === 'after') {
      request.raw.socket.destroy();
      return payload;
    }
    if (action === undefined || (typeof payload !== 'string' && !Buffer.isBuffer(payload))) return payload;
    if (action.truncateBody === true) return truncated(reply, payload);
    if (action.cancelTransaction === undefined || cancelled === undefined) return payload;
    const answer = cancelled(action.cancelTransaction, { status: reply.statusCode, body: payload });
    void reply.code(answer.status).removeHeader('content-length');
    return answer.body;
  });
}

function sendFault(reply: FastifyReply, action: FaultAction, status: number): FastifyReply {
  void reply.code(status).headers(action.headers ?? {});
  if (action.body === undefined || typeof action.body === 'string') return reply.send(action.body ?? '');
  if (!reply.hasHeader('content-type')) void reply.type('application/json;charset=UTF-8');
  return reply.send(JSON.stringify(action.body));
}

/** Announces the whole length, sends half, then fails: the client sees a cut transfer, not a short answer. */
function truncated(reply: FastifyReply, payload: string | Buffer): Readable {
  const bytes = Buffer.from(payload);
  void reply.header('content-length', bytes.length);
  return Readable.from(
    (async function* () {
      yield bytes.subarray(0, Math.floor(bytes.length / 2));
      await sleep(20);
      throw new Error('The answer was cut by a fault rule.');
    })(),
  );
}
