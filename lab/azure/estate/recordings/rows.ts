import { objectAt, textAt, type Json, type JsonObject } from '../../json.ts';
import { rowsOf, type EstateChanges, type GraphPartition } from '../model.ts';

/** Healthy and Unhealthy change places for the share of rows a flip meets; everything else about a recorded row stays. */
export function withFlips(row: JsonObject, changes: EstateChanges): JsonObject {
  const properties = objectAt(row, 'properties');
  const status = objectAt(properties, 'status');
  if (status.code !== 'Healthy' && status.code !== 'Unhealthy') return row;
  let code: Json = status.code;
  let changedAt: string | undefined;
  for (const flip of changes.flips) {
    if (shareOf(textAt(row, 'id').toLowerCase(), flip.seed) >= flip.percent) continue;
    code = code === 'Healthy' ? 'Unhealthy' : 'Healthy';
    changedAt = flip.at;
  }
  return changedAt === undefined
    ? row
    : { ...row, properties: { ...properties, status: { ...status, code, statusChangeDate: changedAt } } };
}

/** A number from 0 to 100 that belongs to an id and a seed (FNV-1a). */
function shareOf(id: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let index = 0; index < id.length; index += 1) hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  return ((hash >>> 0) % 10_000) / 100;
}

/** A recorded REST assessment as Resource Graph shows it: lower-case type, PascalCase details, metadata inside (azure.md §1.9). */
export function graphAssessment(row: JsonObject, tenantId: string, metadata: JsonObject | undefined): JsonObject {
  const id = textAt(row, 'id');
  const properties = objectAt(row, 'properties');
  const details = Object.fromEntries(
    Object.entries(objectAt(properties, 'resourceDetails')).map(([name, value]) => [name.charAt(0).toUpperCase() + name.slice(1), value]),
  );
  const [, , subscriptionId = '', , resourceGroup = ''] = id.split('/');
  return {
    id,
    name: textAt(row, 'name'),
    type: 'microsoft.security/assessments',
    tenantId,
    location: '',
    resourceGroup: resourceGroup.toLowerCase(),
    subscriptionId,
    properties: {
      ...properties,
      links: undefined,
      resourceDetails: details,
      metadata: metadata === undefined ? undefined : objectAt(metadata, 'properties'),
    },
  };
}

/** One partition of already loaded rows, in order by lower-case id. */
export function partitionOf(table: GraphPartition['table'], subscriptionId: string | null, rows: readonly JsonObject[]): GraphPartition {
  const sorted = rows.toSorted((left, right) => (textAt(left, 'id').toLowerCase() < textAt(right, 'id').toLowerCase() ? -1 : 1));
  return { table, subscriptionId, constants: new Map(), rows: rowsOf(sorted) };
}
