/** Where all deployments are, for people. */
import type { Style } from '../output.ts';
import { formatSeconds, tableLines } from '../table.ts';
import { outcomeText } from './report.ts';

/** What is known of one deployment. */
export interface DeploymentStatus {
  readonly deployment: string;
  /** The newest run, or null. */
  readonly run: string | null;
  /** `running` or `parked` for one that is open on the Temporal server; null when there is none, or when it ended without saying how. */
  readonly outcome: string | null;
  /** Where an open run is. */
  readonly phase: string | null;
  /** ISO 8601, UTC. */
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}

/** A table with one row per deployment. */
export function renderStatus(statuses: readonly DeploymentStatus[], style: Style, nowMs: number): string {
  const rows = statuses.map(({ deployment, run, outcome, phase, startedAt, endedAt }) => {
    if (startedAt === null)
      return [deployment, phase === null ? style.dim('no run yet') : outcomeText('running', style), '', phase ?? '', ''];
    const startedMs = Date.parse(startedAt);
    const ago = `${formatSeconds(Math.max(0, Math.round((nowMs - startedMs) / 1000)))} ago`;
    const state = outcome ?? 'ended without a report';
    const took = endedAt === null ? (phase ?? '') : formatSeconds(Math.round((Date.parse(endedAt) - startedMs) / 1000));
    return [deployment, outcomeText(state, style), ago, took, style.dim(run ?? '')];
  });
  const [head = '', ...body] = tableLines(
    [{ title: 'deployment' }, { title: 'last run' }, { title: 'started' }, { title: 'took' }, { title: 'run' }],
    rows,
  );
  return [style.dim(head), ...body].join('\n');
}
