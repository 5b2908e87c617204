/**
 * A network that hangs up on a worker again and again, on its way to the ledger or to Temporal: whatever it was doing then is done
 * once, and the runs end as undisturbed ones do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { differences } from './end-state.ts';
import { openPassage, type Passage } from './partition.ts';
import { openScenario, undisturbedRun, untilSucceeded, type Scenario, type UndisturbedRun } from './scenario.ts';

const servers = { postgres: withPostgres(), temporal: withTemporal() };
let undisturbed: UndisturbedRun;
const scenarios: Scenario[] = [];
const passages: Passage[] = [];

beforeAll(async () => {
  undisturbed = await undisturbedRun(servers);
}, 300_000);
afterAll(async () => {
  for (const scenario of scenarios) await scenario.close();
  for (const passage of passages) await passage.cut();
});

async function passageTo(target: string): Promise<Passage> {
  const passage = await openPassage(target);
  passages.push(passage);
  return passage;
}

/** Returns how often the line was cut. */
async function whileHangingUp(passage: Passage, everyMs: number, work: Promise<void>): Promise<number> {
  let [cuts, over] = [0, false];
  const ended = work.finally(() => {
    over = true;
  });
  ended.catch(() => undefined);
  while (!over) {
    await sleep(everyMs * (0.5 + Math.random()));
    passage.hangUp();
    cuts += 1;
  }
  await ended;
  return cuts;
}

test('the ledger', async () => {
  const scenario = await openScenario(servers);
  scenarios.push(scenario);
  const url = new URL(scenario.settings.ledgerUrl);
  const passage = await passageTo(url.host);
  url.host = passage.address;
  await scenario.startWorker({ engine: await scenario.anotherEngine({ ledgerUrl: url.href }) });
  const cuts = await whileHangingUp(passage, 700, untilSucceeded(await scenario.startRuns()));
  expect(cuts).toBeGreaterThan(10);
  expect(differences(await scenario.endState(), undisturbed.endState)).toEqual([]);
}, 580_000);

test('Temporal', async () => {
  const scenario = await openScenario(servers);
  scenarios.push(scenario);
  const passage = await passageTo(scenario.settings.temporalAddress);
  await scenario.startWorker({ engine: await scenario.anotherEngine({ temporalAddress: passage.address }) });
  const cuts = await whileHangingUp(passage, 700, untilSucceeded(await scenario.startRuns()));
  expect(cuts).toBeGreaterThan(10);
  expect(differences(await scenario.endState(), undisturbed.endState)).toEqual([]);
}, 580_000);
