/** Findings as text for people, worst first. */
import { verdictsBySeverity } from './results.ts';
import type { Finding, Verdict } from './types.ts';

const labels: Readonly<Record<Verdict, { readonly label: string; readonly colour: string }>> = {
  blocking: { label: 'BLOCKING', colour: '\u001b[31m' },
  'not-readable': { label: 'NOT READABLE', colour: '\u001b[35m' },
  warning: { label: 'WARNING', colour: '\u001b[33m' },
  'not-checked': { label: 'NOT CHECKED', colour: '\u001b[90m' },
  ok: { label: 'ok', colour: '\u001b[32m' },
};
const reset = '\u001b[0m';
const width = Math.max(...Object.values(labels).map(({ label }) => label.length));
const indent = ' '.repeat(width + 2);

/** What of a finding is shown; findings of older runs do not say what follows, and who can fix it. */
type Shown = Pick<Finding, 'check' | 'verdict' | 'evidence' | 'remedy'> & Partial<Pick<Finding, 'follows' | 'fixedBy'>>;

/** One finding is two to four lines: verdict and id, what was seen, what follows, what to do by whom. Ends without a line break. */
export function renderFindings(findings: readonly Shown[], { colours }: { readonly colours: boolean }): string {
  const sorted = verdictsBySeverity.flatMap((verdict) => findings.filter((finding) => finding.verdict === verdict));
  return [...sorted.map((finding) => renderOne(finding, colours)), summary(findings)].join('\n');
}

function renderOne({ check, verdict, evidence, follows, fixedBy, remedy }: Shown, colours: boolean): string {
  const { label, colour } = labels[verdict];
  const padded = label.padEnd(width);
  const head = `${colours ? `${colour}${padded}${reset}` : padded}  ${check}`;
  if (verdict === 'ok') return `${head}: ${oneLine(evidence)}`;
  const who = fixedBy ? `${fixedBy}: ` : '';
  return [
    head,
    `${indent}${oneLine(evidence)}`,
    ...(follows ? [`${indent}${oneLine(follows)}`] : []),
    ...(remedy === null ? [] : [`${indent}→ ${oneLine(who + remedy)}`]),
  ].join('\n');
}

function summary(findings: readonly Shown[]): string {
  const counts = verdictsBySeverity
    .map((verdict) => ({ verdict, count: findings.filter((finding) => finding.verdict === verdict).length }))
    .filter(({ count }) => count > 0)
    .map(({ verdict, count }) => `${count} ${verdict}`);
  return counts.length === 0 ? 'Nothing was checked.' : counts.join(', ');
}

/** What services say may hold anything; a terminal gets one line without control characters. */
function oneLine(text: string): string {
  return text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
}
