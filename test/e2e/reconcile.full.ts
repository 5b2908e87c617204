/** A worker killed at every failpoint of a reconcile; each time the next one ends it as if nothing had happened. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { failpointNames } from '../../src/observability/failpoints.ts';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { openPairsScenario, reconcileThroughDeath, type PairsScenario } from './pairs-scenario.ts';

const servers = { postgres: withPostgres(), temporal: withTemporal() };
let scenario: PairsScenario;

beforeAll(async () => {
  scenario = await openPairsScenario(servers);
}, 300_000);

afterAll(async () => {
  await scenario.close();
});

test.each(failpointNames.filter((name) => name.startsWith('reconcile.')))(
  'killed at %s',
  async (failpoint) => {
    const { signal, code, counts, before, after, undone } = await reconcileThroughDeath(scenario, scenario.resource(0), failpoint);
    expect({ signal, code, after, undone }).toEqual({ signal: 'SIGKILL', code: 0, after: before, undone: before.items });
    expect(counts).toMatchObject({ moved: 1, refused: 0, items: before.items.length, results: before.results.length });
  },
  180_000,
);
