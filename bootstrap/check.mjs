// Types, lint, import boundaries, generated documentation and formatting; all of them run, so that one visit shows everything. Lint takes
// longer than the others together, which run beside it; what they say is printed in this order.
import { spawn } from 'node:child_process';
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
  ['documentation', [join(projectDir, 'bootstrap', 'docs.mjs'), '--check']],
  ['formatting', [bin('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level', 'warn', '.']],
];

/** What a check printed, and how it ended; one that was killed has failed. */
function run(nodeArguments) {
  const startedAtMs = Date.now();
  const child = spawn(process.execPath, nodeArguments, { cwd: projectDir, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part) => (text += part));
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ text: error.message, passed: false, seconds: 0 }));
    child.once('close', (code) => resolve({ text, passed: code === 0, seconds: (Date.now() - startedAtMs) / 1000 }));
  });
}

async function inOrder(some) {
  const results = [];
  for (const [, nodeArguments] of some) results.push(await run(nodeArguments));
  return results;
}

const lint = checks.findIndex(([name]) => name === 'lint');
const [results, [linted]] = await Promise.all([inOrder(checks.toSpliced(lint, 1)), inOrder([checks[lint]])]);
results.splice(lint, 0, linted);
results.forEach(({ text, passed, seconds }, index) => {
  process.stdout.write(`${text}${passed ? 'ok  ' : 'FAIL'} ${checks[index][0]} (${seconds.toFixed(1)} s)\n`);
});
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
