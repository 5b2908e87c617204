import type { IntegrationInput } from '../workflows/contract.ts';
import { isSyncError } from '../src/errors.ts';
import { buildIrePayloads, type BuiltPayload } from '../src/inventory/ire-payload.ts';
import {
  ciProgress,
  claimCis,
  intendCis,
  openRun,
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
import type { IreAnswer, ServiceNowClient } from '../src/servicenow/index.ts';
import type { ActivityContext } from './context.ts';
import { findCis, type FoundCi } from './find-cis.ts';
import type { Left } from './observe.ts';
import type { StepScope } from './run-step.ts';

/** CIs settled at a time; with their chains they fit into one IRE payload of 500 items. */
const cisAtATime = 400;
const leaseMs = 10 * 60_000;
/** LOCK_TIMEOUT and ABANDONED: another payload works on the same parent; it will be done soon. */
const retryAfterMs = 5_000;
const triesPerCi = 8;

/** Settles which CI each wanted resource and image is: found on the instance, or created through IRE. */
export async function resolveCis(context: ActivityContext, input: IntegrationInput, step: StepScope): Promise<Left> {
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  const { serviceNow } = await context.clientsOf(run);
  const settleTime = context.config.serviceNow.transactionQuotaMs + context.config.serviceNow.settleMs;
  await takeOverClaims(context.ledger.database, run);
  await unparkCis(context.ledger.database, run);
  let done = 0;
  while (!step.timeIsUp() && !step.signal.aborted) {
    const claim = await claimCis(context.ledger.database, run, cisAtATime, leaseMs, settleTime);
    if (claim.cis.length === 0) break;
    await context.failpoint('resolve.after-claim');
    await resolveClaim({ context, run, input, client: serviceNow, claim, step });
    done += claim.cis.length;
    step.at({ cis: done });
  }
  const progress = await ciProgress(context.ledger.database, run, settleTime);
  return { left: progress.wanted, readyInMs: progress.readyInMs, advanced: false };
}

interface Resolver {
  readonly context: ActivityContext;
  readonly run: RunHandle;
  readonly input: IntegrationInput;
  readonly client: ServiceNowClient;
  readonly claim: CiClaim;
  readonly step: StepScope;
}

interface Written {
  readonly created: number;
  readonly updated: number;
  readonly records: number;
}
const nothingWritten: Written = { created: 0, updated: 0, records: 0 };

async function resolveClaim(resolver: Resolver): Promise<void> {
  const { context, run, client, claim, step } = resolver;
  let found: Awaited<ReturnType<typeof findCis>>;
  try {
    found = await findCis(client, await context.instanceModelOf(run), claim.cis, step.signal);
  } catch (error) {
    await settle(resolver, claim.cis.map(released), nothingWritten);
    throw error;
  }
  const matched = claim.cis.flatMap((ci): CiOutcome[] => {
    const match = found.get(ci.key);
    return match ? [{ key: ci.key, outcome: 'resolved', ...match, match: matchOf(ci, match) }] : [];
  });
  const unmatched = claim.cis.filter((ci) => !found.has(ci.key));
  const { payloads, unplaced } = buildIrePayloads(unmatched, { dataSource: context.config.serviceNow.dataSource });
  const parked = unplaced.map(({ request, because }): CiOutcome => ({ key: request.key, outcome: 'parked', because }));
  await settle(resolver, [...matched, ...parked], nothingWritten);
  for (const [index, payload] of payloads.entries()) {
    try {
      await sendPayload(resolver, payload);
    } catch (error) {
      const unsent = payloads.slice(index + 1).flatMap((later) => [...later.itemIndexes.keys()]);
      if (!isSyncError(error, 'fenced-out'))
        await settle(
          resolver,
          unsent.map((key) => ({ key, outcome: 'released' })),
          nothingWritten,
        );
      throw error;
    }
  }
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
async function sendPayload(resolver: Resolver, { payload, itemIndexes }: BuiltPayload): Promise<void> {
  const { context, run, client, claim, step } = resolver;
  const keys = [...itemIndexes.keys()];
  let answer: IreAnswer;
  try {
    answer = await client.identifyReconcile.identify(
      payload,
      {
        dataSource: context.config.serviceNow.dataSource,
        kind: 'serviceNowWrites',
        beforeSend: async () => {
          await intendCis(context.ledger.database, run, claim, keys);
          await context.failpoint('resolve.after-intent');
        },
      },
      step.signal,
    );
  } catch (error) {
    const certainlyNot = isSyncError(error, 'throttled', 'unauthenticated', 'forbidden', 'rejected', 'misconfigured', 'bug');
    if (!isSyncError(error, 'fenced-out')) {
      await settle(
        resolver,
        keys.map((key) => ({ key, outcome: certainlyNot ? 'released' : 'unknown' })),
        nothingWritten,
      );
    }
    if (isSyncError(error, 'outcome-unknown')) return;
    throw error;
  }
  await context.failpoint('resolve.after-send');
  const tries = new Map(claim.cis.map((ci) => [ci.key, ci.tries + 1]));
  const outcomes = [...itemIndexes].map(([key, itemIndex]) => outcomeOf(key, answer, itemIndex, tries.get(key) ?? 1));
  await settle(resolver, outcomes, writtenBy(answer));
  await context.failpoint('resolve.after-outcome');
}

function outcomeOf(key: CiKey, answer: IreAnswer, itemIndex: number, tries: number): CiOutcome {
  const item = answer.items[itemIndex];
  if (item === undefined) return { key, outcome: 'parked', because: 'the identification engine did not answer for this item' };
  switch (item.outcome) {
    case 'inserted':
    case 'matched':
    case 'updated':
      if (item.sysId === undefined) return { key, outcome: 'retry', because: 'the answer names no sys_id' };
      return {
        key,
        outcome: 'resolved',
        sysId: item.sysId,
        className: item.className,
        match: item.outcome === 'inserted' ? 'created-by-ire' : 'matched-by-ire',
        evidence: `identification engine: ${item.operation}`,
      };
    case 'retry':
      if (tries >= triesPerCi) return { key, outcome: 'parked', because: `${item.code}: still refused after ${tries} tries` };
      return { key, outcome: 'retry', because: item.code };
    case 'refused':
      return { key, outcome: 'parked', because: `${item.code}: ${item.message} ${item.remedy}` };
  }
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
  await settleCis(context.ledger.database, run, input.integration, claim, outcomes, written, retryAfterMs);
}
