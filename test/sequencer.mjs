import TestSequencer from '@jest/test-sequencer';

/**
 * End-to-end files come first: they take longest and mostly wait, and one that is left to the end runs beside an idle worker. Jest
 * goes by file size where it has measured nothing yet, as on every fresh clone.
 */
export default class LongestFirst extends TestSequencer {
  async sort(tests) {
    const sorted = await super.sort(tests);
    const isLong = ({ path }) => path.includes('/test/e2e/') || path.includes('/test/unit/workflows/');
    return [...sorted.filter(isLong), ...sorted.filter((test) => !isLong(test))];
  }
}
