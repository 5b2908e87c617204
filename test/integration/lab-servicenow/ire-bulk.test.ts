import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chain, datacenter, HOSTED, account, operations, resource, rows, source, type IreItem } from './ire-payloads.ts';
import { startLab, type StartedLab } from './start.ts';

/** servicenow.md §5.1, best practice: at most 500 CIs in a payload. */
const PER_PAYLOAD = 498;
const CPU_LIMIT_MS = 500;

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});
afterAll(() => started.stop());

const resources = (from: number, count: number, values: Record<string, unknown> = {}): IreItem[] =>
  Array.from({ length: count }, (_, index) => ({
    ...resource(`/bulk/${String(from + index)}`, values),
    ...source(`bulk-${String(from + index)}`),
  }));

async function cpuMsOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

describe('IRE in bulk: indexes, no scan of a class per item', () => {
  it('10,000 CIs, then one payload of 500 new and one of 500 known ones in less than half a second of CPU each', async () => {
    for (let from = 0; from < 20 * PER_PAYLOAD; from += PER_PAYLOAD) await started.ire(chain('bulk', resources(from, PER_PAYLOAD)));
    expect(started.lab.store.count('cmdb_ci_cmp_resource')).toBe(20 * PER_PAYLOAD);
    const fresh = chain('bulk', resources(100_000, PER_PAYLOAD));
    const insertMs = await cpuMsOf(async () => {
      expect(new Set(operations(await started.ire(fresh)).slice(2))).toEqual(new Set(['INSERT']));
    });
    const known = chain('bulk', resources(0, PER_PAYLOAD, { state: 'moved' }));
    const updateMs = await cpuMsOf(async () => {
      expect(new Set(operations(await started.ire(known, '/enhanced')).slice(2))).toEqual(new Set(['UPDATE']));
    });
    // Client and server share this process: both sides are measured.
    expect({ insertMs: insertMs < CPU_LIMIT_MS, updateMs: updateMs < CPU_LIMIT_MS, was: [insertMs, updateMs] }).toMatchObject({
      insertMs: true,
      updateMs: true,
    });
  });

  it('500 subscriptions in the same region: the same datacenter id under each account', async () => {
    const count = 240;
    const items = Array.from({ length: count }, (_, index) => [account(`many-${String(index)}`), datacenter('northeurope')]).flat();
    const relations = Array.from({ length: count }, (_, index) => ({ parent: 2 * index + 1, child: 2 * index, type: HOSTED }));
    await started.ire({ items, relations });
    const cpuMs = await cpuMsOf(async () => {
      expect(new Set(operations(await started.ire({ items, relations })))).toEqual(new Set(['NO_CHANGE']));
    });
    expect(cpuMs).toBeLessThan(CPU_LIMIT_MS);
    await expect(rows(started, 'cmdb_ci_azure_datacenter', 'object_id=northeurope')).resolves.toHaveLength(count);
  });
});
