import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createClock } from '../../../lab/kit/clock.ts';
import { runQuery } from '../../../lab/servicenow/query/evaluate.ts';
import { buildSchema, readSeeds } from '../../../lab/servicenow/schema.ts';
import { createStore } from '../../../lab/servicenow/store.ts';

const full = process.env['DEFENDER_SYNC_TEST_TIER'] === 'full';
const RESULTS = full ? 20_000 : 4000;
const FINDINGS = full ? 100_000 : 20_000;

describe(`a store with ${String(RESULTS)} results and ${String(FINDINGS)} container findings`, () => {
  it('answers look-ups from indexes: a hundred of them are quicker than ten scans', () => {
    const folder = join(import.meta.dirname, '..', '..', '..', 'lab', 'servicenow', 'seed');
    const store = createStore(buildSchema(readSeeds([folder]), 'singular'), createClock());
    const tests = Array.from(
      { length: 50 },
      (_, index) => store.insert('sn_vulc_test', { source_id: `test-${String(index)}` }, 'load').sysId,
    );
    for (let index = 0; index < RESULTS; index += 1) {
      store.insert('sn_vulc_result', { source_id: `result-${String(index)}`, control: tests[index % tests.length] ?? '' }, 'load');
    }
    for (let index = 0; index < FINDINGS; index += 1)
      store.insert('sn_vul_container_image_findings', { unique_key: `f-${String(index)}` }, 'load');
    const count = (table: string, query: string): number =>
      runQuery(store, store.schema.get(table)!, query, { userSysId: '', mayRead: () => true }).rows.length;
    const timed = (work: () => void): number => {
      // The quickest of some: whatever else the machine does only adds.
      const times = Array.from({ length: 4 }, () => {
        const startedMs = performance.now();
        work();
        return performance.now() - startedMs;
      });
      return Math.min(...times);
    };
    const findings = 'sn_vul_container_image_findings';
    const scanMs = timed(() => expect(count(findings, 'unique_keyLIKEf-')).toBe(FINDINGS));
    const lookupsMs = timed(() => {
      for (let index = 0; index < 100; index += 1) expect(count(findings, `unique_keyINF-${String(index)},f-${String(index + 1)}`)).toBe(2);
    });
    expect(lookupsMs).toBeLessThan(10 * scanMs);
    expect(count('sn_vulc_result', `control=${tests[7] ?? ''}`)).toBe(RESULTS / 50);
    expect(count('sn_vulc_result', 'control.source_id=test-7')).toBe(RESULTS / 50);
  });
});
