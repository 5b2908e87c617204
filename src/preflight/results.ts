/** Small makers of results, and the one place where an error becomes one. */
import { secretUnreadable } from '../config/index.ts';
import { isSyncError, type FailureKind, type SyncError } from '../errors.ts';
import { caFileUnreadable } from '../trust.ts';
import type { Check, CheckContext, Finding, Result, Verdict } from './types.ts';

/** Where the words of the check do not fit. */
type OwnWords = Pick<Result, 'follows' | 'fixedBy'>;

export function ok(evidence: string): Result {
  return { verdict: 'ok', cause: 'ok', evidence, remedy: null };
}

export function warning(cause: string, evidence: string, remedy: string | null, words: OwnWords = {}): Result {
  return { verdict: 'warning', cause, evidence, remedy, ...words };
}

export function blocking(cause: string, evidence: string, remedy: string | null, words: OwnWords = {}): Result {
  return { verdict: 'blocking', cause, evidence, remedy, ...words };
}

export function notReadable(cause: string, evidence: string, remedy: string | null, words: OwnWords = {}): Result {
  return { verdict: 'not-readable', cause, evidence, remedy, ...words };
}

export function notChecked(evidence: string, cause = 'not-checked'): Result {
  return { verdict: 'not-checked', cause, evidence, remedy: null };
}

/** What a run does, where a check has no words of its own. */
const usuallyFollows: Readonly<Record<Verdict, string | null>> = {
  blocking: 'A run parks before it reads or writes anything, and goes on by itself once this is right.',
  'not-readable': 'A run goes on without knowing.',
  warning: 'A run goes on.',
  'not-checked': null,
  ok: null,
};

/** The finding of a result, with the words of its check where it has none of its own. */
export function findingOf(check: Check, { verdict, cause, evidence, remedy, about, follows, fixedBy }: Result): Finding {
  return {
    check: about === undefined ? check.id : `${check.id}.${about}`,
    verdict,
    cause,
    evidence,
    follows: follows ?? check.follows?.[verdict] ?? usuallyFollows[verdict],
    fixedBy: remedy === null ? null : (fixedBy ?? check.fixedBy),
    remedy,
  };
}

/** Errors that say nothing about what is checked: the same request may succeed later, or somebody else took over, or we are wrong. */
const passing: ReadonlySet<FailureKind> = new Set(['throttled', 'transient', 'outcome-unknown', 'fenced-out', 'overtaken', 'bug']);

/** True when an error is an answer to a check; anything else has to be thrown on. */
export function isAnswer(error: unknown): error is SyncError {
  return isSyncError(error) && !passing.has(error.kind);
}

/** A secret or a file of trusted authorities that is not there: no service was asked yet. The code is the cause. */
export function isOnOurSide(error: SyncError): boolean {
  return error.code === secretUnreadable || error.code === caFileUnreadable;
}

/** The same request may succeed later. */
export function mayPass(error: unknown): error is SyncError {
  return isSyncError(error, 'throttled', 'transient', 'outcome-unknown');
}

/** @throws the error itself when it may pass and is not to be reported, or is a defect */
export function resultOfError(
  error: unknown,
  whenRefused: Check['whenRefused'] = 'blocking',
  passing: CheckContext['passing'] = 'retry',
): Result {
  if (passing === 'report' && mayPass(error)) return noAnswer(error);
  if (!isAnswer(error)) throw error;
  if (error.kind === 'untrusted') return notTrusted(error);
  const refused = error.kind === 'forbidden' || error.kind === 'not-found' || error.kind === 'misconfigured';
  return {
    verdict: refused ? whenRefused : 'blocking',
    cause: causeOf(error),
    evidence: evidenceOf(error),
    remedy: error.remedy ?? null,
  };
}

/** Nothing was asked, whatever the check wanted to know: what stands between the worker and the service has to be put right. */
export function notTrusted(error: SyncError): Result {
  return blocking('certificate-not-trusted', evidenceOf(error), error.remedy ?? null, {
    fixedBy: 'Whoever keeps the configuration of defender-sync',
  });
}

/** Cause of what is known only once the service answers again: what needs it cannot be checked either. */
export const noAnswerNow = 'no-answer-now';

/** Trouble that may pass, for a person who asks: without a connection there is something to put right, with one only to wait for. */
function noAnswer(error: SyncError): Result {
  const isConnected = error.status !== undefined;
  const words = {
    fixedBy: 'Whoever runs the network between the worker and the service',
    follows: 'A run tries it again for hours before it gives up.',
  };
  if (isConnected) {
    return notReadable(noAnswerNow, evidenceOf(error), error.remedy ?? 'Ask again in some minutes: defender-sync doctor.', words);
  }
  return blocking(
    'not-reachable',
    evidenceOf(error),
    error.remedy ?? 'Check the address in the configuration, and name resolution, proxy and firewall between the worker and that host.',
    words,
  );
}

/** The treatment an error asks for is the best word for a cause that no check knows better. */
export function causeOf({ kind }: SyncError): string {
  return kind;
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
