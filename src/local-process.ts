/**
 * Processes of this machine: who they are, whether they still run, how to start one that outlives us and how to end it.
 * A pid alone names nobody (the kernel reuses it, in containers within seconds), so every process is known by pid and start time.
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readdirSync, renameSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const runFile = promisify(execFile);

export interface ProcessIdentity {
  readonly pid: number;
  /** When the process started, as the operating system says it; only ever compared for equality. */
  readonly startedAt: string;
}

/** The identity of a running process; undefined when there is none with this pid, or when it has ended and only waits to be reaped. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const startedAt = process.platform === 'linux' ? linuxStartTime(pid) : await bsdStartTime(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** True while exactly this process runs: the same pid with another start time is somebody else. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  return (await identifyProcess(identity.pid))?.startedAt === identity.startedAt;
}

function linuxStartTime(pid: number): string | undefined {
  const stat = readIfPresent(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // proc(5): the command stands in parentheses and may itself hold spaces and parentheses; state is field 3, starttime field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined;
  // Ticks count from boot, so the boot belongs to the name.
  return `${readIfPresent('/proc/sys/kernel/random/boot_id')?.trim() ?? ''}/${startTicks}`;
}

async function bsdStartTime(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await runFile('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/bin:/usr/bin' },
    });
    const [state = '', ...startedAt] = stdout.trim().split(/\s+/);
    return state === '' || state.startsWith('Z') ? undefined : startedAt.join(' ');
  } catch {
    return undefined; // ps ends with 1 when no such process exists.
  }
}

/** The command line of a process, undefined when it has none or may not be read. */
export async function commandLineOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return readIfPresent(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim();
  try {
    return (await runFile('ps', ['-ww', '-o', 'command=', '-p', String(pid)])).stdout.trim();
  } catch {
    return undefined;
  }
}

/** Every running process whose command line holds all of the given strings. Used to find a server whose starter died before it could note the pid. */
export async function findProcesses(...parts: string[]): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  for (const pid of await allPids()) {
    if (pid === process.pid) continue;
    const commandLine = await commandLineOf(pid);
    if (commandLine === undefined || !parts.every((part) => commandLine.includes(part))) continue;
    const identity = await identifyProcess(pid);
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

async function allPids(): Promise<number[]> {
  const names =
    process.platform === 'linux'
      ? readdirSync('/proc')
      : (await runFile('ps', ['-axo', 'pid='])).stdout.split('\n').map((line) => line.trim());
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

export interface DetachedCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process: ours may hold secrets and is not handed on. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Output is appended here, never to our own stdout. Above 10 MB it moves to `<logFile>.1` first. */
  readonly logFile: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export interface DetachedProcess {
  readonly identity: ProcessIdentity;
  /** Resolves with a sentence when the process ends; stays pending while it runs. */
  readonly ended: Promise<string>;
  /** The last lines the process has written to its log so far. */
  readonly output: () => string;
}

/**
 * Starts a process in a session of its own: Ctrl-C in our terminal and our own end do not reach it.
 * Rejects with the operating system's error when the command cannot be started.
 */
export async function spawnDetached(command: DetachedCommand): Promise<DetachedProcess> {
  const log = openLog(command.logFile);
  const logStart = fstatSync(log).size;
  try {
    const child = spawn(command.command, command.args, {
      cwd: command.cwd,
      env: command.env,
      detached: true,
      stdio: ['ignore', log, log],
      ...(command.uid === undefined ? {} : { uid: command.uid }),
      ...(command.gid === undefined ? {} : { gid: command.gid }),
    });
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => resolve(signal === null ? `it ended with code ${code ?? 0}` : `it was ended by ${signal}`));
    });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    const pid = child.pid ?? 0;
    // A process that is already gone has no start time to read; its `ended` says why.
    const identity = (await identifyProcess(pid)) ?? { pid, startedAt: 'ended at once' };
    return { identity, ended, output: () => tailOf(command.logFile, logStart) };
  } finally {
    closeSync(log);
  }
}

const logLimitBytes = 10 * 1024 * 1024;

function openLog(file: string): number {
  if (existsSync(file) && statSync(file).size > logLimitBytes) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}

function tailOf(file: string, fromByte: number, lines = 12): string {
  return readFileSync(file).subarray(fromByte).toString('utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

/** Asks every 25 ms until the process is ready. Returns why not when it ends first or the time is over. */
export async function untilReady(
  { ended }: DetachedProcess,
  isReady: () => Promise<boolean>,
  timeoutMs: number,
): Promise<{ readonly ready: true } | { readonly ready: false; readonly because: string }> {
  const deadline = Date.now() + timeoutMs;
  let because: string | undefined;
  void ended.then((sentence) => (because = sentence));
  while (because === undefined) {
    if (await isReady()) return { ready: true };
    if (Date.now() > deadline) because = `it did not answer within ${Math.round(timeoutMs / 1000)} seconds`;
    else await sleep(25);
  }
  return { ready: false, because };
}

/**
 * Ends a process: each signal in turn, waiting its time for the process to go. Never touches a process that merely has the same pid.
 * Returns false when it still runs after the last wait.
 */
export async function stopProcess(
  identity: ProcessIdentity,
  steps: readonly { readonly signal: NodeJS.Signals; readonly waitMs: number }[],
): Promise<boolean> {
  for (const { signal, waitMs } of steps) {
    if (!(await isRunning(identity))) return true;
    try {
      process.kill(identity.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    const deadline = Date.now() + waitMs;
    while (Date.now() < deadline) {
      if (!(await isRunning(identity))) return true;
      await sleep(20);
    }
  }
  return !(await isRunning(identity));
}

/** The first of the wanted loopback ports that is free, else one the operating system picks. */
export async function freePort(...wanted: (number | undefined)[]): Promise<number> {
  for (const port of [...wanted, 0]) {
    const free = port === undefined ? undefined : await tryPort(port);
    if (free !== undefined) return free;
  }
  throw new Error('the operating system gives no free port on 127.0.0.1');
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
