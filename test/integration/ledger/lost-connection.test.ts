/** A server that restarts, or a network that breaks, while a transaction is open: the step fails and is tried again, the process lives. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { loadOrCreateAuthority } from '../../../lab/kit/tls.ts';
import { connectDatabase, type Database } from '../../../src/ledger/database.ts';
import { startTlsFront } from '../preflight/tls-front.ts';
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
  const serverPort = Number(new URL(postgres.url).port);
  const table = await readFile('/proc/net/tcp', 'utf8');
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  const hex = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  // A local port may serve other connections, too, to other places.
  const [, , , , , timerAndTicks = ''] =
    rows.find(([, local, remote]) => local?.endsWith(hex(localPort)) === true && remote?.endsWith(hex(serverPort)) === true) ?? [];
  const [timer, ticks] = timerAndTicks.split(':');
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

test('a server that takes no writes, as after a failover: transient, and well as soon as it does', async () => {
  const name = new URL(postgres.url).pathname.slice(1);
  const write = async (): Promise<void> => {
    const visitor = connectDatabase({ url: postgres.url, connections: 1 });
    await visitor.transaction((tx) => tx.query('CREATE TABLE IF NOT EXISTS written (at timestamptz)')).finally(() => visitor.close());
  };
  await administrator.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  try {
    await expect(write()).rejects.toMatchObject({ kind: 'transient', service: 'ledger', code: '25006' });
  } finally {
    await administrator.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
  }
  await write();
});

test('a database that is not there, as while it is restored: transient', async () => {
  const url = new URL(postgres.url);
  url.pathname = '/not_restored_yet';
  const visitor = connectDatabase({ url: url.href, connections: 1 });
  await expect(visitor.query('SELECT 1')).rejects.toMatchObject({ kind: 'transient', service: 'ledger', code: '3D000' });
  await visitor.close();
});

test('a certificate that is not trusted, as while it is renewed: transient', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ledger-authority-'));
  const certificate = await (await loadOrCreateAuthority(folder)).issue({ hostNames: ['localhost'] });
  const { hostname, port } = new URL(postgres.url);
  const front = await startTlsFront({ host: hostname, port: Number(port) }, certificate, { postgres: true });
  const url = new URL(postgres.url);
  url.host = `localhost:${front.port}`;
  url.searchParams.set('sslmode', 'verify-full');
  const visitor = connectDatabase({ url: url.href, connections: 1 });
  try {
    await expect(visitor.query('SELECT 1')).rejects.toMatchObject({
      kind: 'transient',
      service: 'ledger',
      message: expect.stringContaining('certificate'),
    });
  } finally {
    await visitor.close();
    await front.close();
    await rm(folder, { recursive: true });
  }
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
