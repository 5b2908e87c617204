/** A thousand new resources; ten thousand are in bulk.full.ts. */
import { expect, test } from '@jest/globals';
import { spend } from './bulk.ts';
import { withEngine } from './engine.ts';

const engine = withEngine();

/** An idle machine needs fewer than 20; on a busy one requests take longer, so that the engine puts less into each. */
const requestsAllowed = 40;

test(`1,000 new resources: at most ${requestsAllowed} requests for look-ups, identification and discovered items together`, async () => {
  const spent = await spend(engine, 1_000);
  expect(spent.total).toBeLessThanOrEqual(requestsAllowed);
  expect(await engine.rows('sn_sec_cmn_src_ci')).toHaveLength(1_000);
  const own = (await engine.rows('cmdb_ci_cmp_resource')).map((row) => row['object_id']?.toLowerCase());
  expect(new Set(own).size).toBe(1_000);
  expect(own).toHaveLength(1_000);
}, 60_000);
