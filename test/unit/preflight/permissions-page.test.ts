import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { catalogue } from '../../../src/preflight/index.ts';
import { permissionsPage } from '../../../src/preflight/permissions-page.ts';
import type { Check } from '../../../src/preflight/types.ts';

const check = (id: string, permissions: Check['permissions']): Check => ({
  id,
  area: 'Azure RBAC',
  question: '?',
  fixedBy: 'An Owner',
  needs: [],
  ...(permissions === undefined ? {} : { permissions }),
  run: () => Promise.resolve([]),
});
const reader = { feature: 'tags', system: 'Azure RBAC', permission: 'Reader (id)', where: 'a | b' } as const;

test('the page in docs is what the catalogue says', () => {
  expect(readFileSync(new URL('../../../docs/permissions.md', import.meta.url), 'utf8')).toBe(permissionsPage());
});

test('every permission of the catalogue stands on the page, with its check', () => {
  const lines = permissionsPage().split('\n');
  const required = catalogue.flatMap(({ id, permissions = [] }) => permissions.map(({ permission }) => [permission, id] as const));
  expect(required.length).toBeGreaterThan(5);
  for (const [permission, id] of required)
    expect(lines.some((line) => line.includes(permission.replaceAll('|', '\\|')) && line.includes(`\`${id}\``))).toBe(true);
});

test('a permission that several checks need has one row; a check without any has none; a cell may hold a bar', () => {
  const page = permissionsPage([check('a.one', [reader]), check('a.two', [reader]), check('a.three', undefined)]);
  expect(page).toContain('| tags | Reader (id) | a \\| b | An Owner | `a.one`, `a.two` |');
  expect(page).not.toContain('a.three');
  expect(page).not.toContain('## ServiceNow');
});
