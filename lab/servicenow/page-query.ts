import type { ApiRequest } from './http.ts';
import { choicesOf, findByDisplayName } from './render.ts';
import type { Table } from './schema.ts';
import type { Store } from './store.ts';

/**
 * The encoded query of a list. Without `sysparm_query`, parameters named like a column filter too, by value or by what stands for it
 * (c_TableAPI and c_AggregateAPI, "name-value pairs"); other unknown parameters do nothing (table-api/get_list_incident_v2_full_headers.json).
 * Both at once are documented as exclusive; the lab then follows `sysparm_query`.
 */
export function queryOf(store: Store, table: Table, request: ApiRequest): string {
  const query = request.query.get('sysparm_query');
  if (query !== null) return query;
  return [...request.query]
    .filter(([name]) => table.columns.has(name))
    .map(([name, value]) => condition(store, table, name, value.replaceAll('^', '')))
    .join('^');
}

function condition(store: Store, table: Table, name: string, value: string): string {
  const column = table.columns.get(name);
  if (value === '' || column === undefined) return `${name}=${value}`;
  if (column.type === 'reference' && column.reference !== undefined && column.referenceKey === undefined) {
    const targets = store.schema.get(column.reference) === undefined ? [] : findByDisplayName(store, column.reference, value);
    return targets.length === 0 ? `${name}=${value}` : `${name}IN${[value, ...targets.map(({ sysId }) => sysId)].join(',')}`;
  }
  for (const [stored, label] of choicesOf(store, table, name)) if (label.toLowerCase() === value.toLowerCase()) return `${name}=${stored}`;
  return `${name}=${value}`;
}

export function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d+$/.test(text) ? Number(text) : undefined;
}

/**
 * The Link header: only where the answer is a part of the whole; prev has a negative offset on the first page, next is missing on
 * the last one; unknown URL parameters are echoed (table-api/get_list_incident_v2_full_headers.json, paging_three_pages_display_all.json).
 */
export function pageLinks(
  request: ApiRequest,
  page: { baseUrl: string; total: number; limit: number; offset: number; withCount: boolean },
): string | undefined {
  const { baseUrl, total, limit, offset, withCount } = page;
  if (total <= limit || limit === 0 || request.query.get('sysparm_suppress_pagination_header') === 'true') return undefined;
  const kept = (request.url.split('?', 2)[1] ?? '').split('&').filter((part) => part !== '' && !part.startsWith('sysparm_offset='));
  const to = (rel: string, target: number): string =>
    `<${baseUrl}${request.path}?${[...kept, `sysparm_offset=${String(target)}`].join('&')}>;rel="${rel}"`;
  const links = [to('first', 0), to('prev', offset - limit)];
  if (offset + limit < total) links.push(to('next', offset + limit));
  if (withCount) links.push(to('last', Math.floor((total - 1) / limit) * limit));
  return links.join(',');
}
