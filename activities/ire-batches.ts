import { buildIrePayloads, type BuiltPayload, type IreOptions } from '../src/inventory/ire-payload.ts';
import type { CiRequest } from '../src/model.ts';
import type { BatchOutcome } from '../src/servicenow/index.ts';

/** Items that are sent in one Batch before anything was measured: one payload of the size that ServiceNow recommends at most. */
const firstItems = 500;
const fewestItems = 50;
const mostItems = 2_000;
export const itemsPerPayload = 500;
/** A third of the Batch quota of 30 s: a payload that waits for a lock still ends within it. */
const targetMs = 10_000;

/**
 * How many IRE items go into one Batch: as many as take about a third of the quota by what the last ones took, and half of what got
 * through when the quota was hit.
 */
export class IrePace {
  #items = firstItems;

  /** Takes the next CIs: as many payloads as fit into one Batch, and what is left. */
  next<Request extends CiRequest>(
    waiting: readonly Request[],
    options: Pick<IreOptions, 'dataSource' | 'tags'>,
    mostPerPayload = itemsPerPayload,
  ): { readonly payloads: readonly BuiltPayload[]; readonly left: readonly Request[] } {
    const maxItems = Math.min(mostPerPayload, this.#items);
    const { payloads } = buildIrePayloads(waiting.slice(0, this.#items), { ...options, maxItems });
    const taken: BuiltPayload[] = [];
    let used = 0;
    for (const one of payloads) {
      if (used > 0 && used + one.payload.items.length > this.#items) break;
      taken.push(one);
      used += one.payload.items.length;
    }
    const keys = new Set(taken.flatMap(({ itemIndexes }) => [...itemIndexes.keys()]));
    return { payloads: taken, left: waiting.filter(({ key }) => !keys.has(key)) };
  }

  learn(payloads: readonly BuiltPayload[], outcomes: readonly BatchOutcome[], elapsedMs: number): void {
    const sizes = payloads.map(({ payload }) => payload.items.length);
    const all = sizes.reduce((sum, size) => sum + size, 0);
    const served = sizes.reduce((sum, size, index) => sum + (outcomes[index]?.outcome === 'answered' ? size : 0), 0);
    const measured = outcomes.reduce((sum, one) => sum + (one.outcome === 'answered' ? (one.executionMs ?? 0) : 0), 0);
    const fitting = Math.floor((targetMs / Math.max(1, measured, measured === 0 ? elapsedMs : 0)) * Math.max(1, served));
    const wanted = served < all ? Math.floor(served / 2) : Math.min(fitting, this.#items * 4);
    this.#items = Math.min(mostItems, Math.max(fewestItems, wanted));
  }
}
