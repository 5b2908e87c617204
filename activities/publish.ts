import type { IntegrationInput } from '../workflows/contract.ts';
import { isSyncError } from '../src/errors.ts';
import { integrationOf } from '../src/integrations/index.ts';
import { tableSpecOf } from '../src/integrations/tables.ts';
import {
  claimRecords,
  intendRecords,
  openRun,
  publishProgress,
  settleRecords,
  takeOverClaims,
  unparkRecords,
  type RecordClaim,
  type RecordOutcome,
  type RunHandle,
} from '../src/ledger/index.ts';
import { integrationNames, type IntegrationName } from '../src/model.ts';
import { classifyWrite, type BatchItem, type BatchOutcome, type ServiceNowClient } from '../src/servicenow/index.ts';
import type { ActivityContext } from './context.ts';
import { findExisting } from './find-existing.ts';
import { requireTable, type InstanceTable } from './instance-model.ts';
import { inLanes, type LaneSignal } from './lanes.ts';
import type { Left } from './observe.ts';
import { prepareRecords, type PreparedRecord } from './prepare-records.ts';
import type { StepScope } from './run-step.ts';

/** Records per Batch request; the platform runs them one after the other within its quota. */
const recordsAtATime = 400;
const lanes = 3;
const leaseMs = 10 * 60_000;
/** How long a record waits for a reference that somebody else is writing. */
const waitForReferenceMs = 2_000;

/** What publishing one table needs; the same for an integration's tables and the engine's own records. */
export interface Publisher {
  readonly context: ActivityContext;
  readonly run: RunHandle;
  /** Whom the counts belong to. */
  readonly integration: IntegrationName;
  readonly client: ServiceNowClient;
  readonly step: StepScope;
}

/** Makes ServiceNow equal to what is desired, table after table in the order of dependency, only where they differ. */
export async function publish(context: ActivityContext, input: IntegrationInput, step: StepScope): Promise<Left> {
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  const { serviceNow } = await context.clientsOf(run);
  const publisher: Publisher = { context, run, integration: input.integration, client: serviceNow, step };
  return publishTables(publisher, await presentTables(context, run, tablesUpTo(input.integration)));
}

/** Earlier integrations are included: metadata fetched for an assessment makes a test of integration 2. */
function tablesUpTo(integration: IntegrationName): string[] {
  const names = integrationNames.slice(0, integrationNames.indexOf(integration) + 1);
  return [...new Set(names.flatMap((name) => integrationOf(name).tables))];
}

/** Leaves out tables that the instance lacks and the feature can do without; stops at one that it cannot. */
async function presentTables(context: ActivityContext, run: RunHandle, tables: readonly string[]): Promise<string[]> {
  const model = await context.instanceModelOf(run);
  return tables.filter((table) => requireTable(model, tableSpecOf(table)) !== undefined);
}

export async function publishTables(publisher: Publisher, tables: readonly string[]): Promise<Left> {
  const { context, run, step } = publisher;
  const { database, words } = context.ledger;
  await takeOverClaims(database, run);
  await unparkRecords(database, words, run, tables);
  for (const table of tables) {
    await inLanes(lanes, (lane) => publishTable(publisher, table, lane));
    if (step.timeIsUp()) break;
  }
  const progress = await publishProgress(database, words, run, tables, settleTimeMs(context));
  return { left: progress.due, readyInMs: progress.readyInMs, advanced: false };
}

/** Until then after sending, the platform may still be working on it (design §2): its quota for a Batch, and a margin. */
export function settleTimeMs(context: ActivityContext): number {
  return context.config.serviceNow.batchTransactionQuotaMs + context.config.serviceNow.settleMs;
}

async function publishTable(publisher: Publisher, table: string, lane: LaneSignal): Promise<void> {
  const { context, run, step } = publisher;
  const { database, words } = context.ledger;
  for (;;) {
    if (step.timeIsUp() || step.signal.aborted || lane.stopped()) return;
    const claim = await claimRecords(database, words, run, table, recordsAtATime, leaseMs, settleTimeMs(context));
    if (claim.records.length === 0) return;
    await context.failpoint('publish.after-claim');
    await publishClaim(publisher, claim);
    step.at({ table, records: claim.records.length });
  }
}

async function publishClaim(publisher: Publisher, claim: RecordClaim): Promise<void> {
  const { context, run } = publisher;
  const spec = tableSpecOf(claim.table);
  const mapped = requireTable(await context.instanceModelOf(run), spec);
  if (!mapped) return;
  const settle = (outcomes: readonly RecordOutcome[]) =>
    settleRecords(context.ledger.database, context.ledger.words, run, publisher.integration, claim, outcomes, spec.traffic);
  const { prepared, blocked } = await prepareRecords(context, run, claim.records, mapped, waitForReferenceMs);
  // What needs no request is settled first: a crash from here on concerns only what is sent.
  await settle(blocked);
  const { settled, toSend } = await orRelease(decide(publisher, mapped, prepared), prepared, settle);
  await settle(settled);
  if (toSend.length > 0) await sendAndSettle(publisher, claim, mapped, toSend, settle);
}

/** Gives records back when looking them up failed: nothing of them was sent. */
async function orRelease<Result>(
  work: Promise<Result>,
  records: readonly PreparedRecord[],
  settle: (outcomes: readonly RecordOutcome[]) => Promise<void>,
): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (!isSyncError(error, 'fenced-out')) await settle(records.map(({ key }) => ({ key, outcome: 'released', afterMs: 0 })));
    throw error;
  }
}

interface Send {
  readonly record: PreparedRecord;
  readonly create: boolean;
  readonly item: BatchItem;
}

/** Create, update, or nothing at all: records without a known sys_id are looked up by their natural key first. */
async function decide(
  publisher: Publisher,
  mapped: InstanceTable,
  prepared: readonly PreparedRecord[],
): Promise<{ readonly settled: RecordOutcome[]; readonly toSend: Send[] }> {
  const { client } = publisher;
  const settled: RecordOutcome[] = [];
  const toSend: Send[] = [];
  const unknown = prepared.filter((record) => record.sysId === undefined);
  const existing = await findExisting(client, mapped, unknown, publisher.step.signal);
  for (const [index, record] of prepared.entries()) {
    const id = String(index);
    const found = existing.get(record.key);
    if (found !== undefined && 'refused' in found) {
      settled.push({ key: record.key, outcome: 'parked', because: found.refused });
    } else if (record.sysId !== undefined && mapped.spec.createOnly === true) {
      settled.push({ key: record.key, outcome: 'unchanged', sysId: record.sysId });
    } else if (record.sysId !== undefined) {
      toSend.push({ record, create: false, item: client.table.updateItem(id, mapped.name, record.sysId, record.updateValues) });
    } else if (found !== undefined) {
      if (mapped.spec.createOnly === true || found.same) settled.push({ key: record.key, outcome: 'unchanged', sysId: found.sysId });
      else
        toSend.push({
          record: { ...record, sysId: found.sysId },
          create: false,
          item: client.table.updateItem(id, mapped.name, found.sysId, record.updateValues),
        });
    } else if (record.onlyIfExists) {
      settled.push({ key: record.key, outcome: 'unchanged', sysId: undefined });
    } else {
      toSend.push({ record, create: true, item: client.table.createItem(id, mapped.name, record.createValues) });
    }
  }
  return { settled, toSend };
}

/**
 * Intent → send → outcome per record (design §2). Nothing here is sent twice: an unknown outcome is looked up later. The
 * intent is committed with the slot in hand: whoever waited for one for longer than the platform needs to settle, and lost
 * the claim to another attempt meanwhile, learns it there and sends nothing.
 */
async function sendAndSettle(
  publisher: Publisher,
  claim: RecordClaim,
  mapped: InstanceTable,
  sends: readonly Send[],
  settle: (outcomes: readonly RecordOutcome[]) => Promise<void>,
): Promise<void> {
  const { context, run, client } = publisher;
  const { database, words } = context.ledger;
  const keys = sends.map((send) => send.record.key);
  let answers: readonly BatchOutcome[];
  try {
    answers = await client.batch.sendBatch(
      sends.map((send) => send.item),
      {
        kind: mapped.spec.traffic === 'data' ? 'serviceNowWrites' : 'serviceNowBookkeeping',
        effect: 'write',
        beforeSend: async () => {
          await intendRecords(database, words, run, claim, keys);
          await context.failpoint('publish.after-intent');
        },
        signal: publisher.step.signal,
      },
    );
  } catch (error) {
    // A refused or throttled batch was certainly not carried out; anything else, including our own cancellation, may have been.
    const certainlyNot = isSyncError(error, 'throttled', 'unauthenticated', 'forbidden', 'rejected', 'fenced-out', 'bug');
    if (!isSyncError(error, 'fenced-out')) {
      await settle(
        sends.map(({ record }) =>
          certainlyNot ? { key: record.key, outcome: 'released', afterMs: 0 } : { key: record.key, outcome: 'unknown' },
        ),
      );
    }
    if (isSyncError(error, 'outcome-unknown')) return;
    throw error;
  }
  await context.failpoint('publish.after-send');
  await settle(sends.map((send, index) => outcomeOf(send, answers[index])));
  await context.failpoint('publish.after-outcome');
}

function outcomeOf({ record, create }: Send, answer: BatchOutcome | undefined): RecordOutcome {
  const result = classifyWrite(answer ?? { outcome: 'unserviced' });
  const { key } = record;
  switch (result.result) {
    case 'written':
      return { key, outcome: create ? 'created' : 'updated', sysId: result.sysId };
    case 'refused':
      return { key, outcome: 'parked', because: `${result.kind}: ${result.reason} ${result.remedy}`, sysId: record.sysId };
    case 'unknown':
      return { key, outcome: 'unknown' };
    case 'throttled':
      return { key, outcome: 'released', afterMs: waitForReferenceMs, sysId: record.sysId };
    case 'gone':
      return { key, outcome: 'lost' };
  }
}
