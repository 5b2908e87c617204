/** The command line as a process, for tests: started as a person starts it, looked at from outside. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface CliProcess {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  /** Resolves when stderr holds the text; rejects when the process ends without. */
  readonly says: (text: string, withinMs?: number) => Promise<void>;
}

export function startCli(args: readonly string[], options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {}): CliProcess {
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => (code ?? signal) as number | NodeJS.Signals | null);
  const says = async (text: string, withinMs = 120_000): Promise<void> => {
    const deadline = performance.now() + withinMs;
    while (!stderr().includes(text)) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`It ended without saying "${text}":\n${stderr()}`);
      if (performance.now() > deadline) throw new Error(`It does not say "${text}":\n${stderr()}`);
      await sleep(50);
    }
  };
  return { child, stdout, stderr, ended, says };
}

export interface CliResult {
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCli(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<CliResult> {
  const cli = startCli(args, options);
  return { code: await cli.ended, stdout: cli.stdout(), stderr: cli.stderr() };
}

function collect(stream: ChildProcess['stdout']): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}
