/** The event budget at size: 20,000 assessments, two deployments, in histories as short as those of a small estate. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withPostgres } from '../integration/servers.ts';
import { touchedDataTables } from './data-tables.ts';
import { createEngine, startLab, type Engine, type Lab, type WorkerProcess } from './harness.ts';
import { historiesOfRun, historyText, largestPayload } from './histories.ts';
import { dumpTables, leaksIn, ledgerSecret, secretsOf } from './leaks.ts';
import { withOwnNamespace } from './own-namespace.ts';

const postgres = withPostgres();
const temporal = withOwnNamespace('histories-20000');
let lab: Lab;
let engine: Engine;
let worker: WorkerProcess;
let afterFirst: Awaited<ReturnType<Lab['summary']>> | undefined;

beforeAll(async () => {
  lab = await startLab('generated:7:20000');
  engine = await createEngine(lab, {
    ledgerUrl: postgres.url,
    temporalAddress: temporal.address,
    namespace: temporal.namespace,
    taskQueue: 'defender-sync',
  });
  worker = await engine.startWorker();
}, 300_000);

afterAll(async () => {
  await worker.stop();
  await engine.remove();
  await lab.stop();
}, 60_000);

test.each(['first', 'second'])(
  '%s runs: at most 500 events each, no payload above 64 KB, no secret; the second ones touch no data row',
  async () => {
    const { code, stdout, stderr } = await engine.cli('sync', '--json');
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const reports = JSON.parse(stdout) as { outcome: string; integrations: { name: string; read: number }[] }[];
    expect(reports.map(({ outcome }) => outcome)).toEqual(engine.deployments.map(() => 'succeeded'));
    const read = reports.flatMap(({ integrations }) => integrations).filter(({ name }) => name === 'assessments');
    expect(read.reduce((sum, one) => sum + one.read, 0)).toBeGreaterThanOrEqual(20_000);
    const now = await lab.summary();
    if (afterFirst) expect(touchedDataTables(afterFirst, now)).toEqual([]);
    afterFirst = now;
    const secrets = [...(await secretsOf(lab)), ledgerSecret(postgres.url)];
    for (const deployment of engine.deployments) {
      const histories = await historiesOfRun(temporal.client, deployment);
      expect(histories).toHaveLength(6);
      expect(histories.reduce((sum, { history }) => sum + (history.events?.length ?? 0), 0)).toBeLessThanOrEqual(500);
      for (const { workflowId, history } of histories) {
        expect(largestPayload(history).sizeBytes).toBeLessThanOrEqual(64 * 1024);
        expect({ workflowId, leaks: leaksIn(historyText(history), secrets) }).toEqual({ workflowId, leaks: [] });
      }
    }
    for (const { table, text } of await dumpTables(postgres.url))
      expect({ table, leaks: leaksIn(text, secrets) }).toEqual({ table, leaks: [] });
    expect(leaksIn(worker.log(), secrets)).toEqual([]);
  },
  1_800_000,
);
