import { resolveReferences, type ClaimedRecord, type RecordOutcome, type ResolvedReference, type RunHandle } from '../src/ledger/index.ts';
import type { CiKey, FieldValue, SysId } from '../src/model.ts';
import type { PlainValue, WriteValues } from '../src/servicenow/index.ts';
import { isDispensable } from '../src/integrations/tables.ts';
import type { ActivityContext } from './context.ts';
import type { InstanceTable } from './instance-model.ts';

/** A record with its references resolved and its values shaped for the instance. */
export interface PreparedRecord {
  readonly key: string;
  readonly sysId: SysId | undefined;
  readonly onlyIfExists: boolean;
  /** It was sent before, and the outcome never came back. */
  readonly wasSent: boolean;
  /** Created by us with columns missing. */
  readonly incomplete: boolean;
  readonly content: Buffer;
  readonly createValues: WriteValues;
  readonly updateValues: WriteValues;
  /** Values of the stable fields alone, without what the instance does not keep: what an existing record is compared with. */
  readonly comparedValues: WriteValues;
  /** Real column → value of the natural key. */
  readonly naturalKey: WriteValues;
  /** Real columns that go empty, because what they point at is parked and can be done without. */
  readonly withoutParked: readonly string[];
}

/**
 * Resolves references and shapes values; a record whose reference is not there yet, or never will be, is settled without sending.
 * @param leftOut real columns that the instance is known not to keep
 */
export async function prepareRecords(
  context: ActivityContext,
  run: RunHandle,
  records: readonly ClaimedRecord[],
  mapped: InstanceTable,
  leftOut: ReadonlySet<string>,
  waitMs: number,
): Promise<{ readonly prepared: PreparedRecord[]; readonly blocked: RecordOutcome[] }> {
  const references = await resolveReferences(context.ledger.database, context.ledger.words, run, collectReferences(records));
  const lookUp: LookUp = (reference) =>
    ('ci' in reference
      ? references.cis.get(reference.ci)
      : references.records.get(`${reference.record.table}\n${reference.record.key}`)) ?? {
      state: 'pending',
    };
  const prepared: PreparedRecord[] = [];
  const blocked: RecordOutcome[] = [];
  for (const record of records) {
    const { obstacle, withoutParked } = obstaclesOf(record, mapped, lookUp);
    if (obstacle !== undefined) {
      blocked.push(blockedOutcome(record, obstacle, waitMs));
      continue;
    }
    const plain = plainFields(record.fields, lookUp);
    const all = { ...plain, ...plainFields(record.volatile, lookUp) };
    const createValues = mapped.shape(all, { create: true }).values;
    prepared.push({
      key: record.key,
      sysId: record.sysId,
      onlyIfExists: record.onlyIfExists,
      wasSent: record.wasSent,
      incomplete: record.incomplete,
      content: record.content,
      createValues,
      updateValues: mapped.shape(all, { create: false }).values,
      comparedValues: withoutColumns(mapped.shape(plain, { create: false }).values, leftOut),
      naturalKey: naturalKeyOf(mapped, plain),
      withoutParked,
    });
  }
  return { prepared, blocked };
}

export function withoutColumns(values: WriteValues, leftOut: ReadonlySet<string>): WriteValues {
  return leftOut.size === 0 ? values : Object.fromEntries(Object.entries(values).filter(([column]) => !leftOut.has(column)));
}

type Reference = { readonly record: { readonly table: string; readonly key: string } } | { readonly ci: CiKey };
type LookUp = (reference: Reference) => ResolvedReference;

/** What a value points at: nothing, one record or CI, or a list of records. */
function referencesOf(value: FieldValue): readonly Reference[] {
  if (value === null || typeof value !== 'object') return [];
  if (!('records' in value)) return [value];
  const { table, keys } = value.records;
  return keys.map((key) => ({ record: { table, key } }));
}

function isList(value: FieldValue): boolean {
  return typeof value === 'object' && value !== null && 'records' in value;
}

function collectReferences(records: readonly ClaimedRecord[]): { records: { table: string; key: string }[]; cis: CiKey[] } {
  const found = new Map<string, { table: string; key: string }>();
  const cis = new Set<CiKey>();
  for (const record of records) {
    for (const value of [...Object.values(record.fields), ...Object.values(record.volatile)]) {
      for (const reference of referencesOf(value)) {
        if ('ci' in reference) cis.add(reference.ci);
        else found.set(`${reference.record.table}\n${reference.record.key}`, reference.record);
      }
    }
  }
  return { records: [...found.values()], cis: [...cis] };
}

type Obstacle = { readonly state: 'pending' | 'parked' | 'absent'; readonly column: string; readonly target: string };

interface Obstacles {
  /** The first reference that stands in the way. */
  readonly obstacle?: Obstacle;
  readonly withoutParked: readonly string[];
}

/**
 * References of columns that the instance lacks do not stand in the way, a list goes without what will not come, and what a run can do
 * without (regions, providers, packages) keeps no record back that can do without it.
 */
function obstaclesOf(record: ClaimedRecord, mapped: InstanceTable, lookUp: LookUp): Obstacles {
  const withoutParked: string[] = [];
  for (const [column, value] of Object.entries(record.fields)) {
    const real = mapped.column(column);
    if (real === undefined) continue;
    for (const reference of referencesOf(value)) {
      const { state } = lookUp(reference);
      if (state === 'known' || (isList(value) && state !== 'pending')) continue;
      const canGoWithout = 'record' in reference && isDispensable(reference.record.table) && mapped.spec.columns[column]?.required !== true;
      if (state !== 'parked' || !canGoWithout) return { obstacle: { state, column, target: targetOf(reference) }, withoutParked };
      withoutParked.push(real);
    }
  }
  return { withoutParked };
}

/** A kind, not a key: records that are parked for one reason are counted together. */
function targetOf(reference: Reference): string {
  return 'ci' in reference ? 'a CI' : reference.record.table;
}

function blockedOutcome(record: ClaimedRecord, obstacle: Obstacle, waitMs: number): RecordOutcome {
  if (obstacle.state === 'pending') return { key: record.key, outcome: 'released', afterMs: waitMs };
  // What is never created for this has nothing to hang on either.
  if (obstacle.state === 'absent' && record.onlyIfExists && record.sysId === undefined)
    return { key: record.key, outcome: 'unchanged', sysId: undefined };
  return {
    key: record.key,
    outcome: 'parked',
    because: `its ${obstacle.column} (${obstacle.target}) is ${obstacle.state === 'parked' ? 'parked itself' : 'not on the instance'}`,
    remedy: 'It follows by itself once that is there.',
    sysId: record.sysId,
  };
}

function plainFields(fields: Readonly<Record<string, FieldValue>>, lookUp: LookUp): Record<string, PlainValue> {
  const plain: Record<string, PlainValue> = {};
  for (const [column, value] of Object.entries(fields)) {
    if (value === null || typeof value !== 'object') plain[column] = value;
    else {
      const known = referencesOf(value).flatMap((reference) => {
        const resolved = lookUp(reference);
        return resolved.state === 'known' ? [resolved.sysId] : [];
      });
      // Two tags may be one record on the instance.
      if (isList(value) || known.length > 0) plain[column] = [...new Set(known)].sort().join();
    }
  }
  return plain;
}

/** A part of the key that is empty belongs to it: without it a record would be taken for its sibling that has one. */
function naturalKeyOf(mapped: InstanceTable, plain: Readonly<Record<string, PlainValue>>): WriteValues {
  const { values } = mapped.shape(plain, { create: true });
  const key: Record<string, string> = {};
  for (const logical of mapped.spec.naturalKey) {
    const column = mapped.column(logical);
    if (column === undefined || !Object.hasOwn(plain, logical)) continue;
    key[column] = values[column] ?? '';
  }
  return Object.values(key).some((value) => value !== '') ? key : {};
}
