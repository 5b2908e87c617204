import { isRetired, type CiState } from '../src/inventory/candidates.ts';
import { parentColumns } from '../src/inventory/resource-class.ts';
import type { SysId } from '../src/model.ts';
import { valueOf, type Row, type ServiceNowClient } from '../src/servicenow/index.ts';
import type { InstanceModel } from './instance-model.ts';
import { lookUp, lookUpsOf, type LookUp } from './look-up.ts';

/** Who looks, at what, and until when. */
export interface CiReader {
  readonly client: ServiceNowClient;
  readonly model: InstanceModel;
  readonly signal: AbortSignal;
}

/** The top of all classes: a CI is read by its sys_id without knowing which it is. */
export const rootClass = 'cmdb_ci';
const columns = ['sys_class_name', 'sys_created_on', 'install_status', 'operational_status', 'duplicate_of', 'sys_domain'];
/** A duplicate of a duplicate, an address of an adapter of a machine: deeper chains are a defect of the data. */
const longestChain = 4;

/** The columns of a class that say what state its CIs are in, as far as the instance has them. */
export function stateColumns({ hasColumn }: InstanceModel, table: string): string[] {
  return columns.filter((column) => hasColumn(table, column));
}

/** @param prefix of dot-walked columns: `cmdb_ci.` */
export function stateOf(row: Row, sysId: SysId, { ciRules }: InstanceModel, prefix = ''): CiState {
  const domain = valueOf(row, `${prefix}sys_domain`);
  return {
    sysId,
    className: valueOf(row, `${prefix}sys_class_name`),
    retired: isRetired(valueOf(row, `${prefix}install_status`), valueOf(row, `${prefix}operational_status`)),
    foreignDomain: ciRules.ownDomain !== '' && domain !== '' && domain !== 'global' && domain !== ciRules.ownDomain,
    duplicateOf: valueOf(row, `${prefix}duplicate_of`),
    createdOn: valueOf(row, `${prefix}sys_created_on`),
  };
}

/** States of CIs by sys_id; what is not there, or not readable, is not in the answer. */
export async function readStates(reader: CiReader, sysIds: readonly string[]): Promise<Map<string, CiState>> {
  const { client, model, signal } = reader;
  const fields = stateColumns(model, rootClass);
  const lookUps = lookUpsOf(rootClass, 'sys_id', sysIds.filter(isSysId), fields);
  const rows = (await lookUp(client, lookUps, signal)).flat();
  return new Map(rows.map((row) => [valueOf(row, 'sys_id'), stateOf(row, valueOf(row, 'sys_id') as SysId, model)]));
}

/** References can be keyed by name, and some columns are plain text: only this is certainly a record's id. */
function isSysId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/**
 * The CIs that found ones stand for: an adapter or an address is a part of its parent, a duplicate is the CI that it is a duplicate
 * of. A part without a readable parent stands for nothing (undefined); a duplicate whose original cannot be read stays itself.
 */
export async function standFor(reader: CiReader, found: readonly CiState[]): Promise<Map<SysId, CiState | undefined>> {
  const known = new Map<string, CiState>(found.map((ci) => [ci.sysId, ci]));
  const parents = new Map<string, string>();
  let open = found;
  for (let depth = 0; depth < longestChain && open.length > 0; depth += 1) {
    for (const [part, parent] of await readParents(reader, open)) parents.set(part, parent);
    const next = [...new Set(open.map((ci) => parents.get(ci.sysId) ?? ci.duplicateOf))].filter((id) => id !== '' && !known.has(id));
    if (next.length === 0) break;
    const states = await readStates(reader, next);
    for (const [sysId, state] of states) known.set(sysId, state);
    open = [...states.values()];
  }
  return new Map(found.map((ci) => [ci.sysId, endOf(ci, known, parents)]));
}

function endOf(start: CiState, known: ReadonlyMap<string, CiState>, parents: ReadonlyMap<string, string>): CiState | undefined {
  let ci: CiState = start;
  for (let depth = 0; depth <= longestChain; depth += 1) {
    if (parentColumns.has(ci.className)) {
      const parent = known.get(parents.get(ci.sysId) ?? '');
      if (parent === undefined) return undefined;
      ci = parent;
    } else {
      const original = ci.duplicateOf === '' ? undefined : known.get(ci.duplicateOf);
      if (original === undefined) return ci;
      ci = original;
    }
  }
  // A circle: each says that it is another's duplicate.
  return start;
}

/** Part → parent, for the adapters and addresses among these. */
async function readParents({ client, model, signal }: CiReader, cis: readonly CiState[]): Promise<Map<string, string>> {
  const asked: LookUp[] = [];
  for (const [className, wanted] of parentColumns) {
    const parts = cis.filter((ci) => ci.className === className).map((ci) => ci.sysId);
    const present = wanted.filter((column) => model.hasColumn(className, column));
    if (parts.length === 0 || present.length === 0) continue;
    asked.push(...lookUpsOf(className, 'sys_id', parts, present));
  }
  const answers = await lookUp(client, asked, signal);
  const parents = new Map<string, string>();
  for (const [index, rows] of answers.entries()) {
    for (const row of rows) {
      const parent = asked[index]?.fields.map((column) => valueOf(row, column)).find(isSysId);
      if (parent !== undefined) parents.set(valueOf(row, 'sys_id'), parent);
    }
  }
  return parents;
}
