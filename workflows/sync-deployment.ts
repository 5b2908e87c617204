import {
  CancellationScope,
  ContinueAsNew,
  continueAsNew,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  patched,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  integrationOrder,
  integrationWorkflowId,
  phaseParked,
  searchAttributes,
  type BlockedIntegration,
  type CheckFinding,
  type IntegrationEnd,
  type IntegrationName,
  type IntegrationResult,
  type ParkedRun,
  type RunOutcome,
  type RunRef,
  type SyncInput,
  type SyncResult,
} from './contract.ts';
import { integrationDetails, runOverview } from './details.ts';
import { cancellationOf, cancelledOnRequest, causeOf, wasCancelled } from './failures.ts';
import { checksOf, openParkingPlace, type ParkingPlace } from './park.ts';
import { runIntegration } from './run-integration.ts';
import { bookkeeping, work } from './steps.ts';

/**
 * One run of one deployment: preflight → the five integrations in their order → report. Its workflow id is the lock: a
 * schedule, the CLI and a script all start `sync/<deployment>`, and only one can be open. Where a person has to act it waits
 * (park.ts), and goes on where it stopped.
 */
export async function syncDeployment(input: SyncInput): Promise<SyncResult> {
  const parking = openParkingPlace(input.resume?.sinceMs);
  const run = input.resume?.run ?? (await begin(input));
  const progress: Progress = { input, run, parking, results: [...(input.resume?.results ?? [])], findings: [] };
  try {
    const { blocked } = input.resume ?? {};
    if ((await passPreflight(progress, blocked)) === 'go-on') await runAll(progress, blocked);
    return await finish(progress, ...endOf(progress));
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    if (!wasCancelled(error)) return finish(progress, 'failed', causeOf(error).message);
    // What was begun must be closed even though the scope is cancelled; the caller still sees the cancellation.
    await CancellationScope.nonCancellable(() => finish(progress, 'cancelled', cancelledOnRequest));
    throw cancellationOf(error);
  }
}

interface Progress {
  readonly input: SyncInput;
  readonly run: RunRef;
  readonly parking: ParkingPlace;
  readonly results: IntegrationResult[];
  /** What the newest preflight found: shown with the run, whether it stops it or not. */
  findings: readonly CheckFinding[];
  /** Set when the run stops for good, without its integrations being the reason. */
  stopped?: { readonly outcome: 'failed' | 'parked'; readonly because: string; readonly notRunBecause: string };
}

async function begin(input: SyncInput): Promise<RunRef> {
  phase('starting');
  setCurrentDetails(`**${input.deployment}** · taking the lock (asked by ${input.startedBy})`);
  return bookkeeping.beginRun.executeWithOptions({ summary: 'take the fence, close what an earlier run left open' }, [
    { deployment: input.deployment, mode: input.mode, workflowRunId: workflowInfo().firstExecutionRunId },
  ]);
}

/**
 * Checks, and waits as long as something blocks.
 * @param blocked the integration that was refused: waited for even where no check finds why
 */
async function passPreflight(progress: Progress, blocked?: ParkedRun['blocked']): Promise<'go-on' | 'stop'> {
  // After the first wait the checks alone decide: the integration is started again and says itself whether it still is.
  let refusal = blocked === undefined ? [] : [findingOf(blocked)];
  for (;;) {
    const found = await check(progress);
    const blocking = found.length > 0 ? found : refusal;
    if (blocking.length === 0) {
      progress.parking.leave();
      return 'go-on';
    }
    if (!patched('park')) {
      upsertSearchAttributes([{ key: searchAttributes.blockedBy, value: checksOf(blocking) }]);
      progress.stopped = {
        outcome: 'failed',
        because: sentencesOf(blocking),
        notRunBecause: `preflight: ${checksOf(blocking).join(', ')}`,
      };
      return 'stop';
    }
    if (!(await park(progress, blocking, blocked, found.length === 0))) return 'stop';
    refusal = [];
  }
}

/** Returns the findings for which the run may not go on. */
async function check(progress: Progress): Promise<readonly CheckFinding[]> {
  const { input, run } = progress;
  const isParked = progress.parking.sinceMs() !== undefined;
  // While it looks again it is as parked as before: whoever asks, or lists the runs, shall not find it gone for a moment.
  phase(isParked ? phaseParked : 'preflight');
  if (!isParked) setCurrentDetails(`**${input.deployment}** · checking sign-in, permissions and the instance`);
  const isBlocking = ({ verdict }: CheckFinding): boolean => verdict === 'blocking';
  const findings = [...(await work.preflight.executeWithOptions({ summary: 'preflight: sign-in, permissions, roles' }, [run]))];
  if (!findings.some(isBlocking))
    findings.push(...(await work.prepareInstance.executeWithOptions({ summary: "the engine's own records, run-as VR.System" }, [run])));
  progress.findings = findings;
  return findings.filter(isBlocking);
}

/**
 * Returns false when waiting was given up.
 * @param isUnseen no check finds what refuses the integration
 */
async function park(
  progress: Progress,
  blocking: readonly CheckFinding[],
  blocked: ParkedRun['blocked'],
  isUnseen: boolean,
): Promise<boolean> {
  const { input, run, parking, results, findings } = progress;
  const settings = await bookkeeping.parkSettings.executeWithOptions({ summary: 'how long to wait for a person' }, [run]);
  phase(phaseParked);
  setCurrentDetails(runOverview({ deployment: input.deployment, results, findings, waitsFor: blocking }));
  const end = await parking.wait(blocking, settings, isUnseen ? blocked?.refusedSinceMs : undefined);
  if (end === 'look-again') return true;
  const sinceMs = parking.sinceMs() ?? Date.now();
  if (end === 'continue-as-new') {
    await continueAsNew<typeof syncDeployment>({ ...input, resume: { run, results, sinceMs, ...(blocked && { blocked }) } });
  }
  progress.stopped = {
    outcome: 'parked',
    because: `nobody put right for ${Math.round((Date.now() - sinceMs) / 3_600_000)} hours what blocks it:\n${sentencesOf(blocking)}`,
    notRunBecause: `parked: ${checksOf(blocking).join(', ')}`,
  };
  return false;
}

/** What the run waits for, where the integration was refused and no check says why. */
function findingOf({ integration, because }: { readonly integration: IntegrationName; readonly because: string }): CheckFinding {
  return { check: `integration.${integration}`, verdict: 'blocking', evidence: because, remedy: null };
}

function sentencesOf(findings: readonly CheckFinding[]): string {
  return findings
    .map((finding) => `${finding.check}: ${finding.evidence}${finding.remedy === null ? '' : ` → ${finding.remedy}`}`)
    .join('\n');
}

/** Strict order: an integration that fails stops the later ones, which are reported as not run (design §4). */
async function runAll(progress: Progress, blocked?: ParkedRun['blocked']): Promise<void> {
  const { results } = progress;
  let refused = blocked;
  for (const integration of integrationOrder) {
    if (results.some((result) => result.integration === integration)) continue;
    const failed = results.find((result) => result.outcome === 'failed');
    if (failed) results.push(without(integration, 'not-run', `${failed.integration} failed`));
    else if (!(await runUntilDone(progress, integration, refused))) return;
    refused = undefined;
  }
}

/**
 * Runs one integration, again after each wait for a person. Returns false when waiting was given up.
 * @param refused how often and since when it was refused before the run continued as new
 */
async function runUntilDone(progress: Progress, integration: IntegrationName, refused: ParkedRun['blocked']): Promise<boolean> {
  const { input, results } = progress;
  let refusedSinceMs = refused?.refusedSinceMs;
  for (let attempt = (refused?.attempt ?? 0) + 1; ; attempt += 1) {
    phase(integration);
    setCurrentDetails(runOverview({ deployment: input.deployment, results, current: integration, findings: progress.findings }));
    const end = await runOne(progress, integration, attempt);
    if (end.outcome !== 'blocked') {
      results.push(end);
      return true;
    }
    refusedSinceMs ??= Date.now();
    if ((await passPreflight(progress, { integration, because: end.because, attempt, refusedSinceMs })) === 'stop') {
      results.push(await recordGivenUp(progress, end));
      return false;
    }
  }
}

async function runOne({ input, run, results }: Progress, integration: IntegrationName, attempt: number): Promise<IntegrationEnd> {
  try {
    return await executeChild(runIntegration, {
      workflowId: integrationWorkflowId(input.deployment, integration),
      args: [{ run, integration, ...(attempt > 1 && { attempt }) }],
      parentClosePolicy: ParentClosePolicy.TERMINATE,
      staticSummary: `${input.deployment} · ${integration}`,
      staticDetails: integrationDetails[integration],
      typedSearchAttributes: [{ key: searchAttributes.deployment, value: input.deployment }],
    });
  } catch (error) {
    if (isCancellation(error)) {
      // It read and wrote something: the report shall count that.
      results.push(without(integration, 'failed', cancelledOnRequest));
      throw error;
    }
    // It could not even record its own failure (or was terminated by hand).
    return without(integration, 'failed', causeOf(error).message);
  }
}

/** An integration that waited in vain is recorded as failed, if the instance takes that. */
async function recordGivenUp({ run }: Progress, { integration, because }: BlockedIntegration): Promise<IntegrationResult> {
  const quickly = { summary: `${integration}: record that it was given up`, scheduleToCloseTimeout: '1 minute' } as const;
  try {
    return await work.finishIntegration.executeWithOptions(quickly, [{ run, integration, failedBecause: because }]);
  } catch (error) {
    if (isCancellation(error)) throw error;
    return without(integration, 'failed', because);
  }
}

/** A result without counts: for what did not run, and for what could not say what it did. */
function without(integration: IntegrationName, outcome: 'not-run' | 'failed', because: string): IntegrationResult {
  return {
    integration,
    outcome,
    because,
    scopes: { complete: 0, partial: 0, failed: 0, notApplicable: 0 },
    read: 0,
    created: 0,
    updated: 0,
    parked: 0,
  };
}

/** Outcome, reason, and the short reason of every integration that did not run. */
function endOf({ results, stopped }: Progress): [RunOutcome, string | null, string?] {
  if (stopped) return [stopped.outcome, stopped.because, stopped.notRunBecause];
  const failed = results.find((result) => result.outcome === 'failed');
  if (failed) return ['failed', `${failed.integration}: ${failed.because ?? 'failed'}`];
  return [results.some((result) => result.outcome === 'degraded') ? 'degraded' : 'succeeded', null];
}

/**
 * Writes the report and closes the run.
 * @param because the whole reason; `notRunBecause` the short one that every integration is given that did not run
 */
async function finish(
  { input, run, parking, results, findings }: Progress,
  outcome: RunOutcome,
  because: string | null,
  notRunBecause: string = because ?? 'the run ended before it',
): Promise<SyncResult> {
  const integrations = integrationOrder.map(
    (integration) => results.find((result) => result.integration === integration) ?? without(integration, 'not-run', notRunBecause),
  );
  await bookkeeping.finishRun.executeWithOptions({ summary: `write the report: ${outcome}` }, [{ run, outcome, integrations }]);
  phase('finished');
  upsertSearchAttributes([{ key: searchAttributes.outcome, value: outcome }]);
  setCurrentDetails(runOverview({ deployment: input.deployment, results: integrations, outcome, because, findings }));
  // Whoever asked is heard out, whether or not the run is being cancelled meanwhile: its report is written.
  await CancellationScope.nonCancellable(() => parking.end());
  return { deployment: input.deployment, run: run.run, outcome, because, integrations };
}

function phase(name: string): void {
  upsertSearchAttributes([{ key: searchAttributes.phase, value: name }]);
}
