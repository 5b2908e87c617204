/** One request to the instance: authorisation, gate, status, JSON (servicenow.md §5.2, §5.8). */
import { SyncError } from '../errors.ts';
import type { CallKind, Gate } from '../model.ts';
import { answerError, throttleMs, transportError, unreadableAnswer, type Effect, type RequestFacts } from './errors.ts';
import type { Authorizer } from './oauth.ts';
import type { RateLimitBook } from './rate-limits.ts';
import type { HttpAnswer, Transport } from '../transport.ts';

export interface ServiceNowRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Absolute path, already escaped, without a query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>> | undefined;
  readonly body?: unknown;
  /** What the request counts as in the report. */
  readonly kind: CallKind;
  readonly effect: Effect;
  /** Default: longer than the platform's quota for this kind of request. */
  readonly timeoutMs?: number | undefined;
  /** Statuses that are an answer besides 200 to 299 (202 is never one). */
  readonly alsoFine?: readonly number[] | undefined;
  /**
   * Called with the slot in hand, directly before the request goes out, and again before it is repeated with a fresh token.
   * When it throws, nothing is sent; neither when the request cannot leave soon after (`Timeouts.leaveMs`), because the process stood
   * still meanwhile: that ends as `outcome-unknown`, as whoever has taken over by then sees it.
   */
  readonly beforeSend?: (() => Promise<void>) | undefined;
  /** Ends the wait for a slot, and a request that is under way; one with `beforeSend` is waited for once it is under way. */
  readonly signal?: AbortSignal | undefined;
}

export interface ServiceNowAnswer {
  readonly status: number;
  /** Parsed JSON; undefined for an empty body. */
  readonly body: unknown;
  readonly header: (name: string) => string | undefined;
}

/** @throws SyncError of every kind that errors.ts casts; the signal's reason when aborted */
export type Send = (request: ServiceNowRequest) => Promise<ServiceNowAnswer>;

export interface Timeouts {
  /** Table, Aggregate, Attachment, IRE: the platform cancels after 60 s (default 75,000). */
  readonly requestMs: number;
  /** Batch: the platform cancels after 30 s (default 45,000). */
  readonly batchMs: number;
  /** How long after the call of `beforeSend` a request may still leave (default 15,000). */
  readonly leaveMs: number;
}

export const defaultTimeouts: Timeouts = { requestMs: 75_000, batchMs: 45_000, leaveMs: 15_000 };
/** Above 8,192 bytes of URL the instance answers 414. */
const maxUrlBytes = 8_000;

export interface SendOptions {
  /** https origin of the instance. */
  readonly url: string;
  readonly transport: Transport;
  readonly authorizer: Authorizer;
  readonly gate: Gate;
  readonly timeouts: Timeouts;
  /** Told what each answer says of the rule that counts its requests. */
  readonly rateLimits?: RateLimitBook | undefined;
}

export function createSend(options: SendOptions): Send {
  const { gate, authorizer, transport } = options;
  return async (request) => {
    const url = urlOf(options.url, request);
    const what = `${request.method} ${request.path}`;
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const sendOnce = async (authorization: string): Promise<HttpAnswer> => {
      try {
        return await gate.pass(
          request.kind,
          async (signal) => {
            signal.throwIfAborted();
            const mayLeave = request.beforeSend && within(options.timeouts.leaveMs);
            await request.beforeSend?.();
            const answer = await transport.send({
              method: request.method,
              url,
              headers: headersOf(authorization, body),
              body,
              timeoutMs: request.timeoutMs ?? options.timeouts.requestMs,
              // Given up, it would be carried out all the same, and nobody would know.
              signal: request.beforeSend === undefined ? signal : undefined,
              mayLeave,
            });
            options.rateLimits?.note(request, answer);
            // With the slot still in hand: nobody who waits for it may send before the time.
            if (answer.status === 429) await gate.holdBack(throttleMs(answer));
            return answer;
          },
          request.signal,
        );
      } catch (error) {
        throw transportError(error, { what, effect: request.effect });
      }
    };
    const authorization = await authorizer.authorize({ gate, signal: request.signal });
    let answer = await sendOnce(authorization);
    // A refused token did nothing, so even a write may be sent again with a fresh one.
    if (answer.status === 401 && authorizer.renewable) {
      answer = await sendOnce(await authorizer.authorize({ gate, signal: request.signal, rejected: authorization }));
    }
    return readAnswer(answer, { what, effect: request.effect, secrets: authorizer.secrets }, request.alsoFine ?? []);
  };
}

/** True for so long. By both clocks: one stands still while the machine sleeps, the other may be put right. */
function within(timeMs: number): () => boolean {
  const [startedMs, startedAtMs] = [performance.now(), Date.now()];
  return () => Math.max(performance.now() - startedMs, Date.now() - startedAtMs) < timeMs;
}

function readAnswer(answer: HttpAnswer, facts: RequestFacts, alsoFine: readonly number[]): ServiceNowAnswer {
  const fine = (answer.status >= 200 && answer.status < 300 && answer.status !== 202) || alsoFine.includes(answer.status);
  let body: unknown;
  try {
    body = answer.text.trim() === '' ? undefined : JSON.parse(answer.text);
  } catch {
    // The parser's message quotes the text, which may be data.
    if (fine) throw unreadableAnswer(answer, facts);
  }
  if (!fine) throw answerError(answer, body, facts);
  return { status: answer.status, body, header: answer.header };
}

function urlOf(base: string, request: ServiceNowRequest): string {
  const url = new URL(request.path, base);
  const origin = new URL(base).origin;
  const query = Object.entries(request.query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`],
  );
  const href = query.length === 0 ? url.href : `${url.href}?${query.join('&')}`;
  if (url.origin !== origin || Buffer.byteLength(href) - origin.length > maxUrlBytes) {
    throw new SyncError({
      kind: 'bug',
      service: 'servicenow',
      message: `${request.method} ${request.path} was not sent: its URL ${url.origin === origin ? 'is longer than the instance accepts' : 'leaves the instance'}.`,
    });
  }
  return href;
}

function headersOf(authorization: string, body: string | undefined): Record<string, string> {
  return {
    Authorization: authorization,
    Accept: 'application/json',
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
  };
}
