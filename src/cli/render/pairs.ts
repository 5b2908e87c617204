/** Pairs of placeholder and specific CI, for people and as JSON. */
import { stepsOf, type CiPair, type PairCi, type PairSet } from '../../ledger/index.ts';
import type { Style } from '../output.ts';
import { counted, plainText } from '../table.ts';

/** More than this is nothing to read through; the JSON has all. */
export const shownPairs = 50;

/** What the absence of pairs means. */
export function renderNoPairs(looked: number): string {
  if (looked === 0)
    return 'No resource is matched to a placeholder (cmdb_ci_cmp_resource), so nothing can stand beside one. Before the first run nothing is known: defender-sync status';
  return [
    `No pairs: none of the ${counted(looked, 'placeholder')} has a CI of another class with the same object_id beside it.`,
    'Either Discovery has not looked at these resources, or it has enriched the placeholders themselves. There is nothing to reconcile.',
  ].join('\n');
}

/** @param pairs the first of the set */
export function renderPairs(set: PairSet, pairs: readonly CiPair[], style: Style): string {
  return [
    `${style.bold(`Pairs ${set.id}`)}  ${counted(set.pairs, 'pair')} on ${set.instanceUrl}  ${style.dim(`hash ${set.hash}`)}`,
    platformSentence(set.platformMovesResults),
    ...pairs.slice(0, shownPairs).flatMap((pair) => ['', ...pairLines(pair, set, style)]),
    ...(set.pairs > shownPairs ? ['', `… and ${counted(set.pairs - shownPairs, 'more pair')}; --json shows all of them`] : []),
    '',
    ...(set.reconcilable === 0
      ? ['None of them can be reconciled as it is.']
      : [
          `Re-point them as shown:  defender-sync cis reconcile ${set.id}`,
          `Only one of them:        defender-sync cis reconcile ${set.id} --only <resource id>`,
        ]),
  ].join('\n');
}

function platformSentence(moves: boolean | null): string {
  const property = 'sn_sec_cmn.update_on_ci_change';
  if (moves === true) return `${property} is true: the platform moves results with their discovered item; the engine re-points items only.`;
  const why = moves === null ? 'cannot be read' : 'is false';
  return `${property} ${why}: the engine re-points results too.`;
}

function pairLines(pair: CiPair, set: PairSet, style: Style): string[] {
  return [
    style.bold(plainText(pair.resourceId)),
    `  placeholder  ${ciText(pair.placeholder)}${pair.createdByEngine ? ', by this engine' : ''}`,
    `               ${pointing(pair, [pair.placeholder.sysId])}`,
    ...pair.specific.flatMap((ci) => [`  specific     ${ciText(ci)}`, `               ${pointing(pair, [ci.sysId])}`]),
    pair.obstacle === null ? `  ${effect(pair, set)}` : `  ${style.warning(`cannot be reconciled: ${plainText(pair.obstacle)}`)}`,
  ];
}

function ciText({ className, sysId, createdBy, createdOn, discoverySource, retired }: PairCi): string {
  const source = discoverySource === '' ? 'no discovery source' : `discovery source ${discoverySource}`;
  return plainText(`${className} ${sysId}  created ${createdOn} by ${createdBy}, ${source}${retired ? ', retired' : ''}`);
}

/** Who points at it: items by deployment, results by how many there are of each. */
function pointing({ items, results }: CiPair, sysIds: readonly string[]): string {
  const here = (one: { readonly cmdbCi: string }): boolean => sysIds.includes(one.cmdbCi);
  const itemsOf = byDeployment(items.filter(here));
  const resultsOf = byDeployment(results.filter(here));
  if (itemsOf.size + resultsOf.size === 0) return 'nothing points at it';
  const text = (counts: ReadonlyMap<string, number>): string => [...counts].map(([name, count]) => `${count} of ${name}`).join(', ');
  return [
    ...(itemsOf.size === 0 ? [] : [`discovered items: ${text(itemsOf)}`]),
    ...(resultsOf.size === 0 ? [] : [`results: ${text(resultsOf)}`]),
  ].join('; ');
}

function byDeployment(list: readonly { readonly deployment: string | null }[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { deployment } of list) {
    const name = deployment ?? 'others';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

interface Effect {
  readonly items: number;
  readonly results: number;
  readonly leftToPlatform: number;
  /** Results that the specific CI has already. */
  readonly doubled: number;
  /** Records of others, which are left alone. */
  readonly foreign: number;
}

function effectOf(pair: CiPair, { platformMovesResults }: Pick<PairSet, 'platformMovesResults'>): Effect {
  const { steps, doubled, foreign } = stepsOf(pair, platformMovesResults);
  const items = steps.filter(({ table }) => table === 'sn_sec_cmn_src_ci').length;
  const leftToPlatform = steps.filter(({ by }) => by === 'platform').length;
  return { items, results: steps.length - items - leftToPlatform, leftToPlatform, doubled: doubled.length, foreign };
}

function effect(pair: CiPair, set: PairSet): string {
  const { items, results, leftToPlatform, doubled, foreign } = effectOf(pair, set);
  const parts = [counted(items, 'discovered item'), ...(results > 0 ? [counted(results, 'result')] : [])];
  return [
    `reconcile re-points ${parts.join(' and ')}`,
    ...(leftToPlatform > 0 ? [`leaves ${counted(leftToPlatform, 'result')} to the platform`] : []),
    ...(doubled > 0 ? [`leaves ${counted(doubled, 'result')} behind that the specific CI has already`] : []),
    ...(foreign > 0 ? [`leaves ${counted(foreign, 'record')} of others alone`] : []),
  ].join(', ');
}

/** What a reconcile of these pairs would do, in one sentence. */
export async function effectSentence(pairs: AsyncIterable<CiPair>, set: PairSet): Promise<string> {
  let [count, items, results, leftToPlatform] = [0, 0, 0, 0];
  for await (const pair of pairs) {
    if (pair.obstacle !== null) continue;
    const effect = effectOf(pair, set);
    count += 1;
    items += effect.items;
    results += effect.results;
    leftToPlatform += effect.leftToPlatform;
  }
  const platform = leftToPlatform > 0 ? `, and the platform ${counted(leftToPlatform, 'result')}` : '';
  return `Re-points ${counted(items, 'discovered item')} and ${counted(results, 'result')} of ${counted(count, 'pair')}${platform}.`;
}

export function pairsAsJson(set: PairSet | undefined, pairs: readonly CiPair[], looked: number): object {
  if (set === undefined) return { id: null, hash: null, placeholders: looked, pairs: [] };
  const { id, hash, foundAt, instanceUrl, platformMovesResults } = set;
  return {
    id,
    hash,
    foundAt,
    instance: instanceUrl,
    platformMovesResults,
    placeholders: looked,
    pairs: pairs.map((pair) => ({ ...pair, effect: effectOf(pair, set) })),
  };
}
