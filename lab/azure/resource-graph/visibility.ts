import type { ArmCall } from '../arm/router.ts';
import { withRowQuirks } from '../arm/row-quirks.ts';
import type { Access } from '../access.ts';
import { rowsOf, type GraphPartition, type LabApplication } from '../estate/model.ts';
import { textAt, type JsonObject } from '../json.ts';
import { invalidRequest } from './errors.ts';
import type { GraphRequest } from './request.ts';

const SUBSCRIPTION = 'microsoft.resources/subscriptions';

/** What a principal gets to see of the scope it named. */
export interface Visible {
  readonly partitions: readonly GraphPartition[];
  readonly headers: Readonly<Record<string, string>>;
}

/** What the last few readers get to see: between two changes each of their pages asks the same of every subscription. */
export interface VisibleCache {
  of(call: ArmCall, request: GraphRequest, table: string): Visible;
}

export function createVisibleCache(limit = 8): VisibleCache {
  const known = new Map<string, Visible>();
  return {
    of: (call, request, table) => {
      const { changes } = call.services;
      const scope = [request.subscriptions ?? null, request.managementGroups ?? null, request.allowPartialScopes];
      const key = JSON.stringify([call.principal.clientId, table, scope, changes.revision, changes.spelling]);
      const visible = known.get(key) ?? visiblePartitions(call, request, table);
      known.delete(key);
      known.set(key, visible);
      if (known.size > limit) known.delete(known.keys().next().value ?? '');
      return visible;
    },
  };
}

/**
 * The rows of a table that the principal may read in the scope it named: missing access means fewer rows, never an error
 * (azure.md §1.9). Throws ArmError 400 where the scope is larger than one query reaches and the request does not put up with that.
 */
function visiblePartitions(call: ArmCall, request: GraphRequest, table: string): Visible {
  const { access, estate, options, changes } = call.services;
  const groups = (request.managementGroups ?? []).filter((name) => access.managementGroup(name) !== undefined);
  const named = request.subscriptions ?? (request.managementGroups === undefined ? undefined : subscriptionsOf(access, groups));
  const wanted = named === undefined ? undefined : new Set(named);
  const inScope = access
    .visibleSubscriptions(call.principal)
    .map(({ subscriptionId }) => subscriptionId)
    .filter((id) => (wanted === undefined || wanted.has(id.toLowerCase())) && !changes.graphUnaware.has(id.toLowerCase()));
  const isCut = request.subscriptions === undefined && inScope.length > options.graphScopeLimit;
  const headers: Record<string, string> = isCut ? { 'x-ms-tenant-subscription-limit-hit': 'true' } : {};
  if (isCut && !request.allowPartialScopes) {
    throw invalidRequest(
      'SubscriptionLimitExceeded',
      `The scope holds ${String(inScope.length)} subscriptions, more than the ${String(options.graphScopeLimit)} that one query reaches.`,
      headers,
    );
  }
  const partitions = estate
    .graphPartitions(inScope.slice(0, options.graphScopeLimit))
    .filter((partition) => partition.table === table)
    .map((partition) => readablePart(access, call.principal, partition));
  if (readsTenantRows(call, request, groups)) partitions.push(...estate.tenantGraphPartitions().filter((part) => part.table === table));
  return { partitions: options.rowQuirks.length === 0 ? partitions : partitions.map((part) => quirkedPart(call, part)), headers };
}

function subscriptionsOf(access: Access, groups: readonly string[]): string[] {
  return groups.flatMap((name) => access.subscriptionsUnder(name)).map(({ subscriptionId }) => subscriptionId.toLowerCase());
}

/** cvedetails show at management-group or tenant scope to who holds a role there; otherwise they are just empty (azure.md §1.7). */
function readsTenantRows(call: ArmCall, request: GraphRequest, groups: readonly string[]): boolean {
  const { access, estate } = call.services;
  if (request.subscriptions !== undefined) return false;
  const scopes =
    request.managementGroups === undefined
      ? estate.managementGroups.filter(({ parent }) => parent === null).map(({ name }) => name)
      : groups;
  return scopes.some((name) =>
    access.allows(call.principal, `/providers/Microsoft.Management/managementGroups/${name}`, 'Microsoft.Security/assessments/read'),
  );
}

/** The rows of a partition whose `{type}/read` the principal is allowed, on the subscription or on the resource itself (azure.md §1.12). */
function readablePart(access: Access, principal: LabApplication, partition: GraphPartition): GraphPartition {
  const subscription = `/subscriptions/${partition.subscriptionId ?? ''}`;
  const type = partition.constants.get('type');
  // Rows of one type stand and fall together; a mix of types does where whoever may read one may read all of them.
  const action = typeof type === 'string' ? readAction(type) : '*/read';
  if (access.allowsAllBelow(principal, subscription, action)) return partition;
  const readable: JsonObject[] = [];
  for (let index = 0; index < partition.rows.size; index += 1) {
    const row = partition.rows.at(index);
    const rowType = textAt(row, 'type').toLowerCase();
    // Any role shows the subscription itself, as it does in ARM.
    if (rowType === SUBSCRIPTION || access.allows(principal, textAt(row, 'id'), readAction(rowType))) readable.push(row);
  }
  return { ...partition, rows: rowsOf(readable) };
}

/** Every resource is read by its own type, a resource group as one of Microsoft.Resources. */
function readAction(type: string): string {
  return `${type}/read`;
}

function quirkedPart(call: ArmCall, partition: GraphPartition): GraphPartition {
  const { rows } = partition;
  if (partition.table !== 'securityresources') return partition;
  return { ...partition, rows: { size: rows.size, at: (index) => graphQuirks(call, rows.at(index)) } };
}

/** Resource Graph has the casing of details of its own (azure.md §1.9), and it is no place of the REST variants. */
function graphQuirks(call: ArmCall, row: JsonObject): JsonObject {
  if (textAt(row, 'type') !== 'microsoft.security/assessments') return row;
  const rowQuirks = call.services.options.rowQuirks.filter((quirk) => quirk !== 'resource-id-variant' && quirk !== 'upper-case-ids');
  return withRowQuirks(row, { ...call.services.options, rowQuirks });
}
