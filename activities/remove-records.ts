/**
 * Takes from the instance what nobody wants any more: only rows of tables that allow it (model.ts `removedFrom`), only those
 * that this ledger created, with the same intent and outcome as any write (docs/decisions/host-tags.md).
 */
import { isCertainlyNotDone, isSuperseded, isSyncError } from '../src/errors.ts';
import { tableSpecOf } from '../src/integrations/tables.ts';
import {
  claimRemovals,
  intendRemovals,
  parkRemovals,
  settleRemovals,
  unparkRemovals,
  type ClaimedRemoval,
  type RemovalClaim,
  type RemovalOutcome,
} from '../src/ledger/index.ts';
import type { SysId } from '../src/model.ts';
import { classifyRemoval, type BatchOutcome } from '../src/servicenow/index.ts';
import { findExisting } from './find-existing.ts';
import { requireTable, type InstanceTable } from './instance-model.ts';
import { prepareRecords } from './prepare-records.ts';
import type { Publisher } from './publisher.ts';

const recordsAtATime = 100;
const leaseMs = 10 * 60_000;
const waitMs = 2_000;
const nothingLeftOut: ReadonlySet<string> = new Set();

/** Removes what is due of one table, batch after batch; stops at the first that its ACL refuses altogether. */
export async function removeRecords(publisher: Publisher, table: string, settleMs: number): Promise<void> {
  const { context, run, step } = publisher;
  const { database, words } = context.ledger;
  const mapped = requireTable(await context.instanceModelOf(run), tableSpecOf(table));
  if (!mapped) return;
  await unparkRemovals(database, words, run, table);
  while (!step.timeIsUp() && !step.signal.aborted) {
    const claim = await claimRemovals(database, words, run, table, recordsAtATime, leaseMs, settleMs);
    if (claim.records.length === 0) return;
    const outcomes = await removeClaim(publisher, claim, mapped);
    step.at({ table, removed: claim.records.length });
    const [first] = outcomes;
    if (first?.outcome === 'refused' && outcomes.every((one) => one.outcome === 'refused')) {
      await parkRemovals(database, words, run, table, first.because);
      return;
    }
  }
}

async function removeClaim(publisher: Publisher, claim: RemovalClaim, mapped: InstanceTable): Promise<readonly RemovalOutcome[]> {
  const { context, run } = publisher;
  const { database, words } = context.ledger;
  const settle = (outcomes: readonly RemovalOutcome[]) => settleRemovals(database, words, run, publisher.integration, claim, outcomes);
  const known = new Map(claim.records.flatMap(({ key, sysId }) => (sysId === undefined ? [] : [[key, sysId] as const])));
  const unknown = claim.records.filter(({ sysId }) => sysId === undefined);
  try {
    for (const [key, sysId] of await lookUp(publisher, mapped, unknown)) known.set(key, sysId);
  } catch (error) {
    if (!isSuperseded(error)) await settle(claim.records.map(({ key }) => ({ key, outcome: 'released', afterMs: 0 })));
    throw error;
  }
  // Looked up and not there: its creation never happened.
  await settle(unknown.flatMap(({ key }) => (known.has(key) ? [] : [{ key, outcome: 'removed', written: false } as const])));
  if (known.size === 0) return [];
  return send(publisher, claim, mapped, [...known], settle);
}

async function lookUp(publisher: Publisher, mapped: InstanceTable, records: readonly ClaimedRemoval[]): Promise<Map<string, SysId>> {
  const { context, run, client, step } = publisher;
  const claimed = records.map(({ key, fields }) => ({
    key,
    fields,
    sysId: undefined,
    wasSent: true,
    volatile: {},
    onlyIfExists: true,
    content: Buffer.alloc(0),
    incomplete: false,
  }));
  const { prepared } = await prepareRecords(context, run, claimed, mapped, nothingLeftOut, waitMs);
  const found = await findExisting(client, mapped, prepared, step.signal);
  return new Map([...found].flatMap(([key, one]) => ('sysId' in one ? [[key, one.sysId] as const] : [])));
}

async function send(
  publisher: Publisher,
  claim: RemovalClaim,
  mapped: InstanceTable,
  records: readonly (readonly [key: string, sysId: SysId])[],
  settle: (outcomes: readonly RemovalOutcome[]) => Promise<void>,
): Promise<readonly RemovalOutcome[]> {
  const { context, run, client, step } = publisher;
  const keys = records.map(([key]) => key);
  let answers: readonly BatchOutcome[];
  try {
    answers = await client.batch.sendBatch(
      records.map(([, sysId], index) => client.table.deleteItem(String(index), mapped.name, sysId)),
      {
        kind: 'serviceNowWrites',
        effect: 'write',
        beforeSend: () => intendRemovals(context.ledger.database, context.ledger.words, run, claim, keys),
        signal: step.signal,
      },
    );
  } catch (error) {
    const certainlyNot = isCertainlyNotDone(error);
    if (!isSuperseded(error))
      await settle(keys.map((key) => (certainlyNot ? { key, outcome: 'released', afterMs: 0 } : { key, outcome: 'unknown' })));
    if (isSyncError(error, 'outcome-unknown')) return [];
    throw error;
  }
  const outcomes = keys.map((key, index) => outcomeOf(key, answers[index]));
  await settle(outcomes);
  return outcomes;
}

function outcomeOf(key: string, answer: BatchOutcome | undefined): RemovalOutcome {
  const result = classifyRemoval(answer ?? { outcome: 'unserviced' });
  switch (result.result) {
    case 'removed':
      return { key, outcome: 'removed', written: true };
    case 'gone':
      return { key, outcome: 'removed', written: false };
    case 'refused':
      return { key, outcome: 'refused', because: `${result.reason} ${result.remedy}` };
    case 'unknown':
      return { key, outcome: 'unknown' };
    case 'throttled':
      return { key, outcome: 'released', afterMs: waitMs };
  }
}
