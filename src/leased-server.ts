/**
 * A local server process that several processes of the same user share. Each user holds a lease; the first starts the server,
 * later ones attach, the last one out stops it.
 *
 * Locks and leases are locks of the operating system (an open exclusive transaction on an empty SQLite file), so they end with the
 * process that holds them, however it ends: there is no stale lock to judge. Only the server itself outlives its users, and is known
 * by pid and start time, so that a reused pid is never mistaken for it.
 *
 * Folder: `lock` (one starter or stopper at a time), `leases/<pid>-<random>` (one per user), `<name>.json` (the server's record), `<name>.log`.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { SyncError } from './errors.ts';
import { isRunning, type ProcessIdentity } from './local-process.ts';

/** What is known about a running server: the process, and what its users need to reach it (ports, for example). */
export interface ServerRecord<Details> {
  readonly process: ProcessIdentity;
  readonly details: Details;
}

export interface LeasedServer<Details> {
  /** The server's folder; created when missing. One server per folder. */
  readonly dir: string;
  /** The server's name in file names and messages, for example `postgresql`. */
  readonly name: string;
  readonly service: 'ledger' | 'temporal';
  /** Validates what an earlier version of the record may hold. */
  readonly details: z.ZodType<Details>;
  /**
   * Starts the server and returns once it answers. Calls `started` as soon as the process exists, so that a starter that dies
   * meanwhile leaves a record behind. `previous` are the details of the last server of this folder: its ports, to be taken again.
   */
  start(previous: Details | undefined, started: (record: ServerRecord<Details>) => void): Promise<ServerRecord<Details>>;
  /** True when the server answers. May be called while it is still starting. */
  probe(record: ServerRecord<Details>): Promise<boolean>;
  /** How long a running server may fail to answer (start-up, crash recovery, an overloaded machine) before it counts as hung. Default 30 seconds. */
  readonly answerTimeoutMs?: number;
  /** Ends the server and returns once it is gone. */
  stop(process: ProcessIdentity): Promise<void>;
  /** A server of this folder that no record names, because its starter was killed in the instant between. It is stopped before another is started. */
  findStray?(): Promise<ProcessIdentity | undefined>;
}

export interface Lease<Details> {
  readonly record: ServerRecord<Details>;
  /** Gives the lease back; the last one out stops the server. May be called more than once. */
  readonly release: () => Promise<void>;
}

/** How long a starter or stopper waits for another one to finish: longer than any start-up, crash recovery included. */
const lockTimeoutMs = 180_000;
const defaultAnswerTimeoutMs = 30_000;

/**
 * Starts the server or attaches to the running one, and holds a lease on it.
 * Errors: {@link SyncError} `transient` when it cannot be started or does not answer, `usage` when the folder cannot be used.
 */
export async function acquireLease<Details>(server: LeasedServer<Details>): Promise<Lease<Details>> {
  const held = await holdLease(server);
  try {
    const record = await withLock(server, () => ensureRunning(server));
    return { record, release: held.release };
  } catch (error) {
    await held.release();
    throw error;
  }
}

/**
 * Holds a lease without starting anything: the server, if another user starts it, keeps running until this lease is given back too.
 * With no other user, giving it back also ends a server that was left behind by users that were killed.
 */
export async function holdLease<Details>(server: LeasedServer<Details>): Promise<{ readonly release: () => Promise<void> }> {
  if (process.platform === 'win32') {
    throw new SyncError({
      kind: 'usage',
      service: server.service,
      message: `The ${server.name} server that comes along does not run on Windows; configure the address of a server of your own.`,
    });
  }
  mkdirSync(dirname(server.dir), { recursive: true });
  // Ours alone: the record may hold what opens the server.
  mkdirSync(server.dir, { recursive: true, mode: 0o700 });
  mkdirSync(join(server.dir, 'leases'), { recursive: true });
  const leaseName = `${process.pid}-${randomBytes(4).toString('hex')}`;
  const letGo = await withLock(server, () => Promise.resolve(takeNewLease(server, leaseName)));
  let released: Promise<void> | undefined;
  const release = async (): Promise<void> => {
    try {
      await withLock(server, async () => {
        letGo();
        rmSync(leaseFile(server, leaseName), { force: true });
        if (otherUsers(server).length > 0) return;
        const { process: running, details } = readRecord(server);
        if (running === undefined) return;
        if (await isRunning(running)) await server.stop(running);
        writeRecord(server, undefined, details);
      });
    } finally {
      letGo();
    }
  };
  return { release: () => (released ??= release()) };
}

async function ensureRunning<Details>(server: LeasedServer<Details>): Promise<ServerRecord<Details>> {
  const { process: running, details } = readRecord(server);
  if (running !== undefined && (await isRunning(running))) {
    if (details !== undefined && (await answers(server, { process: running, details }))) return { process: running, details };
    const others = otherUsers(server);
    // One lease is our own caller's. A server that ended while we asked it is not hung.
    if (others.length > 1 && (await isRunning(running))) {
      throw new SyncError({
        kind: 'transient',
        service: server.service,
        message: `The ${server.name} server (pid ${running.pid}) in ${server.dir} does not answer, and other processes use it (${others.join(', ')}).`,
        remedy: `Look into ${logFileOf(server)}, end those processes, and try again.`,
      });
    }
    await server.stop(running);
  }
  const stray = await server.findStray?.();
  if (stray !== undefined) await server.stop(stray);
  let begun: ServerRecord<Details> | undefined;
  try {
    const record = await server.start(details, (startedRecord) => {
      begun = startedRecord;
      writeRecord(server, startedRecord.process, startedRecord.details);
    });
    writeRecord(server, record.process, record.details);
    return record;
  } catch (error) {
    if (begun !== undefined && (await isRunning(begun.process))) await server.stop(begun.process);
    writeRecord(server, undefined, details);
    throw error;
  }
}

async function answers<Details>(server: LeasedServer<Details>, record: ServerRecord<Details>): Promise<boolean> {
  const deadline = Date.now() + (server.answerTimeoutMs ?? defaultAnswerTimeoutMs);
  do {
    if (await server.probe(record)) return true;
    await sleep(100);
  } while (Date.now() < deadline && (await isRunning(record.process)));
  return false;
}

// --- the record ---------------------------------------------------------------------------------------------------------

const recordShape = z.object({
  process: z.object({ pid: z.number().int().positive(), startedAt: z.string().min(1) }).nullable(),
  details: z.unknown(),
});

/** The record of the running server, or what is left of the last one. What cannot be understood counts as absent. */
function readRecord<Details>(server: LeasedServer<Details>): { process: ProcessIdentity | undefined; details: Details | undefined } {
  const file = recordFileOf(server);
  const content = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const record = recordShape.safeParse(parseJson(content)).data;
  return { process: record?.process ?? undefined, details: server.details.safeParse(record?.details).data };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Atomic, because a reader outside the lock (a status command) and a SIGKILL must never see half a record. */
function writeRecord<Details>(server: LeasedServer<Details>, running: ProcessIdentity | undefined, details: Details | undefined): void {
  const file = recordFileOf(server);
  writeFileSync(`${file}.new`, JSON.stringify({ process: running ?? null, details }), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Where a leased server's output goes. */
export function logFileOf(server: { readonly dir: string; readonly name: string }): string {
  return join(server.dir, `${server.name}.log`);
}

function recordFileOf(server: { readonly dir: string; readonly name: string }): string {
  return join(server.dir, `${server.name}.json`);
}

// --- locks and leases ---------------------------------------------------------------------------------------------------

interface Folder {
  readonly dir: string;
  readonly name: string;
  readonly service: 'ledger' | 'temporal';
}

function leaseFile(server: Folder, leaseName: string): string {
  return join(server.dir, 'leases', leaseName);
}

function takeNewLease(server: Folder, leaseName: string): () => void {
  const letGo = tryLock(server, leaseFile(server, leaseName));
  if (letGo === undefined) throw new Error(`the new lease ${leaseName} in ${server.dir} is already locked`);
  return letGo;
}

/** The leases that somebody holds. Those of processes that ended without giving them back are removed. Call it under the lock only. */
function otherUsers(server: Folder): string[] {
  const held: string[] = [];
  for (const leaseName of readdirSync(join(server.dir, 'leases'))) {
    const letGo = tryLock(server, leaseFile(server, leaseName));
    if (letGo === undefined) held.push(leaseName);
    else {
      letGo();
      rmSync(leaseFile(server, leaseName), { force: true });
    }
  }
  return held;
}

async function withLock<T>(server: Folder, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + lockTimeoutMs;
  let letGo: (() => void) | undefined;
  while ((letGo = tryLock(server, join(server.dir, 'lock'))) === undefined) {
    if (Date.now() > deadline) {
      throw new SyncError({
        kind: 'transient',
        service: server.service,
        message: `Another process has been starting or stopping the ${server.name} server in ${server.dir} for ${lockTimeoutMs / 1000} seconds.`,
        remedy: `Look into ${logFileOf(server)}, end that process, and try again.`,
      });
    }
    await sleep(25);
  }
  try {
    return await work();
  } finally {
    letGo();
  }
}

/** Locks held by this process. The set keeps them from being garbage-collected, which would give them back. */
const heldLocks = new Set<DatabaseSync>();
const sqliteBusy = 5;

/** Takes the lock of a file, or undefined when another process (or another caller in this one) has it. The returned function gives it back. */
function tryLock(server: Folder, file: string): (() => void) | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: 0 });
    // Nothing is ever written; a journal beside the file would look like another lease.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === sqliteBusy) return undefined;
    throw new SyncError({
      kind: 'usage',
      service: server.service,
      message: `The folder ${server.dir} of the ${server.name} server cannot be used: ${Error.isError(error) ? error.message : String(error)}.`,
      remedy: 'Give the user that runs this the right to write there (a folder that root created stays root’s), or name another folder.',
      cause: error,
    });
  }
  const held = database;
  heldLocks.add(held);
  return () => {
    if (heldLocks.delete(held)) held.close();
  };
}
