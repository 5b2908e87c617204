/** The embedded ledger: a real PostgreSQL from npm in a folder, shared by every process of the project that uses it. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { z } from 'zod';
import { defaultCacheDir } from '../../cache-dir.ts';
import { SyncError } from '../../errors.ts';
import { acquireLease, holdLease, logFileOf, type LeasedServer, type ServerRecord } from '../../leased-server.ts';
import {
  commandLineOf,
  freePort,
  identifyProcess,
  spawnDetached,
  untilReady,
  stopProcess,
  type ProcessIdentity,
} from '../../local-process.ts';
import { locatePostgresPackage, preparePostgresBinaries } from './binaries.ts';
import { existingDataHome, openCluster, serverSettings, type Cluster, type Credentials, type Durability } from './cluster.ts';
import { serverUser } from './server-user.ts';

export interface EmbeddedPostgresOptions {
  /** The server's folder, for example `.defender-sync/ledger`: data, passwords (readable by their owner alone), log. Created when missing. */
  readonly dir: string;
  /** Where the programs are copied to if they cannot be run in place. Default: the user's cache folder. */
  readonly cacheDir?: string | undefined;
  /** Default `full`. Taken from whoever starts the server; those who attach get what runs. */
  readonly durability?: Durability | undefined;
}

export interface EmbeddedPostgres {
  /** Connection URL of the role and database `defender_sync`; the role may create databases and is no superuser. Holds a password. */
  readonly url: string;
  /** Gives the server back; the last one out stops it. May be called more than once. */
  readonly release: () => Promise<void>;
}

const detailsShape = z.object({
  port: z.number().int(),
  credentials: z.object({ superuserPassword: z.string(), rolePassword: z.string() }),
});
type Details = z.infer<typeof detailsShape>;

const roleName = 'defender_sync';
/** Crash recovery replays at most `max_wal_size`: a minute is long for it. */
const startTimeoutMs = 90_000;
const probeTimeoutMs = 5_000;

/**
 * Starts the embedded PostgreSQL of a folder, or attaches to the running one (server.md, "Ledger engines").
 * The first start makes the data folder (about half a second); later ones take a tenth of that.
 * Errors: {@link SyncError} `misconfigured`, `usage` or `transient`, each with a remedy.
 */
export async function acquireEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const lease = await acquireLease(leasedPostgres(options));
  const { port, credentials } = lease.record.details;
  return { url: urlOf(roleName, credentials.rolePassword, port, roleName), release: lease.release };
}

/** Keeps the server of a folder from being stopped by others, without starting it; giving this back as the last one stops it. */
export function holdEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<{ readonly release: () => Promise<void> }> {
  return holdLease(leasedPostgres(options));
}

/**
 * Removes a server folder and its data for good.
 * Errors: {@link SyncError} `usage` when somebody still uses it.
 */
export async function removeEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<void> {
  const dir = resolve(options.dir);
  if (!existsSync(dir)) return;
  await (await holdEmbeddedPostgres(options)).release();
  const home = existingDataHome(dir);
  if (home !== undefined && (await findStrayServer(home)) !== undefined) {
    throw new SyncError({
      kind: 'usage',
      service: 'ledger',
      message: `The ledger in ${dir} is in use.`,
      remedy: 'Stop what uses it, then try again.',
    });
  }
  if (home !== undefined) rmSync(home, { recursive: true, force: true });
  rmSync(dir, { recursive: true, force: true });
}

function leasedPostgres(options: EmbeddedPostgresOptions): LeasedServer<Details> {
  // PostgreSQL runs with another working directory.
  const dir = resolve(options.dir);
  const server: LeasedServer<Details> = {
    dir,
    name: 'postgresql',
    service: 'ledger',
    details: detailsShape,
    start: async (previous, started) => {
      const user = serverUser();
      const durability = options.durability ?? 'full';
      const binaries = await preparePostgresBinaries(locatePostgresPackage(), { cacheDir: options.cacheDir ?? defaultCacheDir(), user });
      const cluster = await openCluster(dir, { binaries, user, durability });
      return startServer({
        cluster,
        program: join(binaries.nativeDir, 'bin', 'postgres'),
        durability,
        previous,
        started,
        logFile: logFileOf(server),
      });
    },
    probe: (record) => canConnect(record.details),
    stop: async (running) => {
      // Fast shutdown: roll back, checkpoint, leave. Immediate shutdown if that hangs: nothing is lost, the next start recovers.
      const steps = [
        { signal: 'SIGINT', waitMs: 60_000 },
        { signal: 'SIGQUIT', waitMs: 15_000 },
      ] as const;
      if (await stopProcess(running, steps)) return;
      throw new SyncError({
        kind: 'transient',
        service: 'ledger',
        message: `The embedded PostgreSQL (pid ${running.pid}) does not stop.`,
        remedy: `Look into ${logFileOf(server)}.`,
      });
    },
    findStray: async () => {
      const home = existingDataHome(dir);
      return home === undefined ? undefined : findStrayServer(home);
    },
  };
  return server;
}

interface StartOptions {
  readonly cluster: Cluster;
  readonly program: string;
  readonly durability: Durability;
  readonly previous: Details | undefined;
  readonly started: (record: ServerRecord<Details>) => void;
  readonly logFile: string;
}

async function startServer(options: StartOptions): Promise<ServerRecord<Details>> {
  const { dataDir, credentials } = options.cluster;
  const deadline = Date.now() + startTimeoutMs;
  let wantedPort = options.previous?.port;
  for (;;) {
    const details: Details = { port: await freePort(wantedPort), credentials };
    const server = await spawnDetached({
      command: options.program,
      args: ['-D', dataDir, ...serverSettings(details.port, options.durability)],
      env: { LC_ALL: 'C', TZ: 'UTC', ...stalePidEnvironment(dataDir) },
      cwd: '/',
      logFile: options.logFile,
      ...serverUser(),
    });
    const record = { process: server.identity, details };
    options.started(record);
    const outcome = await untilReady(server, () => canConnect(details), deadline - Date.now());
    if (outcome.ready) {
      await provision(details);
      return record;
    }
    const log = server.output();
    // Another process took the port in between; or children of a killed server have not noticed yet that it is gone.
    const again = /Address already in use|pre-existing shared memory block/.test(log);
    if (!again || Date.now() > deadline) {
      throw new SyncError({
        kind: 'transient',
        service: 'ledger',
        message: `The embedded PostgreSQL did not start: ${outcome.because}. Its log ends with:\n${log}`,
        remedy: `Look into ${options.logFile}, or configure the URL of a PostgreSQL server.`,
      });
    }
    if (log.includes('Address already in use')) wantedPort = undefined;
    await sleep(250);
  }
}

async function canConnect(details: Details): Promise<boolean> {
  try {
    await asSuperuser(details.port, details.credentials, (client) => client.query('SELECT 1'));
    return true;
  } catch {
    // Refused, starting up, shutting down: the caller asks again until its own time is over and then shows the server's log.
    return false;
  }
}

/** The engine's role and database. The role is no superuser, so that nothing works here that would not work on a server by URL. */
async function provision(details: Details): Promise<void> {
  await asSuperuser(details.port, details.credentials, async (client) => {
    const roles = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [roleName]);
    if (roles.rowCount === 0) await client.query(`CREATE ROLE ${roleName} LOGIN CREATEDB PASSWORD '${details.credentials.rolePassword}'`);
    const databases = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [roleName]);
    if (databases.rowCount === 0) await client.query(`CREATE DATABASE ${roleName} OWNER ${roleName}`);
  });
}

async function asSuperuser<T>(port: number, credentials: Credentials, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: urlOf('postgres', credentials.superuserPassword, port, 'postgres'),
    connectionTimeoutMillis: probeTimeoutMs,
    query_timeout: 30_000,
  });
  // A connection that breaks while idle emits this besides failing the query; unheard it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}

function urlOf(role: string, password: string, port: number, database: string): string {
  return `postgresql://${role}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
}

// --- what a killed server leaves behind ---------------------------------------------------------------------------------

/** The pid in `postmaster.pid`, the lock that a server keeps in its data folder, whether or not such a process runs. */
function pidInDataDir(dataDir: string): number | undefined {
  const file = join(dataDir, 'postmaster.pid');
  if (!existsSync(file)) return undefined;
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

/** A running server of this data folder that our own record does not name. */
async function findStrayServer(home: string): Promise<ProcessIdentity | undefined> {
  const dataDir = join(home, 'data');
  const pid = pidInDataDir(dataDir);
  const identity = pid === undefined ? undefined : await identifyProcess(pid);
  if (identity === undefined) return undefined;
  const commandLine = (await commandLineOf(identity.pid)) ?? '';
  return commandLine.includes(`-D ${dataDir} `) ? identity : undefined;
}

/**
 * After a SIGKILL `postmaster.pid` stays. Its pid may by now be an unrelated process (in a container nearly always) or still be the dead
 * server, which nobody reaps; PostgreSQL takes either for a running server and refuses to start. It makes an exception for the process that
 * pg_ctl names in this variable, and still checks that no child of the dead server holds its shared memory, which removing the file
 * would skip. That the pid is no running server of this folder was found out before.
 */
function stalePidEnvironment(dataDir: string): Record<string, string> {
  const pid = pidInDataDir(dataDir);
  return pid === undefined ? {} : { PG_GRANDPARENT_PID: String(pid) };
}
