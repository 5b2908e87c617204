/** A PostgreSQL server that follows a primary: it never takes writes, and while it is not to be asked (`hot_standby = off`) it lets nobody in. */
import { chmodSync, chownSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultCacheDir } from '../../../src/cache-dir.ts';
import { connectDatabase, openDatabase } from '../../../src/ledger/database.ts';
import { locatePostgresPackage, preparePostgresBinaries } from '../../../src/ledger/server/binaries.ts';
import { acquireEmbeddedPostgres, removeEmbeddedPostgres } from '../../../src/ledger/server/index.ts';
import { serverUser } from '../../../src/ledger/server/server-user.ts';
import { freePort, spawnDetached, stopProcess, untilReady } from '../../../src/local-process.ts';

const startTimeoutMs = 60_000;
/** SQLSTATE cannot_connect_now: the server runs, and does not take connections yet. */
const notYet = '57P03';

export interface Standby {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/**
 * @param options.answers whether it may be asked while it follows
 */
export async function startStandby(options: { readonly answers: boolean }): Promise<Standby> {
  const base = mkdtempSync(join(tmpdir(), 'standby-'));
  // PostgreSQL may run as another user.
  chmodSync(base, 0o711);
  const folder = { dir: join(base, 'ledger'), durability: 'relaxed' } as const;
  const primary = await acquireEmbeddedPostgres(folder);
  await (await openDatabase(primary.url, 1)).close();
  await primary.release();

  const dataDir = realpathSync(join(folder.dir, 'data'));
  const url = new URL(primary.url);
  url.port = String(await freePort());
  const isUp = async (): Promise<boolean> => (await stateOf(url.href)) === undefined;
  // A standby replays only what was written for one.
  const once = await startServer(dataDir, url.port, { wal_level: 'replica' }, isUp);
  await once();
  const signalFile = join(dataDir, 'standby.signal');
  writeFileSync(signalFile, '');
  const user = serverUser();
  if (user !== undefined) chownSync(signalFile, user.uid, user.gid);
  const stop = options.answers
    ? await startServer(dataDir, url.port, { hot_standby: 'on' }, isUp)
    : await startServer(dataDir, url.port, { hot_standby: 'off' }, async () => (await stateOf(url.href)) === notYet);
  return {
    url: url.href,
    stop: async () => {
      await stop();
      await removeEmbeddedPostgres(folder);
      rmSync(base, { recursive: true, force: true });
    },
  };
}

async function startServer(
  dataDir: string,
  port: string,
  more: Readonly<Record<string, string>>,
  isReady: () => Promise<boolean>,
): Promise<() => Promise<void>> {
  const user = serverUser();
  const { nativeDir } = await preparePostgresBinaries(locatePostgresPackage(), { cacheDir: defaultCacheDir(), user });
  const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: '', fsync: 'off', ...more };
  const server = await spawnDetached({
    command: join(nativeDir, 'bin', 'postgres'),
    args: ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    env: { LC_ALL: 'C', TZ: 'UTC' },
    cwd: '/',
    logFile: join(dataDir, '..', 'standby.log'),
    ...user,
  });
  const stop = async (): Promise<void> => {
    await stopProcess(server.identity, [
      { signal: 'SIGINT', waitMs: 20_000 },
      { signal: 'SIGQUIT', waitMs: 20_000 },
    ]);
  };
  const outcome = await untilReady(server, isReady, startTimeoutMs);
  if (outcome.ready) return stop;
  await stop();
  throw new Error(`The server did not come up: ${outcome.because}. Its log ends with:\n${server.output()}`);
}

/** SQLSTATE, or the network's code, of what it says to a question; undefined when it answers. */
async function stateOf(url: string): Promise<string | undefined> {
  const visitor = connectDatabase({ url, connections: 1, connectTimeoutMs: 2_000 });
  try {
    await visitor.query('SELECT 1');
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? 'unknown';
  } finally {
    await visitor.close();
  }
}
