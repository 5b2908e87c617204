/** The lab (a local Azure and a local ServiceNow) as a process of its own: started here, spoken to over the network only. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { SyncError } from '../../errors.ts';
import { findProcesses, spawnDetached, stopProcess } from '../../local-process.ts';
import type { CliContext } from '../context.ts';
import type { Releases } from '../releases.ts';

/** lab.json (design §8). */
const labFileShape = z.looseObject({
  azure: z.looseObject({
    authority: z.url(),
    arm: z.url(),
    graph: z.url(),
    caFile: z.string(),
    tenants: z
      .array(
        z.looseObject({
          tenantId: z.string(),
          clientId: z.string(),
          clientSecret: z.string(),
          managementGroups: z.array(z.string()),
          subscriptions: z.array(z.string()),
        }),
      )
      .min(1),
  }),
  serviceNow: z.looseObject({
    url: z.url(),
    caFile: z.string(),
    users: z.array(z.looseObject({ userName: z.string(), password: z.string(), roles: z.array(z.string()) })),
    oauthClients: z.array(z.looseObject({ clientId: z.string(), clientSecret: z.string(), userName: z.string() })).min(1),
  }),
  admin: z.looseObject({ url: z.url() }),
});
export type LabFile = z.infer<typeof labFileShape>;

export interface RunningLab {
  readonly description: LabFile;
  /** Path of its lab.json. */
  readonly file: string;
  /** Rejects when the lab ends although nobody stopped it. */
  readonly failed: Promise<never>;
}

const readyWithinMs = 120_000;
const stopSteps = [
  { signal: 'SIGTERM', waitMs: 20_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;

/**
 * Starts the lab and waits until both its servers answer. A lab of the same folder that a killed command left behind is stopped first.
 * Errors: {@link SyncError} `transient` with the end of its log.
 */
export async function startLab(
  { environment }: CliContext,
  options: { readonly dir: string; readonly estate: string },
  releases: Releases,
): Promise<RunningLab> {
  const { dir, estate } = options;
  // A build keeps its shape: main.js beside the other compiled files.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const main = fileURLToPath(new URL(`../../../lab/main.${extension}`, import.meta.url));
  mkdirSync(dir, { recursive: true });
  for (const left of await findProcesses(main, `--dir ${dir} `)) await stopProcess(left, stopSteps);
  const { variables } = environment;
  const lab = await spawnDetached({
    command: process.execPath,
    args: [main, '--dir', dir, '--estate', estate, '--persist'],
    // Nothing secret is its business.
    env: Object.fromEntries(['PATH', 'HOME', 'TMPDIR'].flatMap((name) => (variables[name] === undefined ? [] : [[name, variables[name]]]))),
    cwd: dir,
    logFile: join(dir, 'lab.log'),
  });
  let stopping = false;
  releases.defer(async () => {
    stopping = true;
    await stopProcess(lab.identity, stopSteps);
  });
  const failed = lab.ended.then(async (how) => {
    // Stopped by us: whoever waits for a failure waits on.
    if (stopping) return new Promise<never>(() => undefined);
    throw labFailed(`The lab ended: ${how}.`, lab.output(), dir);
  });
  failed.catch(() => undefined);
  const file = await Promise.race([ready(lab.output, dir), failed]);
  return { description: readLabFile(file), file, failed };
}

async function ready(output: () => string, dir: string): Promise<string> {
  const deadline = performance.now() + readyWithinMs;
  while (performance.now() < deadline) {
    const file = /^lab ready (.+)$/m.exec(output())?.[1];
    if (file !== undefined) return file;
    await sleep(50);
  }
  throw labFailed(`The lab is not ready after ${readyWithinMs / 1000} seconds.`, output(), dir);
}

function labFailed(what: string, log: string, dir: string): SyncError {
  return new SyncError({
    kind: 'transient',
    message: log === '' ? what : `${what} Its log ends with:\n${log}`,
    remedy: `The whole log is ${join(dir, 'lab.log')}.`,
  });
}

/** Reads a lab.json. Errors: {@link SyncError} `bug` when it is not what design §8 says. */
export function readLabFile(file: string): LabFile {
  const parsed = labFileShape.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new SyncError({ kind: 'bug', message: `The lab wrote a file that is not understood, ${file}: ${where}.` });
}
