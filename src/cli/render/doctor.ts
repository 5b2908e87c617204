/** What the preflight found, for people. */
import type { CheckFinding } from '../../../workflows/contract.ts';
import { renderFindings } from '../../preflight/render.ts';
import type { Output } from '../output.ts';
import { counted } from '../table.ts';

/** The findings of one deployment: what it comes to, then each one, the worst first. */
export function renderDoctor(
  deployment: string,
  findings: readonly CheckFinding[],
  { style, hasColours }: Pick<Output, 'style' | 'hasColours'>,
): string {
  const [first, ...more] = findings.filter(({ verdict }) => verdict === 'blocking');
  const others = findings.filter(({ verdict }) => verdict === 'warning' || verdict === 'not-readable').length;
  const headline = first
    ? style.bad(`would not run: ${firstSentence(first.evidence)}`) + (more.length > 0 ? ` (and ${more.length} more)` : '')
    : others > 0
      ? style.warning(`is ready to run, with ${counted(others, 'remark')}`)
      : style.good('is ready to run');
  return `${style.bold(deployment)} ${headline}\n\n${renderFindings(findings, { colours: hasColours })}`;
}

/** What it comes to, in the line that everybody reads. */
function firstSentence(evidence: string): string {
  return /^.*?[.!?](?=\s|$)/s.exec(evidence)?.[0].replace(/\s+/g, ' ') ?? evidence;
}
