/** Three tries of what batch-kill.full.ts does a hundred times. */
import { expect, test } from '@jest/globals';
import { withPostgres } from '../integration/servers.ts';
import { killInBatches, startSlowLab, summaryOf } from './batch-kill.ts';

const postgres = withPostgres();

test('a client killed in the middle of a Batch that the instance goes on with: no record twice, none missing', async () => {
  const lab = await startSlowLab();
  try {
    const tries = await killInBatches(postgres, lab, 3, 3);
    console.info(summaryOf(tries));
    expect(tries.flatMap(({ problems }) => problems)).toEqual([]);
    expect(tries).toHaveLength(3);
    expect(tries.some(({ atDeath, afterwards }) => afterwards > atDeath)).toBe(true);
  } finally {
    await lab.stop();
  }
}, 120_000);
