/** A page deep in a large estate costs a page, and the lab's memory stays small (design §8). The full size is million.full.ts. */
import { expect, test } from '@jest/globals';
import { readLarge } from './million.ts';

test('generated:1:100000', async () => {
  const reading = await readLarge('generated:1:100000', { readers: 2, walkMs: 3000 });
  expect(reading.subscriptions).toBe(100);
  expect(reading.lastPageRows).toBeGreaterThan(0);
  expect(reading.lastPageMs).toBeLessThan(5000);
  expect(reading.imagesWalked).toBe(5000);
  expect(reading.rowsWalked).toBeGreaterThan(38_000);
  expect(reading.peakResidentBytes).toBeLessThan(500_000_000);
});
