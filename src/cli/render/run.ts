/** What became of a run, for people and as JSON. */
import type { CheckFinding } from '../../../workflows/contract.ts';
import type { Report, RunOutcome } from '../../model.ts';
import { renderFindings } from '../../preflight/render.ts';
import type { Style } from '../output.ts';
import { orderedReport, outcomeText, renderReport } from './report.ts';

export interface FinishedRun {
  readonly deployment: string;
  readonly outcome: RunOutcome;
  /** One sentence when it did not succeed. */
  readonly because: string | null;
  /** Undefined when the run ended before it could write one. */
  readonly report: Report | undefined;
  /** Of the run in the Web UI, where there is one. */
  readonly page: string | undefined;
  /** What a parked run waits for. */
  readonly waitsFor?: readonly CheckFinding[];
}

/** One run as text; what the report has no place for (a refused preflight, a cancellation) stands below it. */
export function renderRun({ deployment, outcome, because, report, page, waitsFor }: FinishedRun, style: Style, hasColours = false): string {
  const said = because === null || (report?.integrations ?? []).some((integration) => integration.because?.includes(because) === true);
  return [
    report === undefined
      ? `${style.bold(deployment)} ${outcomeText(outcome, style)}: ${because ?? 'no report was written'}`
      : renderReport(report, style),
    ...(said || report === undefined ? [] : [`  ${outcomeText('!', style, outcome)} ${because}`]),
    ...(waitsFor === undefined ? [] : ['', renderFindings(waitsFor, { colours: hasColours }), '']),
    ...(page === undefined ? [] : [style.dim(`  ${page}`)]),
  ].join('\n');
}

/** A run that ended before it could write its report, in the shape of one. */
export function reportOrStub(
  run: FinishedRun,
): Report | (Omit<Report, 'run' | 'seconds'> & { run: null; seconds: null; because: string | null; waitsFor?: readonly CheckFinding[] }) {
  if (run.report !== undefined) return orderedReport(run.report);
  return {
    deployment: run.deployment,
    run: null,
    mode: 'sync',
    outcome: run.outcome,
    because: run.because,
    integrations: [],
    calls: { azure: 0, serviceNowReads: 0, serviceNowWrites: 0, serviceNowBookkeeping: 0 },
    seconds: null,
    ...(run.waitsFor && { waitsFor: run.waitsFor }),
  };
}
