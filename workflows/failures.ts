import { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure, TimeoutFailure } from '@temporalio/common';
import { CancellationScope, isCancellation } from '@temporalio/workflow';

/** What went wrong, as one sentence, and the kind it was cast to in the activity (src/errors.ts). */
export interface Cause {
  readonly kind: string;
  readonly message: string;
}

/**
 * Unwraps ChildWorkflowFailure → ActivityFailure → TimeoutFailure → ApplicationFailure: of a step that was tried until its time was over,
 * what the last try met.
 */
export function causeOf(error: unknown): Cause {
  let current: unknown = error;
  while (isWrapping(current) && current.cause !== undefined) current = current.cause;
  if (current instanceof ApplicationFailure) return { kind: current.type ?? 'unknown', message: current.message };
  if (current !== null && typeof current === 'object' && 'message' in current) return { kind: 'unknown', message: String(current.message) };
  return { kind: 'unknown', message: String(current) };
}

function isWrapping(error: unknown): error is Error & { cause?: unknown } {
  return error instanceof ChildWorkflowFailure || error instanceof ActivityFailure || error instanceof TimeoutFailure;
}

/**
 * Whether a request to cancel is the reason. An attempt that fails in the moment of the request is not tried again, and its own failure comes
 * back instead of the cancellation.
 */
export function wasCancelled(error: unknown): boolean {
  return isCancellation(error) || CancellationScope.current().consideredCancelled;
}

/** What a workflow ends with that {@link wasCancelled}: the cancellation, whatever came back of it. */
export function cancellationOf(error: unknown): unknown {
  return isCancellation(error) ? error : new CancelledFailure(cancelledOnRequest);
}

/** The reason of whatever was cancelled. */
export const cancelledOnRequest = 'cancelled on request';

/** The text, or as much of its beginning as fits into so many bytes of UTF-8. */
export function cutBytes(text: string, bytes: number): string {
  let used = 0;
  let cut = '';
  for (const character of text) {
    used += bytesOf(character);
    if (used > bytes) return cut;
    cut += character;
  }
  return cut;
}

/** Bytes of UTF-8. */
export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
