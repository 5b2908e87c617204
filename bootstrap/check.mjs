// Types, lint, import boundaries and formatting, in this order; all of them run, so that one visit shows everything.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const projectDir = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (...parts) => join(projectDir, 'node_modules', ...parts);
const checks = [
  ['types', [bin('typescript', 'bin', 'tsc'), '--noEmit']],
  ['lint', [bin('eslint', 'bin', 'eslint.js'), '.', '--max-warnings', '0']],
  [
    'boundaries',
    [
      bin('dependency-cruiser', 'bin', 'dependency-cruiser.mjs'),
      '--config',
      'dependency-cruiser.config.mjs',
      'src',
      'workflows',
      'activities',
      'lab',
      'test',
    ],
  ],
  ['formatting', [bin('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level', 'warn', '.']],
];

let failed = 0;
for (const [name, nodeArguments] of checks) {
  const startedAtMs = Date.now();
  const { status } = spawnSync(process.execPath, nodeArguments, { cwd: projectDir, stdio: 'inherit' });
  process.stdout.write(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - startedAtMs) / 1000).toFixed(1)} s)\n`);
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
