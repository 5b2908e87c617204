import { concatRows, rowsOf, type Rows } from '../../estate/model.ts';
import { isJsonObject, textAt, type JsonObject } from '../../json.ts';
import { notFound } from '../errors.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';

/** Fields that came with 2021-06-01. */
const NEW_IN_2021 = ['publishDates', 'plannedDeprecationDate', 'tactics', 'techniques'];

const COMMON = {
  resourceType: 'Microsoft.Security/assessmentMetadata',
  scopes: ['tenant', 'subscription'],
  apiVersions: ['2025-05-04', '2021-06-01', '2020-01-01'],
  action: 'Microsoft.Security/assessmentMetadata/read',
} as const;

/** assessmentMetadata of the tenant and of a subscription: azure.md §1.3. A list stops at the cap (§4); the rest answers one by one. */
export function metadataRoutes(): readonly ArmRoute[] {
  return [
    {
      ...COMMON,
      form: 'list',
      handle: (call) => {
        const { metadataCap, pageSizes } = call.services.options;
        const all = metadataOf(call);
        const rows: Rows = { size: Math.min(all.size, metadataCap), at: (index) => inVersion(all.at(index), call.apiVersion) };
        return listAnswer(call, rows, { pageSize: pageSizes.metadata });
      },
    },
    {
      ...COMMON,
      form: 'item',
      handle: (call) => {
        const key = (call.path.names[0] ?? '').toLowerCase();
        const all = metadataOf(call);
        for (let index = 0; index < all.size; index += 1) {
          const row = all.at(index);
          if (textAt(row, 'name').toLowerCase() === key) return { body: inVersion(row, call.apiVersion) };
        }
        throw notFound('ResourceNotFound', `The assessment metadata '${call.path.names[0] ?? ''}' was not found.`);
      },
    },
  ];
}

/** The subscription's own come first: they are few, and a cap must not hide them. */
function metadataOf(call: ArmCall): Rows {
  const { estate } = call.services;
  const builtIn = rowsOf(estate.assessmentMetadata);
  const subscription = /^\/subscriptions\/([^/]+)$/i.exec(call.path.scope)?.[1];
  return subscription === undefined ? builtIn : concatRows([rowsOf(estate.customMetadata(subscription.toLowerCase())), builtIn]);
}

function inVersion(row: JsonObject, apiVersion: string): JsonObject {
  if (apiVersion !== '2020-01-01' || !isJsonObject(row.properties)) return row;
  const properties = Object.fromEntries(Object.entries(row.properties).filter(([name]) => !NEW_IN_2021.includes(name)));
  return { ...row, properties };
}
