/**
 * Waiting for a person (design §4): a run whose preflight blocks, or whose integration was refused, looks again on a timer and
 * when it is asked to, and shows meanwhile what it waits for. Only `sync/<deployment>` waits.
 */
import { ApplicationFailure } from '@temporalio/common';
import {
  allHandlersFinished,
  condition,
  defineQuery,
  defineUpdate,
  patched,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  blockedByLimits,
  parkMessages,
  searchAttributes,
  type CheckFinding,
  type ParkedState,
  type ParkSettings,
  type RecheckResult,
} from './contract.ts';
import { bytesOf, cutBytes } from './failures.ts';

export const recheckUpdate = defineUpdate<RecheckResult>(parkMessages.recheck);
export const parkedQuery = defineQuery<ParkedState | null>(parkMessages.parked);

/** Why waiting ended: look again, give up, or go on under a new history. */
export type WaitEnd = 'look-again' | 'given-up' | 'continue-as-new';

/** Where a run waits for a person. */
export interface ParkingPlace {
  /** Milliseconds since the epoch; undefined while the run does not wait. */
  readonly sinceMs: () => number | undefined;
  /**
   * Shows what blocks, answers those who asked for the check that found it, and waits.
   * @param refusedSinceMs of an integration that goes on after each look, because no check sees what refuses it, and is refused again
   */
  wait(blocking: readonly CheckFinding[], settings: ParkSettings, refusedSinceMs?: number): Promise<WaitEnd>;
  /** Nothing blocks any more: the run goes on, and whoever asked is told. */
  leave(): void;
  /** The run ends; whoever asked is told, and heard out. */
  end(): Promise<void>;
}

/** Registers the handlers. @param sinceMs of a run that was parked before it continued as new */
export function openParkingPlace(sinceMs?: number): ParkingPlace {
  let parkedSinceMs = sinceMs;
  let state: ParkedState | null = sinceMs === undefined ? null : { sinceMs, nextCheckAtMs: Date.now(), blocking: [] };
  let asked = 0;
  /** Requests that were answered by a check that began after them. */
  let answered = 0;
  let answer: RecheckResult = { outcome: 'goes-on' };
  let underWay = 0;

  setHandler(parkedQuery, () => state, { description: 'What the run waits for; null while it does not.' });
  setHandler(
    recheckUpdate,
    async () => {
      asked += 1;
      const mine = asked;
      await condition(() => answered >= mine);
      return answer;
    },
    {
      description: 'Look again now whether the run may go on.',
      validator: () => {
        if (state === null) throw ApplicationFailure.nonRetryable('The run is not parked: there is nothing to check again.', 'not-parked');
      },
    },
  );

  /** @param upTo a check answers those who asked before it began; an ending answers everybody */
  const answerThose = (result: RecheckResult, upTo = asked): void => {
    answer = result;
    answered = upTo;
  };
  return {
    sinceMs: () => parkedSinceMs,
    async wait(blocking, { recheckEveryMs, giveUpAfterMs }, refusedSinceMs) {
      parkedSinceMs ??= Date.now();
      if (refusedSinceMs !== undefined && Date.now() - refusedSinceMs >= giveUpAfterMs && patched('refusal-clock')) {
        parkedSinceMs = refusedSinceMs;
      }
      upsertSearchAttributes([{ key: searchAttributes.blockedBy, value: checksOf(blocking) }]);
      if (Date.now() - parkedSinceMs >= giveUpAfterMs) {
        state = null;
        answerThose({ outcome: 'given-up', blocking });
        return 'given-up';
      }
      state = { sinceMs: parkedSinceMs, nextCheckAtMs: Date.now() + recheckEveryMs, blocking };
      answerThose({ outcome: 'still-parked', blocking }, underWay);
      const wasAsked = await condition(() => asked > answered, recheckEveryMs, { summary: `waits for ${checksOf(blocking).join(', ')}` });
      underWay = asked;
      // With somebody waiting for an answer, or a handler at work, the history has to be long enough for one more check.
      return !wasAsked && workflowInfo().continueAsNewSuggested && allHandlersFinished() ? 'continue-as-new' : 'look-again';
    },
    leave() {
      if (parkedSinceMs === undefined) return;
      state = null;
      parkedSinceMs = undefined;
      upsertSearchAttributes([{ key: searchAttributes.blockedBy, value: null }]);
      answerThose({ outcome: 'goes-on' });
    },
    async end() {
      if (state !== null) answerThose({ outcome: 'given-up', blocking: state.blocking });
      state = null;
      await condition(allHandlersFinished);
    },
  };
}

/** Check ids, as many as a KeywordList takes. */
export function checksOf(findings: readonly CheckFinding[]): string[] {
  const ids = new Set(findings.map((finding) => cutBytes(finding.check, blockedByLimits.bytesPerValue)));
  const checks: string[] = [];
  for (const id of ids) {
    const withThis = [...checks, id];
    if (withThis.length > blockedByLimits.values || bytesOf(JSON.stringify(withThis)) > blockedByLimits.bytes) break;
    checks.push(id);
  }
  return checks;
}
