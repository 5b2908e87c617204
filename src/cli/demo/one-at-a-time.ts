/** One demo per folder: two would write into each other's ServiceNow. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SyncError } from '../../errors.ts';
import { identifyProcess, isRunning } from '../../local-process.ts';
import type { Releases } from '../releases.ts';

const identityShape = z.object({ pid: z.number(), startedAt: z.string() });

/** Takes the folder for this process. Errors: {@link SyncError} `usage` when another living process has it. */
export async function takeFolder(dir: string, releases: Releases): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, 'demo.json');
  const holder = readHolder(file);
  if (holder !== undefined && holder.pid !== process.pid && (await isRunning(holder))) {
    throw new SyncError({
      kind: 'usage',
      message: `A demo already runs in ${dir} (process ${holder.pid}).`,
      remedy: 'Stop it with Ctrl-C, or give this one a folder of its own with --dir.',
    });
  }
  writeFileSync(file, JSON.stringify(await identifyProcess(process.pid)));
  releases.defer(() => rmSync(file, { force: true }));
}

function readHolder(file: string): z.infer<typeof identityShape> | undefined {
  try {
    return identityShape.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (Error.isError(error) && error.name === 'SyntaxError')) return undefined;
    throw error;
  }
}
