import {
  CancellationScope,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  blockedByLimits,
  integrationOrder,
  integrationWorkflowId,
  searchAttributes,
  type CheckFinding,
  type IntegrationName,
  type IntegrationResult,
  type RunOutcome,
  type RunRef,
  type SyncInput,
  type SyncResult,
} from './contract.ts';
import { integrationDetails, runOverview } from './details.ts';
import { bytesOf, causeOf, cutBytes } from './failures.ts';
import { runIntegration } from './run-integration.ts';
import { bookkeeping, work } from './steps.ts';

/**
 * One run of one deployment: preflight → the five integrations in their order → report. Its workflow id is the lock: a
 * schedule, the CLI and a script all start `sync/<deployment>`, and only one can be open.
 */
export async function syncDeployment(input: SyncInput): Promise<SyncResult> {
  phase('starting');
  setCurrentDetails(`**${input.deployment}** · taking the lock (asked by ${input.startedBy})`);
  const run = await bookkeeping.beginRun.executeWithOptions({ summary: 'take the fence, close what an earlier run left open' }, [
    { deployment: input.deployment, mode: input.mode, workflowRunId: workflowInfo().firstExecutionRunId },
  ]);
  const progress: Progress = { input, run, results: [], findings: [] };
  try {
    const blocking = await preflight(progress);
    if (blocking.length > 0) return await finish(progress, 'failed', sentencesOf(blocking), `preflight: ${checksOf(blocking).join(', ')}`);
    await runAll(progress);
    const failed = progress.results.find((result) => result.outcome === 'failed');
    return await finish(progress, outcomeOf(progress.results), failed ? `${failed.integration}: ${failed.because ?? 'failed'}` : null);
  } catch (error) {
    if (!isCancellation(error)) return finish(progress, 'failed', causeOf(error).message);
    // What was begun must be closed even though the scope is cancelled; the caller still sees the cancellation.
    await CancellationScope.nonCancellable(() => finish(progress, 'cancelled', cancelled));
    throw error;
  }
}

const cancelled = 'cancelled on request';

interface Progress {
  readonly input: SyncInput;
  readonly run: RunRef;
  readonly results: IntegrationResult[];
  /** What preflight found: shown with the run, whether it stops it or not. */
  readonly findings: CheckFinding[];
}

/** Returns the findings for which the run may not go on. */
async function preflight({ input, run, findings }: Progress): Promise<readonly CheckFinding[]> {
  phase('preflight');
  setCurrentDetails(`**${input.deployment}** · checking sign-in, permissions and the instance`);
  const isBlocking = ({ verdict }: CheckFinding): boolean => verdict === 'blocking';
  findings.push(...(await work.preflight.executeWithOptions({ summary: 'preflight: sign-in, permissions, roles' }, [run])));
  if (!findings.some(isBlocking))
    findings.push(...(await work.prepareInstance.executeWithOptions({ summary: "the engine's own records, run-as VR.System" }, [run])));
  const blocking = findings.filter(isBlocking);
  if (blocking.length > 0) upsertSearchAttributes([{ key: searchAttributes.blockedBy, value: checksOf(blocking) }]);
  return blocking;
}

/** Check ids, as many as a KeywordList takes. */
function checksOf(findings: readonly CheckFinding[]): string[] {
  const ids = new Set(findings.map((finding) => cutBytes(finding.check, blockedByLimits.bytesPerValue)));
  const checks: string[] = [];
  for (const id of ids) {
    const withThis = [...checks, id];
    if (withThis.length > blockedByLimits.values || bytesOf(JSON.stringify(withThis)) > blockedByLimits.bytes) break;
    checks.push(id);
  }
  return checks;
}

function sentencesOf(findings: readonly CheckFinding[]): string {
  return findings
    .map((finding) => `${finding.check}: ${finding.evidence}${finding.remedy === null ? '' : ` → ${finding.remedy}`}`)
    .join('\n');
}

/** Strict order: an integration that fails stops the later ones, which are reported as not run (design §4). */
async function runAll(progress: Progress): Promise<void> {
  const { input, results, findings } = progress;
  for (const integration of integrationOrder) {
    const failed = results.find((result) => result.outcome === 'failed');
    if (failed) {
      results.push(without(integration, 'not-run', `${failed.integration} failed`));
      continue;
    }
    phase(integration);
    setCurrentDetails(runOverview({ deployment: input.deployment, results, current: integration, findings }));
    results.push(await runOne(progress, integration));
  }
}

async function runOne({ input, run, results }: Progress, integration: IntegrationName): Promise<IntegrationResult> {
  try {
    return await executeChild(runIntegration, {
      workflowId: integrationWorkflowId(input.deployment, integration),
      args: [{ run, integration }],
      parentClosePolicy: ParentClosePolicy.TERMINATE,
      staticSummary: `${input.deployment} · ${integration}`,
      staticDetails: integrationDetails[integration],
      typedSearchAttributes: [{ key: searchAttributes.deployment, value: input.deployment }],
    });
  } catch (error) {
    if (isCancellation(error)) {
      // It read and wrote something: the report shall count that.
      results.push(without(integration, 'failed', cancelled));
      throw error;
    }
    // It could not even record its own failure (or was terminated by hand).
    return without(integration, 'failed', causeOf(error).message);
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

function outcomeOf(results: readonly IntegrationResult[]): RunOutcome {
  if (results.some((result) => result.outcome === 'failed')) return 'failed';
  return results.some((result) => result.outcome === 'degraded') ? 'degraded' : 'succeeded';
}

/**
 * Writes the report and closes the run.
 * @param because the whole reason; `notRunBecause` the short one that every integration is given that did not run
 */
async function finish(
  { input, run, results, findings }: Progress,
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
  return { deployment: input.deployment, run: run.run, outcome, because, integrations };
}

function phase(name: string): void {
  upsertSearchAttributes([{ key: searchAttributes.phase, value: name }]);
}
