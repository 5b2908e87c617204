import { isSyncError } from '../src/errors.ts';
import { cloudFamilyClass, placeholderClass, resourceNormalForm } from '../src/inventory/index.ts';
import type { CiKey, SysId } from '../src/model.ts';
import type { CiOfClass, CiPair, PairCi, PairItem, PairResult } from '../src/ledger/index.ts';
import { valueOf, type Row, type ServiceNowClient } from '../src/servicenow/index.ts';
import { lookUp, lookUpsOf } from './look-up.ts';
import type { InstanceModel } from './instance-model.ts';

/** What reading pairs needs; the same for showing them and for holding them against what was shown. */
export interface PairReader {
  readonly client: ServiceNowClient;
  readonly model: InstanceModel;
  /** sys_id of an integration instance → the deployment whose it is. */
  readonly deploymentOf: ReadonlyMap<string, string>;
}

/** States of `install_status` in which a CI is of no use any more: absent, retired, stolen (cmdb_ci, stock choices). */
const retiredStates: ReadonlySet<string> = new Set(['100', '7', '8']);

const movesResultsProperty = 'sn_sec_cmn.update_on_ci_change';

/**
 * Whether the platform moves results by itself when their discovered item gets another CI (servicenow.md §2, §11); null where the
 * property cannot be read: an empty list can be an ACL, and then nothing may be taken for granted.
 */
export async function platformMovesResults(client: ServiceNowClient, signal: AbortSignal): Promise<boolean | null> {
  try {
    const read = await client.properties.read([movesResultsProperty], signal);
    const value = (read.get(movesResultsProperty) ?? '').trim().toLowerCase();
    return value === '' ? null : value === 'true' || value === '1';
  } catch (error) {
    if (isSyncError(error, 'misconfigured', 'not-found')) return null;
    throw error;
  }
}

/**
 * Which of these placeholders have a CI of another class beside them with the same object_id in our normal form, and who points at
 * either (servicenow.md §4: "enriches the CI or creates another one"). In bulk: a few requests for hundreds of CIs.
 */
export async function readPairs(reader: PairReader, cis: readonly CiOfClass[], signal: AbortSignal): Promise<CiPair[]> {
  const candidates = await readSameIds(reader, cis, signal);
  const found = cis.flatMap((ci) => {
    const all = candidates.get(ci.ciKey) ?? [];
    const placeholder = all.find(({ sysId }) => sysId === ci.sysId);
    const specific = all.filter(({ sysId, className }) => sysId !== ci.sysId && className !== placeholderClass);
    return placeholder === undefined || specific.length === 0 || placeholder.className !== placeholderClass
      ? []
      : [{ ci, placeholder, specific }];
  });
  const both = [...new Set(found.flatMap(({ placeholder, specific }) => [placeholder, ...specific].map(({ sysId }) => sysId)))];
  const items = await readItems(reader, both, signal);
  const results = await readResults(reader, both, signal);
  return found.map(({ ci, placeholder, specific }) => {
    const sysIds = [placeholder, ...specific].map(({ sysId }) => sysId);
    return {
      ciKey: ci.ciKey,
      resourceId: ci.identity.resourceId,
      placeholder,
      createdByEngine: ci.createdByEngine,
      specific,
      items: sysIds.flatMap((sysId) => items.get(sysId) ?? []),
      results: sysIds.flatMap((sysId) => results.get(sysId) ?? []),
      obstacle: obstacleOf(specific, ci.others),
    };
  });
}

function obstacleOf(specific: readonly PairCi[], others: number): string | null {
  if (specific.length > 1)
    return `${specific.length} CIs have this object_id, and nobody can say which one is meant: remove the duplicates first`;
  if (others > 0)
    return `the placeholder stands for ${others} other ${others === 1 ? 'resource' : 'resources'} too: whose its results are cannot be said`;
  return specific[0]?.retired === true ? `${specific[0].className} ${specific[0].sysId} is retired` : null;
}

/** All CIs that have the object_id of one of these, by its key; oldest first. */
async function readSameIds(
  { client, model }: PairReader,
  cis: readonly CiOfClass[],
  signal: AbortSignal,
): Promise<ReadonlyMap<CiKey, readonly PairCi[]>> {
  const optional = ['discovery_source', 'install_status'].filter((column) => model.hasColumn('cmdb_ci', column));
  const fields = ['object_id', 'sys_class_name', 'sys_created_on', 'sys_created_by', ...optional];
  const wanted = new Map(cis.map((ci) => [resourceNormalForm(ci.identity.displayId), ci]));
  const lookups = [...classesToAsk(model, cis)].flatMap(([className, ids]) => lookUpsOf(className, 'object_id', ids, fields));
  const found = new Map<CiKey, Map<string, PairCi>>();
  for (const row of (await lookUp(client, lookups, signal)).flat()) {
    const ci = wanted.get(resourceNormalForm(valueOf(row, 'object_id')));
    if (ci === undefined) continue;
    const list = found.get(ci.ciKey) ?? new Map<string, PairCi>();
    found.set(ci.ciKey, list.set(valueOf(row, 'sys_id'), pairCi(row)));
  }
  const oldestFirst = (left: PairCi, right: PairCi): number =>
    left.createdOn.localeCompare(right.createdOn) || (left.sysId < right.sysId ? -1 : 1);
  return new Map([...found].map(([key, list]) => [key, [...list.values()].sort(oldestFirst)]));
}

function pairCi(row: Row): PairCi {
  return {
    sysId: valueOf(row, 'sys_id') as SysId,
    className: valueOf(row, 'sys_class_name'),
    objectId: valueOf(row, 'object_id'),
    createdBy: valueOf(row, 'sys_created_by'),
    createdOn: valueOf(row, 'sys_created_on'),
    discoverySource: valueOf(row, 'discovery_source'),
    retired: retiredStates.has(valueOf(row, 'install_status')),
  };
}

/** The class from which most inherit object_id answers for all of them; classes outside of it are asked for themselves. */
function classesToAsk(model: InstanceModel, cis: readonly CiOfClass[]): ReadonlyMap<string, readonly string[]> {
  const asked = new Map<string, string[]>();
  const ask = (className: string, id: string): void => {
    if (model.hasColumn(className, 'object_id')) asked.set(className, [...(asked.get(className) ?? []), id]);
  };
  const family = model.hasColumn(cloudFamilyClass, 'object_id') ? cloudFamilyClass : placeholderClass;
  for (const { identity } of cis) {
    ask(family, identity.displayId);
    const { lookupClass } = identity;
    const covered = lookupClass === family || model.dictionary.tables[lookupClass]?.superClasses.includes(family) === true;
    if (!covered) ask(lookupClass, identity.displayId);
  }
  return asked;
}

async function readItems(
  { client, model, deploymentOf }: PairReader,
  sysIds: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly PairItem[]>> {
  return readPointingAt(client, model, 'sn_sec_cmn_src_ci', ['source', 'source_id'], sysIds, signal, (row, value, cmdbCi): PairItem => ({
    sysId: valueOf(row, 'sys_id') as SysId,
    deployment: deploymentOf.get(value('source')) ?? null,
    sourceId: value('source_id'),
    cmdbCi,
  }));
}

async function readResults(
  { client, model, deploymentOf }: PairReader,
  sysIds: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly PairResult[]>> {
  const columns = ['integration_instance', 'control'];
  return readPointingAt(client, model, 'sn_vulc_result', columns, sysIds, signal, (row, value, cmdbCi): PairResult => ({
    sysId: valueOf(row, 'sys_id') as SysId,
    deployment: deploymentOf.get(value('integration_instance')) ?? null,
    instance: value('integration_instance'),
    control: value('control'),
    cmdbCi,
  }));
}

/** Rows of a table by the CI that they point at, each list in sys_id order. */
async function readPointingAt<Read extends { readonly sysId: SysId }>(
  client: ServiceNowClient,
  model: InstanceModel,
  table: string,
  logical: readonly string[],
  sysIds: readonly string[],
  signal: AbortSignal,
  make: (row: Row, value: (column: string) => string, cmdbCi: SysId) => Read,
): Promise<ReadonlyMap<string, readonly Read[]>> {
  const mapped = model.tables.get(table);
  const cmdbCi = mapped?.column('cmdb_ci');
  if (mapped === undefined || cmdbCi === undefined) return new Map();
  const columns = new Map(
    logical.flatMap((name) => (mapped.column(name) === undefined ? [] : [[name, mapped.column(name) ?? ''] as const])),
  );
  const lookups = lookUpsOf(table, cmdbCi, sysIds, [cmdbCi, ...columns.values()]);
  const found = new Map<string, Read[]>();
  for (const row of (await lookUp(client, lookups, signal)).flat()) {
    const target = valueOf(row, cmdbCi) as SysId;
    const list = found.get(target) ?? [];
    list.push(make(row, (column) => valueOf(row, columns.get(column) ?? ''), target));
    found.set(target, list);
  }
  for (const list of found.values()) list.sort((left, right) => (left.sysId < right.sysId ? -1 : 1));
  return found;
}

/** Which CI each of these records points at now; those that are gone are missing. */
export async function readCmdbCis(
  { client, model }: PairReader,
  table: string,
  sysIds: readonly SysId[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const cmdbCi = model.tables.get(table)?.column('cmdb_ci');
  if (cmdbCi === undefined) return new Map();
  const lookups = lookUpsOf(table, 'sys_id', sysIds, ['sys_id', cmdbCi]);
  return new Map((await lookUp(client, lookups, signal)).flat().map((row) => [valueOf(row, 'sys_id'), valueOf(row, cmdbCi)]));
}
