import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { locatePostgresPackage, preparePostgresBinaries } from '../../../src/ledger/server/binaries.ts';

const isRoot = process.getuid?.() === 0;
const rootOnly = isRoot ? test : test.skip;
const nobody = { uid: 65534, gid: 65534 };
const installed = locatePostgresPackage();

let base: string;
let clone: string;
let cacheDir: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'postgres-binaries-'));
  chmodSync(base, 0o711);
  clone = join(base, 'clone', 'native');
  cacheDir = join(base, 'cache', 'defender-sync');
  cpSync(installed.nativeDir, clone, { recursive: true, verbatimSymlinks: true });
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** As npm unpacks the package when install scripts are off: its symlinks are only in a list. */
function removeSymlinks(): string[] {
  const list = JSON.parse(readFileSync(join(clone, 'pg-symlinks.json'), 'utf8')) as { target: string }[];
  const links = list.map(({ target }) => target.replace(/^native\//, ''));
  for (const link of links) rmSync(join(clone, link));
  return links;
}

function versionOf(nativeDir: string, user?: { uid: number; gid: number }): string {
  return execFileSync(join(nativeDir, 'bin', 'postgres'), ['--version'], { encoding: 'utf8', cwd: '/', stdio: 'pipe', ...user });
}

test('programs that can be run where they are stay there', async () => {
  const user = isRoot ? nobody : undefined;
  expect(await preparePostgresBinaries({ ...installed, nativeDir: clone }, { cacheDir, user })).toEqual({
    nativeDir: clone,
    majorVersion: 18,
  });
  expect(() => statSync(cacheDir)).toThrow('ENOENT');
});

test('without install scripts, a copy gets the symlinks that npm leaves out', async () => {
  const links = removeSymlinks();
  expect(links).toContain('lib/libicuuc.so.60');
  expect(() => versionOf(clone)).toThrow();
  const { nativeDir } = await preparePostgresBinaries({ ...installed, nativeDir: clone }, { cacheDir, user: undefined });
  expect(nativeDir.startsWith(cacheDir)).toBe(true);
  expect(versionOf(nativeDir)).toContain('PostgreSQL');
  for (const link of links) expect(lstatSync(join(nativeDir, link)).isSymbolicLink()).toBe(true);
  expect(readlinkSync(join(nativeDir, 'lib/libicuuc.so.60'))).toBe('libicuuc.so.60.2');
});

rootOnly('a clone in a closed home, installed under a close umask: the copy can be run by the server’s user all the same', async () => {
  chmodSync(join(base, 'clone'), 0o700);
  execFileSync('chmod', ['-R', 'go-rwx', clone]);
  const umask = process.umask(0o077);
  try {
    const { nativeDir } = await preparePostgresBinaries({ ...installed, nativeDir: clone }, { cacheDir, user: nobody });
    expect(versionOf(nativeDir, nobody)).toContain('PostgreSQL');
  } finally {
    process.umask(umask);
  }
});

rootOnly('where the server’s user can get to neither place, the error says which user, both places and what to do', async () => {
  chmodSync(join(base, 'clone'), 0o700);
  mkdirSync(join(base, 'cache'), { mode: 0o700 });
  await expect(preparePostgresBinaries({ ...installed, nativeDir: clone }, { cacheDir, user: nobody })).rejects.toMatchObject({
    kind: 'misconfigured',
    message: expect.stringMatching(new RegExp(`uid 65534.*${clone} \\(EACCES\\).*${cacheDir}.*\\(EACCES\\)`)),
    remedy: expect.stringContaining('DEFENDER_SYNC_CACHE_DIR'),
  });
});

test('two that copy at once both get a whole copy, and a copy that is there is used as it is', async () => {
  removeSymlinks();
  const prepare = (): ReturnType<typeof preparePostgresBinaries> =>
    preparePostgresBinaries({ ...installed, nativeDir: clone }, { cacheDir, user: undefined });
  const [first, second] = await Promise.all([prepare(), prepare()]);
  expect(second).toEqual(first);
  writeFileSync(join(first.nativeDir, 'mark'), '');
  expect(await prepare()).toEqual(first);
  expect(statSync(join(first.nativeDir, 'mark')).size).toBe(0);
});
