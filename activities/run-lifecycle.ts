import type {
  CheckFinding,
  IntegrationInput,
  IntegrationResult,
  ParkSettings,
  RunMode,
  RunOutcome,
  RunRef,
} from '../workflows/contract.ts';
import { integrationOf } from '../src/integrations/index.ts';
import { tableSpecs } from '../src/integrations/tables.ts';
import {
  attachmentCounts,
  beginCheck,
  beginRun as beginRunInLedger,
  countCalls,
  countIntegration,
  endRun,
  forgetAttachmentLists,
  forgetOldScans,
  forgetPairSets,
  ledgerId,
  loadNotes,
  openRun,
  pruneHistory,
  rememberAttachmentCounts,
  runAsChanges,
  saveFindings,
  saveNotes,
  saveScopes,
  secondsSinceStart,
  type RunHandle,
} from '../src/ledger/index.ts';
import type { IntegrationName, IntegrationReport, Report } from '../src/model.ts';
import { runPreflight } from '../src/preflight/index.ts';
import type { ActivityContext } from './context.ts';
import { hostTagNotes } from './host-tags.ts';
import { knownToLedger } from './known-to-ledger.ts';
import { publishRunRecord } from './publish-engine-records.ts';
import { memoryOf } from './ledger-memory.ts';
import { readRefusals } from './refusals.ts';
import type { StepScope } from './run-step.ts';

/** Manifests and quarantine of this many runs are kept per deployment; reports are kept for ever. */
const runsWithScans = 3;
/** Of 20,000 rows each; a million old rows are gone after five runs, and none of them ends much later for it. */
const pruningSteps = 10;
/** With their sentences they stay well below the 64 KB that a payload may have. */
const findingsInHistory = 20;

/** Takes the deployment's next fence. Idempotent per workflow execution. */
export async function beginRun(
  context: ActivityContext,
  input: { readonly deployment: string; readonly mode: RunMode; readonly workflowRunId: string },
): Promise<RunRef> {
  const settings = context.deployment(input.deployment);
  const run = await beginRunInLedger(
    context.ledger.database,
    { name: settings.name, instanceUrl: context.config.serviceNow.url, position: settings.precedence },
    input.workflowRunId,
    input.mode,
  );
  if (run.closedDangling > 0)
    context.log.warn({ deployment: input.deployment, runs: run.closedDangling }, 'closed runs that ended without a report');
  return { deployment: input.deployment, run: run.runId, fence: run.fence, mode: input.mode };
}

/** Runs the checks, remembers the scopes that they found, and keeps the findings for the report. */
export async function preflight(context: ActivityContext, ref: RunRef, step: StepScope): Promise<CheckFinding[]> {
  const run = await beginCheck(context.ledger.database, await openRun(context.ledger.database, ref.run, ref.fence));
  const { azure, serviceNow, tokens, azureGate } = await context.bareClientsOf(run);
  const settings = context.deployment(ref.deployment);
  const { findings, scopes } = await runPreflight({
    deployment: settings,
    serviceNow: context.config.serviceNow,
    clients: { azure, serviceNow },
    tokens,
    gate: azureGate,
    directory: azure.directory,
    tableSpecs,
    ledgerId: await ledgerId(context.ledger.database),
    known: knownToLedger(context.ledger.database, settings.name, context.config.serviceNow.url),
    engine: { memory: memoryOf(context.ledger.database, context.config.serviceNow.url, ref.deployment) },
    attachmentLog: {
      earlier: () => attachmentCounts(context.ledger.database, run, run.runId),
      remember: (counts) => rememberAttachmentCounts(context.ledger.database, run, counts),
    },
    nowMs: () => context.clock.nowMs(),
    signal: step.signal,
    onCheck: (check) => step.at({ check }),
  });
  await saveScopes(context.ledger.database, run, scopes);
  await saveFindings(
    context.ledger.database,
    run,
    findings.map((finding) => ({ ...finding })),
  );
  return forHistory(findings);
}

/** Histories have room for some sentences about what is not right, the worst first; the ledger keeps the whole. */
function forHistory(findings: readonly CheckFinding[]): CheckFinding[] {
  const worstFirst = (['blocking', 'not-readable', 'warning'] as const).flatMap((verdict) =>
    findings.filter((finding) => finding.verdict === verdict),
  );
  return worstFirst.slice(0, findingsInHistory).map((finding) => ({
    check: cut(finding.check, 255),
    verdict: finding.verdict,
    ...(finding.cause !== undefined && { cause: cut(finding.cause, 255) }),
    evidence: cut(finding.evidence, 600),
    ...(typeof finding.follows === 'string' && { follows: cut(finding.follows, 300) }),
    ...(typeof finding.fixedBy === 'string' && { fixedBy: cut(finding.fixedBy, 200) }),
    remedy: finding.remedy === null ? null : cut(finding.remedy, 1_000),
  }));
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** How long a parked run waits for a person, and how often it looks by itself. */
export function parkSettings(context: ActivityContext): ParkSettings {
  return context.config.park;
}

/** Counts an integration, decides its outcome, and writes its run record. */
export async function finishIntegration(
  context: ActivityContext,
  input: IntegrationInput & { readonly failedBecause: string | null },
  step: StepScope,
): Promise<IntegrationResult> {
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  // Without the instance there is nothing to say about its features, and the failure says enough.
  const notes = input.failedBecause === null ? await hostTagNotes(context, run, input.integration) : [];
  // What was put back before anything else belongs to the first integration, for want of a better place.
  if (input.integration === 'policies') notes.unshift(...(await runAsChanges(context.ledger.database, run)));
  await saveNotes(context.ledger.database, run, input.integration, notes);
  const { report } = await reportOf(context, run, input.integration, input.failedBecause);
  await publishRunRecord(context, run, report, step);
  return {
    integration: input.integration,
    outcome: report.outcome,
    because: report.because === null ? null : cut(report.because, 1_000),
    scopes: report.scopes,
    read: report.read,
    created: report.created,
    updated: report.updated,
    parked: report.parked,
  };
}

async function reportOf(
  context: ActivityContext,
  run: RunHandle,
  name: IntegrationName,
  failedBecause: string | null,
): Promise<{ readonly report: IntegrationReport }> {
  const { database, words } = context.ledger;
  const { reasons, unreadLists, ...counts } = await countIntegration(database, words, run, name, integrationOf(name).tables);
  const { partial, failed } = counts.scopes;
  const said = reasons
    .filter((reason) => reason.state !== 'complete')
    .map((reason) => `${reason.scopes} ${reason.state}: ${reason.because}`);
  const parked = counts.parked > 0 ? [`${counts.parked} records are parked`] : [];
  // A list that could be read nowhere (403 on every scope) is the integration's failure; one that failed somewhere degrades it.
  const unread = unreadLists.length === 0 ? [] : [`${unreadLists.join(', ')} could not be read in any scope`];
  const notes = await loadNotes(database, run, name);
  let outcome: IntegrationReport['outcome'] = 'succeeded';
  if (failedBecause !== null || unread.length > 0) outcome = 'failed';
  else if (partial > 0 || failed > 0 || counts.parked > 0) outcome = 'degraded';
  const because = failedBecause ?? ([...unread, ...said, ...parked].join('; ') || null);
  return { report: { name, outcome, because, ...counts, ...(notes.length > 0 && { notes }) } };
}

/** Stores the report and forgets manifests that no later run compares with. */
export async function finishRun(
  context: ActivityContext,
  input: { readonly run: RunRef; readonly outcome: RunOutcome; readonly integrations: readonly IntegrationResult[] },
): Promise<{ readonly seconds: number }> {
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  const { database } = context.ledger;
  const integrations: IntegrationReport[] = [];
  for (const result of input.integrations) {
    if (result.outcome === 'not-run') {
      integrations.push({ ...emptyReport, name: result.integration, because: result.because });
      continue;
    }
    const { report } = await reportOf(context, run, result.integration, result.outcome === 'failed' ? result.because : null);
    integrations.push({ ...report, outcome: result.outcome, because: result.because });
  }
  const seconds = await secondsSinceStart(database, run);
  const report: Report = {
    deployment: run.deployment,
    run: run.runId,
    mode: input.run.mode,
    outcome: input.outcome,
    integrations,
    calls: await countCalls(database, run),
    seconds,
    ...(await readRefusals(database, run)),
  };
  await endRun(database, run, input.outcome, report);
  await forgetOldScans(database, run, runsWithScans);
  await pruneHistory(database, run, context.config.ledger.historyDays, pruningSteps);
  await forgetPairSets(database, context.config.ledger.historyDays);
  await forgetAttachmentLists(database, context.config.ledger.historyDays);
  return { seconds };
}

const emptyReport: Omit<IntegrationReport, 'name' | 'because'> = {
  outcome: 'not-run',
  scopes: { complete: 0, partial: 0, failed: 0, notApplicable: 0 },
  read: 0,
  excluded: 0,
  quarantined: 0,
  created: 0,
  updated: 0,
  unchanged: 0,
  closed: 0,
  parked: 0,
};
