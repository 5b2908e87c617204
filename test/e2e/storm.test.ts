/** One small seed of the storm (storm.ts); ten of twenty deployments in a row are storm.full.ts. */
import { expect, test } from '@jest/globals';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { runStorm } from './storm.ts';

const servers = { postgres: withPostgres(), temporal: withTemporal() };

test('many deployments at once, failing requests and killed workers: every key once, and a second round writes nothing', async () => {
  const { problems, line } = await runStorm(servers, { seed: 1, deployments: 5, assessments: 500, kills: 2 });
  console.info(line);
  expect(problems).toEqual([]);
}, 580_000);
