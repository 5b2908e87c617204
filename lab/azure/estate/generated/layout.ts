import type { CatalogueRule } from '../catalogue/catalogue.ts';
import type { Presence } from '../content-changes.ts';
import { firstEndAbove, type Rows } from '../model.ts';
import type { BlockPlan } from './block-plan.ts';
import type { BlockKind } from './blocks.ts';
import { cached, perVersion, type SharedCache } from './memo.ts';
import { describeBlock, resourceGroupOf, subscriptionResource, type Block, type NamingContext, type Resource } from './naming.ts';
import { CLASSIC_STREAM, placeOf, SUBSCRIPTION_PLACE } from './streams.ts';

/** One assessment: a rule on a resource. */
export interface RowReference {
  readonly resource: Resource;
  readonly rule: CatalogueRule;
  /** Position in the estate's own order: what a row's draws belong to. */
  readonly ordinal: number;
  /** Number of the resource in its subscription. */
  readonly place: number;
}

/** Where everything in a subscription is. Memory grows with its blocks (one per some fifty rows), never with its rows. */
export interface Layout {
  readonly blockCount: number;
  /** The order of the REST list: no order a reader could rely on. */
  readonly listed: Rows<RowReference>;
  /** By lower-case id. */
  readonly sorted: Rows<RowReference>;
  /** Rows in the estate's own order, resource by resource. */
  readonly rowsInPlan: () => Generator<RowReference>;
  /** The subscription as a resource, and the rules on it. */
  readonly subscription: Resource;
  readonly block: (number: number) => Block;
  readonly kindOf: (block: number) => BlockKind['name'];
  readonly resourceGroupOf: (block: number) => string;
  /** Block numbers by lower-case resource group. */
  readonly sortedBlocks: Uint32Array;
  /** The resources of a block that were laid out, those that went away included. */
  readonly resourcesOf: (block: number) => readonly Resource[];
  /** How many those are, without describing them. */
  readonly countResources: (block: number) => number;
  /** The row of a resource and a key, be it there or gone. */
  readonly findRow: (resourceId: string, key: string) => RowReference | undefined;
  /** The number of a resource by its lower-case id. */
  readonly findPlace: (resourceId: string) => number | undefined;
  readonly isPresent: (reference: RowReference) => boolean;
  /** True where the resource still has an assessment of its own. */
  readonly hasRowsAt: (block: number, resource: number) => boolean;
}

interface LayoutInput {
  readonly naming: NamingContext;
  readonly plan: BlockPlan;
  readonly rows: number;
  readonly headRules: readonly CatalogueRule[];
  readonly presence: Presence;
  readonly blocks: SharedCache<Block>;
  /** A rule with the key it has now, and a number that rises with every new key. */
  readonly current: { readonly rule: (rule: CatalogueRule) => CatalogueRule; readonly version: () => number };
}

/** Lays out so many rows over a subscription. */
export function createLayout(input: LayoutInput): Layout {
  const { naming, plan, rows, headRules, presence, current } = input;
  const subscription = subscriptionResource(naming);
  const head = Math.min(headRules.length, rows);
  const blockRows = rows - head;
  const blockCount = plan.countBlocks(blockRows);
  const sizeOf = (block: number): number => Math.min(plan.kindOf(block).rows, blockRows - plan.startOf(block));
  const blocks = input.blocks.region((number) => describeBlock(naming, plan.kindOf(number).kind, number));
  const ordinalOf = (block: number, offset: number): number => head + plan.startOf(block) + offset;
  const headRow = (index: number): RowReference => ({
    resource: subscription,
    rule: current.rule(at(headRules, index)),
    ordinal: index,
    place: SUBSCRIPTION_PLACE,
  });
  const inBlock = (block: number, offset: number): RowReference => {
    const { ends, rules } = plan.kindOf(block);
    const resource = firstEndAbove(ends, offset);
    const rule = current.rule(at(at(rules, resource), offset - (ends[resource - 1] ?? 0)));
    return { resource: at(blocks(block).resources, resource), rule, ordinal: ordinalOf(block, offset), place: placeOf(block, resource) };
  };
  const hasHead = (index: number): boolean => presence.hasRow(CLASSIC_STREAM, index);
  const has = (block: number, offset: number): boolean =>
    presence.hasResource(placeOf(block, firstEndAbove(plan.kindOf(block).ends, offset))) &&
    presence.hasRow(CLASSIC_STREAM, ordinalOf(block, offset));

  const groupOf = (block: number): string => resourceGroupOf(naming, plan.kindOf(block).kind.name, block);
  const sortedBlocks = blocksByGroup(blockCount, groupOf);
  const offsetsOf = perVersion(current.version, () =>
    cached(8, (block: number) => sortOffsets(sizeOf(block), (offset) => inBlock(block, offset))),
  );
  const sortedHead = perVersion(current.version, () =>
    Uint16Array.from(
      Array.from({ length: head }, (_unused, index) => index).sort((a, b) => (headRow(a).rule.key < headRow(b).rule.key ? -1 : 1)),
    ),
  );
  const rowsInOrder = createOrders({ head, blockCount, sizeOf, has, hasHead, headRow, inBlock, version: presence.version });
  const countResources = (block: number): number => firstEndAbove(plan.kindOf(block).ends, sizeOf(block) - 1) + 1;
  const resourcesOf = (block: number): readonly Resource[] => blocks(block).resources.slice(0, countResources(block));
  /** The block that a lower-case id names by its resource group, and the resource's index in it. */
  const findResource = (wanted: string): { block: number; index: number } | undefined => {
    const block = Number(/\/resourcegroups\/[^/]*-(\d+)(?:\/|$)/.exec(wanted)?.[1] ?? NaN);
    if (!Number.isInteger(block) || block >= blockCount) return undefined;
    const index = resourcesOf(block).findIndex(({ id }) => id.toLowerCase() === wanted);
    return index === -1 ? undefined : { block, index };
  };

  return {
    blockCount,
    subscription,
    block: blocks,
    kindOf: (block) => plan.kindOf(block).kind.name,
    resourceGroupOf: groupOf,
    sortedBlocks,
    resourcesOf,
    countResources,
    listed: rowsInOrder({
      blockAt: (position) => position,
      offsetAt: (block, position) => scattered(position, sizeOf(block)),
      headAt: (position) => position,
    }),
    // "/subscriptions/x/providers/…" sorts before "/subscriptions/x/resourcegroups/…".
    sorted: rowsInOrder({
      blockAt: (position) => at(sortedBlocks, position),
      offsetAt: (block, position) => at(offsetsOf()(block), position),
      headAt: (position) => at(sortedHead(), position),
    }),
    rowsInPlan: function* () {
      for (let index = 0; index < head; index += 1) if (hasHead(index)) yield headRow(index);
      for (let block = 0; block < blockCount; block += 1) {
        const size = sizeOf(block);
        for (let offset = 0; offset < size; offset += 1) if (has(block, offset)) yield inBlock(block, offset);
      }
    },
    findRow: (resourceId, key) => {
      const wanted = resourceId.toLowerCase();
      const hasKey = (rule: CatalogueRule): boolean => current.rule(rule).key === key.toLowerCase();
      if (wanted === subscription.id.toLowerCase()) {
        const index = headRules.findIndex(hasKey);
        return index === -1 || index >= head ? undefined : headRow(index);
      }
      const found = findResource(wanted);
      if (found === undefined) return undefined;
      const { ends, rules } = plan.kindOf(found.block);
      const rule = at(rules, found.index).findIndex(hasKey);
      const offset = (ends[found.index - 1] ?? 0) + rule;
      return rule !== -1 && offset < sizeOf(found.block) ? inBlock(found.block, offset) : undefined;
    },
    findPlace: (resourceId) => {
      const found = findResource(resourceId.toLowerCase());
      return found === undefined ? undefined : placeOf(found.block, found.index);
    },
    hasRowsAt: (block, resource) => {
      const { ends } = plan.kindOf(block);
      const end = Math.min(ends[resource] ?? 0, sizeOf(block));
      for (let offset = ends[resource - 1] ?? 0; offset < end; offset += 1) if (has(block, offset)) return true;
      return false;
    },
    isPresent: ({ ordinal, place }) =>
      presence.hasRow(CLASSIC_STREAM, ordinal) && (place === SUBSCRIPTION_PLACE || presence.hasResource(place)),
  };
}

/** One order of rows: the head first, then block by block. */
interface Order {
  readonly blockAt: (position: number) => number;
  readonly offsetAt: (block: number, position: number) => number;
  readonly headAt: (position: number) => number;
}

/** Rows that are still there in an order, found by counting per block: a page costs a page, however much went away before it. */
function createOrders(input: {
  head: number;
  blockCount: number;
  readonly sizeOf: (block: number) => number;
  readonly has: (block: number, offset: number) => boolean;
  readonly hasHead: (index: number) => boolean;
  readonly headRow: (index: number) => RowReference;
  readonly inBlock: (block: number, offset: number) => RowReference;
  readonly version: () => number;
}): (order: Order) => Rows<RowReference> {
  const { head, blockCount, sizeOf, has, hasHead, headRow, inBlock, version } = input;
  return (order) => {
    const ends = perVersion(version, () => {
      const whole = version() === 0;
      let total = whole ? head : countWhere(head, hasHead);
      const totals = new Uint32Array(blockCount + 1);
      totals[0] = total;
      for (let position = 0; position < blockCount; position += 1) {
        const block = order.blockAt(position);
        total += whole ? sizeOf(block) : countWhere(sizeOf(block), (offset) => has(block, offset));
        totals[position + 1] = total;
      }
      return totals;
    });
    return {
      get size() {
        return ends().at(-1) ?? 0;
      },
      at: (index) => {
        const position = firstEndAbove(ends(), index);
        if (position > blockCount) throw new RangeError(`Row ${String(index)} of ${String(ends().at(-1))}.`);
        const rank = index - (ends()[position - 1] ?? 0);
        if (position === 0) return headRow(nth(rank, version() === 0, order.headAt, hasHead));
        const block = order.blockAt(position - 1);
        const offset = nth(
          rank,
          version() === 0,
          (step) => order.offsetAt(block, step),
          (candidate) => has(block, candidate),
        );
        return inBlock(block, offset);
      },
    };
  };
}

/** The item of this rank among those that are there. */
function nth(rank: number, whole: boolean, itemAt: (position: number) => number, isThere: (item: number) => boolean): number {
  if (whole) return itemAt(rank);
  let left = rank;
  for (let position = 0; ; position += 1) {
    const item = itemAt(position);
    if (!isThere(item)) continue;
    if (left === 0) return item;
    left -= 1;
  }
}

function countWhere(count: number, isThere: (index: number) => boolean): number {
  let found = 0;
  for (let index = 0; index < count; index += 1) if (isThere(index)) found += 1;
  return found;
}

function blocksByGroup(blockCount: number, groupOf: (block: number) => string): Uint32Array {
  const groups = Array.from({ length: blockCount }, (_unused, block) => `${groupOf(block).toLowerCase()}/`);
  return Uint32Array.from(groups.keys()).sort((a, b) => (at(groups, a) < at(groups, b) ? -1 : 1));
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

function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`No item ${String(index)} in a list of ${String(list.length)}.`);
  return item;
}
