import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { loadOrCreateAuthority, type LabAuthority } from '../../../lab/kit/tls.ts';
import type { CallKind, Gate } from '../../../src/model.ts';

export interface Received {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What a handler answers: a status with a JSON value or text, or a connection that is cut. */
export type Reply =
  | { readonly status: number; readonly json?: unknown; readonly text?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly cut: true }
  | { readonly never: true };

export type Handler = (request: Received, index: number) => Reply | Promise<Reply>;

export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** Replaces the handler; the next requests see it. */
  answer(handler: Handler): void;
  close(): Promise<void>;
}

export interface TestAuthority {
  readonly caFile: string;
  readonly dir: string;
  listen(handler?: Handler): Promise<TestServer>;
  remove(): Promise<void>;
}

/** A certificate authority in a folder of its own, and HTTPS servers that it vouches for. */
export async function createTestAuthority(): Promise<TestAuthority> {
  const dir = await mkdtemp(join(tmpdir(), 'defender-sync-client-'));
  const authority = await loadOrCreateAuthority(dir);
  return {
    caFile: authority.caFile,
    dir,
    listen: (handler) => listen(authority, handler ?? (() => ({ status: 500, text: 'no handler' }))),
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}

async function listen(authority: LabAuthority, first: Handler): Promise<TestServer> {
  const certificate = await authority.issue({ hostNames: ['localhost', '127.0.0.1'] });
  const received: Received[] = [];
  let handler = first;
  const server = createServer(certificate, (request, response) => {
    void respond(request, response, received, (seen, index) => handler(seen, index));
  });
  const port = await listening(server);
  return {
    url: `https://localhost:${port}`,
    port,
    received,
    answer: (next) => {
      handler = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

async function respond(request: IncomingMessage, response: ServerResponse, received: Received[], handler: Handler): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const seen: Received = {
    method: request.method ?? '',
    url: new URL(request.url ?? '/', 'https://localhost'),
    headers: request.headers,
    body: Buffer.concat(chunks).toString('utf8'),
  };
  received.push(seen);
  const reply = await handler(seen, received.length - 1);
  if ('never' in reply) return;
  if ('cut' in reply) {
    request.socket.destroy();
    return;
  }
  response.writeHead(reply.status, {
    'Content-Type': reply.text === undefined ? 'application/json;charset=UTF-8' : 'text/plain',
    ...reply.headers,
  });
  response.end(reply.text ?? (reply.json === undefined ? '' : JSON.stringify(reply.json)));
}

export interface CountingGate extends Gate {
  readonly passed: CallKind[];
  readonly heldBackMs: number[];
}

/** A gate that lets everything pass and remembers what did. */
export function createCountingGate(): CountingGate {
  const passed: CallKind[] = [];
  const heldBackMs: number[] = [];
  return {
    passed,
    heldBackMs,
    pass: (kind, send, signal) => {
      passed.push(kind);
      return send(signal ?? new AbortController().signal);
    },
    holdBack: (forMs) => {
      heldBackMs.push(forMs);
      return Promise.resolve();
    },
  };
}

/** The error that a promise rejects with; fails the test when it does not. */
export async function rejection(promise: Promise<unknown>): Promise<Record<string, unknown> & { message: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Record<string, unknown> & { message: string };
  }
  throw new Error('It was expected to fail, and did not.');
}

/** Everything an error would show in a log: message, stack, fields and causes, all the way down. */
export function everythingIn(error: unknown, depth = 0): string {
  if (typeof error !== 'object' || error === null || depth > 5) return String(error);
  const own = Object.getOwnPropertyNames(error).map(
    (name) => `${name}: ${everythingIn((error as Record<string, unknown>)[name], depth + 1)}`,
  );
  return own.join('\n');
}
