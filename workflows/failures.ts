import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/common';

/** What went wrong, as one sentence, and the kind it was cast to in the activity (src/errors.ts). */
export interface Cause {
  readonly kind: string;
  readonly message: string;
}

/** Unwraps ChildWorkflowFailure → ActivityFailure → ApplicationFailure. */
export function causeOf(error: unknown): Cause {
  let current: unknown = error;
  while ((current instanceof ChildWorkflowFailure || current instanceof ActivityFailure) && current.cause !== undefined)
    current = current.cause;
  if (current instanceof ApplicationFailure) return { kind: current.type ?? 'unknown', message: current.message };
  if (current !== null && typeof current === 'object' && 'message' in current) return { kind: 'unknown', message: String(current.message) };
  return { kind: 'unknown', message: String(current) };
}

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
