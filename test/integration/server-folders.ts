/**
 * The folders of the servers that one Jest run shares. Every test file leases them, so the first one starts a server and all others attach;
 * the run itself holds a lease too, so that nothing stops between two files, and gives it back at the end, which stops what runs.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { holdEmbeddedPostgres, removeEmbeddedPostgres, type EmbeddedPostgresOptions } from '../../src/ledger/server/index.ts';
import { identifyProcess, isRunning, type ProcessIdentity } from '../../src/local-process.ts';
import { holdTemporalDevServer, type TemporalDevServerOptions } from '../../src/temporal/dev-server.ts';

const folderVariable = 'DEFENDER_SYNC_TEST_SERVERS';

export function postgresOptions(): EmbeddedPostgresOptions {
  return { dir: join(runDir(), 'postgresql'), durability: 'relaxed' };
}

export function temporalOptions(): TemporalDevServerOptions {
  return temporalOptionsIn(runDir());
}

function temporalOptionsIn(folder: string): TemporalDevServerOptions {
  // The usual ports stay free for a demo that runs at the same time.
  return { dir: join(folder, 'temporal'), environment: process.env, preferredPorts: { frontend: 0, ui: 0 } };
}

function runDir(): string {
  const folder = process.env[folderVariable];
  if (folder === undefined)
    throw new Error('the servers of this run are missing: jest.config.mjs must name test/integration/global-setup.mjs');
  return folder;
}

/** Called once, before the first test file. Starts nothing: a run of unit tests alone needs no server. */
export async function openServerFolders(): Promise<{ close(): Promise<void> }> {
  const runsDir = join(tmpdir(), `defender-sync-tests-${process.getuid?.() ?? 0}`);
  mkdirSync(runsDir, { recursive: true });
  // PostgreSQL may run as another user, who must get through to its data.
  chmodSync(runsDir, 0o711);
  await removeAbandonedRuns(runsDir);
  const folder = join(runsDir, randomBytes(6).toString('hex'));
  mkdirSync(folder);
  chmodSync(folder, 0o711);
  writeFileSync(`${ownerFileOf(folder)}.new`, JSON.stringify(await identifyProcess(process.pid)));
  renameSync(`${ownerFileOf(folder)}.new`, ownerFileOf(folder));
  process.env[folderVariable] = folder;
  const leases = [await holdEmbeddedPostgres(postgresOptions()), await holdTemporalDevServer(temporalOptions())];
  return {
    close: async () => {
      for (const lease of leases) await lease.release();
      await removeRun(folder);
    },
  };
}

/** Runs whose Jest was killed: their servers may still be there. */
async function removeAbandonedRuns(runsDir: string): Promise<void> {
  for (const name of readdirSync(runsDir)) {
    const folder = join(runsDir, name);
    const owner = ownerOf(folder);
    if (owner !== undefined && !(await isRunning(owner)) && claim(folder)) await removeRun(folder);
  }
}

/** Undefined while the folder is being made, or removed by somebody else. */
function ownerOf(folder: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(ownerFileOf(folder), 'utf8')) as ProcessIdentity;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Of two runs that begin at once, one cleans up. */
function claim(folder: string): boolean {
  try {
    renameSync(ownerFileOf(folder), `${ownerFileOf(folder)}.removing`);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function removeRun(folder: string): Promise<void> {
  await removeEmbeddedPostgres({ dir: join(folder, 'postgresql') });
  await (await holdTemporalDevServer(temporalOptionsIn(folder))).release();
  rmSync(folder, { recursive: true, force: true });
}

function ownerFileOf(folder: string): string {
  return join(folder, 'owner.json');
}
