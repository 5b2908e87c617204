import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Where the recorded and published payloads lie, beside the project. */
export const EXAMPLES = join(import.meta.dirname, '../../../../../shared/examples/servicenow');

export interface RecordedRequest {
  method: string;
  /** Path and query; placeholders in angle brackets stand as printed. */
  url: string;
  headers: Record<string, string>;
  /** Parsed JSON, or the text that was sent. */
  body?: unknown;
}

export interface RecordedResponse {
  /** undefined: not printed. */
  status?: number;
  headers: Record<string, string>;
  body?: unknown;
  /** A body that is no JSON, as printed. */
  bodyText?: string;
  /** The error's detail or message, where the source quotes nothing else. */
  errorText?: string;
}

export interface Exchange {
  /** undefined: the file shows an answer alone. */
  request?: RecordedRequest;
  response: RecordedResponse;
}

export interface Payload {
  /** Path below the examples, `errors/400_invalid_table.json`. */
  file: string;
  exchanges: Exchange[];
  /** The parsed file, for what is no exchange: measurements, matrices, steps. */
  raw: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- files of many shapes
}

/** Every payload file below the examples; the dictionary is no exchange, and what the identification engine answers is replayed by ire-replay.test.ts. */
export function payloadFiles(): string[] {
  return readdirSync(EXAMPLES, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(?:json|http)$/.test(entry.name))
    .map((entry) => relative(EXAMPLES, join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith('dictionary/') && !file.startsWith('identifyreconcile/'))
    .sort();
}

export function readPayload(file: string): Payload {
  const text = readFileSync(join(EXAMPLES, file), 'utf8');
  if (file.endsWith('.http')) return { file, raw: text, exchanges: [exchangeOfHttp(text)] };
  const raw = JSON.parse(text) as Record<string, unknown>;
  const parts = Array.isArray(raw['exchanges']) ? (raw['exchanges'] as unknown[]) : [raw];
  return { file, raw, exchanges: parts.flatMap(exchangeOf) };
}

function exchangeOf(part: unknown): Exchange[] {
  const { request, response } = part as { request?: Record<string, unknown>; response?: Record<string, unknown> };
  if (response === undefined) return [];
  const sent = request === undefined ? undefined : requestOf(request);
  return [{ ...(sent === undefined ? {} : { request: sent }), response: responseOf(response) }];
}

function requestOf(request: Record<string, unknown>): RecordedRequest | undefined {
  if (typeof request['curl'] === 'string') return withParsedBody(requestOfCurl(request['curl']), request['body_parsed']);
  if (typeof request['url'] !== 'string') return undefined;
  const body = request['body'] ?? request['body_text'];
  return {
    method: typeof request['method'] === 'string' ? request['method'] : 'GET',
    url: request['url'].split(' ', 1)[0] ?? '',
    headers: (request['headers'] ?? {}) as Record<string, string>,
    ...(body === undefined ? {} : { body }),
  };
}

function withParsedBody(request: RecordedRequest, body: unknown): RecordedRequest {
  return body === undefined ? request : { ...request, body };
}

/** A cURL command as the documentation prints it: double or single quotes, line continuations, escaped quotes in the data. */
export function requestOfCurl(curl: string): RecordedRequest {
  const url = /https?:\/\/[^/"']+([^"'\s]*)/.exec(curl)?.[1] ?? '';
  const headers = [...curl.matchAll(/--header ["']([^:"']+):\s*([^"']*)["']/g)].map(([, name = '', value = '']) => [name, value.trim()]);
  const data = /--data(?:-binary)? (?:'([^']*)'|"((?:[^"\\]|\\.)*)")/s.exec(curl);
  const text = data?.[1] ?? data?.[2]?.replaceAll('\\"', '"').replaceAll('\\\n', '\n');
  return {
    method: /--request (\w+)/.exec(curl)?.[1] ?? 'GET',
    url,
    headers: Object.fromEntries(headers) as Record<string, string>,
    ...(text === undefined ? {} : { body: text.trim() }),
  };
}

function responseOf(response: Record<string, unknown>): RecordedResponse {
  const { status, headers, body, body_text: bodyText } = response;
  const errorText = response['error_detail_text'] ?? response['error_message_text'];
  const documented = response['documented_headers'];
  const names = Array.isArray(documented) ? (documented as string[]) : Object.keys(documented ?? {});
  return {
    ...(typeof status === 'number' ? { status } : {}),
    headers: { ...Object.fromEntries(names.map((name) => [name, ''])), ...((headers ?? {}) as Record<string, string>) },
    ...('body' in response ? { body } : {}),
    ...(typeof bodyText === 'string' ? { bodyText } : {}),
    ...(typeof errorText === 'string' ? { errorText } : {}),
  };
}

/** A recorded exchange in HTTP notation; a file that prints headers alone shows them as a list. */
function exchangeOfHttp(text: string): Exchange {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const match = /^\s*([A-Za-z][A-Za-z-]*): (.*?),?\s*$/.exec(line);
    if (match !== null) headers[match[1] ?? ''] = match[2] ?? '';
  }
  const status = /^HTTP\/1\.1 (\d+)/m.exec(text)?.[1];
  const request = /^(GET|POST) (\S+) HTTP\/1\.1$/m.exec(text);
  const json = lines.find((line) => line.startsWith('{'));
  const html = text.indexOf('<!DOCTYPE');
  return {
    ...(request === null ? {} : { request: { method: request[1] ?? '', url: request[2] ?? '', headers: {} } }),
    response: {
      ...(status === undefined ? {} : { status: Number(status) }),
      headers,
      ...(json === undefined ? {} : { body: JSON.parse(json) as unknown }),
      ...(html === -1 ? {} : { bodyText: text.slice(html) }),
    },
  };
}
