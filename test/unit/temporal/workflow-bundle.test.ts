import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { workflowBundle } from '../../../src/temporal/workflow-bundle.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'defender-sync-bundle-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test('is packed once, kept, and used again; that of a former version goes', async () => {
  await writeFile(join(dir, `workflows-${'0'.repeat(32)}.js`), 'former');
  await writeFile(join(dir, 'not-ours.js'), 'stays');
  const packed = await workflowBundle(dir);
  expect(packed.code).toContain('syncDeployment');
  const [kept = '', ...others] = (await readdir(dir)).filter((name) => name.startsWith('workflows-'));
  expect(others).toEqual([]);
  expect(await readFile(join(dir, 'not-ours.js'), 'utf8')).toBe('stays');
  expect(await readFile(join(dir, kept), 'utf8')).toBe(packed.code);
  await writeFile(join(dir, kept), `${packed.code}\n// read`);
  expect((await workflowBundle(dir)).code).toMatch(/\/\/ read$/);
});

test('a folder that cannot be made is no error', async () => {
  const file = join(dir, 'a-file');
  await writeFile(file, '');
  expect((await workflowBundle(join(file, 'below'))).code).toContain('runIntegration');
});
