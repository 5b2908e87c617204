/** A million assessments over a thousand subscriptions, served to four readers at once in less than 500 MB (design §8). */
import { expect, test } from '@jest/globals';
import { readLarge } from './million.ts';

test('generated:1:1000000', async () => {
  const reading = await readLarge('generated:1:1000000', { readers: 4, walkMs: 120_000 });
  console.log(JSON.stringify(reading));
  expect(reading.subscriptions).toBe(1000);
  expect(reading.lastPageRows).toBeGreaterThan(0);
  expect(reading.lastPageMs).toBeLessThan(5000);
  expect(reading.imagesWalked).toBe(5000);
  expect(reading.rowsWalked).toBeGreaterThan(100_000);
  expect(reading.residentBytes).toBeLessThan(500_000_000);
  expect(reading.peakResidentBytes).toBeLessThan(500_000_000);
}, 300_000);
