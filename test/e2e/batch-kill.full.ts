/** Done-when 2 of issue 2: a client killed in the middle of a Batch whose server side goes on, a hundred times at different moments. */
import { expect, test } from '@jest/globals';
import { withPostgres } from '../integration/servers.ts';
import { killInBatches, startSlowLab, summaryOf } from './batch-kill.ts';

const postgres = withPostgres();

test('no record twice and none missing in 100 tries', async () => {
  const lab = await startSlowLab();
  try {
    const tries = await killInBatches(postgres, lab, 100, 5);
    console.info(summaryOf(tries));
    expect(tries.flatMap(({ problems }) => problems)).toEqual([]);
    expect(tries).toHaveLength(100);
    // The proof is worth something only if the instance was in the middle of it, mostly.
    expect(tries.filter(({ atDeath, afterwards }) => afterwards > atDeath).length).toBeGreaterThan(50);
  } finally {
    await lab.stop();
  }
}, 900_000);
