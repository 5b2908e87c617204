/** Small makers of results, and the one place where an error becomes one. */
import { isSyncError, type FailureKind, type SyncError } from '../errors.ts';
import type { Check, Result, Verdict } from './types.ts';

export function ok(evidence: string): Result {
  return { verdict: 'ok', evidence, remedy: null };
}

export function warning(evidence: string, remedy: string | null): Result {
  return { verdict: 'warning', evidence, remedy };
}

export function blocking(evidence: string, remedy: string | null): Result {
  return { verdict: 'blocking', evidence, remedy };
}

export function notReadable(evidence: string, remedy: string | null): Result {
  return { verdict: 'not-readable', evidence, remedy };
}

export function notChecked(evidence: string): Result {
  return { verdict: 'not-checked', evidence, remedy: null };
}

/** Errors that say nothing about what is checked: the same request may succeed later, or somebody else took over, or we are wrong. */
const passing: ReadonlySet<FailureKind> = new Set(['throttled', 'transient', 'outcome-unknown', 'fenced-out', 'bug']);

/** True when an error is an answer to a check; anything else has to be thrown on. */
export function isAnswer(error: unknown): error is SyncError {
  return isSyncError(error) && !passing.has(error.kind);
}

/** @throws the error itself when it may pass, or is a defect */
export function resultOfError(error: unknown, whenRefused: Check['whenRefused'] = 'blocking'): Result {
  if (!isAnswer(error)) throw error;
  const refused = error.kind === 'forbidden' || error.kind === 'not-found' || error.kind === 'misconfigured';
  return { verdict: refused ? whenRefused : 'blocking', evidence: evidenceOf(error), remedy: error.remedy ?? null };
}

/** What happened, and the id by which the service's own people find it. */
export function evidenceOf({ message, requestId }: SyncError): string {
  return requestId === undefined ? message : `${message} (request ${requestId})`;
}

/** Worst first. */
export const verdictsBySeverity: readonly Verdict[] = ['blocking', 'not-readable', 'warning', 'not-checked', 'ok'];

export function worstOf(verdicts: readonly Verdict[]): Verdict {
  return verdictsBySeverity.find((verdict) => verdicts.includes(verdict)) ?? 'ok';
}

/** At most `limit` names, and how many more there are. */
export function listed(names: readonly string[], limit = 20): string {
  const more = names.length - limit;
  return more > 0 ? `${names.slice(0, limit).join(', ')} and ${more} more` : names.join(', ');
}

/** `1 subscription`, `3 subscriptions`. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}
