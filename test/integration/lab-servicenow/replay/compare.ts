import type { Answer } from '../start.ts';
import type { RecordedResponse } from './payloads.ts';

/** Of the connection, of sessions (the lab keeps none) and of the moment; they say nothing about the interface. */
const NOT_COMPARED = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'date',
  'keep-alive',
  'set-cookie',
  'transfer-encoding',
  'user-agent',
  'accept',
]);

/** How the lab's answer differs from a recorded one in status, headers and shape; empty: it does not. */
export function differences(recorded: RecordedResponse, answer: Answer): string[] {
  const found: string[] = [];
  if (recorded.status !== undefined && recorded.status !== answer.status) {
    found.push(`status ${String(answer.status)} instead of ${String(recorded.status)}`);
  }
  found.push(...headerDifferences(recorded.headers, answer.headers));
  if (recorded.errorText !== undefined) found.push(...textDifferences(recorded.errorText, answer.text));
  if (recorded.body === '' || recorded.body === null) return answer.text === '' ? found : [...found, 'a body instead of none'];
  if (recorded.body !== undefined) found.push(...shapeDifferences(recorded.body, answer.json, 'body'));
  return found;
}

function headerDifferences(recorded: Record<string, string>, actual: Record<string, string | undefined>): string[] {
  return Object.entries(recorded).flatMap(([name, value]) => {
    const lower = name.toLowerCase();
    if (NOT_COMPARED.has(lower)) return [];
    const got = actual[lower];
    if (got === undefined) return [`header ${name} is missing`];
    // A header that is documented without a value, or whose value belongs to one moment.
    if (value === '' || /^(x-transaction-id|x-total-count|server-timing|x-ratelimit-|retry-after)/.test(lower)) return [];
    return normalHeader(got) === normalHeader(value) ? [] : [`header ${name}: "${got}" instead of "${value}"`];
  });
}

/** Hosts, ids and positions of a page differ between instances; the negative offset of the first page must stay. */
function normalHeader(value: string): string {
  if (/rel="/.test(value)) {
    return [...value.matchAll(/sysparm_offset=(-?)\d+>;rel="(\w+)"/g)].map(([, sign = '', rel = '']) => `${rel}${sign}`).join();
  }
  return value
    .replace(/https?:\/\/[^/]+/g, 'https://host')
    .replace(/[0-9a-f]{32}/g, 'id')
    .replace(/;\s+/g, ';')
    .toLowerCase();
}

/** Texts are compared without ids; a recorded text may carry the exception's class in front. */
function textDifferences(recorded: string, body: string): string[] {
  const normal = (text: string): string => text.replace(/\^[0-9a-f]+/g, '^id').replace(/^com\.[\w.]+: /, '');
  return normal(JSON.stringify(body)).includes(normal(recorded)) ? [] : [`"${recorded}" is not in ${body.slice(0, 200)}`];
}

/** Keys and types, not values. In a list every kind of element must occur on both sides. */
export function shapeDifferences(recorded: unknown, actual: unknown, path: string): string[] {
  if (Array.isArray(recorded) && Array.isArray(actual)) return listDifferences(recorded, actual, path);
  if (isObject(recorded) && isObject(actual)) {
    const missing = Object.keys(recorded).filter((key) => !(key in actual));
    const extra = Object.keys(actual).filter((key) => !(key in recorded));
    return [
      ...missing.map((key) => `${path}.${key} is missing`),
      ...extra.map((key) => `${path}.${key} is not in the recording`),
      ...Object.keys(recorded)
        .filter((key) => key in actual)
        .flatMap((key) => shapeDifferences(recorded[key], actual[key], `${path}.${key}`)),
    ];
  }
  const [left, right] = [shapeOf(recorded), shapeOf(actual)];
  return left === right ? [] : [`${path} is ${right.slice(0, 200)} instead of ${left.slice(0, 200)}`];
}

function listDifferences(recorded: unknown[], actual: unknown[], path: string): string[] {
  const [left, right] = [kindsOf(recorded), kindsOf(actual)];
  if (left.join() === right.join()) return [];
  if (recorded.length !== actual.length || recorded.length === 0) {
    return [`${path} holds ${String(actual.length)} elements of other kinds instead of ${String(recorded.length)}`];
  }
  return recorded.flatMap((element, at) => shapeDifferences(element, actual[at], `${path}[${String(at)}]`));
}

function kindsOf(list: unknown[]): string[] {
  return [...new Set(list.map(shapeOf))].sort();
}

function shapeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `[${kindsOf(value).join('|')}]`;
  if (!isObject(value)) return typeof value;
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${members.map(([key, member]) => `${key}:${shapeOf(member)}`).join(',')}}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
