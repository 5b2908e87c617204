/**
 * One HTTPS request and its answer as text. No redirects, no cookies, no retries (Temporal owns them), TLS always verified,
 * a cap on the answer and a deadline over the whole exchange. Knows nothing of tokens or of any service.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { Socket } from 'node:net';
import axios, { type AxiosInstance, isAxiosError } from 'axios';
import { createTrust, type Trust } from './trust.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** From the first byte sent to the last byte received. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * Asked at the last moment before the first byte leaves, on a connection that is open: when it says no, nothing is sent. A process
   * may stand still (a paused machine) anywhere between deciding to send and sending.
   */
  readonly mayLeave?: (() => boolean) | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  /** A header's value by its name in any case; several values are joined by a comma. */
  readonly header: (name: string) => string | undefined;
}

export interface Transport {
  /**
   * Sends one request; any HTTP status is an answer.
   * @throws TransportError when there is no answer; SyncError `misconfigured` when the file of trusted authorities cannot be read;
   * the signal's reason when it was aborted.
   */
  send(request: HttpRequest): Promise<HttpAnswer>;
  /** Ends idle connections, so that a process can leave. */
  close(): void;
}

/** `not-connected`, `untrusted` and `held-back` (by `mayLeave`): the request certainly never arrived. `connection-lost` and `timed-out`: it may have. */
export type TransportFailure = 'not-connected' | 'untrusted' | 'held-back' | 'connection-lost' | 'timed-out' | 'too-large';

/** Why there was no answer. Carries no request data: axios' own errors hold headers and bodies, so they are not kept as cause. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly failure: TransportFailure;
  readonly host: string;
  /** Node's code, for example `ECONNRESET`. */
  readonly code: string | undefined;

  constructor(failure: TransportFailure, host: string, code: string | undefined) {
    super(`${host}: ${failure}${code === undefined ? '' : ` (${code})`}`);
    this.failure = failure;
    this.host = host;
    this.code = code;
  }
}

export interface TransportOptions {
  /** PEM file of certificate authorities that are trusted besides the system's own; read again whenever it has changed. */
  readonly caFile?: string | undefined;
  readonly maxAnswerBytes: number;
  readonly userAgent?: string | undefined;
}

/** Makes a transport with its own pool of kept-alive connections; nothing is read or opened before the first request. */
export function createTransport(options: TransportOptions): Transport {
  const instance = axios.create({
    maxRedirects: 0,
    maxContentLength: options.maxAnswerBytes,
    maxBodyLength: options.maxAnswerBytes,
    responseType: 'text',
    // Without this axios would parse what looks like JSON and hide what was malformed.
    transformResponse: [(data: unknown) => data],
    validateStatus: () => true,
    headers: { 'User-Agent': options.userAgent ?? 'defender-sync' },
  });
  const agents = createAgents(createTrust(options.caFile));
  return { send: async (request) => send(instance, agents.current(), request), close: () => agents.close() };
}

interface Agents {
  current(): Agent;
  close(): void;
}

/** Keeps one agent, and makes another when other authorities are trusted; requests under way end on the old one. */
function createAgents(trust: Trust): Agents {
  let agent: Agent | undefined;
  let trusted: ReturnType<Trust['current']>;
  return {
    current() {
      const now = trust.current();
      if (agent !== undefined && now === trusted) return agent;
      if (agent !== undefined) retire(agent);
      trusted = now;
      agent = new Agent({ keepAlive: true, rejectUnauthorized: true, ...(now === undefined ? {} : { secureContext: now }) });
      return agent;
    },
    close: () => {
      if (agent !== undefined) retire(agent);
    },
  };
}

/** Its idle connections end now, those in use when their request has ended. */
function retire(agent: Agent): void {
  Object.assign(agent, { keepAlive: false });
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

async function send(instance: AxiosInstance, httpsAgent: Agent, request: HttpRequest): Promise<HttpAnswer> {
  request.signal?.throwIfAborted();
  const deadline = AbortSignal.timeout(request.timeoutMs);
  const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline]);
  try {
    const answer = await instance.request<unknown>({
      method: request.method,
      url: request.url,
      httpsAgent,
      headers: { ...request.headers },
      ...(request.body === undefined ? {} : { data: request.body }),
      signal,
      ...(request.mayLeave === undefined ? {} : { transport: askingFirst(request.mayLeave) }),
    });
    const headers = answer.headers as Record<string, unknown>;
    return {
      status: answer.status,
      text: typeof answer.data === 'string' ? answer.data : '',
      header: (name) => headerValue(headers[name.toLowerCase()]),
    };
  } catch (error) {
    request.signal?.throwIfAborted();
    const { host } = new URL(request.url);
    if (deadline.aborted) throw new TransportError('timed-out', host, 'ETIMEDOUT');
    throw new TransportError(failureOf(error), host, codeOf(error));
  }
}

/** Of the error that ends a request that may not leave any more. */
const heldBackCode = 'HELD_BACK';
type MakeRequest = (options: RequestOptions, onAnswer: (answer: IncomingMessage) => void) => ClientRequest;

/** Node's own way to make a request, which stops at an open connection until it was asked. */
function askingFirst(mayLeave: () => boolean): { readonly request: MakeRequest } {
  const ask = (outgoing: ClientRequest): void => {
    if (!mayLeave()) outgoing.destroy(Object.assign(new Error('Held back.'), { code: heldBackCode }));
  };
  return {
    request: (options, onAnswer) => {
      const outgoing = httpsRequest(options, onAnswer);
      return outgoing.once('socket', (socket) => {
        if (!isShakingHands(socket)) {
          ask(outgoing);
          return;
        }
        // What is written before the handshake has ended would leave by itself then.
        socket.cork();
        socket.once('secureConnect', () => {
          ask(outgoing);
          socket.uncork();
        });
      });
    },
  };
}

/** Node has the property, its types do not. */
function isShakingHands(socket: Socket): boolean {
  return 'secureConnecting' in socket && socket.secureConnecting === true;
}

function headerValue(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.join(', ') : undefined;
}

const neverConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'ENETDOWN']);

function failureOf(error: unknown): TransportFailure {
  const code = codeOf(error) ?? '';
  if (code === heldBackCode) return 'held-back';
  if (code === 'HPE_HEADER_OVERFLOW' || (isAxiosError(error) && error.message.startsWith('maxContentLength'))) return 'too-large';
  if (/CERT|SIGNED|ISSUER|UNABLE_TO_VERIFY|CRL|HOSTNAME_MISMATCH|ERR_TLS|^ERR_SSL|^EPROTO/.test(code)) return 'untrusted';
  return neverConnected.has(code) ? 'not-connected' : 'connection-lost';
}

function codeOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

const maxRetryAfterMs = 60 * 60 * 1000;

/** Milliseconds that a `Retry-After` header asks for (seconds or a date), at most an hour; undefined when absent or unreadable. */
export function retryAfterMs(header: string | undefined, nowMs: number = Date.now()): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const seconds = Number(header);
  const waitMs = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), maxRetryAfterMs);
}

/**
 * A vendor's text made fit for our messages: one line, no control characters, at most 300 characters, without anything that
 * looks like a token and without the given secrets.
 */
export function vendorSentence(text: string, secrets: readonly string[] = []): string {
  let clean = text;
  for (const secret of secrets) if (secret.length >= 4) clean = clean.replaceAll(secret, '[removed]');
  clean = clean
    .replace(/eyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, '[removed]')
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 [removed]')
    .replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
    .toWellFormed();
  return clean.length <= 300 ? clean : `${clean.slice(0, 299).toWellFormed()}…`;
}

/** True for a plain JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
