/**
 * Answers to writes, held against what was sent (design §5): a status of 200 says nothing about columns that a field ACL or a
 * business rule dropped. What was dropped on insert is written in a second step; what never sticks is left out from then on, or
 * parks the record where it is meaningless without.
 */
import { waitsFor, type ColumnBehaviour, type RecordOutcome } from '../src/ledger/index.ts';
import type { SysId } from '../src/model.ts';
import { notKeptRemedy, valueOf, type NotKept, type Row, type WriteResult, type WriteValues } from '../src/servicenow/index.ts';
import { waitForOthersMs, type Answered, type ClaimWork, type Send } from './claim-work.ts';
import { isIndispensable, type InstanceTable } from './instance-model.ts';
import { withoutColumns } from './prepare-records.ts';

export type Step = 'first' | 'second';

export interface Judged {
  readonly outcomes: readonly RecordOutcome[];
  /** What has to be written once more, to records that exist now. */
  readonly secondStep: readonly Send[];
  readonly written: readonly Written[];
  /** What the answers say of the table's columns. */
  readonly learned: readonly ColumnBehaviour[];
}

export interface Written {
  readonly send: Send;
  readonly sysId: SysId;
  readonly dropped: readonly NotKept[];
  /** Columns that were sent and came back. */
  readonly kept: readonly string[];
  /** Nothing more is sent for it. */
  readonly isEnd: boolean;
}

/** @param step in the `second` nothing is tried again: what is dropped there is never kept. Pure. */
export function judgeWrites(work: ClaimWork, answered: readonly Answered[], step: Step): Judged {
  const written = answered.flatMap(({ send, result }): Written[] => {
    if (result.result !== 'written') return [];
    const compared = compare(work.mapped, result.row, send);
    const isEnd = step === 'second' || send.sysId !== undefined || compared.dropped.length === 0;
    return [{ send, sysId: result.sysId, ...compared, isEnd }];
  });
  const learned = learnedFrom(work, written, step);
  const skipped = new Set([...work.leftOut, ...learned.map(({ column }) => column)]);
  const again = written.filter(({ isEnd }) => !isEnd);
  return {
    outcomes: [
      ...answered.flatMap(({ send, result }) => (result.result === 'written' ? [] : [plainOutcome(send, result)])),
      ...again.map(({ send, sysId }): RecordOutcome => ({ key: send.record.key, outcome: 'created-in-part', sysId })),
      ...written.filter(({ isEnd }) => isEnd).map((one) => endOf(work, one, skipped, step)),
    ],
    secondStep: again.map(({ send, sysId, dropped }) => ({
      record: send.record,
      sysId,
      values: Object.fromEntries(dropped.map(({ column }) => [column, send.values[column] ?? ''])),
    })),
    written,
    learned,
  };
}

/** On insert an empty value asks for nothing: what comes back is the platform's default. */
function compare(mapped: InstanceTable, row: Row, { sysId, values }: Send): Pick<Written, 'dropped' | 'kept'> {
  const sent: WriteValues = sysId === undefined ? Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '')) : values;
  const dropped = mapped.notKept(row, sent);
  const isDropped = new Set(dropped.map(({ column }) => column));
  return { dropped, kept: Object.keys(sent).filter((column) => valueOf(row, column) !== '' && !isDropped.has(column)) };
}

/** One record that keeps a column proves that another's trouble with it is its own. */
function learnedFrom({ mapped, leftOut }: ClaimWork, written: readonly Written[], step: Step): ColumnBehaviour[] {
  const kept = new Set(written.flatMap((one) => one.kept));
  const learned = new Map<string, ColumnBehaviour>();
  for (const { column, evidence } of written.filter(({ isEnd }) => isEnd).flatMap((one) => one.dropped)) {
    if (!kept.has(column) && !isIndispensable(mapped, column)) learned.set(column, { column, behaviour: 'skipped', evidence });
  }
  const inSecondStep = step === 'second' ? [...kept] : [];
  for (const column of inSecondStep) {
    learned.set(column, { column, behaviour: 'second-step', evidence: 'dropped on insert, kept by an update' });
  }
  return [...learned.values()].filter(({ column }) => !leftOut.has(column));
}

function endOf({ mapped, leftOut }: ClaimWork, { send, sysId, dropped }: Written, skipped: ReadonlySet<string>, step: Step): RecordOutcome {
  const { key } = send.record;
  const vital = dropped.find(({ column }) => isIndispensable(mapped, column));
  if (vital !== undefined) {
    const because = `${mapped.name}.${vital.column} is not kept: the write is answered with success, and the column comes back ${vital.found}`;
    return { key, outcome: 'parked', because, remedy: notKeptRemedy(mapped.name, vital.column), sysId };
  }
  const outcome = step === 'second' ? 'completed' : send.sysId === undefined ? 'created' : 'updated';
  const notSent = [...leftOut].filter((column) => (wantedOf(send)[column] ?? '') !== '' && !Object.hasOwn(send.values, column));
  const missing = [...new Set([...notSent, ...dropped.map(({ column }) => column)])];
  // Marked where no administrator can help: the trouble is this record's own, or the column is written on creation alone.
  const without = missing.map((column) => (skipped.has(column) && Object.hasOwn(send.record.updateValues, column) ? column : `!${column}`));
  return { key, outcome, sysId, without: [...without, ...send.record.withoutParked.map(waitsFor)] };
}

function wantedOf({ record, sysId }: Send): WriteValues {
  return sysId === undefined || record.sysId !== sysId ? record.createValues : record.updateValues;
}

/** What the instance is known to have of a record after its last write: to be compared when it is read again. */
export function keptValues({ leftOut }: ClaimWork, { send, dropped }: Written): WriteValues {
  const missing = new Set([
    ...[...leftOut].filter((column) => !Object.hasOwn(send.values, column)),
    ...dropped.map(({ column }) => column),
  ]);
  return Object.fromEntries(Object.entries(withoutColumns(wantedOf(send), missing)).filter(([, value]) => value !== ''));
}

/** What no comparison with the answer is needed for. */
function plainOutcome({ record, sysId }: Send, result: Exclude<WriteResult, { result: 'written' }>): RecordOutcome {
  const { key } = record;
  switch (result.result) {
    case 'refused':
      return { key, outcome: 'parked', because: `${result.kind}: ${result.reason}`, remedy: result.remedy, sysId };
    case 'unknown':
      return { key, outcome: 'unknown', sysId, ...(result.answered ? { because: `the instance answered ${result.because}` } : {}) };
    case 'throttled':
      return { key, outcome: 'released', afterMs: waitForOthersMs, sysId, notDone: true };
    case 'gone':
      return { key, outcome: 'lost', because: 'the record is found by its key, but cannot be written by its sys_id' };
  }
}
