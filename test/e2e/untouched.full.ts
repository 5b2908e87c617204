/** A second run over every kind of estate touches no data row: judged by rows and versions in the lab, not by the report. */
import { expect, test } from '@jest/globals';
import { withPostgres } from '../integration/servers.ts';
import { touchedDataTables } from './data-tables.ts';
import { createEngine, startLab } from './harness.ts';
import { withOwnNamespace } from './own-namespace.ts';

const postgres = withPostgres();
const temporal = withOwnNamespace('untouched');
const recordings = new URL('../../../shared/examples/azure', import.meta.url).pathname;

interface Report {
  readonly outcome: string;
  readonly integrations: readonly { readonly name: string; readonly outcome: string; readonly read: number }[];
  readonly calls: { readonly serviceNowWrites: number };
}

test.each([`recordings:${process.env['DEFENDER_SYNC_AZURE_EXAMPLES'] ?? recordings}`, 'company'])(
  '%s: everything is read again, nothing is written',
  async (estate) => {
    const lab = await startLab(estate);
    const engine = await createEngine(
      lab,
      {
        ledgerUrl: postgres.url,
        temporalAddress: temporal.address,
        namespace: temporal.namespace,
        taskQueue: `untouched-${estate.slice(0, 7)}`,
      },
      { deploymentPrefix: `${estate.slice(0, 7)}-` },
    );
    const worker = await engine.startWorker();
    const sync = async (): Promise<Report[]> => {
      const { code, stdout, stderr } = await engine.cli('sync', '--json');
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      return JSON.parse(stdout) as Report[];
    };
    try {
      const first = await sync();
      const before = await lab.summary();
      const second = await sync();
      expect(touchedDataTables(before, await lab.summary())).toEqual([]);
      for (const report of [...first, ...second]) {
        expect(report.outcome).toBe('succeeded');
        expect(report.integrations.filter(({ read, outcome }) => read === 0 || outcome !== 'succeeded')).toEqual([]);
      }
      expect(first.reduce((sum, { calls }) => sum + calls.serviceNowWrites, 0)).toBeGreaterThan(0);
      expect(second.map(({ calls }) => calls.serviceNowWrites)).toEqual(engine.deployments.map(() => 0));
    } finally {
      await worker.stop();
      await engine.remove();
      await lab.stop();
    }
  },
  600_000,
);
