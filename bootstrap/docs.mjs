// Writes docs/permissions.md from the checks; with --check it only compares, for `npm run check`.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { permissionsPage } from '../src/preflight/permissions-page.ts';

const file = join(dirname(dirname(fileURLToPath(import.meta.url))), 'docs', 'permissions.md');
const wanted = permissionsPage();
if (!process.argv.includes('--check')) {
  writeFileSync(file, wanted);
} else if (!existsSync(file) || readFileSync(file, 'utf8') !== wanted) {
  process.stderr.write('docs/permissions.md is not what the checks say. Make it again: npm run docs\n');
  process.exitCode = 1;
}
