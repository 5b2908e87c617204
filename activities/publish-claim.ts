/** One claim of records: what has to be sent, and what is settled without a request. */
import { isSuperseded } from '../src/errors.ts';
import {
  adoptOrphans,
  columnBehaviours,
  settleRecords,
  takeColumnTrial,
  type RecordClaim,
  type RecordOutcome,
} from '../src/ledger/index.ts';
import { tableSpecOf } from '../src/integrations/tables.ts';
import type { SysId } from '../src/model.ts';
import { waitForOthersMs, type Send, type Settle } from './claim-work.ts';
import { findExisting } from './find-existing.ts';
import { findOrphans } from './find-orphans.ts';
import { requireTable, type InstanceTable } from './instance-model.ts';
import { prepareRecords, withoutColumns, type PreparedRecord } from './prepare-records.ts';
import { settleTimeMs, type Publisher } from './publisher.ts';
import { sendRecords } from './send-records.ts';

export async function publishClaim(publisher: Publisher, claim: RecordClaim): Promise<void> {
  const { context, run } = publisher;
  const { database, words } = context.ledger;
  const spec = tableSpecOf(claim.table);
  const mapped = requireTable(await context.instanceModelOf(run), spec);
  if (!mapped) return;
  const settle: Settle = (outcomes) => settleRecords(database, words, run, publisher.integration, claim, outcomes, spec.traffic);
  const behaviours = await columnBehaviours(database, words, run, claim.table);
  const leftOut = new Set(behaviours.filter(({ behaviour }) => behaviour !== 'second-step').map(({ column }) => column));
  const { prepared, blocked } = await prepareRecords(context, run, claim.records, mapped, leftOut, waitForOthersMs);
  // What needs no request is settled first: a crash from here on concerns only what is sent.
  await settle(blocked);
  const { settled, toSend } = await orRelease(decide(publisher, claim, mapped, prepared), prepared, settle);
  await settle(settled);
  if (toSend.length === 0) return;
  const undone = new Set(behaviours.filter(({ behaviour }) => behaviour === 'undone').map(({ column }) => column));
  const { sends, onTrial } = await leaveOut(publisher, claim.table, toSend, leftOut);
  await sendRecords({ publisher, claim, mapped, leftOut, onTrial, undone, settle }, sends);
}

/** Takes out what the instance does not keep; one record of the run has it all the same, because it may have been put right. */
async function leaveOut(
  publisher: Publisher,
  table: string,
  sends: readonly Send[],
  leftOut: ReadonlySet<string>,
): Promise<{ readonly sends: readonly Send[]; readonly onTrial: ReadonlySet<string> }> {
  if (leftOut.size === 0) return { sends, onTrial: leftOut };
  const { context, run } = publisher;
  const columnsOf = ({ values }: Send): string[] => [...leftOut].filter((column) => (values[column] ?? '') !== '');
  const trial = sends.reduce((best, send) => (columnsOf(send).length > columnsOf(best).length ? send : best));
  const onTrial = await takeColumnTrial(context.ledger.database, context.ledger.words, run, table, columnsOf(trial));
  const elsewhere = new Set([...leftOut].filter((column) => !onTrial.has(column)));
  return {
    sends: sends.map((send) => ({ ...send, values: withoutColumns(send.values, send === trial ? elsewhere : leftOut) })),
    onTrial,
  };
}

/** Gives records back when looking them up failed: nothing of them was sent. */
async function orRelease<Result>(work: Promise<Result>, records: readonly PreparedRecord[], settle: Settle): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (!isSuperseded(error)) await settle(records.map(({ key }) => ({ key, outcome: 'released', afterMs: 0 })));
    throw error;
  }
}

interface Decision {
  readonly settled: readonly RecordOutcome[];
  readonly toSend: readonly Send[];
}

/** Create, update, or nothing at all: records without a known sys_id are looked up by their natural key first. */
async function decide(
  publisher: Publisher,
  claim: RecordClaim,
  mapped: InstanceTable,
  prepared: readonly PreparedRecord[],
): Promise<Decision> {
  const settled: RecordOutcome[] = [];
  const toSend: Send[] = [];
  const toCreate: PreparedRecord[] = [];
  const unknown = prepared.filter((record) => record.sysId === undefined);
  const existing = await findExisting(publisher.client, mapped, unknown, publisher.step.signal);
  const createOnly = mapped.spec.createOnly === true;
  for (const record of prepared) {
    const { key, sysId } = record;
    const found = existing.get(key);
    const update = (of: SysId): number => toSend.push({ record, sysId: of, values: record.updateValues });
    if (found !== undefined && 'refused' in found) settled.push({ key, outcome: 'parked', because: found.refused });
    else if (sysId !== undefined && createOnly && !record.incomplete) settled.push({ key, outcome: 'unchanged', sysId });
    else if (sysId !== undefined) update(sysId);
    else if (found !== undefined && (createOnly || found.same))
      settled.push({ key, outcome: 'unchanged', sysId: found.sysId, ours: record.wasSent });
    else if (found !== undefined) update(found.sysId);
    else if (record.onlyIfExists) settled.push({ key, outcome: 'unchanged', sysId: undefined });
    else toCreate.push(record);
  }
  const adopted = await adopt(publisher, claim, mapped, toCreate);
  for (const record of toCreate) {
    const sysId = adopted === 'wait' ? undefined : adopted.get(record.key);
    if (adopted === 'wait' && record.wasSent) settled.push({ key: record.key, outcome: 'released', afterMs: waitForOthersMs });
    else toSend.push({ record, sysId, values: sysId === undefined ? record.createValues : record.updateValues });
  }
  return { settled, toSend };
}

/**
 * A record that was sent, and is not found by its key, may be there all the same: some instances drop a column of the key when a
 * record is inserted, and the second step that sets it never came (servicenow.md §5.3).
 */
async function adopt(
  publisher: Publisher,
  claim: RecordClaim,
  mapped: InstanceTable,
  toCreate: readonly PreparedRecord[],
): Promise<ReadonlyMap<string, SysId> | 'wait'> {
  const { context, run, client, step } = publisher;
  const sent = toCreate.filter((record) => record.wasSent);
  if (sent.length === 0) return new Map();
  const orphaned = await findOrphans(client, mapped, sent, step.signal);
  return adoptOrphans(context.ledger.database, context.ledger.words, run, claim, orphaned, settleTimeMs(context));
}
