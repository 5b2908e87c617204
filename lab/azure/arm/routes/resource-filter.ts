import { textAt, type JsonObject } from '../../json.ts';
import { badRequest } from '../errors.ts';

type Test = (row: JsonObject) => boolean;

/**
 * The `$filter` of the resources list (azure.md §1.10): `eq` and `ne` on resourceType, name, location and resourceGroup, tags by
 * `tagName eq 'a' and tagValue eq 'b'`, parts joined by `and` or by `or`. Undefined where nothing is filtered.
 */
export function resourceFilter(filter: string | null): Test | undefined {
  if (filter === null || filter.trim() === '') return undefined;
  const tag = /^\s*tagName\s+eq\s+'([^']+)'(?:\s+and\s+tagValue\s+eq\s+'([^']*)')?\s*$/i.exec(filter);
  if (tag !== null) return tagTest(tag[1] ?? '', tag[2]);
  const alternatives = filter.split(/\s+or\s+/i).map((part) => part.split(/\s+and\s+/i).map((clause) => clauseTest(clause, filter)));
  return (row) => alternatives.some((clauses) => clauses.every((clause) => clause(row)));
}

function tagTest(name: string, value: string | undefined): Test {
  return (row) => {
    const found = textAt(row, 'tags', name);
    return value === undefined ? found !== '' : found === value;
  };
}

const FIELDS: Readonly<Record<string, (row: JsonObject) => string>> = {
  resourcetype: (row) => textAt(row, 'type'),
  name: (row) => textAt(row, 'name'),
  location: (row) => textAt(row, 'location'),
  resourcegroup: (row) => /^\/subscriptions\/[^/]+\/resourcegroups\/([^/]+)/i.exec(textAt(row, 'id'))?.[1] ?? '',
};

function clauseTest(clause: string, filter: string): Test {
  const [, field = '', operator = '', value = ''] = /^\s*(\w+)\s+(eq|ne)\s+'([^']*)'\s*$/i.exec(clause) ?? [];
  const read = FIELDS[field.toLowerCase()];
  if (read === undefined) throw badRequest('InvalidFilterInQueryString', `Invalid $filter '${filter}' specified in the query string.`);
  const wanted = value.toLowerCase();
  return (row) => (read(row).toLowerCase() === wanted) === (operator.toLowerCase() === 'eq');
}
