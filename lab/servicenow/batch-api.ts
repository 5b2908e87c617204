import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, apiRequest, jsonBody, json, unparsable, type ApiRequest, type ApiResponse } from './http.ts';
import type { FaultBook } from '../kit/faults.ts';

const MAX_ITEM_REQUEST_BYTES = 5 * 1024 * 1024;
const MAX_ITEM_RESPONSE_BYTES = 10 * 1024 * 1024;

interface BatchItem {
  id: string;
  method: string;
  url: string;
  headers: { name: string; value: string }[];
  body: Buffer;
  excludeResponseHeaders: boolean;
}

export interface BatchOptions {
  /** After so much time the transaction is cancelled (servicenow.md §5.4: 30 s by default). */
  quotaMs: number;
  faults: FaultBook;
  /** Answers one item as if it had come alone, under the batch's caller. */
  dispatch: (request: ApiRequest) => Promise<ApiResponse>;
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
 * When the quota or a size limit is hit, the transaction is cancelled: what was not answered is in `unserviced_requests`. The item that
 * was running then has done its work all the same (errors/transaction_cancelled_500_or_partial_200.json).
 */
export async function handleBatch(request: ApiRequest, options: BatchOptions): Promise<ApiResponse> {
  if (request.method !== 'POST') throw new ApiError(405, 'Method not supported', null);
  const { batchId, items } = parseBatch(jsonBody(request));
  const maxOutputBytes = outputLimit(request);
  const startedMs = performance.now();
  const serviced: object[] = [];
  let outputBytes = 0;
  for (const item of items) {
    if (item.body.length > MAX_ITEM_REQUEST_BYTES || performance.now() - startedMs >= options.quotaMs) break;
    const itemStartedMs = performance.now();
    const response = await serve(item, request, options);
    outputBytes += Buffer.byteLength(response.body);
    const isCancelled = performance.now() - startedMs >= options.quotaMs || outputBytes > maxOutputBytes;
    if (isCancelled) break;
    serviced.push(itemAnswer(item, response, Math.round(performance.now() - itemStartedMs)));
  }
  const unserviced = items.slice(serviced.length).map(({ id }) => id);
  return json(200, { batch_request_id: batchId, serviced_requests: serviced, unserviced_requests: unserviced });
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
    body: Buffer.from(response.body).toString('base64'),
    status_code: response.status,
    status_text: STATUS_TEXTS[response.status] ?? '',
    headers: item.excludeResponseHeaders ? [] : Object.entries(response.headers).map(([name, value]) => ({ name, value })),
    execution_time: executionTimeMs,
  };
}

function outputLimit(request: ApiRequest): number {
  const asked = Number(request.headers['x-batchrequest-max-output-size']);
  return Number.isFinite(asked) && asked > 0 ? Math.min(asked, MAX_ITEM_RESPONSE_BYTES) : MAX_ITEM_RESPONSE_BYTES;
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
