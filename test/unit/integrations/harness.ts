import { expect } from '@jest/globals';
import { integrationOf } from '../../../src/integrations/index.ts';
import { tableSpecOf } from '../../../src/integrations/tables.ts';
import type {
  CiMatch,
  DeploymentName,
  Derived,
  DeriveContext,
  DesiredRecord,
  IntegrationName,
  JsonObject,
  ObservedKind,
  ObservedRecord,
  Related,
  ResolvedCi,
  RowOutcome,
  SysId,
} from '../../../src/model.ts';

export const scannedAtMs = Date.UTC(2026, 10, 22, 3, 0, 0);
export const scanned = '2026-11-22 03:00:00';
export const instanceKey = 'defender-sync/prod';

export function contextWith(related: Related = {}, changes: Partial<DeriveContext> = {}): DeriveContext {
  return {
    deployment: 'prod' as DeploymentName,
    source: 'Microsoft Defender for Cloud',
    integrationInstanceKey: instanceKey,
    related,
    scannedAtMs,
    notApplicableResult: undefined,
    ...changes,
  };
}

/** The record of a row that must be usable. */
export function observed(outcome: RowOutcome): ObservedRecord {
  if (outcome.outcome !== 'observed') throw new Error(`${outcome.outcome}: ${outcome.because}`);
  return outcome.record;
}

/** Bodies by id: what a derivation sees of other kinds. */
export function bodiesOf(records: readonly ObservedRecord[], kind: ObservedKind): ReadonlyMap<string, JsonObject> {
  return new Map(records.filter((record) => record.kind === kind).map((record) => [record.id, record.body]));
}

/** Derives every group of the records, checks each result, and returns them together. */
export function deriveAll(name: IntegrationName, records: readonly ObservedRecord[], context: DeriveContext = contextWith()): Derived {
  const integration = integrationOf(name);
  const derived = groupsOf(records.filter((record) => integration.derivesFrom.includes(record.kind))).map((group) =>
    integration.derive(group, context),
  );
  const all: Derived = {
    records: derived.flatMap((one) => one.records),
    cis: derived.flatMap((one) => one.cis),
    excluded: derived.flatMap((one) => one.excluded),
  };
  checkDerived(name, all);
  return all;
}

/** Discovered items and results of the groups of one CI. */
export function deriveForCi(
  records: readonly ObservedRecord[],
  context: DeriveContext = contextWith(),
  match: CiMatch = 'created-by-ire',
): { readonly derived: Derived; readonly ci: ResolvedCi } {
  const integration = integrationOf('assessments');
  const groups = groupsOf(records);
  const ci: ResolvedCi = { key: integration.ciOfGroup!(groups[0]!.group), sysId: 'c1'.repeat(16) as SysId, match };
  const derived = integration.deriveForCi!(ci, groups, context);
  checkDerived('assessments', derived);
  return { derived, ci };
}

export function groupsOf(records: readonly ObservedRecord[]): { group: string; records: ObservedRecord[] }[] {
  const groups = new Map<string, ObservedRecord[]>();
  for (const record of [...records].sort((a, b) => (a.id < b.id ? -1 : 1)))
    groups.set(record.group, [...(groups.get(record.group) ?? []), record]);
  return [...groups].map(([group, list]) => ({ group, records: list }));
}

/** What every desired record promises, whatever it was derived from. */
export function checkDerived(name: IntegrationName, derived: Derived): void {
  const tables = integrationOf(name).tables;
  for (const record of derived.records) checkRecord(record, tables);
  for (const { because } of derived.excluded) expect(because).not.toBe('');
}

function checkRecord(record: DesiredRecord, tables: readonly string[]): void {
  const problems: string[] = [];
  if (!tables.includes(record.table)) problems.push(`${record.table} is not a table of the integration`);
  const { columns, naturalKey } = tableSpecOf(record.table);
  const fields = { ...record.fields, ...record.volatile };
  for (const [column, value] of Object.entries(fields)) {
    const spec = Object.hasOwn(columns, column) ? columns[column] : undefined;
    if (spec === undefined) problems.push(`${record.table} has no column ${column}`);
    if ((value as unknown) === undefined) problems.push(`${record.table}.${column} is undefined`);
    const isReference = typeof value === 'object' && value !== null;
    if (spec && isReference !== (spec.type === 'reference' || spec.type === 'list') && column !== 'run_as')
      problems.push(`${record.table}.${column} is of another type`);
    if (spec?.type === 'time' && typeof value === 'string' && !/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/.test(value))
      problems.push(`${record.table}.${column} is no time`);
    if (typeof value === 'string' && (value.includes('\u0000') || !value.isWellFormed()))
      problems.push(`${record.table}.${column} cannot be stored`);
    if (isReference && 'records' in value !== (spec?.type === 'list')) problems.push(`${record.table}.${column} is of another type`);
    if (isReference && 'record' in value && value.record.key.length === 0) problems.push(`${record.table}.${column} refers to nothing`);
  }
  for (const [column, spec] of Object.entries(columns)) {
    if (spec.required && !Object.hasOwn(fields, column) && record.onlyIfExists !== true)
      problems.push(`${record.table}.${column} is required and absent`);
  }
  for (const column of naturalKey) {
    if (!Object.hasOwn(record.fields, column))
      problems.push(`${record.table}: natural key column ${column} is not among the stable fields`);
  }
  if (record.key !== record.key.toLowerCase() || record.key.length > 2_048 || record.key === '')
    problems.push(`key ${record.key} is no natural key`);
  expect(problems).toEqual([]);
}

/** One record of a table by its key. */
export function recordOf(derived: Derived, table: string, key: string): DesiredRecord {
  const found = derived.records.filter((record) => record.table === table && record.key === key);
  if (found.length !== 1) throw new Error(`${found.length} records of ${table} with key ${key}`);
  return found[0]!;
}

/** Keys of a table's records, in order. */
export function keysOf(derived: Derived, table: string): string[] {
  return derived.records
    .filter((record) => record.table === table)
    .map((record) => record.key)
    .sort();
}
