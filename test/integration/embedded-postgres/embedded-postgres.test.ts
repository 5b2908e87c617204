import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import {
  acquireEmbeddedPostgres,
  createDatabase,
  dropDatabase,
  removeEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from '../../../src/ledger/server/index.ts';
import { identifyProcess } from '../../../src/local-process.ts';
import { startUser, until, type UserProcess } from '../user-process.ts';

type Server = { url: string };
const isRoot = process.getuid?.() === 0;
const rootOnly = isRoot ? test : test.skip;

let base: string;
let dir: string;
const users: UserProcess<Server>[] = [];
const acquired: EmbeddedPostgres[] = [];

function newFolder(): void {
  base = mkdtempSync(join(tmpdir(), 'embedded-postgres-'));
  // PostgreSQL may run as another user.
  chmodSync(base, 0o711);
  dir = join(base, 'ledger');
}

/** Given back at the end even when a test fails before it does so itself. */
async function acquire(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const server = await acquireEmbeddedPostgres(options);
  acquired.push(server);
  return server;
}

async function removeFolder(): Promise<void> {
  for (const server of acquired.splice(0)) await server.release();
  for (const user of users.splice(0)) await user.kill();
  await removeEmbeddedPostgres({ dir });
  rmSync(base, { recursive: true, force: true });
}

function newUser(options: { uid?: number; cacheDir?: string } = {}): UserProcess<Server> {
  const user = startUser<Server>('postgres', dir, options);
  users.push(user);
  return user;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Of a user that every system has. */
function uidOf(name: string): number {
  const [, uid] = new RegExp(`^${name}:[^:]*:(\\d+):`, 'm').exec(readFileSync('/etc/passwd', 'utf8')) ?? [];
  if (uid === undefined) throw new Error(`/etc/passwd has no ${name}`);
  return Number(uid);
}

function serverPid(): number {
  return Number.parseInt(readFileSync(join(dir, 'data', 'postmaster.pid'), 'utf8'), 10);
}

async function accepts(url: string): Promise<boolean> {
  return query(url, 'SELECT 1').then(
    () => true,
    () => false,
  );
}

/** The server and all its children, as a power cut or the kernel's out-of-memory killer would end them. */
function killServer(): void {
  const postmaster = serverPid();
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === postmaster);
  for (const pid of [postmaster, ...children.map(Number)]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // The children end by themselves once their parent is gone.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

describe('sharing', () => {
  beforeAll(newFolder);
  afterAll(removeFolder);

  test('two processes share one server, whichever came first, and the last one out stops it', async () => {
    const [first, second] = [newUser(), newUser()];
    const [{ url }, other] = await Promise.all([first.server, second.server]);
    expect(other.url).toBe(url);
    const pid = serverPid();

    expect(await first.leave()).toBe(0);
    expect(await accepts(url)).toBe(true);
    expect(serverPid()).toBe(pid);

    expect(await second.leave()).toBe(0);
    expect(await accepts(url)).toBe(false);
    expect(await identifyProcess(pid)).toBeUndefined();
  });

  test('within one process, each caller holds a lease of its own', async () => {
    const [first, second] = await Promise.all([acquire({ dir }), acquire({ dir })]);
    expect(second.url).toBe(first.url);
    await first.release();
    await first.release();
    expect(await accepts(second.url)).toBe(true);
    await second.release();
    expect(await accepts(second.url)).toBe(false);
  });

  test('keeps its port, its passwords and its data from one start to the next', async () => {
    const first = await acquire({ dir });
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.release();
    const second = await acquire({ dir });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    await second.release();
  });
});

describe('after a SIGKILL', () => {
  // One data folder for all of them: whatever one leaves behind must not trouble the next.
  beforeAll(newFolder);
  afterAll(removeFolder);

  test('of everything, the next start recovers with every committed row', async () => {
    const [first, second] = [newUser(), newUser()];
    const { url } = await first.server;
    await second.server;
    await query(url, 'CREATE TABLE numbers AS SELECT generate_series(1, 1000) AS number');
    await first.kill();
    await second.kill();
    killServer();

    const next = await acquire({ dir });
    expect(await query(next.url, 'SELECT count(*)::int AS count FROM numbers')).toEqual([{ count: 1000 }]);
    await next.release();
    expect(await accepts(next.url)).toBe(false);
  });

  test('of all users, the next one finds the server running, and stops it as the last one out', async () => {
    const first = newUser();
    const { url } = await first.server;
    const pid = serverPid();
    await first.kill();
    expect(await accepts(url)).toBe(true);

    const next = await acquire({ dir });
    expect(serverPid()).toBe(pid);
    await next.release();
    expect(await accepts(url)).toBe(false);
    expect(readdirSync(join(dir, 'leases'))).toEqual([]);
  });

  test('of the server alone, the next user starts it again and those who are left can connect again', async () => {
    const left = newUser();
    const { url } = await left.server;
    killServer();
    const next = await acquire({ dir });
    expect(next.url).toBe(url);
    await next.release();
    expect(await accepts(url)).toBe(true);
    expect(await left.leave()).toBe(0);
    expect(await accepts(url)).toBe(false);
  });

  test('before its record was written, a running server of the folder is found and replaced, never doubled', async () => {
    const first = newUser();
    await first.server;
    await first.kill();
    const pid = serverPid();
    rmSync(join(dir, 'postgresql.json'));
    const next = await acquire({ dir });
    expect(serverPid()).not.toBe(pid);
    expect(await identifyProcess(pid)).toBeUndefined();
    expect(await accepts(next.url)).toBe(true);
    await next.release();
  });

  test('a process that got the dead server’s pid neither hinders the start nor is touched', async () => {
    const first = newUser();
    await first.server;
    await first.kill();
    const owner = statSync(join(dir, 'data')).uid;
    killServer();
    const bystander = spawn('sleep', ['60'], isRoot ? { uid: owner, gid: owner } : {});
    const pidFile = join(dir, 'data', 'postmaster.pid');
    writeFileSync(pidFile, readFileSync(pidFile, 'utf8').replace(/^\d+/, String(bystander.pid)));
    const record = join(dir, 'postgresql.json');
    writeFileSync(record, readFileSync(record, 'utf8').replace(/"pid":\d+/, `"pid":${bystander.pid}`));

    const next = await acquire({ dir });
    expect(await accepts(next.url)).toBe(true);
    await next.release();
    expect(await identifyProcess(bystander.pid!)).toBeDefined();
    bystander.kill();
  });
});

describe('while its data folder is made', () => {
  beforeEach(newFolder);
  afterEach(removeFolder);

  const unfinished = (): string[] => readdirSync(dir).filter((name) => name.startsWith('initdb-'));

  test.each([
    ['begins', '.'],
    // Its child then writes into the folder for as long as it lives, and outlives it for a moment.
    ['has come to the catalogue', 'base/1/pg_filenode.map'],
    ['copies databases', 'base/5'],
  ])('when initdb %s, nothing half made is taken for a data folder', async (_, made) => {
    const first = newUser();
    await until(
      'initdb is at work',
      () => existsSync(dir) && unfinished().some((name) => !name.endsWith('.password') && existsSync(join(dir, name, made))),
    );
    await first.kill();
    expect(existsSync(join(dir, 'data'))).toBe(false);
    const next = await acquire({ dir });
    expect(await accepts(next.url)).toBe(true);
    expect(unfinished()).toEqual([]);
    await next.release();
  });
});

describe('as a server one would trust', () => {
  beforeAll(newFolder);
  afterAll(removeFolder);

  test('the engine’s role is no superuser, may create databases, and data is ordered by code point', async () => {
    const server = await acquire({ dir });
    expect(
      await query(server.url, 'SELECT rolsuper, rolcreatedb, current_database() AS database FROM pg_roles WHERE rolname = current_user'),
    ).toEqual([{ rolsuper: false, rolcreatedb: true, database: 'defender_sync' }]);
    expect(
      await query(server.url, "SELECT string_agg(word, '' ORDER BY word) AS words FROM unnest(ARRAY['b', 'B', 'ä', 'a']) AS word"),
    ).toEqual([{ words: 'Babä' }]);
    const settings = await query(
      server.url,
      "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'listen_addresses', 'data_checksums') ORDER BY name",
    );
    expect(Object.fromEntries(settings.map((row) => [row['name'], row['setting']]))).toEqual({
      data_checksums: 'on',
      fsync: 'on',
      listen_addresses: '127.0.0.1',
      synchronous_commit: 'on',
    });
    await server.release();
  });

  test('a wrong password is refused, and the right one is in no file that others may read', async () => {
    const server = await acquire({ dir });
    const wrong = new URL(server.url);
    wrong.password = 'guessed';
    await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow('password authentication failed');
    const password = new URL(server.url).password;
    const holding = readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isFile() && readFileSync(join(dir, entry.name), 'utf8').includes(password))
      .map((entry) => ({ name: entry.name, mode: statSync(join(dir, entry.name)).mode & 0o777 }));
    expect(holding).toEqual([
      { name: 'credentials.json', mode: 0o600 },
      { name: 'postgresql.json', mode: 0o600 },
    ]);
    await server.release();
  });

  test('databases are created, copied and dropped, even while somebody is connected', async () => {
    const server = await acquire({ dir, durability: 'relaxed' });
    const template = await createDatabase(server.url, 'template "quoted"');
    await query(template, 'CREATE TABLE migrated ()');
    const copy = await createDatabase(server.url, 'copy', { template: 'template "quoted"' });
    const client = new pg.Client({ connectionString: copy });
    client.on('error', () => undefined);
    await client.connect();
    expect((await client.query('SELECT * FROM migrated')).rowCount).toBe(0);
    await dropDatabase(server.url, 'copy');
    await expect(query(copy, 'SELECT 1')).rejects.toThrow('does not exist');
    await client.end().catch(() => undefined);
    await server.release();
  });

  test('data of another major version is refused with what to do, and left as it is', async () => {
    await (await acquire({ dir })).release();
    writeFileSync(join(dir, 'data', 'PG_VERSION'), '17\n');
    await expect(acquire({ dir })).rejects.toMatchObject({
      kind: 'misconfigured',
      message: expect.stringContaining('PostgreSQL 17'),
    });
    writeFileSync(join(dir, 'data', 'PG_VERSION'), '18\n');
    await (await acquire({ dir })).release();
  });

  test('lost passwords do not lead to a new, empty ledger', async () => {
    await (await acquire({ dir })).release();
    const file = join(dir, 'credentials.json');
    const credentials = readFileSync(file);
    rmSync(file);
    await expect(acquire({ dir })).rejects.toMatchObject({
      kind: 'misconfigured',
      message: expect.stringContaining('passwords'),
    });
    writeFileSync(file, credentials, { mode: 0o600 });
  });

  test('a ledger in use is not removed', async () => {
    const server = await acquire({ dir });
    await expect(removeEmbeddedPostgres({ dir })).rejects.toMatchObject({ kind: 'usage' });
    expect(await accepts(server.url)).toBe(true);
    await server.release();
  });
});

describe('whoever runs it', () => {
  beforeEach(newFolder);
  afterEach(removeFolder);

  rootOnly('root: the server runs as nobody, who owns the data and nothing else', async () => {
    const server = await acquire({ dir });
    expect(statSync(`/proc/${serverPid()}`).uid).toBe(65534);
    expect(statSync(join(dir, 'data')).uid).toBe(65534);
    expect(statSync(dir)).toMatchObject({ uid: 0 });
    expect(statSync(dir).mode & 0o777).toBe(0o711);
    await server.release();
  });

  rootOnly('root, in a folder nobody may enter: the data lies under /var/lib and goes with its ledger', async () => {
    chmodSync(base, 0o700);
    const server = await acquire({ dir });
    expect(lstatSync(join(dir, 'data')).isSymbolicLink()).toBe(true);
    await query(server.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await server.release();
    const again = await acquire({ dir });
    expect(await query(again.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    await again.release();
    const home = readlinkSync(join(dir, 'data'));
    expect(home.startsWith('/var/lib/defender-sync/')).toBe(true);
    await removeEmbeddedPostgres({ dir });
    expect(existsSync(home)).toBe(false);
  });

  rootOnly('another user: the server runs as that user, sharing and stopping as for root', async () => {
    const uid = uidOf('daemon');
    chownSync(base, uid, uid);
    const [first, second] = [newUser({ uid, cacheDir: join(base, 'cache') }), newUser({ uid, cacheDir: join(base, 'cache') })];
    const [{ url }] = await Promise.all([first.server, second.server]);
    expect(statSync(`/proc/${serverPid()}`).uid).toBe(uid);
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await first.leave()).toBe(0);
    expect(await second.leave()).toBe(0);
    expect(await accepts(url)).toBe(false);
  });

  rootOnly('a user id without a name: says so, because PostgreSQL refuses it', async () => {
    const uid = 54_321;
    chownSync(base, uid, uid);
    await expect(newUser({ uid, cacheDir: join(base, 'cache') }).server).rejects.toThrow('/etc/passwd has no entry');
  });

  rootOnly('another user, in root’s folder: says whose folder it is instead of failing later', async () => {
    mkdirSync(dir, { mode: 0o755 });
    mkdirSync(join(dir, 'leases'), { mode: 0o755 });
    const user = newUser({ uid: uidOf('daemon'), cacheDir: join(base, 'cache') });
    await expect(user.server).rejects.toThrow('cannot be used');
  });
});
