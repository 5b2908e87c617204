import type { IntegrationInput } from '../workflows/contract.ts';
import { integrationOf } from '../src/integrations/index.ts';
import { isDispensable, tableSpecOf } from '../src/integrations/tables.ts';
import {
  claimRecords,
  makeColumnTrialsDue,
  makeFollowersDue,
  makeHealedDue,
  openRun,
  publishProgress,
  removalProgress,
  takeOverClaims,
  unparkRecords,
  type Pointer,
  type RecordClaim,
  type RunHandle,
} from '../src/ledger/index.ts';
import { integrationNames, type IntegrationName } from '../src/model.ts';
import type { ActivityContext } from './context.ts';
import { requireTable, type InstanceModel } from './instance-model.ts';
import { inLanes, type LaneSignal } from './lanes.ts';
import type { Left } from './observe.ts';
import { publishClaim } from './publish-claim.ts';
import { settleTimeMs, type Publisher } from './publisher.ts';
import { readBack, readBackLeft } from './read-back.ts';
import { removeRecords } from './remove-records.ts';
import type { StepScope } from './run-step.ts';

const lanes = 3;
const leaseMs = 10 * 60_000;
const requestsPerClaim = 3;
/** A column that is left out is tried again at least so often, whether or not its table has anything else to write. */
const columnTrialEveryMs = 7 * 24 * 3_600_000;

/** Makes ServiceNow equal to what is desired, table after table in the order of dependency, only where they differ. */
export async function publish(context: ActivityContext, input: IntegrationInput, step: StepScope): Promise<Left> {
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  const { serviceNow } = await context.clientsOf(run);
  const publisher: Publisher = { context, run, integration: input.integration, client: serviceNow, step };
  const tables = await presentTables(context, run, tablesUpTo(input.integration));
  const left = await publishTables(publisher, tables);
  if (left.left > 0 || input.integration !== integrationNames.at(-1)) return left;
  // Records of earlier integrations were read again on the way; for those of the last one nobody comes after us.
  return { ...(await readBackLeft(publisher, tables)), advanced: false };
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

/** Publishes what is due in these tables; what a strict instance takes only later, or not at all, is counted as left or parked. */
export async function publishTables(publisher: Publisher, tables: readonly string[]): Promise<Left> {
  const { context, run, step } = publisher;
  const { database, words } = context.ledger;
  await takeOverClaims(database, run);
  await unparkRecords(database, words, run, tables);
  await makeColumnTrialsDue(database, words, run, tables, columnTrialEveryMs);
  for (const table of tables) {
    await publishTable(publisher, table);
    if (step.timeIsUp()) break;
  }
  const removedFrom = tables.filter((table) => tableSpecOf(table).removedFrom !== undefined);
  for (const table of removedFrom) await removeRecords(publisher, table, settleTimeMs(context));
  await readBack(publisher, tables);
  await makeHealedDue(database, words, run, tables);
  await makeFollowersDue(database, words, run, pointersIn(await context.instanceModelOf(run), tables));
  const toWrite = await publishProgress(database, words, run, tables, settleTimeMs(context));
  const toRemove = await removalProgress(database, words, run, removedFrom, settleTimeMs(context));
  const readyInMs = Math.min(...[toWrite, toRemove].filter(({ due }) => due > 0).map((one) => one.readyInMs));
  return { left: toWrite.due + toRemove.due, readyInMs: Number.isFinite(readyInMs) ? readyInMs : 0, advanced: false };
}

/** Columns of these tables that point into tables which a run can do without. */
function pointersIn({ tables: known }: InstanceModel, tables: readonly string[]): Pointer[] {
  return tables.flatMap((table) => {
    const mapped = known.get(table);
    return Object.entries(mapped?.spec.columns ?? {}).flatMap(([logical, { references: target }]) => {
      const column = mapped?.column(logical);
      return column !== undefined && target !== undefined && isDispensable(target) ? [{ table, column, target }] : [];
    });
  });
}

/** One lane where one claim takes all there is: most tables of most runs have nothing due, and each look costs a transaction. */
async function publishTable(publisher: Publisher, table: string): Promise<void> {
  if (publisher.step.timeIsUp() || publisher.step.signal.aborted) return;
  const first = await nextClaim(publisher, table);
  if (first.claim.records.length === 0) return;
  const isAll = first.claim.records.length < first.limit;
  await inLanes(isAll ? 1 : lanes, (lane, index) => publishLane(publisher, table, lane, index === 0 ? first.claim : undefined));
}

async function publishLane(publisher: Publisher, table: string, lane: LaneSignal, first?: RecordClaim): Promise<void> {
  const { context, step } = publisher;
  for (let claim = first; ; claim = undefined) {
    if (claim === undefined) {
      if (step.timeIsUp() || step.signal.aborted || lane.stopped()) return;
      claim = (await nextClaim(publisher, table)).claim;
    }
    if (claim.records.length === 0) return;
    await context.failpoint('publish.after-claim');
    await publishClaim(publisher, claim);
    step.at({ table, records: claim.records.length });
  }
}

/** Several requests' worth: what exists of them already is looked up in one. */
async function nextClaim({ context, run }: Publisher, table: string): Promise<{ readonly claim: RecordClaim; readonly limit: number }> {
  const { database, words } = context.ledger;
  const limit = requestsPerClaim * context.batchPaces.sizeOf(table);
  return { claim: await claimRecords(database, words, run, table, limit, leaseMs, settleTimeMs(context)), limit };
}
