import type { Catalogue, CatalogueRule } from '../catalogue/catalogue.ts';
import { firstEndAbove } from '../model.ts';
import { BLOCK_KINDS, type BlockKind } from './blocks.ts';

/** Which kinds of block follow each other. Kinds of clouds the subscription does not have are left out. */
const CYCLE: readonly BlockKind['name'][] = ['web', 'aws', 'vm', 'gcp', 'aks', 'arc', 'data', 'sql', 'platform', 'vm', 'web'];

/** How the rows of one kind of block are dealt to its resources. */
export interface KindPlan {
  readonly kind: BlockKind;
  readonly rules: readonly (readonly CatalogueRule[])[];
  /** Running total of rows per resource. */
  readonly ends: readonly number[];
  readonly rows: number;
}

/** Which row of an endless series of blocks lies where: arithmetic, the same for all subscriptions with the same clouds. */
export interface BlockPlan {
  readonly kindOf: (block: number) => KindPlan;
  /** Rows in the blocks before this one. */
  readonly startOf: (block: number) => number;
  readonly blockOf: (row: number) => number;
  /** Blocks that so many rows fill or begin. */
  readonly countBlocks: (rows: number) => number;
  /** So many rows, and then those of so many whole resources; a resource that was cut short is completed first. */
  readonly rowsWith: (rows: number, moreResources: number) => number;
}

export function createBlockPlan(catalogue: Catalogue, clouds: readonly string[]): BlockPlan {
  const cycle = planCycle(catalogue, clouds);
  const ends = runningTotals(cycle.map((plan) => plan.rows));
  const cycleRows = ends.at(-1) ?? 1;
  const kindOf = (block: number): KindPlan => {
    const plan = cycle[block % cycle.length];
    if (plan === undefined) throw new RangeError(`No block ${String(block)}.`);
    return plan;
  };
  const startOf = (block: number): number => Math.floor(block / cycle.length) * cycleRows + (ends[(block % cycle.length) - 1] ?? 0);
  const blockOf = (row: number): number => Math.floor(row / cycleRows) * cycle.length + firstEndAbove(ends, row % cycleRows);
  const resourceEnd = (row: number): number => {
    const block = blockOf(row);
    const plan = kindOf(block);
    return startOf(block) + (plan.ends[firstEndAbove(plan.ends, row - startOf(block))] ?? 0);
  };
  return {
    kindOf,
    startOf,
    blockOf,
    countBlocks: (rows) => (rows <= 0 ? 0 : blockOf(rows - 1) + 1),
    rowsWith: (rows, moreResources) => {
      let end = rows === 0 ? 0 : resourceEnd(rows - 1);
      for (let resource = 0; resource < moreResources; resource += 1) end = resourceEnd(end);
      return end;
    },
  };
}

function planCycle(catalogue: Catalogue, clouds: readonly string[]): KindPlan[] {
  const wanted = CYCLE.filter((name) => {
    if (name === 'aws') return clouds.includes('AWS');
    if (name === 'gcp') return clouds.includes('GCP');
    return name !== 'arc' || clouds.includes('OnPremises');
  });
  return wanted.map((name) => {
    const kind = BLOCK_KINDS.find((candidate) => candidate.name === name);
    if (kind === undefined) throw new Error(`No block kind is called '${name}'.`);
    const rules = kind.resources.map(({ type }) => catalogue.rulesFor(type));
    const ends = runningTotals(rules.map((ofResource) => ofResource.length));
    return { kind, rules, ends, rows: ends.at(-1) ?? 0 };
  });
}

function runningTotals(sizes: readonly number[]): number[] {
  let total = 0;
  return sizes.map((size) => (total += size));
}
