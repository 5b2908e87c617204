import type { IntegrationInput } from '../workflows/contract.ts';
import { isCertainlyNotDone, isSuperseded, isSyncError, type SyncError } from '../src/errors.ts';
import { buildIrePayloads, type BuiltPayload } from '../src/inventory/ire-payload.ts';
import {
  ciProgress,
  claimCis,
  intendCis,
  openRun,
  ownedSysIds,
  settleCis,
  takeOverClaims,
  unparkCis,
  type CiClaim,
  type CiOutcome,
  type ClaimedCi,
  type RunHandle,
} from '../src/ledger/index.ts';
import { accountClass, placeholderClass } from '../src/inventory/resource-class.ts';
import type { CiKey, CiMatch, SysId } from '../src/model.ts';
import {
  ireBatchItem,
  itemError,
  readIreAnswer,
  type BatchOutcome,
  type IreAnswer,
  type ServiceNowClient,
} from '../src/servicenow/index.ts';
import type { ActivityContext } from './context.ts';
import { integrationInstanceKey } from './engine-records.ts';
import { findCis, type Finder, type FoundCi } from './find-cis.ts';
import { tagsOfCis } from './host-tags.ts';
import { IrePace, itemsPerPayload } from './ire-batches.ts';
import type { Left } from './observe.ts';
import { revalidateCis } from './revalidate-cis.ts';
import type { StepScope } from './run-step.ts';

/** CIs settled at a time: many look-ups share a Batch, and few parents are met by two workers. */
const cisAtATime = 5_000;
const leaseMs = 10 * 60_000;
/** LOCK_TIMEOUT and ABANDONED: another payload works on the same parent; it will be done soon, or it takes a while. */
const firstRetryMs = 5_000;
const longestRetryMs = 5 * 60_000;
const triesPerCi = 8;
/** The plain endpoint commits a payload as a whole or not at all: one bad item would take hundreds of good ones along. */
const goodItemsOnly = { partialPayloads: false, partialCommits: true, deduplicatePayloads: true } as const;
/** The instance had no room for a payload at all. */
const throttledMs = 10_000;

/** Settles which CI each wanted resource and image is: found on the instance, or created through IRE. */
export async function resolveCis(context: ActivityContext, input: IntegrationInput, step: StepScope): Promise<Left> {
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  const finder = await finderOf(context, run, step);
  const settleTime = context.config.serviceNow.transactionQuotaMs + context.config.serviceNow.settleMs;
  await takeOverClaims(context.ledger.database, run);
  await revalidateCis(context, run, finder, step);
  await unparkCis(context.ledger.database, run);
  const pace = new IrePace();
  let done = 0;
  while (!step.timeIsUp() && !step.signal.aborted) {
    const claim = await claimCis(context.ledger.database, run, cisAtATime, leaseMs, settleTime);
    if (claim.cis.length === 0) break;
    await context.failpoint('resolve.after-claim');
    await resolveClaim({ context, run, input, finder, client: finder.client, claim, step, pace });
    done += claim.cis.length;
    step.at({ cis: done });
  }
  const progress = await ciProgress(context.ledger.database, run, settleTime);
  return { left: progress.wanted, readyInMs: progress.readyInMs, advanced: false };
}

async function finderOf(context: ActivityContext, run: RunHandle, step: StepScope): Promise<Finder> {
  const { serviceNow } = await context.clientsOf(run);
  const key = integrationInstanceKey(run.deployment);
  const instances = await ownedSysIds(context.ledger.database, context.ledger.words, run, 'sn_sec_int_impl', [key]);
  return { client: serviceNow, model: await context.instanceModelOf(run), signal: step.signal, integrationInstance: instances.get(key) };
}

interface Resolver {
  readonly context: ActivityContext;
  readonly run: RunHandle;
  readonly input: IntegrationInput;
  readonly finder: Finder;
  readonly client: ServiceNowClient;
  readonly claim: CiClaim;
  readonly step: StepScope;
  readonly pace: IrePace;
}

interface Written {
  readonly created: number;
  readonly updated: number;
  readonly records: number;
}
const nothingWritten: Written = { created: 0, updated: 0, records: 0 };

async function resolveClaim(resolver: Resolver): Promise<void> {
  const { finder, claim, context } = resolver;
  let found: Awaited<ReturnType<typeof findCis>>;
  try {
    found = await findCis(finder, claim.cis);
  } catch (error) {
    await settle(resolver, claim.cis.map(released), nothingWritten);
    throw error;
  }
  const matched = claim.cis.flatMap((ci): CiOutcome[] => {
    const match = found.get(ci.key);
    return match ? [{ key: ci.key, outcome: 'resolved', ...match, match: matchOf(ci, match) }] : [];
  });
  const unmatched = claim.cis.filter((ci) => !found.has(ci.key));
  const { unplaced } = buildIrePayloads(unmatched, { dataSource: context.config.serviceNow.dataSource });
  const parked = unplaced.map(({ request, because }): CiOutcome => ({ key: request.key, outcome: 'parked', because }));
  await settle(resolver, [...matched, ...parked], nothingWritten);
  const impossible = new Set(parked.map(({ key }) => key));
  await sendAll(
    resolver,
    unmatched.filter(({ key }) => !impossible.has(key)),
  );
}

/** One Batch after the other: payloads of one claim have parents in common, and must not wait for each other's locks. */
async function sendAll(resolver: Resolver, cis: readonly ClaimedCi[]): Promise<void> {
  const { context, pace, step } = resolver;
  let waiting: readonly ClaimedCi[] = [...cis].sort(byTriesAndParent);
  const tags = await tagsOfCis(
    context,
    resolver.run,
    cis.map(({ key }) => key),
  );
  for (let [first] = waiting; first !== undefined; [first] = waiting) {
    if (step.timeIsUp() || step.signal.aborted) {
      await settle(resolver, waiting.map(released), nothingWritten);
      return;
    }
    const repeated = repeats(first);
    const alike = waiting.filter((ci) => repeats(ci) === repeated);
    const { payloads, left: alikeLeft } = pace.next(
      alike,
      { dataSource: context.config.serviceNow.dataSource, tags },
      smallerAfter(repeated),
    );
    const left = [...alikeLeft, ...waiting.slice(alike.length)];
    try {
      await sendPayloads(resolver, payloads);
    } catch (error) {
      if (!isSuperseded(error)) await settle(resolver, left.map(released), nothingWritten);
      throw error;
    }
    waiting = left;
    step.at({ cisToSend: waiting.length });
  }
}

/** How often it was sent for nothing, beyond the one time that happens to anybody. */
function repeats({ tries }: ClaimedCi): number {
  return Math.max(0, tries - 1);
}

/** A CI that the engine cannot digest makes its whole payload fail: halved each time, the others get through, and it is left alone. */
function smallerAfter(repeated: number): number {
  return Math.max(1, Math.floor(itemsPerPayload / 2 ** repeated));
}

function byTriesAndParent(left: ClaimedCi, right: ClaimedCi): number {
  return repeats(left) - repeats(right) || byParent(left, right);
}

/** As the payloads are sorted, so that one Batch after the other takes accounts whole. */
function byParent({ identity: left }: ClaimedCi, { identity: right }: ClaimedCi): number {
  const parentOf = (identity: ClaimedCi['identity']): string =>
    identity.type === 'image' ? '\u{10ffff}' : `${identity.accountId ?? ''}\n${identity.region ?? ''}`;
  const [a, b] = [parentOf(left), parentOf(right)];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One whose outcome is still unknown stays so: it has settled, and is looked up again by the next attempt. */
function released(ci: ClaimedCi): CiOutcome {
  return { key: ci.key, outcome: ci.wasSent ? 'unknown' : 'released' };
}

/**
 * A CI is looked up before it is sent, and was not there then. Found now, in the class that was sent, it is the one whose
 * answer was lost: it was created by this engine, whatever found it again.
 */
function matchOf(ci: ClaimedCi, { match, className }: FoundCi): CiMatch {
  const sentClass = className === placeholderClass || className === accountClass;
  return ci.wasSent && match === 'lookup-rule' && sentClass ? 'created-by-ire' : match;
}

/**
 * Intent → send → outcome per item; a lost answer leaves the intent, and the CIs are looked up once the platform has settled.
 * The intent is committed with the slot in hand, as for records (publish.ts).
 */
async function sendPayloads(resolver: Resolver, payloads: readonly BuiltPayload[]): Promise<void> {
  const { context, run, client, claim, step, pace } = resolver;
  const { dataSource } = context.config.serviceNow;
  const keys = payloads.flatMap(({ itemIndexes }) => [...itemIndexes.keys()]);
  const startedMs = performance.now();
  let outcomes: readonly BatchOutcome[];
  try {
    outcomes = await client.batch.sendBatch(
      payloads.map(({ payload }, index) => ireBatchItem(String(index), payload, { dataSource, enhanced: goodItemsOnly })),
      {
        kind: 'serviceNowWrites',
        effect: 'write',
        beforeSend: async () => {
          await intendCis(context.ledger.database, run, claim, keys);
          await context.failpoint('resolve.after-intent');
        },
        signal: step.signal,
      },
    );
  } catch (error) {
    const certainlyNot = isCertainlyNotDone(error) || isSyncError(error, 'misconfigured');
    if (!isSuperseded(error)) {
      await settle(
        resolver,
        keys.map((key) => ({ key, outcome: certainlyNot ? 'released' : 'unknown' })),
        nothingWritten,
      );
    }
    if (isSyncError(error, 'outcome-unknown')) return;
    throw error;
  }
  pace.learn(payloads, outcomes, performance.now() - startedMs);
  await context.failpoint('resolve.after-send');
  const refused: SyncError[] = [];
  const triesOf = new Map(claim.cis.map((ci) => [ci.key, ci.tries + 1]));
  for (const [index, built] of payloads.entries()) {
    const { settled, written, refusal } = answerOf(built, outcomes[index], triesOf);
    await settle(resolver, settled, written);
    if (refusal) refused.push(refusal);
  }
  await context.failpoint('resolve.after-outcome');
  if (refused[0]) throw refused[0];
}

interface PayloadAnswer {
  readonly settled: readonly CiOutcome[];
  readonly written: Written;
  /** What no other payload would fare better with: a role is missing, the API is closed to this client. */
  readonly refusal?: SyncError | undefined;
}

/**
 * What became of one payload of a Batch: as many answers as it has items, or one for all of them.
 * @param triesOf how often each was sent, this time included
 */
function answerOf(built: BuiltPayload, outcome: BatchOutcome | undefined, triesOf: ReadonlyMap<CiKey, number>): PayloadAnswer {
  const all = (of: (key: CiKey) => CiOutcome): CiOutcome[] => [...built.itemIndexes.keys()].map(of);
  const unknown: PayloadAnswer = { settled: all((key) => ({ key, outcome: 'unknown' })), written: nothingWritten };
  // It answers, and never says what became of it: some times, and then it is a person's business.
  const unclear = (because: string): PayloadAnswer => ({
    settled: all((key) =>
      (triesOf.get(key) ?? 1) < triesPerCi
        ? { key, outcome: 'unknown' }
        : { key, outcome: 'parked', because: `${because}, still after ${triesPerCi} tries` },
    ),
    written: nothingWritten,
  });
  if (outcome === undefined || outcome.outcome === 'unserviced') return unknown;
  const { status } = outcome;
  if (status === 500) return unclear('the identification engine fails on its payload (status 500)');
  if (status === 202 || status > 503) return unknown;
  if (status === 429 || status === 503 || status === 401) {
    const because = `status ${status}`;
    return { settled: all((key) => ({ key, outcome: 'retry', because, afterMs: throttledMs })), written: nothingWritten };
  }
  if (status !== 200 && status !== 400) {
    return {
      settled: all((key) => ({ key, outcome: 'released' })),
      written: nothingWritten,
      refusal: itemError(status, outcome.body, 'POST /api/now/identifyreconcile'),
    };
  }
  let answer: IreAnswer;
  try {
    answer = readIreAnswer(outcome.body, built.payload.items.length, {}, status);
  } catch (error) {
    if (!isSyncError(error, 'rejected', 'malformed-answer')) throw error;
    // A payload that the engine does not even read: nothing of it was done, and nothing of it would be another time.
    if (error.kind === 'rejected') {
      return { settled: all((key) => ({ key, outcome: 'parked', because: error.message })), written: nothingWritten };
    }
    return unclear(error.message);
  }
  const settled = [...built.itemIndexes].map(([key, itemIndex]) => outcomeOf(key, answer, itemIndex, triesOf.get(key) ?? 1));
  return { settled, written: writtenBy(answer) };
}

function outcomeOf(key: CiKey, answer: IreAnswer, itemIndex: number, tries: number): CiOutcome {
  const item = answer.items[itemIndex];
  if (item === undefined) return { key, outcome: 'parked', because: 'the identification engine did not answer for this item' };
  switch (item.outcome) {
    case 'inserted':
    case 'matched':
    case 'updated':
      if (item.sysId === undefined) return retryLater(key, 'NO_SYS_ID', tries);
      return {
        key,
        outcome: 'resolved',
        sysId: item.sysId,
        className: item.className,
        match: item.outcome === 'inserted' ? 'created-by-ire' : 'matched-by-ire',
        evidence: `identification engine: ${item.operation}`,
      };
    case 'retry':
      return retryLater(key, item.code, tries);
    case 'refused':
      return { key, outcome: 'parked', because: `${item.code}: ${item.message} ${item.remedy}` };
  }
}

/** Each time twice as long, and some tries only: a parent that stays locked is a person's business. */
function retryLater(key: CiKey, code: string, tries: number): CiOutcome {
  if (tries >= triesPerCi) return { key, outcome: 'parked', because: `${code}: still refused after ${tries} tries` };
  return { key, outcome: 'retry', because: code, afterMs: Math.min(longestRetryMs, firstRetryMs * 2 ** (tries - 1)) };
}

/** Records that this payload wrote: CIs of the payload, datacenters and accounts included. */
function writtenBy(answer: IreAnswer): Written {
  const bySysId = (wanted: 'inserted' | 'updated') =>
    new Set(answer.items.flatMap((item): SysId[] => (item.outcome === wanted && item.sysId !== undefined ? [item.sysId] : []))).size;
  const [created, updated] = [bySysId('inserted'), bySysId('updated')];
  return { created, updated, records: created + updated };
}

async function settle(resolver: Resolver, outcomes: readonly CiOutcome[], written: Written): Promise<void> {
  const { context, run, input, claim } = resolver;
  await settleCis(context.ledger.database, run, input.integration, claim, outcomes, written);
}
