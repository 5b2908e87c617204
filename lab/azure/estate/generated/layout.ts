import type { Catalogue, CatalogueRule } from '../catalogue/catalogue.ts';
import { firstEndAbove } from '../model.ts';
import { BLOCK_KINDS, type BlockKind } from './blocks.ts';
import { describeBlock, resourceGroupOf, subscriptionResource, type Block, type NamingContext, type Resource } from './naming.ts';

/** Which kinds of block follow each other. Kinds of clouds the subscription does not have are left out. */
const CYCLE: readonly BlockKind['name'][] = ['web', 'aws', 'vm', 'gcp', 'aks', 'arc', 'data', 'sql', 'platform', 'vm', 'web'];

/** One assessment: a rule on a resource. */
export interface RowReference {
  readonly resource: Resource;
  readonly rule: CatalogueRule;
  /** Position in the estate's own order: what a row's draws belong to. */
  readonly ordinal: number;
}

/** Where everything in a subscription is. Memory grows with its blocks (one per some fifty rows), never with its rows. */
export interface Layout {
  readonly size: number;
  readonly blockCount: number;
  /** Rows in the order the REST list gives them: no order a reader could rely on. */
  rowAt(index: number): RowReference;
  /** Rows by lower-case id. */
  sortedRowAt(index: number): RowReference;
  /** Rows in the estate's own order, resource by resource. */
  rowsInPlan(): Generator<RowReference>;
  /** The subscription as a resource, and the rules on it. */
  readonly subscription: Resource;
  block(number: number): Block;
  kindOf(block: number): BlockKind['name'];
  resourceGroupOf(block: number): string;
  /** Block numbers by lower-case resource group. */
  readonly sortedBlocks: Uint32Array;
  /** The resources of a block that have rows. */
  resourcesOf(block: number): readonly Resource[];
  findRow(resourceId: string, key: string): RowReference | undefined;
}

interface KindPlan {
  readonly kind: BlockKind;
  readonly rules: readonly (readonly CatalogueRule[])[];
  /** Running total of rows per resource. */
  readonly ends: readonly number[];
  readonly rows: number;
}

/** Lays out so many rows over a subscription. */
export function createLayout(input: {
  naming: NamingContext;
  catalogue: Catalogue;
  rows: number;
  clouds: readonly string[];
  headRules: readonly CatalogueRule[];
}): Layout {
  const { naming, catalogue, rows, headRules } = input;
  const subscription = subscriptionResource(naming);
  const head = Math.min(headRules.length, rows);
  const cycle = planCycle(catalogue, input.clouds);
  const cycleEnds = runningTotals(cycle.map((plan) => plan.rows));
  const cycleRows = cycleEnds.at(-1) ?? 1;
  const blockRows = rows - head;
  const blockCount = countBlocks(blockRows, cycleEnds, cycleRows);

  const planOf = (block: number): KindPlan => at(cycle, block % cycle.length);
  const startOf = (block: number): number => Math.floor(block / cycle.length) * cycleRows + (cycleEnds[(block % cycle.length) - 1] ?? 0);
  const sizeOf = (block: number): number => Math.min(planOf(block).rows, blockRows - startOf(block));
  const blocks = cached(64, (number: number) => describeBlock(naming, planOf(number).kind, number));

  const inBlock = (block: number, offset: number): RowReference => {
    const plan = planOf(block);
    const resource = firstEndAbove(plan.ends, offset);
    const rule = at(at(plan.rules, resource), offset - (plan.ends[resource - 1] ?? 0));
    return { resource: at(blocks(block).resources, resource), rule, ordinal: head + startOf(block) + offset };
  };
  const headRow = (index: number): RowReference => ({ resource: subscription, rule: at(headRules, index), ordinal: index });
  const blockOfRow = (offset: number): number =>
    Math.floor(offset / cycleRows) * cycle.length + firstEndAbove(cycleEnds, offset % cycleRows);

  const groupOf = (block: number): string => resourceGroupOf(naming, planOf(block).kind.name, block);
  const sorted = sortedOrder({ blockCount, sizeOf, groupOf });
  const sortedOffsets = cached(16, (block: number) => sortOffsets(sizeOf(block), (offset) => inBlock(block, offset)));
  const sortedHead = headRules
    .slice(0, head)
    .map((rule, index) => ({ key: rule.key, index }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));

  const resourcesOf = (block: number): readonly Resource[] =>
    blocks(block).resources.slice(0, firstEndAbove(planOf(block).ends, sizeOf(block) - 1) + 1);

  return {
    size: rows,
    blockCount,
    subscription,
    block: blocks,
    kindOf: (block) => planOf(block).kind.name,
    resourceGroupOf: groupOf,
    sortedBlocks: sorted.blocks,
    resourcesOf,
    rowAt: (index) => {
      if (index < head) return headRow(index);
      const block = blockOfRow(index - head);
      return inBlock(block, scattered(index - head - startOf(block), sizeOf(block)));
    },
    sortedRowAt: (index) => {
      // "/subscriptions/x/providers/…" sorts before "/subscriptions/x/resourcegroups/…".
      if (index < head) return headRow(at(sortedHead, index).index);
      const position = firstEndAbove(sorted.ends, index - head);
      const block = at(sorted.blocks, position);
      return inBlock(block, at(sortedOffsets(block), index - head - (sorted.ends[position - 1] ?? 0)));
    },
    rowsInPlan: function* () {
      for (let index = 0; index < head; index += 1) yield headRow(index);
      for (let block = 0; block < blockCount; block += 1) {
        const size = sizeOf(block);
        for (let offset = 0; offset < size; offset += 1) yield inBlock(block, offset);
      }
    },
    findRow: (resourceId, key) => {
      const wanted = resourceId.toLowerCase();
      if (wanted === subscription.id.toLowerCase()) {
        const index = headRules.findIndex((rule) => rule.key === key.toLowerCase());
        return index === -1 || index >= head ? undefined : headRow(index);
      }
      const block = Number(/\/resourcegroups\/[^/]*-(\d+)(?:\/|$)/.exec(wanted)?.[1] ?? NaN);
      if (!Number.isInteger(block) || block >= blockCount) return undefined;
      const plan = planOf(block);
      for (const [index, resource] of resourcesOf(block).entries()) {
        if (resource.id.toLowerCase() !== wanted) continue;
        const rule = at(plan.rules, index).findIndex((candidate) => candidate.key === key.toLowerCase());
        const offset = (plan.ends[index - 1] ?? 0) + rule;
        if (rule !== -1 && offset < sizeOf(block)) return inBlock(block, offset);
      }
      return undefined;
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

function countBlocks(rows: number, cycleEnds: readonly number[], cycleRows: number): number {
  if (rows <= 0) return 0;
  const last = rows - 1;
  return Math.floor(last / cycleRows) * cycleEnds.length + firstEndAbove(cycleEnds, last % cycleRows) + 1;
}

interface SortedOrder {
  readonly blocks: Uint32Array;
  readonly ends: Uint32Array;
}

function sortedOrder(input: { blockCount: number; sizeOf: (block: number) => number; groupOf: (block: number) => string }): SortedOrder {
  const groups = Array.from({ length: input.blockCount }, (_unused, block) => `${input.groupOf(block).toLowerCase()}/`);
  const order = groups.map((group, block) => ({ group, block })).sort((a, b) => (a.group < b.group ? -1 : 1));
  const blocks = Uint32Array.from(order, ({ block }) => block);
  let total = 0;
  const ends = Uint32Array.from(blocks, (block) => (total += input.sizeOf(block)));
  return { blocks, ends };
}

function sortOffsets(size: number, rowAt: (offset: number) => RowReference): Uint16Array {
  const ids = Array.from({ length: size }, (_unused, offset) => {
    const { resource, rule } = rowAt(offset);
    return { id: `${resource.id.toLowerCase()}/providers/microsoft.security/assessments/${rule.key}`, offset };
  });
  ids.sort((a, b) => (a.id < b.id ? -1 : 1));
  return Uint16Array.from(ids, ({ offset }) => offset);
}

/** A fixed shuffle of a block's rows: neighbours in the list belong to different resources. */
function scattered(position: number, size: number): number {
  let stride = 37;
  while (greatestCommonDivisor(stride, size) !== 1) stride += 1;
  return (position * stride) % size;
}

function greatestCommonDivisor(left: number, right: number): number {
  return right === 0 ? left : greatestCommonDivisor(right, left % right);
}

/** The last few results: rows of one page come from a few neighbouring blocks. */
function cached<T>(limit: number, make: (key: number) => T): (key: number) => T {
  const values = new Map<number, T>();
  return (key) => {
    const known = values.get(key);
    if (known !== undefined) return known;
    const value = make(key);
    if (values.size >= limit) values.delete(values.keys().next().value ?? key);
    values.set(key, value);
    return value;
  };
}

function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`No item ${String(index)} in a list of ${String(list.length)}.`);
  return item;
}
