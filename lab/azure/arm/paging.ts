import type { Rows } from '../estate/model.ts';
import type { Json, JsonObject } from '../json.ts';
import type { AzureLabOptions, PageQuirk } from '../options.ts';
import { badRequest } from './errors.ts';

/** Empty pages that still carry a link, before the list ends: azure-sdk-for-js#17907 (azure.md §4). */
const EMPTY_PAGES = 3;

/** What one page of a list needs to know about its request. */
export interface PageRequest {
  /** `https://localhost:PORT` of the server that answers: links point back at it. */
  readonly origin: string;
  /** Path as sent. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly options: AzureLabOptions;
}

export interface PageStyle {
  readonly pageSize: number;
  /** The management-group list says `@nextLink`, everything else `nextLink` (azure.md §1). */
  readonly linkKey?: 'nextLink' | '@nextLink';
  /** Management groups write the end as null; the others leave the key out. */
  readonly endsWithNull?: boolean;
}

interface PageCursor {
  readonly offset: number;
  readonly emptyPages: number;
}

/** One page of rows with an absolute link to the next one. */
export function pageOf(request: PageRequest, rows: Rows<Json>, style: PageStyle): JsonObject {
  const cursor = readCursor(request.query.get('$skiptoken') ?? request.query.get('$skipToken'));
  const end = Math.min(rows.size, cursor.offset + style.pageSize);
  const value: Json[] = [];
  for (let index = cursor.offset; index < end; index += 1) value.push(rows.at(index));
  const link = nextLink(request, cursor, end, rows.size);
  const linkKey = style.linkKey ?? 'nextLink';
  if (link !== undefined) return { value, [linkKey]: link };
  return style.endsWithNull === true || request.options.pageQuirk === 'null-at-end' ? { value, [linkKey]: null } : { value };
}

function nextLink(request: PageRequest, cursor: PageCursor, end: number, size: number): string | undefined {
  if (end < size) return linkTo(request, { offset: end, emptyPages: 0 });
  const quirk: PageQuirk = request.options.pageQuirk;
  if (quirk === 'empty-string-at-end') return '';
  if (quirk === 'self-loop') return `${request.origin}${request.path}?${request.query.toString()}`;
  if (quirk === 'empty-pages' && cursor.emptyPages < EMPTY_PAGES)
    return linkTo(request, { offset: size, emptyPages: cursor.emptyPages + 1 });
  return undefined;
}

function linkTo(request: PageRequest, cursor: PageCursor): string {
  const query = new URLSearchParams(request.query);
  query.delete('$skiptoken');
  query.delete('$skipToken');
  query.set('$skiptoken', Buffer.from(JSON.stringify([cursor.offset, cursor.emptyPages])).toString('base64url'));
  return `${request.origin}${request.path}?${query.toString()}`;
}

function readCursor(token: string | null): PageCursor {
  if (token === null) return { offset: 0, emptyPages: 0 };
  const [offset, emptyPages] = decodeCursor(token);
  if (offset === undefined || emptyPages === undefined) throw badRequest('InvalidSkipToken', 'The skip token of the request is not valid.');
  return { offset, emptyPages };
}

function decodeCursor(token: string): number[] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    return Array.isArray(parsed) && parsed.every((part) => Number.isSafeInteger(part) && part >= 0) ? (parsed as number[]) : [];
  } catch {
    return [];
  }
}

/** A positive whole `$top`, or undefined where there is none. */
export function readTop(query: URLSearchParams): number | undefined {
  const text = query.get('$top');
  if (text === null) return undefined;
  const top = Number(text);
  if (!Number.isInteger(top) || top < 1) throw badRequest('InvalidTopParameter', `The value '${text}' of $top is not a positive integer.`);
  return top;
}
