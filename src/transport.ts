/**
 * One HTTPS request and its answer as text. No redirects, no cookies, no retries (Temporal owns them), TLS always verified,
 * a cap on the answer and a deadline over the whole exchange. Knows nothing of tokens or of any service.
 */
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { createSecureContext, getCACertificates } from 'node:tls';
import axios, { type AxiosInstance, isAxiosError } from 'axios';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** From the first byte sent to the last byte received. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
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
   * @throws TransportError when there is no answer; the signal's reason when it was aborted.
   */
  send(request: HttpRequest): Promise<HttpAnswer>;
  /** Ends idle connections, so that a process can leave. */
  close(): void;
}

/** `not-connected` and `untrusted`: the request certainly never arrived. `connection-lost` and `timed-out`: it may have. */
export type TransportFailure = 'not-connected' | 'untrusted' | 'connection-lost' | 'timed-out' | 'too-large';

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
  /** PEM file of certificate authorities that are trusted besides the system's own. */
  readonly caFile?: string | undefined;
  readonly maxAnswerBytes: number;
  readonly userAgent?: string | undefined;
}

/** The certificates to trust: the platform's and those of `caFile`; undefined when nothing is added. */
export function trustedAuthorities(caFile: string | undefined): string[] | undefined {
  return caFile === undefined ? undefined : [...getCACertificates('default'), readFileSync(caFile, 'utf8')];
}

/** Makes a transport with its own pool of kept-alive connections. Reads `caFile` at once. */
export function createTransport(options: TransportOptions): Transport {
  const ca = trustedAuthorities(options.caFile);
  // Made once: with the list itself in the agent's options every connection would parse hundreds of certificates again.
  const trust = ca === undefined ? {} : { secureContext: createSecureContext({ ca }) };
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: true, ...trust });
  const instance = axios.create({
    httpsAgent: agent,
    maxRedirects: 0,
    maxContentLength: options.maxAnswerBytes,
    maxBodyLength: options.maxAnswerBytes,
    responseType: 'text',
    // Without this axios would parse what looks like JSON and hide what was malformed.
    transformResponse: [(data: unknown) => data],
    validateStatus: () => true,
    headers: { 'User-Agent': options.userAgent ?? 'defender-sync' },
  });
  return { send: (request) => send(instance, request), close: () => agent.destroy() };
}

async function send(instance: AxiosInstance, request: HttpRequest): Promise<HttpAnswer> {
  request.signal?.throwIfAborted();
  const deadline = AbortSignal.timeout(request.timeoutMs);
  const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline]);
  try {
    const answer = await instance.request<unknown>({
      method: request.method,
      url: request.url,
      headers: { ...request.headers },
      ...(request.body === undefined ? {} : { data: request.body }),
      signal,
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

function headerValue(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.join(', ') : undefined;
}

const neverConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'ENETDOWN']);

function failureOf(error: unknown): TransportFailure {
  const code = codeOf(error) ?? '';
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
