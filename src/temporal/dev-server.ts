/**
 * The Temporal server that comes along: `temporal server start-dev`, the real server with its Web UI on one SQLite file, shared by every
 * process of the project and continuing where it was (server.md; temporal.md §1.4).
 */
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Connection, isGrpcServiceError } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { z } from 'zod';
import { SyncError } from '../errors.ts';
import { acquireLease, holdLease, logFileOf, type LeasedServer, type ServerRecord } from '../leased-server.ts';
import { findProcesses, freePort, spawnDetached, stopProcess, untilReady } from '../local-process.ts';
import { locateTemporalCli, type LocateTemporalCliOptions } from './cli-binary.ts';

const runFile = promisify(execFile);

export interface TemporalDevServerOptions extends LocateTemporalCliOptions {
  /** The server's folder, for example `.defender-sync/temporal`: the SQLite file and the log. Created when missing. */
  readonly dir: string;
  /** Made when missing. Default `default`. */
  readonly namespace?: string | undefined;
  /** The frontend's and the Web UI's port if they are free and the folder has none of its own yet. Default 7233 and 8233. */
  readonly preferredPorts?: { readonly frontend: number; readonly ui: number } | undefined;
}

export interface TemporalDevServer {
  /** `127.0.0.1:port` of the frontend. */
  readonly address: string;
  /** `http://127.0.0.1:port` of the Web UI. */
  readonly uiUrl: string;
  readonly namespace: string;
  /** Gives the server back; the last one out stops it. May be called more than once. */
  readonly release: () => Promise<void>;
}

const detailsShape = z.object({ port: z.number().int(), uiPort: z.number().int(), namespace: z.string().min(1) });
type Details = z.infer<typeof detailsShape>;

const startTimeoutMs = 60_000;
const probeTimeoutMs = 3_000;
const startAttempts = 3;
const retentionMs = 3 * 24 * 3_600_000;
const grpcAlreadyExists = 6;

/**
 * Starts the Temporal server of a folder, or attaches to the running one. Ready means: a client connected, the namespace is there and the
 * Web UI answers. A start takes about half a second, plus the download of the CLI the first time.
 * Errors: {@link SyncError} `misconfigured` (no CLI), `usage` or `transient`, each with a remedy.
 */
export async function acquireTemporalDevServer(options: TemporalDevServerOptions): Promise<TemporalDevServer> {
  const lease = await acquireLease(leasedTemporal(options));
  const { port, uiPort, namespace: firstNamespace } = lease.record.details;
  const address = `127.0.0.1:${port}`;
  const namespace = options.namespace ?? firstNamespace;
  try {
    if (namespace !== firstNamespace) await ensureNamespace(address, namespace);
  } catch (error) {
    await lease.release();
    throw error;
  }
  return { address, uiUrl: `http://127.0.0.1:${uiPort}`, namespace, release: lease.release };
}

/** Keeps the server of a folder from being stopped by others, without starting it; giving this back as the last one stops it. */
export function holdTemporalDevServer(options: TemporalDevServerOptions): Promise<{ readonly release: () => Promise<void> }> {
  return holdLease(leasedTemporal(options));
}

function leasedTemporal(options: TemporalDevServerOptions): LeasedServer<Details> {
  const dir = resolve(options.dir);
  const databaseFile = join(dir, 'temporal.sqlite');
  const server: LeasedServer<Details> = {
    dir,
    name: 'temporal',
    service: 'temporal',
    details: detailsShape,
    start: async (previous, started) => {
      const cli = await locateTemporalCli(options);
      return startServer({ server, program: cli.path, databaseFile, previous, started, options });
    },
    probe: (record) => isReady(record.details),
    stop: async (running) => {
      // SQLite's write-ahead log is replayed at the next start, so an end by force loses nothing that was acknowledged.
      const steps = [
        { signal: 'SIGTERM', waitMs: 10_000 },
        { signal: 'SIGKILL', waitMs: 5_000 },
      ] as const;
      if (await stopProcess(running, steps)) return;
      throw new SyncError({
        kind: 'transient',
        service: 'temporal',
        message: `The Temporal server (pid ${running.pid}) does not stop.`,
        remedy: `Look into ${logFileOf(server)}.`,
      });
    },
    findStray: async () => (await findProcesses('start-dev', databaseFile))[0],
  };
  return server;
}

interface StartOptions {
  readonly server: LeasedServer<Details>;
  readonly program: string;
  readonly databaseFile: string;
  readonly previous: Details | undefined;
  readonly started: (record: ServerRecord<Details>) => void;
  readonly options: TemporalDevServerOptions;
}

async function startServer(start: StartOptions): Promise<ServerRecord<Details>> {
  const { server, previous, options } = start;
  const preferred = options.preferredPorts ?? { frontend: 7233, ui: 8233 };
  const optionalFlags = await supportedFlags(start.program);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort(previous?.port, preferred.frontend);
    const details: Details = {
      port,
      uiPort: await freePort(previous?.uiPort, preferred.ui),
      namespace: options.namespace ?? previous?.namespace ?? 'default',
    };
    const started = await spawnDetached({
      command: start.program,
      args: [...serverArguments(details, start.databaseFile), ...optionalFlags],
      // Nothing of TEMPORAL_* is meant for the server itself, and nothing secret is its business.
      env: Object.fromEntries(
        ['PATH', 'HOME', 'TMPDIR'].flatMap((name) => (options.environment[name] === undefined ? [] : [[name, options.environment[name]]])),
      ),
      cwd: server.dir,
      logFile: logFileOf(server),
    });
    const record = { process: started.identity, details };
    start.started(record);
    const outcome = await untilReady(started, () => isReady(details), startTimeoutMs);
    if (outcome.ready) return record;
    const log = started.output();
    // Another process took a port in the instant between looking and listening.
    if (attempt < startAttempts && /address already in use|bind:/i.test(log)) continue;
    throw new SyncError({
      kind: 'transient',
      service: 'temporal',
      message: `The Temporal server did not start: ${outcome.because}. Its log ends with:\n${log}`,
      remedy: `Look into ${logFileOf(server)}, or configure the address of a Temporal server.`,
    });
  }
}

function serverArguments(details: Details, databaseFile: string): string[] {
  const settings: [string, string | number][] = [
    ['--db-filename', databaseFile],
    // Readers do not block the writer, and a commit costs no fsync of the whole file.
    ['--sqlite-pragma', 'journal_mode=WAL'],
    ['--sqlite-pragma', 'synchronous=NORMAL'],
    ['--namespace', details.namespace],
    ['--ip', '127.0.0.1'],
    ['--port', details.port],
    ['--ui-ip', '127.0.0.1'],
    ['--ui-port', details.uiPort],
    ['--log-level', 'warn'],
    // The server would ask its vendor for newer versions.
    ['--dynamic-config-value', 'frontend.enableServerVersionCheck=false'],
  ];
  return ['server', 'start-dev', ...settings.flatMap(([flag, value]) => [flag, String(value)])];
}

/** Flags that only newer releases know. */
async function supportedFlags(program: string): Promise<string[]> {
  const { stdout } = await runFile(program, ['server', 'start-dev', '--help'], { timeout: 20_000, env: {} });
  return ['--ui-disable-news-fetch'].filter((flag) => stdout.includes(flag));
}

async function isReady(details: Details): Promise<boolean> {
  // A refused gRPC connection is tried again after a whole second only, so the port is asked first.
  if (!(await accepts(details.port)) || !(await accepts(details.uiPort))) return false;
  let connection: Connection | undefined;
  try {
    connection = await Connection.connect({ address: `127.0.0.1:${details.port}`, connectTimeout: probeTimeoutMs });
    const { workflowService } = connection;
    await connection.withDeadline(Date.now() + probeTimeoutMs, () => workflowService.describeNamespace({ namespace: details.namespace }));
    const ui = await fetch(`http://127.0.0.1:${details.uiPort}/`, { signal: AbortSignal.timeout(probeTimeoutMs) });
    await ui.body?.cancel();
    return ui.ok;
  } catch {
    // Still starting, or gone: the caller asks again until its own time is over and then shows the server's log.
    return false;
  } finally {
    await connection?.close();
  }
}

/** The server was started for another namespace: makes this one beside it, and waits until it can be used. */
async function ensureNamespace(address: string, namespace: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: probeTimeoutMs });
  const { workflowService } = connection;
  try {
    await workflowService
      .registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs(retentionMs) })
      .catch((error: unknown) => {
        const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
        if (code !== grpcAlreadyExists) throw error;
      });
    const deadline = Date.now() + startTimeoutMs;
    // Services learn of a new namespace from a cache that is refreshed every few seconds.
    for (;;) {
      try {
        await workflowService.countWorkflowExecutions({ namespace });
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(200);
      }
    }
  } finally {
    await connection.close();
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: probeTimeoutMs });
    const finish = (answered: boolean): void => {
      socket.destroy();
      done(answered);
    };
    socket
      .once('connect', () => finish(true))
      .once('error', () => finish(false))
      .once('timeout', () => finish(false));
  });
}
