import type { Addition, ContentChanges } from '../content-changes.ts';
import type { Growth } from './subscription.ts';

/** Splits a whole number by weights; what rounding leaves goes to the first. */
export function divide(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((left, right) => left + right, 0);
  const shares = weights.map((weight) => Math.floor((total * weight) / sum));
  const rest = total - shares.reduce((left, right) => left + right, 0);
  return shares.map((share, index) => (index === 0 ? share + rest : share));
}

/** What was added to each subscription, in the order it was. An addition that names none is spread by weight. */
export function createGrowth(
  content: ContentChanges,
  subscriptionIds: readonly string[],
  weights: readonly number[],
): (index: number) => readonly Growth[] {
  const none: readonly Growth[] = [];
  let before = 0;
  const ends = weights.map((weight) => (before += weight));
  const all = ends.at(-1) ?? 1;
  /** Cut at the running totals: the parts add up to the whole, and each is known without the others. */
  const share = (total: number, index: number): number =>
    Math.floor((total * (ends[index] ?? 0)) / all) - Math.floor((total * (ends[index - 1] ?? 0)) / all);
  const partOf = (addition: Addition, index: number): Growth =>
    addition.subscriptionId === undefined
      ? {
          assessments: share(addition.assessments, index),
          resources: share(addition.resources, index),
          images: share(addition.images, index),
        }
      : addition;
  return (index) =>
    content.additions.length === 0
      ? none
      : content.additions
          .filter(({ subscriptionId }) => subscriptionId === undefined || subscriptionId === subscriptionIds[index])
          .map((addition) => partOf(addition, index));
}
