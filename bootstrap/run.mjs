#!/usr/bin/env node
// The one entry of every npm script. Plain JavaScript that runs on Node 20.19 and newer, because it must work
// before anything is installed: it installs what package-lock.json names, then continues under the Node 24 that
// the lock brings along (the engine runs .ts files directly, which older versions cannot).
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const projectDir = dirname(dirname(fileURLToPath(import.meta.url)));
const stampFile = join(projectDir, 'node_modules', '.defender-sync-lock-sha256');
const [minimumMajor, minimumMinor] = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < minimumMajor || (major === minimumMajor && minor < minimumMinor)) {
  fail(`defender-sync needs Node ${minimumMajor}.${minimumMinor} or newer to start; this is ${process.version}. Install a newer Node.`);
}

const [command = 'help', ...commandArguments] = process.argv.slice(2);
ensureInstalled();
runUnderNode24(argumentsFor(command, commandArguments));

/** Runs `npm ci` once per content of package-lock.json. Everything it prints goes to stderr: stdout belongs to the command. */
function ensureInstalled() {
  const lockDigest = createHash('sha256')
    .update(readFileSync(join(projectDir, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === lockDigest) return;
  process.stderr.write('Installing the packages that package-lock.json names …\n');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const installed = spawnSync(npm, ['ci', '--include=dev', '--include=optional', '--loglevel=error'], {
    cwd: projectDir,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (installed.error) fail(`npm could not be started (${installed.error.message}). Install npm, which comes with Node, and try again.`);
  if (installed.status !== 0) fail('npm ci failed; its own message is above. A package registry must be reachable once.');
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, lockDigest);
}

/** What each npm script runs, as arguments of node. */
function argumentsFor(name, rest) {
  const bin = (...parts) => join(projectDir, 'node_modules', ...parts);
  const jest = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    bin('jest', 'bin', 'jest.js'),
    '--config',
    join(projectDir, 'jest.config.mjs'),
  ];
  const main = join(projectDir, 'src', 'cli', 'main.ts');
  const table = {
    cli: () => [main, ...rest],
    demo: () => [main, 'demo', ...rest],
    lab: () => [main, 'lab', ...rest],
    temporal: () => [main, 'temporal', ...rest],
    test: () => [...jest, ...rest],
    'test:full': () => [...jest, ...rest],
    check: () => [join(projectDir, 'bootstrap', 'check.mjs'), ...rest],
    docs: () => [join(projectDir, 'bootstrap', 'docs.mjs'), ...rest],
    format: () => [bin('prettier', 'bin', 'prettier.cjs'), '--write', '.', ...rest],
    build: () => [bin('typescript', 'bin', 'tsc'), '--project', join(projectDir, 'tsconfig.build.json'), ...rest],
    run: () => rest,
  };
  // Called by its package name (`defender-sync status`), an unknown word is a command of the CLI.
  return (table[name] ?? (() => [main, name, ...rest]))();
}

/** Hands over to Node 24 and takes its exit code. Ctrl-C reaches the whole terminal group, so signals of the terminal are not forwarded. */
function runUnderNode24(nodeArguments) {
  const bundled = join(projectDir, 'node_modules', '.bin', 'node');
  const own = process.versions.node.split('.')[0] >= 24 ? process.execPath : undefined;
  const executable = existsSync(bundled) ? bundled : own;
  if (!executable) {
    fail(
      `No Node 24 for ${process.platform}-${process.arch} is in the package lock, and this is ${process.version}. Install Node 24 or newer and try again.`,
    );
  }
  const child = spawn(executable, nodeArguments, {
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: `${join(projectDir, 'node_modules', '.bin')}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH ?? ''}`,
      // Node keeps what it compiled and what it stripped of types: the second start takes half as long. A folder that cannot be written is no error.
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(projectDir, 'node_modules', '.cache', 'defender-sync'),
      ...(command === 'test:full' ? { DEFENDER_SYNC_TEST_TIER: 'full' } : {}),
    },
  });
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`${executable} could not be started: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(signal ? 128 + (signal === 'SIGINT' ? 2 : 15) : (code ?? 1)));
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
