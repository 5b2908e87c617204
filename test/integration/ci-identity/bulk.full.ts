/** Ten thousand new resources, counted by the lab. */
import { expect, test } from '@jest/globals';
import { spend } from './bulk.ts';
import { withEngine } from './engine.ts';

const engine = withEngine();

test('10,000 new resources: at most 80 requests for look-ups, identification and discovered items together', async () => {
  const spent = await spend(engine, 10_000);
  process.stdout.write(`10,000 new resources: ${JSON.stringify(spent)}\n`);
  expect(spent.total).toBeLessThanOrEqual(80);
  expect(await engine.rows('sn_sec_cmn_src_ci')).toHaveLength(10_000);
  expect(await engine.rows('cmdb_ci_cmp_resource')).toHaveLength(10_000);
}, 300_000);
