/** Starts and ends the processes of server-user.ts. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('./server-user.ts', import.meta.url));

export interface UserProcess<Server> {
  readonly child: ChildProcess;
  /** What it printed once it had the server; rejects with its error output when it failed. */
  readonly server: Promise<Server>;
  /** Lets it give the server back; resolves with its exit code. */
  leave(): Promise<number>;
  /** SIGKILL: it gives nothing back. */
  kill(): Promise<void>;
}

export function startUser<Server>(
  kind: 'postgres' | 'temporal',
  dir: string,
  options: { uid?: number; cacheDir?: string } = {},
): UserProcess<Server> {
  const { uid, cacheDir } = options;
  const child = spawn(process.execPath, [script, kind, dir, ...(cacheDir === undefined ? [] : [cacheDir])], {
    stdio: ['pipe', 'pipe', 'pipe'],
    cwd: '/',
    ...(uid === undefined ? {} : { uid, gid: uid, env: { PATH: process.env['PATH'], HOME: dir } }),
  });
  let [output, errors] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const server = new Promise<Server>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('\n')) resolve(JSON.parse(output) as Server);
    });
    child.once('exit', (code, signal) => reject(new Error(`the user process ended (${code ?? signal ?? ''}): ${errors}`)));
  });
  // A test that kills the process before it has the server does not await it.
  server.catch(() => undefined);
  return {
    child,
    server,
    leave: async () => {
      const exited = once(child, 'exit');
      child.stdin.end();
      const [code] = (await exited) as [number];
      return code;
    },
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Waits until the condition holds; fails with the sentence after the time limit. */
export async function until(sentence: string, condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${sentence}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}
