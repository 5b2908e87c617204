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
import { causeOf } from './failures.ts';
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
  const results: IntegrationResult[] = [];
  try {
    const blocked = await preflight(input, run);
    if (blocked !== null) return await finish(input, run, 'failed', blocked, results);
    await runAll(input, run, results);
    const failed = results.find((result) => result.outcome === 'failed');
    return await finish(input, run, outcomeOf(results), failed ? `${failed.integration}: ${failed.because ?? 'failed'}` : null, results);
  } catch (error) {
    if (!isCancellation(error)) {
      return finish(input, run, 'failed', causeOf(error).message, results);
    }
    // What was begun must be closed even though the scope is cancelled; the caller still sees the cancellation.
    await CancellationScope.nonCancellable(() => finish(input, run, 'cancelled', 'cancelled on request', results));
    throw error;
  }
}

/** Returns why the run may not go on, or null. */
async function preflight(input: SyncInput, run: RunRef): Promise<string | null> {
  phase('preflight');
  setCurrentDetails(`**${input.deployment}** · checking sign-in, permissions and the instance`);
  const checks = await work.preflight.executeWithOptions({ summary: 'preflight: sign-in, permissions, roles' }, [run]);
  let blocking = checks.filter((finding) => finding.verdict === 'blocking');
  if (blocking.length === 0) {
    const prepared = await work.prepareInstance.executeWithOptions({ summary: "the engine's own records, run-as VR.System" }, [run]);
    blocking = prepared.filter((finding) => finding.verdict === 'blocking');
  }
  if (blocking.length === 0) return null;
  upsertSearchAttributes([{ key: searchAttributes.blockedBy, value: blocking.slice(0, 20).map((finding) => finding.check) }]);
  setCurrentDetails([`**${input.deployment}** · blocked by preflight`, '', ...blocking.map(findingLine)].join('\n'));
  return blocking
    .map((finding) => `${finding.check}: ${finding.evidence}${finding.remedy === null ? '' : ` → ${finding.remedy}`}`)
    .join('\n');
}

function findingLine(finding: CheckFinding): string {
  return `- \`${finding.check}\` ${finding.evidence}${finding.remedy === null ? '' : `\n  - ${finding.remedy}`}`;
}

/** Strict order: an integration that fails stops the later ones, which are reported as not run (design §4). */
async function runAll(input: SyncInput, run: RunRef, results: IntegrationResult[]): Promise<void> {
  for (const integration of integrationOrder) {
    const failed = results.find((result) => result.outcome === 'failed');
    if (failed) {
      results.push(notRun(integration, `${failed.integration} failed`));
      continue;
    }
    phase(integration);
    setCurrentDetails(overview(input, results, integration));
    results.push(
      await executeChild(runIntegration, {
        workflowId: integrationWorkflowId(input.deployment, integration),
        args: [{ run, integration }],
        parentClosePolicy: ParentClosePolicy.TERMINATE,
        staticSummary: `${input.deployment} · ${integration}`,
        typedSearchAttributes: [{ key: searchAttributes.deployment, value: input.deployment }],
      }),
    );
  }
}

function notRun(integration: IntegrationName, because: string): IntegrationResult {
  return {
    integration,
    outcome: 'not-run',
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

async function finish(
  input: SyncInput,
  run: RunRef,
  outcome: RunOutcome,
  because: string | null,
  results: readonly IntegrationResult[],
): Promise<SyncResult> {
  const all = integrationOrder.map(
    (integration) =>
      results.find((result) => result.integration === integration) ?? notRun(integration, because ?? 'the run ended before it'),
  );
  await bookkeeping.finishRun.executeWithOptions({ summary: `write the report: ${outcome}` }, [{ run, outcome, integrations: all }]);
  phase('finished');
  upsertSearchAttributes([{ key: searchAttributes.outcome, value: outcome }]);
  setCurrentDetails(overview(input, all, null, outcome, because));
  return { deployment: input.deployment, run: run.run, outcome, because, integrations: all };
}

function phase(name: string): void {
  upsertSearchAttributes([{ key: searchAttributes.phase, value: name }]);
}

/** Markdown for the Web UI: where the run is, and what each integration did. */
function overview(
  input: SyncInput,
  results: readonly IntegrationResult[],
  current: IntegrationName | null,
  outcome: RunOutcome | null = null,
  because: string | null = null,
): string {
  const rows = integrationOrder.map((integration, index) => {
    const result = results.find((one) => one.integration === integration);
    const label = `${index + 1} ${integration}`;
    if (!result) return `| ${label} | ${integration === current ? 'running' : 'waiting'} | | | | |`;
    const state = result.because === null ? result.outcome : `${result.outcome}: ${result.because}`;
    return `| ${label} | ${state} | ${result.read} | ${result.created} | ${result.updated} | ${result.parked} |`;
  });
  return [
    `**${input.deployment}** · ${outcome ?? `running ${current ?? ''}`}${because === null ? '' : `\n\n${because}`}`,
    '',
    '| integration | state | read | created | updated | parked |',
    '|---|---|--:|--:|--:|--:|',
    ...rows,
  ].join('\n');
}
