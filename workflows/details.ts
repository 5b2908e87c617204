/**
 * What the Web UI shows about a workflow while it runs and after it ended: markdown for someone who never saw the code.
 * Pure text; nothing here decides anything.
 */
import {
  integrationOrder,
  type CheckFinding,
  type IntegrationName,
  type IntegrationResult,
  type ReconcileResult,
  type RunOutcome,
} from './contract.ts';

/** What an integration is, below the summary of its workflow. */
export const integrationDetails: Readonly<Record<IntegrationName, string>> = {
  policies: 'Policy definitions and initiatives of Defender for Cloud become test groups (`sn_vulc_policy`).',
  metadata: 'What can be assessed becomes tests (`sn_vulc_test`), linked to their test groups.',
  standards: 'Regulatory and security standards become authoritative sources and citations (`sn_vulc_auth_src`, `sn_vulc_citation`).',
  assessments: 'What Defender found on each resource becomes its CI, its discovered item and test results (`sn_vulc_result`).',
  'container-images': 'Images, their packages and vulnerabilities become container findings and vulnerable items.',
};

export interface RunOverview {
  readonly deployment: string;
  readonly results: readonly IntegrationResult[];
  /** The integration that runs now. */
  readonly current?: IntegrationName;
  readonly outcome?: RunOutcome;
  readonly because?: string | null;
  /** What preflight found: what stops the run, or only warns. */
  readonly findings?: readonly CheckFinding[];
  /** The run is parked: what has to be put right before it goes on. */
  readonly waitsFor?: readonly CheckFinding[];
}

/** Where the run is, and what each integration did. */
export function runOverview({ deployment, results, current, outcome, because, findings = [], waitsFor }: RunOverview): string {
  const blocking = findings.filter(({ verdict }) => verdict === 'blocking');
  const warnings = findings.filter(({ verdict }) => verdict === 'warning');
  const degraded = results.filter((result) => result.outcome === 'degraded' && result.because !== null);
  return [
    `**${deployment}** · ${outcome ?? (waitsFor ? 'parked: a person has to act' : current === undefined ? 'running' : `running ${current}`)}`,
    ...(waitsFor
      ? parkedSection(deployment, waitsFor)
      : blocking.length > 0
        ? section('Preflight stops it:', blocking.flatMap(findingParagraphs))
        : because
          ? ['', prose(because)]
          : []),
    '',
    // The Web UI sets tables without any space between columns; in a code block they stand where they are put.
    '```',
    ...integrationRows(results, current),
    '```',
    ...section(
      'Left out:',
      degraded.map((result) => `- **${result.integration}** ${prose(result.because ?? '')}`),
    ),
    ...section('Preflight warns:', warnings.flatMap(findingParagraphs)),
  ].join('\n');
}

function parkedSection(deployment: string, waitsFor: readonly CheckFinding[]): string[] {
  return [
    ...section('It waits for:', waitsFor.flatMap(findingParagraphs)),
    `It looks again by itself, and at once after \`defender-sync recheck ${deployment}\`; then it goes on where it stopped.`,
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, '', ...lines];
}

/** In half a window there is room for three columns of a million, or for four in a wide one. */
function integrationRows(results: readonly IntegrationResult[], current: IntegrationName | undefined): string[] {
  const columns = results.some(({ parked }) => parked > 0)
    ? (['read', 'created', 'updated', 'parked'] as const)
    : (['read', 'created', 'updated'] as const);
  const rows = integrationOrder.map((integration) => {
    const result = results.find((one) => one.integration === integration);
    if (!result) return row(integration, integration === current ? 'running' : 'waiting', []);
    return row(integration, result.outcome, result.outcome === 'not-run' ? [] : columns.map((column) => String(result[column])));
  });
  return [row('', '', columns), ...rows];
}

function row(label: string, state: string, counts: readonly string[]): string {
  return `${label.padEnd(17)}${state.padEnd(10)}${counts.map((count) => count.padStart(8)).join('')}`.trimEnd();
}

/** Paragraphs, because the Web UI runs the lines of nested lists together. */
function findingParagraphs({ check, evidence, fixedBy, remedy }: CheckFinding): string[] {
  const who = fixedBy ? `**${prose(fixedBy)}:** ` : '';
  return [`\`${check}\` ${prose(evidence)}`, '', ...(remedy === null ? [] : [`**→** ${who}${prose(remedy)}`, ''])];
}

/**
 * Text of ours on one line of markdown. The Web UI makes a dash of two hyphens, which would spoil the options of a command in a
 * remedy; as code they stay.
 */
function prose(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/(^|[\s(])(--[\w-]+)/g, '$1`$2`');
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
    `**${result.integration}** · ${result.outcome}${result.because === null ? '' : `: ${prose(result.because)}`}`,
    '',
    `read ${result.read} · created ${result.created} · updated ${result.updated} · parked ${result.parked} · scopes: ${scopes.join(', ')}`,
  ].join('\n');
}

/** A reconcile: what became of the pairs. */
export function reconcileOverview(result: ReconcileResult): string {
  const { reconcile, outcome, because, moved, unchanged, refused, parked, items, results, leftToPlatform } = result;
  return [
    `**${reconcile === null ? 'Reconcile' : `Reconcile ${reconcile}`}** · ${outcome}${because === null ? '' : `: ${prose(because)}`}`,
    '',
    `pairs: ${moved} re-pointed · ${unchanged} as they were · ${refused} refused · ${parked} parked`,
    '',
    `records: ${items} discovered items · ${results} results${leftToPlatform > 0 ? ` · ${leftToPlatform} results left to the platform` : ''}`,
    ...(reconcile === null ? [] : ['', `Take it back with \`defender-sync cis reconcile --undo ${reconcile}\`.`]),
  ].join('\n');
}
