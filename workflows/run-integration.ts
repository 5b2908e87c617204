import { ApplicationFailure } from '@temporalio/common';
import { isCancellation, setCurrentDetails, sleep } from '@temporalio/workflow';
import { causeOf } from './failures.ts';
import { bookkeeping, work } from './steps.ts';
import type { IntegrationInput, IntegrationResult } from './contract.ts';

/** What a step of work leaves: how much, and when it can go on. */
interface Left {
  readonly left: number;
  /** 0 = at once. Otherwise somebody else holds the rest, or the platform has not settled. */
  readonly readyInMs: number;
}

/** A step that neither progresses nor waits is a defect: stop instead of filling the history. */
const idleRoundsAllowed = 30;
const longestWaitMs = 60_000;
const shortestWaitMs = 1_000;

/**
 * One integration: observe → reconcile → publish, a loop of time-boxed activities. Which records there are is between the
 * activities and the ledger; only counts pass through here. A failure becomes a `failed` result, so that the parent can
 * report it and leave the later integrations alone.
 */
export async function runIntegration(input: IntegrationInput): Promise<IntegrationResult> {
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
    if (isCancellation(error)) throw error;
    const { message } = causeOf(error);
    return finish(input, message);
  }
}

async function finish(input: IntegrationInput, failedBecause: string | null): Promise<IntegrationResult> {
  const result = await bookkeeping.finishIntegration.executeWithOptions({ summary: `${input.integration}: count and record` }, [
    { ...input, failedBecause },
  ]);
  setCurrentDetails(
    [
      `**${result.integration}** · ${result.outcome}${result.because === null ? '' : `: ${result.because}`}`,
      '',
      `read ${result.read} · created ${result.created} · updated ${result.updated} · parked ${result.parked}`,
    ].join('\n'),
  );
  return result;
}

async function untilNothingIsLeft(step: () => Promise<Left>): Promise<void> {
  let before = Number.POSITIVE_INFINITY;
  let idleRounds = 0;
  for (;;) {
    const { left, readyInMs } = await step();
    if (left === 0) return;
    idleRounds = left < before ? 0 : idleRounds + 1;
    before = left;
    if (idleRounds > idleRoundsAllowed) {
      throw ApplicationFailure.nonRetryable(
        `${left} items made no progress in ${idleRoundsAllowed} rounds: a defect of the engine.`,
        'bug',
      );
    }
    // Somebody else may be done long before a lease ends or the platform settles: look again soon, then less and less often.
    const waitMs = Math.min(longestWaitMs, readyInMs, shortestWaitMs * 2 ** Math.min(idleRounds, 6));
    if (waitMs > 0 || idleRounds > 0)
      await sleep(Math.max(waitMs, idleRounds > 0 ? shortestWaitMs : 0), { summary: `${left} held elsewhere or settling` });
  }
}
