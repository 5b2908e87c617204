import { textAt, type Json, type JsonObject } from '../json.ts';
import { GraphError, unsupportedQuery } from './errors.ts';

/** One kind of directory object: what may be filtered on, and what it is called in `@odata.context`. */
export interface EntitySet {
  /** `applications`. */
  readonly name: string;
  /** `Application`, as error texts name it. */
  readonly type: string;
  readonly filterable: readonly string[];
}

/** What OData options a request carries. */
export type QueryOptions = Readonly<Record<string, string | undefined>>;

const DEFAULT_PAGE = 100;
const MAX_PAGE = 999;

/** A page of rows: filtered, cut, and with only the properties that were selected. `self`: the request's URL, for the link to the next page. */
export function listAnswer(rows: readonly JsonObject[], set: EntitySet, query: QueryOptions, self: URL): JsonObject {
  const selected = selectedOf(query, set, rows);
  const matching = rows.filter(filterOf(query, set));
  const size = pageSize(query.$top);
  const start = query.$skiptoken === undefined ? 0 : Number(Buffer.from(query.$skiptoken, 'base64url').toString('utf8'));
  if (!Number.isInteger(start) || start < 0) throw unsupportedQuery('The $skiptoken is not valid.');
  const next = new URL(self);
  next.searchParams.set('$skiptoken', Buffer.from(String(start + size)).toString('base64url'));
  return {
    '@odata.context': contextOf(self, set, selected),
    ...(start + size < matching.length ? { '@odata.nextLink': next.href } : {}),
    value: matching.slice(start, start + size).map((row) => pick(row, selected)),
  };
}

/** One row with the selected properties. */
export function entityAnswer(row: JsonObject, set: EntitySet, query: QueryOptions, self: URL): JsonObject {
  const selected = selectedOf(query, set, [row]);
  return { '@odata.context': `${contextOf(self, set, selected)}/$entity`, ...pick(row, selected) };
}

function contextOf(self: URL, { name }: EntitySet, selected: readonly string[] | undefined): string {
  return `${self.origin}/v1.0/$metadata#${name}${selected === undefined ? '' : `(${selected.join(',')})`}`;
}

function pick(row: JsonObject, selected: readonly string[] | undefined): JsonObject {
  if (selected === undefined) return row;
  return Object.fromEntries(selected.map((property): [string, Json | undefined] => [property, row[property]]));
}

function selectedOf({ $select }: QueryOptions, { type }: EntitySet, rows: readonly JsonObject[]): string[] | undefined {
  if ($select === undefined || $select.trim() === '') return undefined;
  const selected = $select.split(',').map((property) => property.trim());
  const [row] = rows;
  const unknown = selected.find((property) => row !== undefined && !(property in row));
  if (unknown === undefined) return selected;
  throw new GraphError(
    400,
    'BadRequest',
    `Parsing OData Select and Expand failed: Could not find a property named '${unknown}' on type 'microsoft.graph.${type[0]?.toLowerCase() ?? ''}${type.slice(1)}'.`,
  );
}

/** `property eq 'value'`, several of them joined by `and`: all that a diagnosis of permissions asks. */
function filterOf({ $filter }: QueryOptions, { type, filterable }: EntitySet): (row: JsonObject) => boolean {
  if ($filter === undefined || $filter.trim() === '') return () => true;
  const conditions = $filter.split(/\s+and\s+/i).map((condition) => {
    const [, property = '', value = ''] = /^\s*(\w+)\s+eq\s+'((?:[^']|'')*)'\s*$/.exec(condition) ?? [];
    if (property === '') throw unsupportedQuery('Unsupported Query.');
    if (!filterable.includes(property))
      throw unsupportedQuery(`Unsupported or invalid query filter clause specified for property '${property}' of resource '${type}'.`);
    return { property, value: value.replaceAll("''", "'").toLowerCase() };
  });
  return (row) => conditions.every(({ property, value }) => textAt(row, property).toLowerCase() === value);
}

function pageSize($top: string | undefined): number {
  if ($top === undefined) return DEFAULT_PAGE;
  const size = Number($top);
  if (Number.isInteger(size) && size >= 1 && size <= MAX_PAGE) return size;
  throw unsupportedQuery(`Invalid page size specified: '${$top}'. Must be between 1 and ${String(MAX_PAGE)} inclusive.`);
}
