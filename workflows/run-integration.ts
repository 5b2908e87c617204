import { ApplicationFailure } from '@temporalio/common';
import { CancellationScope, log, patched, setCurrentDetails, sleep, upsertSearchAttributes } from '@temporalio/workflow';
import { integrationOverview } from './details.ts';
import { cancellationOf, cancelledOnRequest, causeOf, wasCancelled } from './failures.ts';
import { work } from './steps.ts';
import { searchAttributes, type IntegrationEnd, type IntegrationInput, type IntegrationResult } from './contract.ts';

/** What a step of work leaves: how much, and when it can go on. */
interface Left {
  readonly left: number;
  /** 0 = at once. Otherwise somebody else holds the rest, or the platform has not settled. */
  readonly readyInMs: number;
  /** It got on although `left` may be the same: a page of a long list, groups of a long derivation. */
  readonly advanced: boolean;
}

/** A step that could go on at once and never does is a defect: stop instead of filling the history. */
const idleRoundsAllowed = 15;
const shortestWaitMs = 1_000;
const longestWaitMs = 5 * 60_000;
/** As long as an activity may be tried again (workflows/steps.ts): a service may be away for a night. */
const longestStandstillMs = 8 * 3_600_000;

/** Failures that end when a person puts something right, after which the integration goes on where it stopped (design §4). */
const needsPerson: ReadonlySet<string> = new Set(['unauthenticated', 'forbidden', 'untrusted']);

/**
 * One integration: observe → reconcile → publish, a loop of time-boxed activities. Which records there are is between the
 * activities and the ledger; only counts pass through here. A failure becomes a `failed` result, so that the parent can
 * report it and leave the later integrations alone; one that a person has to end becomes `blocked`, and the parent waits.
 */
export async function runIntegration(input: IntegrationInput): Promise<IntegrationEnd> {
  const { integration } = input;
  try {
    setCurrentDetails(`**${integration}** · observing`);
    const { hasCis } = await work.openScans.executeWithOptions({ summary: `${integration}: which scopes to read` }, [input]);
    await untilNothingIsLeft(() => work.observe.executeWithOptions({ summary: `${integration}: read from Azure` }, [input]));

    setCurrentDetails(`**${integration}** · reconciling`);
    await untilNothingIsLeft(() => work.derive.executeWithOptions({ summary: `${integration}: what should exist` }, [input]));
    if (hasCis) {
      await untilNothingIsLeft(() => work.resolveCis.executeWithOptions({ summary: `${integration}: which CI each resource is` }, [input]));
      await untilNothingIsLeft(() => work.deriveForCis.executeWithOptions({ summary: `${integration}: results of known CIs` }, [input]));
    }

    setCurrentDetails(`**${integration}** · publishing`);
    await untilNothingIsLeft(() => work.publish.executeWithOptions({ summary: `${integration}: write to ServiceNow` }, [input]));
    return await finish(input, null);
  } catch (error) {
    if (wasCancelled(error)) {
      await CancellationScope.nonCancellable(() => finishCancelled(input));
      throw cancellationOf(error);
    }
    const { kind, message } = causeOf(error);
    if (needsPerson.has(kind) && patched('park')) {
      setCurrentDetails(`**${integration}** · waits for a person: ${message}`);
      return { integration, outcome: 'blocked', because: message };
    }
    return finishFailed(input, kind, message);
  }
}

/** What failed may be the very service that is to be told: then its failure shall be known, not that of the telling. */
async function finishFailed(input: IntegrationInput, kind: string, message: string): Promise<IntegrationResult> {
  try {
    return await finish(input, message, { scheduleToCloseTimeout: '10 minutes' });
  } catch (error) {
    if (wasCancelled(error)) throw error;
    throw ApplicationFailure.nonRetryable(message, kind);
  }
}

async function finish(
  input: IntegrationInput,
  failedBecause: string | null,
  options: { readonly scheduleToCloseTimeout?: '10 minutes' } = {},
): Promise<IntegrationResult> {
  const result = await work.finishIntegration.executeWithOptions({ summary: `${input.integration}: count and record`, ...options }, [
    { ...input, failedBecause },
  ]);
  setCurrentDetails(integrationOverview(result));
  upsertSearchAttributes([{ key: searchAttributes.outcome, value: result.outcome }]);
  return result;
}

/** Its run record is written once, at its end, and this is one; but nobody shall wait for an instance that does not answer. */
async function finishCancelled(input: IntegrationInput): Promise<void> {
  const quickly = { summary: `${input.integration}: record the cancellation`, scheduleToCloseTimeout: '1 minute' } as const;
  try {
    await work.finishIntegration.executeWithOptions(quickly, [{ ...input, failedBecause: cancelledOnRequest }]);
  } catch (error) {
    log.warn('the cancellation could not be recorded on the instance', { because: causeOf(error).message });
  }
  setCurrentDetails(`**${input.integration}** · ${cancelledOnRequest}`);
  upsertSearchAttributes([{ key: searchAttributes.outcome, value: 'cancelled' }]);
}

/** Repeats a time-boxed step until it leaves nothing; shared with reconcile-cis.ts. */
export async function untilNothingIsLeft(step: () => Promise<Left>): Promise<void> {
  let before = Number.POSITIVE_INFINITY;
  let stalledRounds = 0;
  let idleRounds = 0;
  let gotOnAtMs = Date.now();
  for (;;) {
    const { left, readyInMs, advanced } = await step();
    if (left === 0) return;
    const stalled = !advanced && left >= before;
    before = left;
    if (!stalled) gotOnAtMs = Date.now();
    stalledRounds = stalled ? stalledRounds + 1 : 0;
    idleRounds = stalled && readyInMs === 0 ? idleRounds + 1 : 0;
    if (idleRounds > idleRoundsAllowed) {
      throw ApplicationFailure.nonRetryable(
        `${left} items made no progress in ${idleRoundsAllowed} rounds: a defect of the engine.`,
        'bug',
      );
    }
    if (Date.now() - gotOnAtMs > longestStandstillMs) {
      throw ApplicationFailure.nonRetryable(`${left} items made no progress for ${longestStandstillMs / 3_600_000} hours.`, 'transient');
    }
    const waitMs = waitBeforeNextRound(readyInMs, stalledRounds);
    if (waitMs > 0) await sleep(waitMs, { summary: `${left} held elsewhere or settling` });
  }
}

/**
 * Somebody else may be done long before a lease ends or the platform settles: look again soon, then less and less often, even
 * where each round says "soon" (what a record waits for may itself be waiting).
 */
function waitBeforeNextRound(readyInMs: number, stalledRounds: number): number {
  if (readyInMs === 0) return stalledRounds === 0 ? 0 : shortestWaitMs;
  const backOffMs = Math.min(longestWaitMs, shortestWaitMs * 2 ** Math.min(stalledRounds, 20));
  return stalledRounds <= 2 ? Math.max(shortestWaitMs, Math.min(readyInMs, backOffMs)) : backOffMs;
}
