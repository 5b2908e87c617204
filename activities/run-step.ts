import { Context } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory, CancelledFailure } from '@temporalio/common';
import { isSyncError, type FailureKind, type SyncError } from '../src/errors.ts';

/** What a step is handed: a place to say how far it is, and the signal that ends it. */
export interface StepScope {
  /** Remembers where the step is; sent with the next heartbeat. Small and without secrets: it lands in the history's view. */
  readonly at: (where: Readonly<Record<string, string | number>>) => void;
  readonly signal: AbortSignal;
  /** True when the step's time box is used up: finish the item in hand, then return what is left. */
  readonly timeIsUp: () => boolean;
}

/** A step returns after about this long; well below the start-to-close time-out in workflows/steps.ts. */
export const timeBoxMs = 4 * 60_000;
const heartbeatEveryMs = 5_000;

const retryable: ReadonlySet<FailureKind> = new Set(['throttled', 'transient', 'outcome-unknown', 'malformed-answer', 'overtaken']);

/**
 * Runs one activity: heartbeats while it works, honours cancellation, and casts errors to Temporal failures. This is the
 * only place that does any of the three (design §3, activities).
 */
export async function runStep<Result>(work: (scope: StepScope) => Promise<Result>): Promise<Result> {
  const context = Context.current();
  const startedAtMs = performance.now();
  let where: Readonly<Record<string, string | number>> = {};
  const beat = setInterval(() => {
    context.heartbeat(where);
  }, heartbeatEveryMs);
  try {
    return await work({
      at: (now) => {
        where = now;
        context.heartbeat(now);
      },
      signal: context.cancellationSignal,
      timeIsUp: () => performance.now() - startedAtMs > timeBoxMs,
    });
  } catch (error) {
    if (context.cancellationSignal.aborted) throw new CancelledFailure('The activity was cancelled.', [], error as Error);
    throw castToFailure(error);
  } finally {
    clearInterval(beat);
  }
}

/** SyncError → ApplicationFailure: the kind becomes the type, Retry-After becomes the next delay, throttling is not an alarm. */
export function castToFailure(error: unknown): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (isSyncError(error)) {
    return ApplicationFailure.create({
      message: sentenceOf(error),
      type: error.kind,
      nonRetryable: !retryable.has(error.kind),
      ...(error.kind === 'throttled' ? { category: ApplicationFailureCategory.BENIGN } : {}),
      // Temporal takes a delay of zero for "never again".
      ...(error.retryAfterMs === undefined || error.retryAfterMs <= 0 ? {} : { nextRetryDelay: error.retryAfterMs }),
      details: [{ service: error.service, status: error.status, code: error.code, requestId: error.requestId }],
    });
  }
  // Anything else is a defect. Its message may quote data, so only its name and where it was thrown are kept.
  const defect = error as { name?: unknown; stack?: unknown };
  const frame =
    typeof defect.stack === 'string' ? (defect.stack.split('\n').find((line) => line.trimStart().startsWith('at ')) ?? '').trim() : '';
  return ApplicationFailure.create({
    message: `The engine failed on a defect of its own: ${typeof defect.name === 'string' ? defect.name : 'Error'} ${frame}. The worker's log has the whole error.`,
    type: 'bug',
    nonRetryable: true,
  });
}

export function sentenceOf(error: SyncError): string {
  return error.remedy === undefined ? error.message : `${error.message} ${error.remedy}`;
}
