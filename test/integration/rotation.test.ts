/** The secrets of the engine's own servers may change while a worker runs: the ledger's password, Temporal's API key. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { loadOrCreateAuthority } from '../../lab/kit/tls.ts';
import { secretFrom } from '../../src/config/index.ts';
import { connectDatabase } from '../../src/ledger/database.ts';
import { connectWorker } from '../../src/temporal/connect-worker.ts';
import { connectTemporal } from '../../src/temporal/connect.ts';
import { startKeyGate } from './key-gate.ts';
import { superuserUrl, withPostgres, withTemporal } from './servers.ts';

const postgres = withPostgres();
const temporal = withTemporal();
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'defender-sync-rotation-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** For five seconds, until it no longer fails. */
async function untilItWorks(attempt: () => Promise<unknown>): Promise<void> {
  const deadlineMs = Date.now() + 5_000;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (Date.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

test('a new connection to the ledger uses the password of now, also while its file is being replaced', async () => {
  const administrator = connectDatabase({ url: superuserUrl(postgres.url), connections: 1 });
  const user = `rotated_${randomBytes(4).toString('hex')}`;
  const file = join(dir, 'ledger');
  const write = async (password: string): Promise<void> => {
    const url = new URL(postgres.url);
    [url.username, url.password] = [user, password];
    await writeFile(file, url.href);
  };
  await administrator.query(`CREATE ROLE ${user} LOGIN PASSWORD 'first'`);
  await write('first');
  const ledger = connectDatabase({ url: secretFrom({ file }, {}).follow(), connections: 2 });
  // Two at a time, so that there is none to reuse.
  const ask = (): Promise<unknown> =>
    ledger.transaction(async (tx) => {
      await ledger.query('SELECT 1');
      await tx.query('SELECT 1');
    });
  const hangUp = (): Promise<unknown> =>
    administrator.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [user]);
  try {
    await ask();
    await administrator.query(`ALTER ROLE ${user} PASSWORD 'second'`);
    await hangUp();
    await expect(ask()).rejects.toMatchObject({ service: 'ledger' });
    await write('second');
    await untilItWorks(ask);
    await rm(file);
    await hangUp();
    await untilItWorks(ask);
  } finally {
    await ledger.close();
    await administrator.query(`DROP ROLE ${user}`);
    await administrator.close();
  }
});

test('client and worker use the API key of now', async () => {
  const authority = await loadOrCreateAuthority(dir);
  const certificate = await authority.issue({ hostNames: ['localhost', '127.0.0.1'] });
  const gate = await startKeyGate(temporal.address, certificate, 'first-key');
  const file = join(dir, 'key');
  await writeFile(file, 'first-key');
  const to = {
    address: `127.0.0.1:${gate.port}`,
    namespace: temporal.namespace,
    tls: () => ({ serverRootCACertificate: readFileSync(authority.caFile), serverNameOverride: 'localhost' }),
    apiKey: secretFrom({ file }, {}).follow(),
  };
  const { connection, client } = await connectTemporal(to);
  const worker = await connectWorker(to, 50);
  const refusal = { code: 16 };
  try {
    const asClient = (): Promise<unknown> => client.workflow.count();
    const asWorker = (): Promise<unknown> => worker.connection.workflowService.describeNamespace({ namespace: temporal.namespace });
    await Promise.all([asClient(), asWorker()]);
    gate.key = 'second-key';
    await expect(asClient()).rejects.toMatchObject({ cause: refusal });
    await expect(asWorker()).rejects.toMatchObject(refusal);
    await writeFile(file, 'second-key');
    await asClient();
    await untilItWorks(asWorker);
    await rm(file);
    await Promise.all([asClient(), asWorker()]);
  } finally {
    await worker.close();
    await connection.close();
    await gate.close();
  }
});
