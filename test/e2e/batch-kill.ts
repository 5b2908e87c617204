/**
 * A client is killed while the instance works off its Batch requests, and the instance goes on with them; another client takes over.
 * What counts is what the lab holds: every record once (design §2, publish).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadConfiguration } from '../../src/config/index.ts';
import { beginRun, commitEngineRecords, openLedger, type Ledger, type RunHandle } from '../../src/ledger/index.ts';
import type { DeploymentName, DesiredRecord } from '../../src/model.ts';
import type { PostgresForTests } from '../integration/servers.ts';
import { createEngine, startLab, type Lab, type Row } from './harness.ts';
import { publishAll } from './publish-all.ts';

const client = fileURLToPath(new URL('batch-client.ts', import.meta.url));
const table = 'sn_vulc_policy';
/** Two requests of a hundred and of fifty, under way at the same time. */
const records = 150;
const perWriteMs = 4;
/** How long the larger request takes at least. */
const windowMs = 100 * perWriteMs;
/** How long the instance is watched before the next client begins: it goes on meanwhile, and mostly beyond. */
const watchedMs = 100;

export interface Try {
  readonly name: string;
  /** Records on the instance when the client was dead, and a moment later, before anybody else had begun. */
  readonly atDeath: number;
  readonly afterwards: number;
  readonly problems: readonly string[];
}

/** Starts the lab for any number of tries. */
export function startSlowLab(): Promise<Lab> {
  return startLab('generated:7:10', ['--per-write', String(perWriteMs), '--batch-quota-ms', '1000']);
}

/** So many tries, a few at a time, each with a ledger of its own; the moments of death are spread evenly over the requests' time. */
export async function killInBatches(postgres: PostgresForTests, lab: Lab, tries: number, atATime: number): Promise<Try[]> {
  const count = await openCount(lab);
  const done: Try[] = [];
  const numbers = Array.from({ length: tries }, (_unused, index) => index)[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (const number of numbers) done.push(await killOnce(postgres, lab, count, number, (number * windowMs) / tries));
  };
  await Promise.all(Array.from({ length: Math.min(atATime, tries) }, lane));
  return done;
}

/** What a list of tries shows, as one line. */
export function summaryOf(tries: readonly Try[]): string {
  const deaths = tries.map(({ atDeath }) => atDeath).sort((a, b) => a - b);
  const wroteOn = tries.filter(({ atDeath, afterwards }) => afterwards > atDeath).length;
  const problems = tries.flatMap((one) => one.problems);
  return (
    `${tries.length} tries: killed when ${deaths[0] ?? 0} to ${deaths.at(-1) ?? 0} of ${records} records were written ` +
    `(median ${deaths[deaths.length >> 1] ?? 0}), the instance wrote on in ${wroteOn}; ${problems.length} problems`
  );
}

async function killOnce(
  postgres: PostgresForTests,
  lab: Lab,
  count: (prefix: string) => Promise<number>,
  number: number,
  killAfterMs: number,
): Promise<Try> {
  const name = `try-${String(number).padStart(3, '0')}`;
  const ledgerUrl = await postgres.freshDatabase();
  const settings = { ledgerUrl, temporalAddress: '127.0.0.1:1', namespace: 'none', taskQueue: 'none' };
  const engine = await createEngine(lab, settings, { transactionQuotaSeconds: 1, settleSeconds: 1, deploymentPrefix: `${name}-` });
  const ledger = await openLedger({ url: ledgerUrl, connections: 4, tables: [table] });
  try {
    const run = await begin(ledger, lab, engine.deployments[0] ?? '', 'first');
    await commitEngineRecords(ledger.database, ledger.words, run, 'try', policies(name));
    await dieInBatch([client, engine.configFile, ledgerUrl, run.runId, String(run.fence)], killAfterMs);
    const atDeath = await count(name);
    await sleep(watchedMs);
    const afterwards = await count(name);
    // An attempt of the same activity, or a run that began afresh: both take over what the dead one held.
    const next = number % 2 === 0 ? run : await begin(ledger, lab, run.deployment, 'second');
    await publishAll(loadConfiguration(engine.configFile), ledgerUrl, next);
    return { name, atDeath, afterwards, problems: await problemsOf(lab, ledger, name) };
  } finally {
    await ledger.database.close();
    await engine.remove();
  }
}

function begin(ledger: Ledger, lab: Lab, deployment: string, workflowRunId: string): Promise<RunHandle> {
  const facts = { name: deployment as DeploymentName, instanceUrl: lab.file.serviceNow.url, position: 0 };
  return beginRun(ledger.database, facts, workflowRunId, 'sync');
}

function policies(name: string): DesiredRecord[] {
  return Array.from({ length: records }, (_unused, index) => {
    const key = `${name}-${String(index).padStart(3, '0')}`;
    const fields = { source: 'Microsoft Defender for Cloud', source_id: key, short_description: key };
    return { table, key, fields };
  });
}

/** Runs a client and kills it so long after it said that it sends. */
async function dieInBatch(clientArguments: readonly string[], killAfterMs: number): Promise<void> {
  const child = spawn(process.execPath, [...clientArguments], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) if (line === 'intent') break;
  await sleep(killAfterMs);
  child.kill('SIGKILL');
  await ended;
  if (child.signalCode !== 'SIGKILL') throw new Error(`The client ended by itself (${child.exitCode ?? 'unknown'}) before it was killed.`);
}

/** None twice, none missing, and the ledger knows each by the sys_id that the instance has. */
async function problemsOf(lab: Lab, ledger: Ledger, name: string): Promise<string[]> {
  const rows = (await lab.rows(table)).filter((row) => (row['source_id'] ?? '').startsWith(`${name}-`));
  const bySourceId = Map.groupBy(rows, (row: Row) => row['source_id'] ?? '');
  const problems = [...bySourceId].filter(([, same]) => same.length > 1).map(([key, same]) => `${key} is there ${same.length} times`);
  for (const { key } of policies(name)) if (!bySourceId.has(key)) problems.push(`${key} is missing`);
  const known = await ledger.database.query<{ key_text: string; sys_id: string | null; due: boolean }>(
    'SELECT key_text, sys_id, desired IS DISTINCT FROM published OR sent_at IS NOT NULL OR parked AS due FROM record',
  );
  for (const { key_text: key, sys_id: sysId, due } of known) {
    if (due) problems.push(`${key} is not settled in the ledger`);
    if (sysId !== bySourceId.get(key)?.[0]?.['sys_id']) problems.push(`${key}: the ledger has another sys_id`);
  }
  return problems;
}

/** Counts records by the beginning of their source id, over the instance's own API. */
async function openCount(lab: Lab): Promise<(prefix: string) => Promise<number>> {
  const { url, caFile, users } = lab.file.serviceNow;
  const admin = users.find(({ userName }) => userName === 'admin');
  const ca = await readFile(caFile);
  return (prefix) =>
    new Promise((resolve, reject) => {
      const path = `/api/now/stats/${table}?sysparm_count=true&sysparm_query=source_idSTARTSWITH${prefix}-`;
      const headers = { accept: 'application/json' };
      request(`${url}${path}`, { ca, headers, auth: `${admin?.userName ?? ''}:${admin?.password ?? ''}` }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => (text += part));
        answer.on('end', () => resolve(Number((JSON.parse(text) as { result: { stats: { count: string } } }).result.stats.count)));
      })
        .on('error', reject)
        .end();
    });
}
