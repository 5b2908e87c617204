/**
 * What the Web UI shows about a workflow while it runs and after it ended: markdown for someone who never saw the code.
 * Pure text; nothing here decides anything.
 */
import { integrationOrder, type CheckFinding, type IntegrationName, type IntegrationResult, type RunOutcome } from './contract.ts';

/** A cell that holds more is cut: the whole sentence stands in the result and in the report. */
const cellCharacters = 240;

export interface RunOverview {
  readonly deployment: string;
  readonly results: readonly IntegrationResult[];
  /** The integration that runs now. */
  readonly current?: IntegrationName;
  readonly outcome?: RunOutcome;
  readonly because?: string | null;
  /** What preflight found and did not stop the run. */
  readonly warnings?: readonly CheckFinding[];
}

/** Where the run is, and what each integration did. */
export function runOverview({ deployment, results, current, outcome, because, warnings = [] }: RunOverview): string {
  const rows = integrationOrder.map((integration, index) => {
    const label = `${index + 1} ${integration}`;
    const result = results.find((one) => one.integration === integration);
    if (result) return resultRow(label, result);
    return `| ${label} | ${integration === current ? '**running**' : 'waiting'} | | | | |`;
  });
  return [
    `**${deployment}** · ${outcome ?? (current === undefined ? 'running' : `running ${current}`)}`,
    ...(because ? ['', because] : []),
    '',
    '| integration | state | read | created | updated | parked |',
    '|---|---|--:|--:|--:|--:|',
    ...rows,
    ...(warnings.length === 0 ? [] : ['', 'Preflight warns:', '', ...warnings.map(findingLine)]),
  ].join('\n');
}

function resultRow(label: string, result: IntegrationResult): string {
  const state = result.because === null ? result.outcome : `${result.outcome}: ${result.because}`;
  const counts = result.outcome === 'not-run' ? ['', '', '', ''] : [result.read, result.created, result.updated, result.parked];
  return `| ${label} | ${cell(state)} | ${counts.join(' | ')} |`;
}

/** A line break or a bar would end the table. */
function cell(text: string): string {
  const line = text.replace(/\s+/g, ' ').replaceAll('|', '\\|');
  return line.length <= cellCharacters ? line : `${line.slice(0, cellCharacters - 1)}…`;
}

/** Why a run may not go on, and what to do about it. */
export function blockedOverview(deployment: string, blocking: readonly CheckFinding[]): string {
  return [`**${deployment}** · blocked by preflight`, '', ...blocking.map(findingLine)].join('\n');
}

function findingLine(finding: CheckFinding): string {
  return `- \`${finding.check}\` ${finding.evidence}${finding.remedy === null ? '' : `\n  - ${finding.remedy}`}`;
}

/** One integration: what it does now, or what became of it. */
export function integrationOverview(result: IntegrationResult): string {
  const { complete, partial, failed, notApplicable } = result.scopes;
  const scopes = [
    `${complete} complete`,
    ...(partial > 0 ? [`${partial} partial`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(notApplicable > 0 ? [`${notApplicable} not applicable`] : []),
  ];
  return [
    `**${result.integration}** · ${result.outcome}${result.because === null ? '' : `: ${result.because}`}`,
    '',
    `read ${result.read} · created ${result.created} · updated ${result.updated} · parked ${result.parked} · scopes: ${scopes.join(', ')}`,
  ].join('\n');
}
