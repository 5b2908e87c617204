/** When a run may look at its scans again: what the workflow sleeps by (workflows/run-integration.ts). */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  beginRun,
  claimScan,
  endScan,
  openLedger,
  openScans,
  postponeScan,
  scanProgress,
  type Ledger,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type { DeploymentName, Scope } from '../../../src/model.ts';
import { withPostgres } from '../servers.ts';

const postgres = withPostgres();
let ledger: Ledger;
let run: RunHandle;

const scope: Scope = { kind: 'tenant', id: 't' };
const leaseMs = 60_000;

beforeAll(async () => {
  ledger = await openLedger({ url: postgres.url, connections: 2, tables: [] });
  run = await beginRun(ledger.database, { name: 'a' as DeploymentName, instanceUrl: 'https://x', position: 0 }, 'execution', 'sync');
});

afterAll(() => ledger.database.close());

test('what waits for the first stage is not ready before that is', async () => {
  const { database } = ledger;
  await openScans(database, run, 'metadata', [
    { readName: 'metadata', stage: 1, scope },
    { readName: 'metadata-keys', stage: 2, scope },
  ]);
  expect(await scanProgress(database, run, 'metadata')).toEqual({ open: 2, ended: 0, readyInMs: 0 });
  const throttled = (await claimScan(database, run, 'metadata', leaseMs))!;
  await postponeScan(database, run, throttled, 30_000, '429', false);
  expect(await claimScan(database, run, 'metadata', leaseMs)).toBeUndefined();
  const { open, readyInMs } = await scanProgress(database, run, 'metadata');
  expect(open).toBe(2);
  expect(readyInMs).toBeGreaterThan(25_000);
  expect(readyInMs).toBeLessThanOrEqual(30_000);
});

test('the second stage is ready as soon as the first has ended', async () => {
  const { database } = ledger;
  await database.query('UPDATE scan SET next_try_at = NULL');
  await endScan(database, run, (await claimScan(database, run, 'metadata', leaseMs))!, 'complete', undefined);
  expect(await scanProgress(database, run, 'metadata')).toEqual({ open: 1, ended: 1, readyInMs: 0 });
  const keys = (await claimScan(database, run, 'metadata', leaseMs))!;
  expect(keys.readName).toBe('metadata-keys');
  expect((await scanProgress(database, run, 'metadata')).readyInMs).toBeGreaterThan(50_000);
  await endScan(database, run, keys, 'complete', undefined);
  expect(await scanProgress(database, run, 'metadata')).toEqual({ open: 0, ended: 2, readyInMs: 0 });
});
