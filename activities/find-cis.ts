import { placeholderClass } from '../src/inventory/resource-class.ts';
import { parseResourceId } from '../src/inventory/resource-id.ts';
import type { CiIdentity, CiKey, CiMatch, SysId } from '../src/model.ts';
import type { ClaimedCi } from '../src/ledger/index.ts';
import { cutBatches, query, splitByBytes, valueOf, type BatchItem, type Row, type ServiceNowClient } from '../src/servicenow/index.ts';
import type { InstanceModel } from './instance-model.ts';

export interface FoundCi {
  readonly sysId: SysId;
  readonly className: string;
  readonly match: CiMatch;
  /** What it was found by, in words: kept as history. */
  readonly evidence: string;
}

type Resource = ClaimedCi & { readonly identity: Extract<CiIdentity, { type: 'resource' }> };

export const queryBytes = 6_000;
const lookupsPerBatch = 25;

/**
 * Finds CIs that exist already (design §5): first the discovered items of any integration instance, then `object_id` in the
 * class that Discovery would use, then placeholders. What is found here is never sent to IRE.
 */
export async function findCis(
  client: ServiceNowClient,
  model: InstanceModel,
  cis: readonly ClaimedCi[],
  signal: AbortSignal,
): Promise<Map<CiKey, FoundCi>> {
  const resources = cis.filter((ci): ci is Resource => ci.identity.type === 'resource');
  const found = new Map<CiKey, FoundCi>();
  await findByDiscoveredItem(client, model, resources, found, signal);
  const left = resources.filter((ci) => !found.has(ci.key));
  await findByObjectId(client, model, left, found, signal);
  return found;
}

async function findByDiscoveredItem(
  client: ServiceNowClient,
  model: InstanceModel,
  resources: readonly Resource[],
  found: Map<CiKey, FoundCi>,
  signal: AbortSignal,
): Promise<void> {
  const table = model.tables.get('sn_sec_cmn_src_ci');
  const sourceId = table?.column('source_id');
  const cmdbCi = table?.column('cmdb_ci');
  if (!table || sourceId === undefined || cmdbCi === undefined) return;
  const shaped = new Map<string, Resource>();
  for (const ci of resources) {
    const value = table.shape({ source_id: ci.identity.resourceId }, { create: true }).values[sourceId];
    if (value !== undefined) shaped.set(value.toLowerCase(), ci);
  }
  const lookups = splitByBytes(query().isNotEmpty(cmdbCi), sourceId, [...shaped.keys()], queryBytes).map((asked) => ({
    table: table.name,
    query: asked,
    fields: [sourceId, cmdbCi, `${cmdbCi}.sys_class_name`],
  }));
  for (const row of await lookUp(client, lookups, signal)) {
    const ci = shaped.get(valueOf(row, sourceId).toLowerCase());
    const sysId = valueOf(row, cmdbCi);
    if (!ci || sysId === '' || found.has(ci.key)) continue;
    found.set(ci.key, {
      sysId: sysId as SysId,
      className: valueOf(row, `${cmdbCi}.sys_class_name`),
      match: 'discovered-item',
      evidence: `discovered item ${valueOf(row, 'sys_id')}`,
    });
  }
}

async function findByObjectId(
  client: ServiceNowClient,
  model: InstanceModel,
  resources: readonly Resource[],
  found: Map<CiKey, FoundCi>,
  signal: AbortSignal,
): Promise<void> {
  const byClass = new Map<string, Map<string, Resource>>();
  for (const ci of resources) {
    for (const className of new Set([ci.identity.lookupClass, placeholderClass])) {
      if (!model.hasColumn(className, 'object_id')) continue;
      const wanted = byClass.get(className) ?? new Map<string, Resource>();
      byClass.set(className, wanted.set(resourceNormalForm(ci.identity.displayId), ci));
    }
  }
  // Specific classes before placeholders: a class of Discovery's own is the better CI.
  const classes = [...byClass].sort(([left], [right]) => Number(left === placeholderClass) - Number(right === placeholderClass));
  for (const [className, wanted] of classes) {
    const open = [...wanted].filter(([, ci]) => !found.has(ci.key)).map(([, ci]) => ci.identity.displayId);
    const lookups = splitByBytes(query(), 'object_id', open, queryBytes).map((asked) => ({
      table: className,
      query: asked,
      fields: ['object_id', 'sys_class_name', 'sys_created_on'],
    }));
    const rows = await lookUp(client, lookups, signal);
    rows.sort((left, right) => valueOf(left, 'sys_created_on').localeCompare(valueOf(right, 'sys_created_on')));
    for (const row of rows) {
      const ci = wanted.get(resourceNormalForm(valueOf(row, 'object_id')));
      if (!ci || found.has(ci.key)) continue;
      found.set(ci.key, {
        sysId: valueOf(row, 'sys_id') as SysId,
        className: valueOf(row, 'sys_class_name'),
        match: 'lookup-rule',
        evidence: `object_id in ${className}`,
      });
    }
  }
}

/** What Discovery wrote, compared as we compare ids; anything that is no id of ours by its lower case. */
function resourceNormalForm(objectId: string): string {
  const parsed = parseResourceId(objectId);
  return !('invalid' in parsed) && parsed.kind === 'resource' ? parsed.resourceId : objectId.toLowerCase();
}

export interface Lookup {
  readonly table: string;
  readonly query: ReturnType<typeof query>;
  readonly fields: readonly string[];
}

/** Sends many lookups in few Batch requests; one that the Batch did not get to, or that fills its page, is asked alone. */
export async function lookUp(client: ServiceNowClient, lookups: readonly Lookup[], signal: AbortSignal): Promise<Row[]> {
  const limit = 1_000;
  const items = lookups.map((one, index): BatchItem =>
    client.table.listItem(String(index), one.table, { query: one.query, fields: one.fields, limit }),
  );
  const rows: Row[] = [];
  for (const batch of cutBatches(items, lookupsPerBatch).batches) {
    const outcomes = await client.batch.sendBatch(batch, { kind: 'serviceNowReads', effect: 'read', signal });
    for (const [index, outcome] of outcomes.entries()) {
      const lookup = lookups[Number(batch[index]?.id)];
      if (!lookup) continue;
      const answered = outcome.outcome === 'answered' && outcome.status === 200 ? (outcome.body as { result?: Row[] }).result : undefined;
      if (answered && answered.length < limit) {
        rows.push(...answered);
        continue;
      }
      for await (const row of client.table.listAll(lookup.table, { query: lookup.query, fields: lookup.fields }, signal)) rows.push(row);
    }
  }
  return rows;
}
