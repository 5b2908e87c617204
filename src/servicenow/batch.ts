/** The Batch API (servicenow.md §5.4): many requests in one, one outcome for each. */
import { SyncError } from '../errors.ts';
import type { CallKind, Gate, SysId } from '../model.ts';
import { defaultThrottleMs, isQuotaCancel, refusalOf, readFailure, type Effect } from './errors.ts';
import type { Send, ServiceNowRequest, Timeouts } from './http.ts';
import type { Attempt } from './remedies.ts';
import { sysIdOf, type Row } from './table.ts';
import { isObject } from '../transport.ts';

/** One request inside a batch. */
export interface BatchItem {
  /** Unique in its batch. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path with its query, already escaped. */
  readonly path: string;
  readonly body?: unknown;
}

export type BatchOutcome =
  | {
      readonly outcome: 'answered';
      readonly status: number;
      /** Parsed JSON; undefined when the body is empty or not JSON. */
      readonly body: unknown;
      readonly executionMs: number | undefined;
    }
  /** The platform ended the batch before, or while, it handled this one: it may or may not have been carried out. */
  | { readonly outcome: 'unserviced' };

export interface BatchOptions {
  readonly kind: CallKind;
  readonly effect: Effect;
  /** The place to commit an intent. */
  readonly beforeSend?: ServiceNowRequest['beforeSend'];
  readonly signal?: AbortSignal | undefined;
}

export interface BatchApi {
  /**
   * Sends one batch and returns one outcome per item, in the order of the items. Items run one after the other; there is no
   * all-or-nothing.
   * @throws SyncError `outcome-unknown` when a writing batch got no usable answer; `bug` when it is larger than {@link cutBatches} allows
   */
  sendBatch(items: readonly BatchItem[], options: BatchOptions): Promise<readonly BatchOutcome[]>;
}

/** The instance refuses items above 5 MB and requests above 10 MB; base64 adds a third. */
const maxItemBytes = 5 * 1024 * 1024;
const maxBatchBytes = 5 * 1024 * 1024;

export interface BatchDependencies {
  readonly send: Send;
  readonly timeouts: Timeouts;
  readonly gate: Pick<Gate, 'holdBack'>;
}

export function createBatchApi({ send, timeouts, gate }: BatchDependencies): BatchApi {
  return {
    sendBatch: async (items, { kind, effect, beforeSend, signal }) => {
      if (items.length === 0) return [];
      requireSendable(items);
      const { body } = await send({
        method: 'POST',
        path: '/api/now/v1/batch',
        body: { batch_request_id: '1', rest_requests: items.map(wireItem) },
        kind,
        effect,
        timeoutMs: timeouts.batchMs,
        beforeSend,
        signal,
      });
      const outcomes = readOutcomes(items, body, effect);
      // A rate rule may count the items of a batch one by one; their headers, and with them Retry-After, are not sent.
      if (outcomes.some((one) => one.outcome === 'answered' && one.status === 429)) await gate.holdBack(defaultThrottleMs);
      return outcomes;
    },
  };
}

/** Bytes that an item takes in a request. */
export function itemBytes(item: BatchItem): number {
  const bodyBytes = item.body === undefined ? 0 : Math.ceil(Buffer.byteLength(JSON.stringify(item.body)) / 3) * 4;
  return bodyBytes + Buffer.byteLength(item.path) + item.id.length + 200;
}

/**
 * Cuts items into batches of at most `maxItems` (default 100) and 5 MB, keeping their order. Items that are too large for any
 * batch are given back apart.
 */
export function cutBatches(
  items: readonly BatchItem[],
  maxItems = 100,
): { readonly batches: readonly (readonly BatchItem[])[]; readonly tooLarge: readonly BatchItem[] } {
  const batches: BatchItem[][] = [];
  const tooLarge: BatchItem[] = [];
  let current: BatchItem[] = [];
  let used = 0;
  for (const item of items) {
    const bytes = itemBytes(item);
    if (bytes > maxItemBytes) {
      tooLarge.push(item);
      continue;
    }
    if (current.length > 0 && (current.length >= maxItems || used + bytes > maxBatchBytes)) {
      batches.push(current);
      current = [];
      used = 0;
    }
    current.push(item);
    used += bytes;
  }
  if (current.length > 0) batches.push(current);
  return { batches, tooLarge };
}

function requireSendable(items: readonly BatchItem[]): void {
  const because =
    new Set(items.map(({ id }) => id)).size !== items.length
      ? 'two items share an id'
      : cutBatches(items, items.length).batches.length !== 1
        ? 'it is larger than 5 MB'
        : undefined;
  if (because !== undefined) throw new SyncError({ kind: 'bug', service: 'servicenow', message: `A batch was not sent: ${because}.` });
}

function wireItem({ id, method, path, body }: BatchItem): unknown {
  return {
    id,
    method,
    url: path,
    headers: [
      { name: 'Accept', value: 'application/json' },
      ...(body === undefined ? [] : [{ name: 'Content-Type', value: 'application/json' }]),
    ],
    exclude_response_headers: true,
    ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body), 'utf8').toString('base64') }),
  };
}

function readOutcomes(items: readonly BatchItem[], body: unknown, effect: Effect): readonly BatchOutcome[] {
  const serviced = isObject(body) ? body['serviced_requests'] : undefined;
  if (!Array.isArray(serviced)) {
    throw new SyncError({
      kind: effect === 'write' ? 'outcome-unknown' : 'malformed-answer',
      service: 'servicenow',
      message: 'The answer to a batch has no list of serviced requests.',
    });
  }
  const byId = new Map<string, BatchOutcome>();
  for (const answer of serviced) {
    const status = isObject(answer) ? Number(answer['status_code']) : Number.NaN;
    if (!isObject(answer) || !Number.isInteger(status)) continue;
    const executionMs = Number(answer['execution_time'] ?? Number.NaN);
    byId.set(String(answer['id']), {
      outcome: 'answered',
      status,
      body: decodeBody(answer['body']),
      executionMs: Number.isFinite(executionMs) ? executionMs : undefined,
    });
  }
  // An item that no list names, or whose answer has no status, is as unknown as one that is listed as unserviced.
  return items.map(({ id }) => byId.get(id) ?? { outcome: 'unserviced' });
}

function decodeBody(body: unknown): unknown {
  if (typeof body !== 'string' || body === '') return undefined;
  try {
    return JSON.parse(Buffer.from(body, 'base64').toString('utf8'));
  } catch {
    // Not JSON: the status decides, and a success without a readable record counts as unknown.
    return undefined;
  }
}

export type WriteResult =
  | { readonly result: 'written'; readonly sysId: SysId; readonly row: Row }
  | {
      readonly result: 'refused';
      readonly kind: 'acl' | 'oauth-scope' | 'business-rule' | 'data-policy' | 'duplicate' | 'invalid';
      readonly status: number;
      /** In the instance's words. */
      readonly reason: string;
      readonly remedy: string;
    }
  /** May or may not have been carried out: look it up before sending it again. `answered`: about this very record. */
  | { readonly result: 'unknown'; readonly because: string; readonly answered: boolean }
  /** Certainly not carried out: send it again later. */
  | { readonly result: 'throttled'; readonly because: string }
  /** The record to update does not exist any more, or is hidden. */
  | { readonly result: 'gone' };

/** What became of one create or update item (servicenow.md §5.2, §5.4). */
export function classifyWrite(outcome: BatchOutcome, attempt?: Attempt): WriteResult {
  if (outcome.outcome === 'unserviced') return { result: 'unknown', because: 'the batch ended before it', answered: false };
  const { status, body } = outcome;
  if (status === 200 || status === 201) {
    const written = sysIdOf(body);
    if (written !== undefined) return { result: 'written', ...written };
    return { result: 'unknown', because: 'the answer names no record', answered: true };
  }
  if (status === 429 || status === 503 || status === 401) return { result: 'throttled', because: `status ${status}` };
  const failure = readFailure(body);
  if (status === 202 || status >= 500) {
    const cancelled = isQuotaCancel(`${failure.message} ${failure.detail}`);
    return { result: 'unknown', because: `status ${status}`, answered: status !== 202 && !cancelled };
  }
  if (status === 404 && /no record found/i.test(failure.message)) return { result: 'gone' };
  const { kind, reason, remedy } = refusalOf(failure, [], attempt);
  return {
    result: 'refused',
    kind: recordKinds.has(kind) ? (kind as RecordKind) : status === 403 ? 'acl' : 'invalid',
    status,
    reason,
    remedy,
  };
}

type RecordKind = Extract<WriteResult, { result: 'refused' }>['kind'];
const recordKinds: ReadonlySet<string> = new Set<RecordKind>(['oauth-scope', 'business-rule', 'data-policy', 'duplicate']);
export type RemovalResult =
  | { readonly result: 'removed' }
  /** It was not there any more, or is hidden. */
  | { readonly result: 'gone' }
  | { readonly result: 'refused'; readonly reason: string; readonly remedy: string }
  /** May or may not have been carried out; asking again does no harm. */
  | { readonly result: 'unknown' }
  | { readonly result: 'throttled' };

/** What became of one delete item (servicenow.md §5.2; examples/servicenow/table-api/delete_204_no_body). */
export function classifyRemoval(outcome: BatchOutcome): RemovalResult {
  if (outcome.outcome === 'unserviced') return { result: 'unknown' };
  const { status, body } = outcome;
  if (status === 200 || status === 204) return { result: 'removed' };
  if (status === 429 || status === 503 || status === 401) return { result: 'throttled' };
  if (status === 202 || status >= 500) return { result: 'unknown' };
  const failure = readFailure(body);
  if (status === 404 && /no record found/i.test(failure.message)) return { result: 'gone' };
  return { result: 'refused', ...refusalOf(failure) };
}
