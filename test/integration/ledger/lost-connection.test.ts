/** A server that restarts, or a network that breaks, while a transaction is open: the step fails and is tried again, the process lives. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connectDatabase, type Database } from '../../../src/ledger/database.ts';
import { superuserUrl, withPostgres } from '../servers.ts';

const postgres = withPostgres();
let ledger: Database;
let administrator: Database;
beforeAll(() => {
  ledger = connectDatabase({ url: postgres.url, connections: 1 });
  administrator = connectDatabase({ url: superuserUrl(postgres.url, 'postgres'), connections: 1 });
});
afterAll(async () => {
  await ledger.close();
  await administrator.close();
});

/** Ends the connection, and returns when the client has noticed. */
async function hangUp(pid: number): Promise<void> {
  await administrator.query('SELECT pg_terminate_backend($1)', [pid]);
  await new Promise((resolve) => setTimeout(resolve, 200));
}

/** Seconds until the system looks whether the other end of a connection still lives; undefined when it never does (proc(5), net/tcp). */
async function keepAliveSeconds(localPort: number): Promise<number | undefined> {
  const table = await readFile('/proc/net/tcp', 'utf8');
  const row = table.split('\n').find((line) => line.split(/\s+/)[2]?.endsWith(`:${localPort.toString(16).toUpperCase().padStart(4, '0')}`));
  const [timer, ticks] = (row?.split(/\s+/)[6] ?? '').split(':');
  const keepAlive = '02';
  return timer === keepAlive ? parseInt(ticks ?? '', 16) / ticksPerSecond : undefined;
}
/** Of everything that the kernel tells user space, whatever it was built with. */
const ticksPerSecond = 100;

test('a server that vanishes without a word is missed within seconds, not hours', async () => {
  const port = await ledger.transaction(async (tx) => {
    const { rows } = await tx.query<{ port: number }>('SELECT inet_client_port() AS port');
    return rows[0]?.port ?? 0;
  });
  // Until the last answer is acknowledged, another timer is on.
  let seconds: number | undefined;
  for (let triesLeft = 100; seconds === undefined && triesLeft > 0; triesLeft -= 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    seconds = await keepAliveSeconds(port);
  }
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(10);
});

test.each([
  ['between two statements', (pid: number) => hangUp(pid)],
  ['during a statement', (pid: number) => void setTimeout(() => void hangUp(pid), 50)],
])('%s: transient, and the next transaction gets another connection', async (_, disturb) => {
  const lost = ledger.transaction(async (tx) => {
    const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await disturb(rows[0]?.pid ?? 0);
    await tx.query('SELECT pg_sleep(2)');
  });
  await expect(lost).rejects.toMatchObject({ kind: 'transient', service: 'ledger' });
  await expect(ledger.transaction((tx) => tx.query('SELECT 1'))).resolves.toMatchObject({ rowCount: 1 });
});
