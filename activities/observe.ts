import type { IntegrationInput } from '../workflows/contract.ts';
import { isSyncError, SyncError } from '../src/errors.ts';
import { integrationOf, integrations } from '../src/integrations/index.ts';
import {
  claimScan,
  commitPage,
  countAbsentKeys,
  endScan,
  forbiddenEverywhere,
  loadScopes,
  nextUsedKeys,
  openRun,
  openScans as openScansInLedger,
  postponeScan,
  releaseScan,
  reopenFailedScans,
  restartScan,
  scanProgress,
  takeOverScans,
  type ClaimedScan,
  type RunHandle,
} from '../src/ledger/index.ts';
import type { IntegrationName, JsonObject, ObservedKind, Read, ReadContext } from '../src/model.ts';
import { tableSpecOf } from '../src/integrations/tables.ts';
import type { ActivityContext, DeploymentClients } from './context.ts';
import { reasonWithoutFeature } from './instance-model.ts';
import { inLanes, type LaneSignal } from './lanes.ts';
import { cursorFromLedger, readPage, type NextKeys, type ReadPage } from './read-page.ts';
import { sentenceOf, type StepScope } from './run-step.ts';

/** Scopes read at a time by one activity; the slots of the tenant bound the requests of all of them. */
const scopesAtATime = 4;
const leaseMs = 10 * 60_000;
/** A scope that fails this often in a run, with what may pass, is given up. */
const triesPerScan = 6;
const firstPauseMs = 2_000;
const absentKeysAllowed = 200;

/** What a step leaves; the workflow decides from it when to come back (workflows/run-integration.ts). */
export interface Left {
  readonly left: number;
  /** 0 = at once. */
  readonly readyInMs: number;
  /** The step got on although `left` may be the same. Where `left` counts every item, it says so itself and this is false. */
  readonly advanced: boolean;
}

/**
 * Says which lists this integration reads in this run. Idempotent: scans that exist stay as they are, but for those that failed
 * before the run waited for a person: they are read again from where they stopped.
 */
export async function openScans(
  context: ActivityContext,
  input: IntegrationInput,
): Promise<{ readonly scans: number; readonly hasCis: boolean }> {
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  const reads = await readsOf(context, run, input.integration);
  const plans = reads.map((read) => ({ readName: read.name, stage: read.stage ?? 1, scope: read.scope }));
  if ((input.attempt ?? 1) > 1) await reopenFailedScans(context.ledger.database, run, input.integration);
  const scans = await openScansInLedger(context.ledger.database, run, input.integration, plans);
  return { scans, hasCis: integrationOf(input.integration).hangsOnCis === true };
}

async function readsOf(context: ActivityContext, run: RunHandle, integration: IntegrationName): Promise<readonly Read[]> {
  const settings = context.deployment(run.deployment);
  const scopes = await loadScopes(context.ledger.database, run);
  const readContext: ReadContext = {
    tenantId: settings.azure.tenantId.toLowerCase(),
    subscriptions: scopes.filter((scope) => scope.kind === 'subscription').map((scope) => scope.id),
    managementGroups: settings.scope.type === 'management-groups' ? settings.scope.managementGroups : [],
    subAssessments: settings.subAssessments,
  };
  return integrationOf(integration).reads(readContext);
}

/** Reads open scans until none is left or the time box is used up. */
export async function observe(context: ActivityContext, input: IntegrationInput, step: StepScope): Promise<Left> {
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  const reads = new Map((await readsOf(context, run, input.integration)).map((read) => [readKey(read.name, read.scope), read]));
  await takeOverScans(context.ledger.database, run, input.integration);
  const clients = await context.clientsOf(run);
  const model = await context.instanceModelOf(run);
  const withoutFeature = reasonWithoutFeature(model, integrationOf(input.integration).tables.map(tableSpecOf));
  const reader: Reader = { context, run, integration: input.integration, clients, step, reads, withoutFeature, committed: { pages: 0 } };
  await inLanes(scopesAtATime, (lane) => readScans(reader, lane));
  const progress = await scanProgress(context.ledger.database, run, input.integration);
  if (progress.open === 0) await requireReadable(context, run, input.integration);
  return { left: progress.open, readyInMs: progress.readyInMs, advanced: reader.committed.pages > 0 };
}

/** A list that is forbidden in every scope waits for a person; one that is forbidden in some degrades the run (design §4). */
async function requireReadable(context: ActivityContext, run: RunHandle, integration: IntegrationName): Promise<void> {
  const forbidden = await forbiddenEverywhere(context.ledger.database, run, integration);
  if (!forbidden) return;
  throw new SyncError({
    kind: 'forbidden',
    service: 'azure',
    message: `${forbidden.readName} is forbidden in every scope (${forbidden.scopes}): ${forbidden.because}`,
  });
}

interface Reader {
  readonly context: ActivityContext;
  readonly run: RunHandle;
  readonly integration: IntegrationName;
  readonly clients: DeploymentClients;
  readonly step: StepScope;
  readonly reads: ReadonlyMap<string, Read>;
  /** Set where the instance has no table for what would be read: nothing is. */
  readonly withoutFeature: string | undefined;
  /** A list may take many steps: its pages are what gets on meanwhile. */
  readonly committed: { pages: number };
}

function readKey(name: string, scope: { readonly kind: string; readonly id: string }): string {
  return `${name}\n${scope.kind}\n${scope.id}`;
}

async function readScans(reader: Reader, lane: LaneSignal): Promise<void> {
  const { context, run, integration, step } = reader;
  while (!step.timeIsUp() && !step.signal.aborted && !lane.stopped()) {
    const claim = await claimScan(context.ledger.database, run, integration, leaseMs);
    if (!claim) return;
    await context.failpoint('observe.after-claim');
    if (reader.withoutFeature !== undefined) {
      await endScan(context.ledger.database, run, claim, 'not-applicable', reader.withoutFeature);
      continue;
    }
    const read = reader.reads.get(readKey(claim.readName, claim.scope));
    if (!read) {
      await endScan(context.ledger.database, run, claim, 'failed', 'the configuration no longer names this scope');
      continue;
    }
    const got: Got = { pages: claim.pageCount };
    try {
      await readScan(reader, claim, read, got);
    } catch (error) {
      await handleFailedScan(reader, claim, read, error, got);
    }
  }
}

/** How many pages of a list are in the ledger by now. */
interface Got {
  pages: number;
}

/** Reads one list page by page; page k+1 is fetched while page k is committed (design §2). */
async function readScan(reader: Reader, claim: ClaimedScan, read: Read, got: Got): Promise<void> {
  const { context, run, step } = reader;
  const { database, words } = context.ledger;
  const fetchPage = (cursor: ReadPage['next']) => readPage(reader.clients.azure, read, cursor, nextKeysOf(reader, read), step.signal);
  const stored = cursorFromLedger(claim.cursor);
  // A stored page without a cursor was the last one: the process died between it and the scan's end.
  if (got.pages > 0 && stored === undefined) return finishScan(reader, claim, read, undefined);
  let fetching = fetchPage(stored);
  for (;;) {
    const page = await fetching;
    const goOn = page.next !== undefined && !step.timeIsUp();
    if (goOn) {
      fetching = fetchPage(page.next);
      // It is awaited on the next turn; if this turn throws first, its failure must not be an unhandled one.
      fetching.catch(() => undefined);
    }
    await commitPage(
      database,
      words,
      run,
      claim,
      got.pages + 1,
      {
        outcomes: page.rows.map((row) => read.parse(row)),
        nextCursor: page.next as JsonObject | undefined,
        totalRecords: page.totalRecords,
        absentKeys: page.absentKeys,
      },
      familyOf,
    );
    got.pages += 1;
    reader.committed.pages += 1;
    step.at({ integration: reader.integration, read: read.name, scope: claim.scope.id, page: got.pages });
    await context.failpoint('observe.between-pages');
    if (page.next === undefined) return finishScan(reader, claim, read, page);
    if (!goOn) return releaseScan(database, claim);
  }
}

async function finishScan(reader: Reader, claim: ClaimedScan, read: Read, lastPage: ReadPage | undefined): Promise<void> {
  const partial = lastPage?.partial ?? (await tooManyAbsent(reader, read));
  const state = partial === undefined ? 'complete' : 'partial';
  await endScan(
    reader.context.ledger.database,
    reader.run,
    claim,
    state,
    partial,
    lastPage?.nothingAsked === true ? {} : { emptyMeans: read.emptyMeans },
  );
}

/** Keys that no list and no single GET knows become placeholders; beyond a number of them the lists cannot be trusted (mapping.md §4). */
async function tooManyAbsent(reader: Reader, read: Read): Promise<string | undefined> {
  if (read.source.type !== 'arm-keys') return undefined;
  const { database, words } = reader.context.ledger;
  const absent = await countAbsentKeys(database, words, reader.run, read.source.keys.kind);
  return absent > absentKeysAllowed ? `${absent} keys in use have no ${read.source.keys.kind}, more than ${absentKeysAllowed}` : undefined;
}

function nextKeysOf(reader: Reader, read: Read): NextKeys {
  const { source } = read;
  if (source.type !== 'arm-keys' && source.type !== 'resource-graph-keys') return () => Promise.resolve([]);
  const { database, words } = reader.context.ledger;
  return (afterKey, limit) => nextUsedKeys(database, words, reader.run, source.keys, readNamesOf(source.keys.kind), afterKey, limit);
}

/** Names of the reads that bring records of a kind: what they brought in this run is not missing. */
function readNamesOf(kind: ObservedKind): string[] {
  return kind === 'metadata' ? ['metadata', 'metadata-keys'] : [kind];
}

/** Which integration derives a kind. */
export function familyOf(kind: ObservedKind): IntegrationName {
  const family = integrations.find((integration) => integration.derivesFrom.includes(kind));
  return family?.name ?? 'assessments';
}

async function handleFailedScan(reader: Reader, claim: ClaimedScan, read: Read, error: unknown, got: Got): Promise<void> {
  const { context, run, step } = reader;
  const { database } = context.ledger;
  if (!isSyncError(error) || step.signal.aborted) throw error;
  const notApplicable = read.notApplicable?.(error);
  if (notApplicable !== undefined) {
    await endScan(database, run, claim, 'not-applicable', notApplicable);
    return;
  }
  switch (error.kind) {
    case 'throttled':
    case 'transient':
    case 'malformed-answer':
    case 'outcome-unknown':
      await postponeOrGiveUp(reader, claim, read, error);
      return;
    case 'rejected':
    case 'not-found':
      // A cursor that the service refuses is dropped once; a first page that it refuses is an answer.
      if (got.pages > 0 && claim.attempt < 3) {
        await releaseScan(database, await restartScan(database, run, claim));
        return;
      }
      await failScan(reader, claim, read, error);
      return;
    case 'forbidden':
      await failScan(reader, claim, read, error);
      return;
    default:
      await releaseScan(database, claim);
      throw error;
  }
}

/** Temporal owns the waiting: the scan is due again later, and the workflow comes back for it. */
async function postponeOrGiveUp(reader: Reader, claim: ClaimedScan, read: Read, error: SyncError): Promise<void> {
  const { database } = reader.context.ledger;
  // Being throttled is no failure of the scope: it does not use up tries.
  if (error.kind !== 'throttled' && claim.tries + 1 >= triesPerScan) {
    await failScan(reader, claim, read, error);
    return;
  }
  const pauseMs = error.retryAfterMs ?? firstPauseMs * 2 ** Math.min(claim.tries, 6);
  await postponeScan(database, reader.run, claim, pauseMs, sentenceOf(error), error.kind !== 'throttled');
}

async function failScan(reader: Reader, claim: ClaimedScan, read: Read, error: SyncError): Promise<void> {
  const because = sentenceOf(error);
  const state = read.optional === true ? 'not-applicable' : 'failed';
  await endScan(reader.context.ledger.database, reader.run, claim, state, because, { failure: error.kind });
  reader.context.log.warn(
    { deployment: reader.run.deployment, read: read.name, scope: claim.scope.id, state, because },
    'a scope could not be read',
  );
}
