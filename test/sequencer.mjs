import TestSequencer from '@jest/test-sequencer';

/** Whole engines, and what waits for Temporal's own timers. */
const long = /\/test\/(e2e|unit\/workflows)\//;
/** What starts servers of its own, or goes through long tables. */
const middling = /\/test\/(integration\/(preflight|publishing|host-tags|embedded-postgres|temporal-bootstrap|ci-identity)|replay)\//;

/**
 * The longest come first: one that is left to the end runs beside idle workers. Jest goes by file size where it has measured nothing yet,
 * as on every fresh clone.
 */
export default class LongestFirst extends TestSequencer {
  async sort(tests) {
    const sorted = await super.sort(tests);
    const rank = ({ path }) => (long.test(path) ? 0 : middling.test(path) ? 1 : 2);
    // Stable: within a rank the order is Jest's.
    return sorted.toSorted((one, other) => rank(one) - rank(other));
  }
}
