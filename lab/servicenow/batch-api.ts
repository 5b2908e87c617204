import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, apiRequest, jsonBody, json, unparsable, type ApiRequest, type ApiResponse } from './http.ts';
import type { FaultBook } from '../kit/faults.ts';
import { propertyOf } from './query/evaluate.ts';
import type { Store } from './store.ts';

const MEGABYTE = 1024 * 1024;
const MAX_ITEM_REQUEST_MB = 5;
const MAX_ITEM_RESPONSE_MB = 10;

interface BatchItem {
  id: string;
  method: string;
  url: string;
  headers: { name: string; value: string }[];
  body: Buffer;
  excludeResponseHeaders: boolean;
}

export interface BatchOptions {
  store: Store;
  /** After so much time the transaction is cancelled (servicenow.md §5.4: 30 s by default). */
  quotaMs: number;
  faults: FaultBook;
  /** Answers one item as if it had come alone, under the batch's caller. */
  dispatch: (request: ApiRequest) => Promise<ApiResponse>;
  /** Called for every item that the transaction did not get to, or was cancelled with. */
  onUnserviced: (item: { method: string; url: string }) => void;
}

const STATUS_TEXTS: Record<number, string> = {
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
};

/**
 * `POST /api/now[/v1]/batch` (servicenow.md §5.4): one item after the other, each with an outcome of its own, nothing rolled back.
 * When the quota or a size limit of an item is hit, the transaction is cancelled: what was not answered is in `unserviced_requests`. The
 * item that was running then has done its work all the same (errors/transaction_cancelled_500_or_partial_200.json). Nobody asks whether
 * the client is still there: the transaction goes on without it.
 */
export async function handleBatch(request: ApiRequest, options: BatchOptions): Promise<ApiResponse> {
  if (request.method !== 'POST') throw new ApiError(405, 'Method not supported', null);
  const { batchId, items } = parseBatch(jsonBody(request));
  const maxInputBytes = limitBytes(options.store, 'glide.rest.batch.max.inputSize', MAX_ITEM_REQUEST_MB);
  const maxOutputBytes = outputLimit(request, options.store);
  const startedMs = performance.now();
  const serviced: object[] = [];
  for (const item of items) {
    if (item.body.length > maxInputBytes || performance.now() - startedMs >= options.quotaMs) break;
    const itemStartedMs = performance.now();
    const response = await serve(item, request, options);
    const isTooLarge = Buffer.byteLength(response.body) > maxOutputBytes;
    const isCancelled = performance.now() - startedMs >= options.quotaMs || isTooLarge;
    if (isCancelled) break;
    serviced.push(itemAnswer(item, response, Math.round(performance.now() - itemStartedMs)));
  }
  const unserviced = items.slice(serviced.length);
  for (const item of unserviced) options.onUnserviced(item);
  return json(200, { batch_request_id: batchId, serviced_requests: serviced, unserviced_requests: unserviced.map(({ id }) => id) });
}

async function serve(item: BatchItem, batch: ApiRequest, options: BatchOptions): Promise<ApiResponse> {
  const fault = options.faults.take({ method: item.method, url: item.url, body: item.body });
  if (fault?.delayMs !== undefined) await sleep(fault.delayMs);
  if (fault?.status !== undefined) {
    const body = typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body ?? '');
    return { status: fault.status, headers: fault.headers ?? {}, body };
  }
  const headers = Object.fromEntries(item.headers.map(({ name, value }) => [name.toLowerCase(), value]));
  return options.dispatch(
    apiRequest({
      method: item.method,
      url: item.url,
      headers: { ...headers, authorization: batch.headers.authorization },
      body: item.body,
    }),
  );
}

function itemAnswer(item: BatchItem, response: ApiResponse, executionTimeMs: number): object {
  return {
    id: item.id,
    body: asBuffer(response.body).toString('base64'),
    status_code: response.status,
    status_text: STATUS_TEXTS[response.status] ?? '',
    headers: item.excludeResponseHeaders ? [] : headerList(response),
    execution_time: executionTimeMs,
  };
}

function asBuffer(body: string | Buffer): Buffer {
  return typeof body === 'string' ? Buffer.from(body) : body;
}

/** An item tells its Content-Length too (batch/batch_two_gets_one_post.json). */
function headerList(response: ApiResponse): { name: string; value: string }[] {
  const headers = { ...response.headers, 'content-length': String(Buffer.byteLength(response.body)) };
  return Object.entries(headers).map(([name, value]) => ({ name, value }));
}

/** The header may lower the limit, never raise it. */
function outputLimit(request: ApiRequest, store: Store): number {
  const allowed = limitBytes(store, 'glide.rest.batch.max.outputSize', MAX_ITEM_RESPONSE_MB);
  const asked = Number(request.headers['x-batchrequest-max-output-size']);
  return Number.isFinite(asked) && asked > 0 ? Math.min(asked, allowed) : allowed;
}

/** A limit from a system property in MB, at most 10; the documentation names no unit, its defaults are in MB. */
function limitBytes(store: Store, property: string, defaultMb: number): number {
  const set = Number(propertyOf(store, property));
  return (set > 0 ? Math.min(set, 10) : defaultMb) * MEGABYTE;
}

function parseBatch(body: unknown): { batchId: string; items: BatchItem[] } {
  if (typeof body !== 'object' || body === null) throw unparsable();
  const { batch_request_id: batchId, rest_requests: requests } = body as Record<string, unknown>;
  if (!Array.isArray(requests)) throw unparsable();
  return { batchId: textOf(batchId), items: requests.map(parseItem) };
}

function parseItem(value: unknown): BatchItem {
  if (typeof value !== 'object' || value === null) throw unparsable();
  const item = value as Record<string, unknown>;
  if (typeof item['url'] !== 'string' || typeof item['method'] !== 'string') throw unparsable();
  const headers = Array.isArray(item['headers']) ? (item['headers'] as { name: string; value: string }[]) : [];
  return {
    id: textOf(item['id']),
    method: item['method'].toUpperCase(),
    url: item['url'],
    headers,
    body: typeof item['body'] === 'string' ? Buffer.from(item['body'], 'base64') : Buffer.alloc(0),
    excludeResponseHeaders: item['exclude_response_headers'] === true,
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
