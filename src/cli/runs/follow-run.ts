/** Following a run until it ends: progress while it works, and what became of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError, ServiceError, WorkflowFailedError, type WorkflowClient, type WorkflowHandle } from '@temporalio/client';
import { ActivityFailure, CancelledFailure, ChildWorkflowFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/common';
import { phaseParked, searchAttributes, type CheckFinding, type SyncResult } from '../../../workflows/contract.ts';
import { SyncError } from '../../errors.ts';
import type { RunOutcome } from '../../model.ts';
import type { ProgressView, RunProgress } from '../progress.ts';

/** What can be followed: a run, or any other workflow with a result. */
export interface FollowedRun<Result> {
  /** What it is shown as. */
  readonly deployment: string;
  readonly workflowRunId: string;
  readonly handle: Pick<WorkflowHandle, 'describe'> & { readonly client: WorkflowClient; result(): Promise<Result> };
}

/** How a run ended, or that following it was given up. */
export type RunEnding<Result = SyncResult> =
  | { readonly ended: 'with-result'; readonly result: Result }
  /** Without a result of its own: cancelled, terminated, timed out, or a failure that no report could be written for. */
  | { readonly ended: 'without-result'; readonly outcome: RunOutcome; readonly because: string }
  /** We stopped looking; the run goes on. */
  | { readonly ended: 'not-yet' };

/** The run waits for a person, and goes on by itself when that is done: following ends where that was asked for. */
export interface ParkedEnding {
  readonly ended: 'parked';
  readonly waitsFor: readonly CheckFinding[];
}

export interface FollowOptions {
  readonly view: ProgressView;
  /** Counts of the run so far, from the ledger. */
  readonly countsOf: (workflowRunId: string) => Promise<Readonly<Record<string, number>>>;
  /** Ends following, not the run. */
  readonly signal: AbortSignal;
  /** Called once when no worker has taken the run for {@link noWorkerAfterMs}; what to tell the person meanwhile. */
  readonly onNoWorker: () => string;
  /** Asked once a run waits for a person: what it waits for, with which following ends. Without it, it is followed to its real end. */
  readonly leaveParked?: () => Promise<readonly CheckFinding[]>;
}

const lookEveryMs = 1_000;
/** One question to Temporal, at most. */
const askForMs = 5_000;
const unansweredForMs = 60_000;
/** What takes longer is shown while it goes on. */
const showAfterMs = 2_000;
/** A worker that polls takes the first task within milliseconds. */
export const noWorkerAfterMs = 5_000;

/** Waits for the end of a run, showing how far it is. Errors: {@link SyncError} `transient` when Temporal stays away. */
export async function followRun<Result>(
  run: FollowedRun<Result>,
  options: FollowOptions & { readonly leaveParked?: undefined },
): Promise<RunEnding<Result>>;
export async function followRun<Result>(run: FollowedRun<Result>, options: FollowOptions): Promise<RunEnding<Result> | ParkedEnding>;
export async function followRun<Result>(run: FollowedRun<Result>, options: FollowOptions): Promise<RunEnding<Result> | ParkedEnding> {
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, options.signal]);
  const heard = { atMs: performance.now() };
  const parked = Promise.withResolvers<ParkedEnding>();
  const looking = lookOn(run, options, { heard, onParked: parked.resolve }, signal);
  const ending = endingOf(run, heard, signal);
  try {
    return await Promise.race([ending, parked.promise, givenUp(options.signal)]);
  } finally {
    ended.abort();
    // Both are over before the caller closes the connection: a question that is repeated on a closed one ends the process.
    await Promise.allSettled([looking, ending]);
    options.view.finish(run.deployment);
  }
}

/**
 * The end of the run, or `not-yet` once the signal is aborted. Asked in short questions: the client cancels the question in hand when
 * the signal is aborted, but not one that is asked afterwards.
 */
async function endingOf<Result>(
  run: FollowedRun<Result>,
  heard: { readonly atMs: number },
  signal: AbortSignal,
): Promise<RunEnding<Result>> {
  const { client } = run.handle;
  while (!signal.aborted) {
    try {
      const result = await client.withDeadline(Date.now() + askForMs, () => client.withAbortSignal(signal, () => run.handle.result()));
      return { ended: 'with-result', result };
    } catch (error) {
      if (error instanceof WorkflowFailedError) return { ended: 'without-result', ...whyWithoutResult(error.cause) };
      if (!isNoAnswer(error)) throw error;
      if (performance.now() - heard.atMs > unansweredForMs) throw noAnswer(run, error);
      await pause(100, signal);
    }
  }
  return { ended: 'not-yet' };
}

function isNoAnswer(error: unknown): boolean {
  return error instanceof ServiceError || isGrpcServiceError(error);
}

function noAnswer(run: FollowedRun<unknown>, cause: unknown): SyncError {
  return new SyncError({
    kind: 'transient',
    service: 'temporal',
    message: `Temporal no longer answers, so the end of the run of ${run.deployment} cannot be seen.`,
    remedy: 'The run continues as soon as its server and worker are back. See it then with: defender-sync status',
    cause,
  });
}

function whyWithoutResult(cause: unknown): { readonly outcome: RunOutcome; readonly because: string } {
  if (cause instanceof CancelledFailure) return { outcome: 'cancelled', because: 'it was cancelled' };
  if (cause instanceof TerminatedFailure) return { outcome: 'failed', because: `it was terminated (${cause.message})` };
  if (cause instanceof TimeoutFailure) return { outcome: 'failed', because: `it timed out (${cause.message})` };
  return { outcome: 'failed', because: innermostMessage(cause) };
}

/** A child's activity failure arrives wrapped twice; the sentence that says what happened is the innermost. */
function innermostMessage(cause: unknown): string {
  let current = cause;
  while ((current instanceof ChildWorkflowFailure || current instanceof ActivityFailure) && current.cause !== undefined)
    current = current.cause;
  return messageOf(current);
}

function messageOf(error: unknown): string {
  return Error.isError(error) || error instanceof Error ? error.message : String(error);
}

function givenUp(signal: AbortSignal): Promise<{ readonly ended: 'not-yet' }> {
  return new Promise((resolve) => {
    const giveUp = (): void => resolve({ ended: 'not-yet' });
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
}

async function lookOn(
  run: FollowedRun<unknown>,
  { view, countsOf, onNoWorker, leaveParked }: FollowOptions,
  { heard, onParked }: { readonly heard: { atMs: number }; readonly onParked: (ending: ParkedEnding) => void },
  signal: AbortSignal,
): Promise<void> {
  const startedMs = performance.now();
  let remark: string | undefined;
  await pause(showAfterMs, signal);
  while (!signal.aborted) {
    const progress = await lookAt(run, countsOf, heard);
    // Checked after the look: the run may have ended while we looked.
    if (isAborted(signal)) return;
    if (progress.taken) remark = progress.remark;
    else if (remark === undefined && performance.now() - startedMs > noWorkerAfterMs) remark = onNoWorker();
    view.update(run.deployment, { ...progress, remark });
    if (progress.phase === phaseParked && leaveParked) {
      onParked({ ended: 'parked', waitsFor: await leaveParked() });
      return;
    }
    await pause(lookEveryMs, signal);
  }
}

/** A signal's state changes behind the type checker's back. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** A look that fails says so and is tried again: the run is none the worse for it. */
async function lookAt(
  run: FollowedRun<unknown>,
  countsOf: FollowOptions['countsOf'],
  heard: { atMs: number },
): Promise<RunProgress & { readonly taken: boolean }> {
  try {
    const { client } = run.handle;
    const { typedSearchAttributes, historyLength } = await client.withDeadline(Date.now() + askForMs, () => run.handle.describe());
    heard.atMs = performance.now();
    const phase = typedSearchAttributes.get(searchAttributes.phase);
    const counts = await countsOf(run.workflowRunId);
    // Started and task scheduled: two events that need no worker.
    return { phase: phase ?? 'waiting for a worker', counts, taken: historyLength > 2 };
  } catch (error) {
    const remark = isNoAnswer(error) ? 'Temporal does not answer; trying again' : `its progress cannot be read (${messageOf(error)})`;
    return { phase: 'unknown', counts: {}, taken: true, remark };
  }
}

async function pause(forMs: number, signal: AbortSignal): Promise<void> {
  await sleep(forMs, undefined, { signal }).catch((error: unknown) => {
    if (!Error.isError(error) || error.name !== 'AbortError') throw error;
  });
}
