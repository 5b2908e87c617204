/** What became of a reconcile, for people and as JSON. */
import type { ReconcileRequest, ReconcileResult } from '../../../workflows/contract.ts';
import type { ReconciledPair } from '../../ledger/index.ts';
import type { Style } from '../output.ts';
import { counted, plainText } from '../table.ts';
import { outcomeText } from './report.ts';

const shownPairs = 50;

export function renderReconcile(
  result: ReconcileResult,
  pairs: readonly ReconciledPair[],
  request: ReconcileRequest,
  page: string | undefined,
  style: Style,
): string {
  const { reconcile, outcome, because, items, results, leftToPlatform, moved } = result;
  const verb = request.type === 'undo' ? 'put back' : 're-pointed';
  const subject = reconcile === null ? 'Reconcile' : `Reconcile ${reconcile}`;
  const platform = leftToPlatform > 0 ? `; ${counted(leftToPlatform, 'result')} left to the platform, which moves them by itself` : '';
  // What did not go as asked comes first.
  const ordered = [...pairs].sort((left, right) => Number(isWell(left)) - Number(isWell(right)));
  return [
    `${style.bold(subject)} ${outcomeText(outcome, style)}${because === null ? '' : `: ${plainText(because)}`}`,
    '',
    `  ${counted(items, 'discovered item')} and ${counted(results, 'result')} of ${counted(moved, 'pair')} ${verb}${platform}`,
    ...ordered.slice(0, shownPairs).flatMap((pair) => pairLines(pair, verb, style).map((line) => `  ${line}`)),
    ...(pairs.length > shownPairs ? [`  … and ${counted(pairs.length - shownPairs, 'more pair')}; --json shows all of them`] : []),
    ...(request.type === 'apply' && reconcile !== null && moved > 0
      ? ['', `  Take it back: defender-sync cis reconcile --undo ${reconcile}`]
      : []),
    ...(page === undefined ? [] : [style.dim(`  ${page}`)]),
  ].join('\n');
}

function isWell({ state }: ReconciledPair): boolean {
  return state === 'moved' || state === 'unchanged';
}

function pairLines({ resourceId, state, because, from, to }: ReconciledPair, verb: string, style: Style): string[] {
  const id = plainText(resourceId);
  if (state === 'moved') return [`${style.good(verb)}  ${id}`, `  ${from.className} ${from.sysId} → ${to.className} ${to.sysId}`];
  if (state === 'unchanged') return [`${style.dim('unchanged')}  ${id}: it is ${to.className} ${to.sysId} already`];
  return [`${style.warning(state)}  ${id}: ${plainText(because ?? 'it was not looked at')}`];
}

export function reconcileAsJson(result: ReconcileResult, pairs: readonly ReconciledPair[]): object {
  const { reconcile, outcome, because, deployments, moved, unchanged, refused, parked, items, results, leftToPlatform } = result;
  return { reconcile, outcome, because, deployments, counts: { moved, unchanged, refused, parked, items, results, leftToPlatform }, pairs };
}
