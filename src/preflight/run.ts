/** Runs the catalogue: every check that can run does, so that one visit to the administrator is enough. */
import type { RunScope } from '../ledger/index.ts';
import { runScopesOf } from './azure-scopes.ts';
import { catalogue } from './catalogue.ts';
import { createFacts } from './facts.ts';
import { findingOf, isAnswer, mayPass, noAnswerNow, notChecked, resultOfError, worstOf } from './results.ts';
import type { Check, CheckContext, Finding, PreflightInput, PreflightResult, Result } from './types.ts';

/**
 * All checks, those that do not need each other at the same time.
 * @throws SyncError `throttled`, `transient`, `outcome-unknown`: nothing can be said now, and that is not to be reported; `fenced-out`;
 * the signal's reason when aborted
 */
export async function runPreflight(input: PreflightInput, checks: readonly Check[] = catalogue): Promise<PreflightResult> {
  const stop = new AbortController();
  const signal = AbortSignal.any([input.signal, stop.signal]);
  const context: CheckContext = { ...input, signal, facts: createFacts({ ...input, signal }) };
  const applying = checks.filter((check) => check.applies?.(context) ?? true);
  const started = new Map<string, Promise<readonly Result[]>>();
  const running = applying.map(async (check): Promise<readonly Finding[]> => {
    const results = runCheck(check, context, started, input.onCheck);
    started.set(check.id, results);
    return (await results).map((result) => findingOf(check, result));
  });
  try {
    const findings = await Promise.all(running);
    return { findings: findings.flat(), scopes: await scopesOf(context) };
  } catch (error) {
    stop.abort(error);
    // The others end with the same signal; nobody is interested in how.
    await Promise.allSettled(running);
    throw error;
  }
}

/** The catalogue names needs before those who need them, so that they are always in `started` already. */
async function runCheck(
  check: Check,
  context: CheckContext,
  started: ReadonlyMap<string, Promise<readonly Result[]>>,
  onCheck: (check: string) => void,
): Promise<readonly Result[]> {
  const unmet: string[] = [];
  for (const need of check.needs) {
    const needed = await started.get(need);
    const verdict = worstOf((needed ?? []).map((result) => result.verdict));
    const notRun = (needed ?? []).some((result) => result.verdict === 'not-checked' || result.cause === noAnswerNow);
    if (verdict === 'blocking' || notRun) unmet.push(need);
  }
  if (unmet.length > 0) return [notChecked(`Not checked, because ${unmet.join(' and ')} has to be right first.`)];
  context.signal.throwIfAborted();
  onCheck(check.id);
  try {
    return await check.run(context);
  } catch (error) {
    return [resultOfError(error, check.whenRefused, context.passing)];
  }
}

/** No scopes where they cannot be known: then a check says why, and blocks. */
async function scopesOf(context: CheckContext): Promise<readonly RunScope[]> {
  if (!context.facts.scopesWereRead()) return [];
  try {
    return runScopesOf(await context.facts.scopes());
  } catch (error) {
    if (!isAnswer(error) && !(context.passing === 'report' && mayPass(error))) throw error;
    return [];
  }
}
