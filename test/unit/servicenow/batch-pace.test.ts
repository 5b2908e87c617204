import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  batchLimits,
  createBatchPaces,
  firstPace,
  nextPace,
  type BatchMeasurement,
  type BatchPace,
} from '../../../src/servicenow/batch-pace.ts';

const quotaMs = 30_000;
const limits = batchLimits(quotaMs);

/** A batch of an instance that takes so long for each record, and cancels at its quota. */
function batchOf(size: number, perRecordMs: number): BatchMeasurement {
  const answered = perRecordMs === 0 ? size : Math.min(size, Math.floor(quotaMs / perRecordMs));
  return { sent: size, answered, executionMs: answered * perRecordMs, cutShort: answered < size };
}

/** Sizes of consecutive batches of such an instance. */
function sizes(perRecordMs: number, batches: number): number[] {
  const found: number[] = [];
  let pace: BatchPace = firstPace;
  for (let index = 0; index < batches; index += 1) {
    found.push(pace.size);
    pace = nextPace(pace, batchOf(pace.size, perRecordMs), limits);
  }
  return found;
}

describe('the size of batches', () => {
  test.each([
    ['a fast instance gets full ones, step by step', 12, [100, 150, 225, 338, 400, 400]],
    ['8 s of the quota', 40, [100, 150, 200, 200, 200, 200]],
    ['a slow instance: halved, then what it can do', 500, [100, 50, 16, 16, 16, 16]],
    ['the smallest where even that is cut', 4_000, [100, 50, 25, 12, 10, 10]],
  ])('%s', (_, perRecordMs, expected) => {
    expect(sizes(perRecordMs, 6)).toEqual(expected);
  });

  test('several lanes that were cut at the same time halve it once', () => {
    const cut: BatchMeasurement = { sent: 100, answered: 60, executionMs: 30_000, cutShort: true };
    const once = nextPace(firstPace, cut, limits);
    expect(once.size).toBe(50);
    expect(nextPace(nextPace(once, cut, limits), cut, limits).size).toBe(50);
  });

  test('several lanes that were fast at the same time raise it once', () => {
    const fast = batchOf(100, 1);
    expect([fast, fast, fast].reduce((pace, one) => nextPace(pace, one, limits), firstPace).size).toBe(150);
  });

  test('a batch of a few records raises nothing', () => {
    expect(nextPace(firstPace, batchOf(2, 1), limits).size).toBe(100);
  });

  test('is kept by table', () => {
    const paces = createBatchPaces(limits);
    paces.measured('slow', { sent: 100, answered: 50, executionMs: 30_000, cutShort: true });
    expect([paces.sizeOf('slow'), paces.sizeOf('other')]).toEqual([50, 100]);
  });

  test('follows a short quota of the configuration', () => {
    expect(batchLimits(30_000).aimMs).toBe(8_000);
    expect(batchLimits(1_000).aimMs).toBe(267);
  });
});

const measurement = fc
  .record({ answered: fc.nat(400), lost: fc.nat(400), perRecordMs: fc.double({ min: 0, max: 60_000, noNaN: true }) })
  .map(({ answered, lost, perRecordMs }): BatchMeasurement => ({
    sent: Math.max(1, answered + lost),
    answered,
    executionMs: answered * perRecordMs,
    cutShort: lost > 0,
  }));

describe('whatever an instance does', () => {
  test('the size stays within its limits, grows by half of what was sent at most, and halves when a batch was cut', () => {
    fc.assert(
      fc.property(fc.array(measurement, { maxLength: 30 }), (measurements) => {
        let pace: BatchPace = firstPace;
        for (const one of measurements) {
          const next = nextPace(pace, one, limits);
          expect(next.size).toBeGreaterThanOrEqual(limits.fewest);
          expect(next.size).toBeLessThanOrEqual(limits.most);
          expect(Number.isInteger(next.size)).toBe(true);
          expect(next.size).toBeLessThanOrEqual(Math.max(pace.size, Math.ceil(one.sent * 1.5), limits.fewest));
          if (one.cutShort) expect(next.size).toBeLessThanOrEqual(Math.max(limits.fewest, one.sent / 2));
          pace = next;
        }
      }),
    );
  });

  test('a steady one settles: no batch is cut any more unless even the smallest is, and none takes much longer than aimed at', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 10_000, noNaN: true }), (perRecordMs) => {
        const size = sizes(perRecordMs, 12).at(-1) ?? 0;
        const { cutShort } = batchOf(size, perRecordMs);
        expect(cutShort && size > limits.fewest).toBe(false);
        if (size > limits.fewest) expect(size * perRecordMs).toBeLessThanOrEqual(limits.aimMs);
      }),
    );
  });
});
