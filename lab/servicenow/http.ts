import type { IncomingHttpHeaders } from 'node:http';
import { parseLeniently } from './lenient-json.ts';

/** A request as the API rooms see it, whether it came over the wire or inside a batch. */
export interface ApiRequest {
  method: string;
  /** Path and query string as sent. */
  url: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface ApiResponse {
  status: number;
  headers: Record<string, string>;
  /** Empty: no body. Bytes for the contents of an attachment. */
  body: string | Buffer;
  /** Values of Set-Cookie headers. */
  cookies?: string[];
}

/** An answer that a room throws: it ends the request with this status and this body. */
export class ApiError extends Error {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, detail: string | null, headers: Record<string, string> = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.body = { error: { message, detail }, status: 'failure' };
    this.headers = headers;
  }
}

const NO_STORE = { pragma: 'no-store,no-cache', 'cache-control': 'no-cache,no-store,must-revalidate,max-age=-1', expires: '0' };

/** A JSON answer with the headers of a recorded one (table-api/get_list_incident_v2_full_headers.json). */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): ApiResponse {
  return { status, headers: { ...NO_STORE, 'content-type': 'application/json;charset=UTF-8', ...headers }, body: JSON.stringify(body) };
}

export function noContent(): ApiResponse {
  return { status: 204, headers: { ...NO_STORE }, body: '' };
}

export function errorResponse(error: ApiError): ApiResponse {
  return json(error.status, error.body, error.headers);
}

/** Splits `/api/now/v2/table/x/y` into its parts; undefined for a path that is no `/api/now` (or other namespace's) path. */
export function apiPath(path: string, namespace = 'now'): { version: '' | 'v1' | 'v2'; base: string; parts: string[] } | undefined {
  const segments = path.split('/').filter((segment) => segment !== '');
  if (segments[0] !== 'api' || segments[1] !== namespace) return undefined;
  const version = segments[2] === 'v1' || segments[2] === 'v2' ? segments[2] : '';
  const parts = segments.slice(version === '' ? 2 : 3).map(safeDecode);
  return { version, base: `/api/${namespace}${version === '' ? '' : `/${version}`}`, parts };
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function apiRequest(parts: { method: string; url: string; headers: IncomingHttpHeaders; body: Buffer }): ApiRequest {
  const [path, search = ''] = splitOnce(parts.url, '?');
  return { ...parts, path, query: new URLSearchParams(search) };
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Default of glide.rest.max_content_length (KB0747638). */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;

/**
 * The parsed JSON body of a write; refuses what the platform refuses (errors/400_unparsable_body.json, errors/payload_too_large.json).
 * `maxBytes`: the property glide.rest.max_content_length where an instance changed it.
 */
export function jsonBody(request: ApiRequest, maxBytes = MAX_BODY_BYTES): unknown {
  requireJsonContentType(request);
  if (request.body.length > maxBytes) {
    // The article prints the body without a status; its message is that of an unparsable body, a 400, so the lab answers 400.
    const detail = `Rejected large REST payload with content-length = ${String(request.body.length)} bytes. Max allowed: ${String(maxBytes)} bytes.`;
    throw new ApiError(400, 'Exception while reading request', detail);
  }
  try {
    return parseLeniently(request.body.toString('utf8'));
  } catch {
    throw unparsable();
  }
}

export function unparsable(): ApiError {
  return new ApiError(400, 'Exception while reading request', 'Verify Request body and Content-type headers. Not able to parse request');
}

function requireJsonContentType(request: ApiRequest): void {
  const type = request.headers['content-type'];
  // servicenow.md §5.2: a missing Accept or Content-Type is 400, an unsupported one 406 or 415. The bodies were not recorded.
  if (type === undefined) throw new ApiError(400, 'Content-Type header is missing', null);
  if (!/^application\/json\b/i.test(type)) throw new ApiError(415, 'Unsupported Media Type', `Content type ${type} is not supported`);
}

/** servicenow.md §5.2: Accept must be there and must allow JSON or XML. */
export function requireAccept(request: ApiRequest): void {
  const accept = request.headers.accept;
  if (accept === undefined) throw new ApiError(400, 'Accept header is missing', null);
  if (!/application\/(?:json|xml|\*)|\*\/\*/i.test(accept)) throw new ApiError(406, 'Not Acceptable', `Accept ${accept} is not supported`);
}
