import { textAt, type JsonObject } from '../../json.ts';
import { badRequest, notFound } from '../errors.ts';
import type { ArmCall, ArmRoute } from '../router.ts';

const COMMON = {
  resourceType: 'Microsoft.Security/pricings',
  apiVersions: ['2024-01-01', '2022-03-01'],
  action: 'Microsoft.Security/pricings/read',
} as const;

/** Defender plans of a subscription or a resource: azure.md §1.8. The list has no pages. */
export function pricingRoutes(): readonly ArmRoute[] {
  return [
    {
      ...COMMON,
      form: 'list',
      scopes: ['subscription', 'resource'],
      handle: (call) => ({ body: { value: pricings(call).filter(nameFilter(call.query.get('$filter') ?? call.query.get('$Filter'))) } }),
    },
    {
      ...COMMON,
      form: 'item',
      scopes: ['subscription', 'resource'],
      handle: (call) => {
        const name = call.path.names[0] ?? '';
        const row = pricings(call).find((candidate) => textAt(candidate, 'name').toLowerCase() === name.toLowerCase());
        if (row === undefined) throw notFound('ResourceNotFound', `The pricing '${name}' was not found.`);
        return { body: row };
      },
    },
  ];
}

function pricings(call: ArmCall): readonly JsonObject[] {
  return call.services.estate.pricings(call.path.scope);
}

/** `name in (VirtualMachines,KeyVaults)` */
function nameFilter(filter: string | null): (row: JsonObject) => boolean {
  if (filter === null || filter.trim() === '') return () => true;
  const list = /^\s*name\s+in\s*\(([^)]*)\)\s*$/i.exec(filter)?.[1];
  if (list === undefined) throw badRequest('InvalidFilterInQueryString', `Invalid $filter '${filter}' specified in the query string.`);
  const names = new Set(list.split(',').map((name) => name.trim().toLowerCase()));
  return (row) => names.has(textAt(row, 'name').toLowerCase());
}
