import { Readable } from 'node:stream';
import fastify, { type FastifyReply } from 'fastify';
import { listenOnLoopback } from './listen.ts';

/** What an admin handler gets: path parameters, query parameters and the parsed JSON body. */
export interface AdminRequest {
  params: Record<string, string>;
  query: Record<string, string>;
  body: unknown;
}

export type AdminMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Returns what is answered as JSON; a Readable is sent as it is; undefined answers 204. */
export type AdminHandler = (request: AdminRequest) => unknown;

/** Handlers by `METHOD /path`, fastify's path syntax: `GET /rows/:table`. */
export type AdminHandlers = Partial<Record<`${AdminMethod} /${string}`, AdminHandler>>;

/** An error that an admin handler throws on purpose; the message goes to the client. */
export class AdminError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'AdminError';
    this.status = status;
  }
}

/** The lab's remote control: plain HTTP, loopback only, JSON. It plays operators, administrators and failures. */
export interface AdminApi {
  /** Adds handlers below a prefix (`/servicenow`, `/azure`, or '' for the root). Before `listen` only. */
  register(prefix: string, handlers: AdminHandlers): void;
  listen(options: { port?: number | undefined }): Promise<{ url: string; port: number }>;
  close(): Promise<void>;
}

const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

/** Makes an admin API without routes. */
export function createAdminApi(): AdminApi {
  const app = fastify({ bodyLimit: BODY_LIMIT_BYTES, forceCloseConnections: true });
  // A DELETE with the JSON content type and no body is no mistake worth refusing.
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(body.toString()));
    } catch {
      done(new AdminError(400, 'The body is not JSON.'));
    }
  });
  app.setErrorHandler(async (error, _request, reply) => {
    const status = error instanceof AdminError ? error.status : 500;
    return reply.code(status).send({ error: Error.isError(error) ? error.message : String(error) });
  });
  app.setNotFoundHandler(async (request, reply) => reply.code(404).send({ error: `No admin route ${request.method} ${request.url}.` }));
  return {
    register: (prefix, handlers) => {
      for (const [route, handler] of Object.entries(handlers) as [string, AdminHandler][]) {
        const [method, path] = route.split(' ', 2) as [AdminMethod, string];
        app.route({
          method,
          url: `${prefix}${path}`,
          handler: async (request, reply) => {
            const result: unknown = await handler({
              params: request.params as Record<string, string>,
              query: request.query as Record<string, string>,
              body: request.body,
            });
            return answer(reply, result);
          },
        });
      }
    },
    listen: async ({ port }) => {
      await app.ready();
      const actual = await listenOnLoopback(app.server, port);
      return { url: `http://127.0.0.1:${String(actual)}`, port: actual };
    },
    close: async () => {
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

async function answer(reply: FastifyReply, result: unknown): Promise<FastifyReply> {
  if (result === undefined) return reply.code(204).send();
  if (result instanceof Readable) return reply.type('application/json').send(result);
  return reply.type('application/json').send(JSON.stringify(result));
}

/** `{"<key>":[…]}` as a stream, one element at a time: for answers that are too large for one string. */
export function jsonArrayStream(key: string, elements: Iterable<unknown>): Readable {
  const chunkElements = 500;
  return Readable.from(
    (function* () {
      yield `{${JSON.stringify(key)}:[`;
      let first = true;
      let chunk = '';
      let inChunk = 0;
      for (const element of elements) {
        chunk += `${first ? '' : ',\n'}${JSON.stringify(element)}`;
        first = false;
        inChunk += 1;
        if (inChunk < chunkElements) continue;
        yield chunk;
        chunk = '';
        inChunk = 0;
      }
      yield `${chunk}]}`;
    })(),
  );
}
