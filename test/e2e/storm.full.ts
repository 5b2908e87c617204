/** Done-when 1 of issue 2: twenty deployments with 60 % overlap, started together; ten seeds in a row, one line each. */
import { expect, test } from '@jest/globals';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { runStorm } from './storm.ts';

const servers = { postgres: withPostgres(), temporal: withTemporal() };
const seeds = Array.from({ length: 10 }, (_unused, index) => index + 1);

test.each(seeds)(
  'seed %d: every key once, and a second round writes nothing',
  async (seed) => {
    const { problems, line } = await runStorm(servers, { seed, deployments: 20, assessments: 1_500, kills: 4, pauses: 1 });
    console.info(line);
    expect(problems).toEqual([]);
  },
  900_000,
);
