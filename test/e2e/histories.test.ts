/**
 * What runs leave in Temporal, in logs and in the ledger: little, and no secret. One deployment runs well; the other signs in with a
 * wrong secret, because what goes wrong is what gets written down.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { integrationOrder } from '../../workflows/contract.ts';
import { withPostgres } from '../integration/servers.ts';
import { startCli, type CliProcess, type CliResult } from './cli-process.ts';
import { createEngine, startLab, type Engine, type Lab } from './harness.ts';
import { historiesOfRun, historyText, largestPayload, type HistoryOfWorkflow } from './histories.ts';
import { dumpTables, leaksIn, secretsOf, type Secret } from './leaks.ts';
import { withOwnNamespace } from './own-namespace.ts';

const payloadLimitBytes = 64 * 1024;
const eventLimit = 500;

const postgres = withPostgres();
const temporal = withOwnNamespace('histories');
let lab: Lab;
let engine: Engine;
let worker: CliProcess;
let good: CliResult;
let refused: CliResult;
let secrets: Secret[];
/** Of the deployment that ran well, then of the one that was refused. */
let histories: readonly (readonly HistoryOfWorkflow[])[];

const wrongSecret: Secret = { name: 'the wrong client secret', value: `canary-${randomBytes(12).toString('hex')}~/+` };

beforeAll(async () => {
  lab = await startLab('generated:7:120');
  engine = await createEngine(lab, {
    ledgerUrl: postgres.url,
    temporalAddress: temporal.address,
    namespace: temporal.namespace,
    taskQueue: 'defender-sync',
  });
  const [first = '', second = ''] = engine.deployments;
  await writeFile(join(engine.dir, 'azure-1'), wrongSecret.value);
  // Everything it has to say: what is kept from a log at this level is kept from every log.
  worker = startCli(['--config', engine.configFile, '--verbose', 'up']);
  await worker.says('Ready.');
  good = await run('sync', first);
  refused = await run('sync', second);
  secrets = [...(await secretsOf(lab, postgres.url)), wrongSecret];
  histories = await Promise.all([historiesOfRun(temporal.client, first), historiesOfRun(temporal.client, second)]);
}, 300_000);

afterAll(async () => {
  worker.child.kill('SIGTERM');
  await worker.ended;
  await engine.remove();
  await lab.stop();
}, 60_000);

async function run(...args: string[]): Promise<CliResult> {
  const cli = startCli(['--config', engine.configFile, '--verbose', ...args, '--json']);
  return { code: await cli.ended, stdout: cli.stdout(), stderr: cli.stderr() };
}

const eventsOf = (run: readonly HistoryOfWorkflow[]): number => run.reduce((sum, { history }) => sum + (history.events?.length ?? 0), 0);

describe('the histories', () => {
  test('are those of a run and its five children, and of a run that preflight parked', () => {
    expect([good.code, refused.code]).toEqual([0, 4]);
    expect(histories.map((run) => run.length)).toEqual([1 + integrationOrder.length, 1]);
    expect(refused.stdout).toContain('entra.sign-in');
  });

  test('are short', () => {
    for (const run of histories) expect(eventsOf(run)).toBeLessThanOrEqual(eventLimit);
  });

  test('hold no payload above 64 KB', () => {
    for (const { workflowId, history } of histories.flat()) {
      const { sizeBytes, where } = largestPayload(history);
      expect(sizeBytes).toBeGreaterThan(0);
      if (sizeBytes > payloadLimitBytes) throw new Error(`${workflowId}: ${where} has ${sizeBytes} bytes`);
    }
  });

  test('hold no secret', () => {
    for (const { workflowId, history } of histories.flat()) {
      const text = historyText(history);
      // The look reaches into payloads: what every one of them holds is found.
      expect(text).toContain('"fence":');
      expect({ workflowId, leaks: leaksIn(text, secrets) }).toEqual({ workflowId, leaks: [] });
    }
  });
});

test('the log of the worker and the output of the commands hold no secret', () => {
  for (const text of [worker.stderr(), good.stdout, good.stderr, refused.stdout, refused.stderr])
    expect(leaksIn(text, secrets)).toEqual([]);
  expect(worker.stderr()).toContain('Ready.');
});

test('no row of any table of the ledger holds a secret', async () => {
  const tables = await dumpTables(postgres.url);
  const filled = tables.filter(({ rows }) => rows > 0).map(({ table }) => table);
  for (const table of ['observed', 'record_owner', 'run', 'run_finding', 'scan_page', 'ci']) expect(filled).toContain(`public.${table}`);
  for (const { table, text } of tables) expect({ table, leaks: leaksIn(text, secrets) }).toEqual({ table, leaks: [] });
});

describe('the same look finds a secret that is there', () => {
  const leak = { name: 'the leaked one', value: 'canary-8Jx~2/q+"ü' };

  test.each([
    ['as it is', `it failed for ${leak.value} again`],
    ['in a URL', `https://x/?client_secret=${encodeURIComponent(leak.value)}&y=1`],
    ['in JSON', JSON.stringify({ body: leak.value })],
    ['in hexadecimal', Buffer.from(leak.value).toString('hex')],
    ['in base64', Buffer.from(leak.value).toString('base64')],
    ['in base64 behind a user name', Buffer.from(`user:${leak.value}`).toString('base64')],
    ['in base64 behind another user name', Buffer.from(`a-user:${leak.value}`).toString('base64')],
    ['in base64 behind a third user name', Buffer.from(`an-user:${leak.value}`).toString('base64')],
  ])('%s', (_, text) => {
    expect(leaksIn(text, [leak])).toEqual([leak.name]);
    expect(leaksIn(text.replace(/[Yy2]/g, ''), [leak])).toEqual([]);
  });

  test.each([
    ['a JSON Web Token', 'token eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwcyJ9.c2lnbmF0dXJl was refused'],
    ['a bearer token', 'authorization: Bearer abcdefgh12345678'],
    ['basic credentials', 'authorization: Basic dXNlcjpwYXNzd29yZA=='],
  ])('%s of anybody', (name, text) => {
    expect(leaksIn(text, [])).toEqual([name]);
    expect(leaksIn('a bearer token is missing; Basic authentication is off; Bearer [secret]', [])).toEqual([]);
  });

  test('in a payload of a history', () => {
    const { history } = histories[0]![0]!;
    const events = structuredClone(history.events!);
    const payloads = events.flatMap((event) => event.activityTaskCompletedEventAttributes?.result?.payloads ?? []);
    payloads.at(-1)!.data = Buffer.from(JSON.stringify({ because: `refused for ${secrets[0]!.value}` }));
    expect(leaksIn(historyText({ events }), secrets)).toEqual([secrets[0]!.name]);
    payloads.at(-1)!.data = Buffer.alloc(70_000);
    expect(largestPayload({ events })).toEqual({ sizeBytes: 70_000, where: 'activityTaskCompletedEventAttributes' });
  });

  test('in a failure of a history', () => {
    const { history } = histories[0]![0]!;
    const events = structuredClone(history.events!);
    events.push({ activityTaskFailedEventAttributes: { failure: { message: 'x', cause: { stackTrace: `at ${secrets[1]!.value}` } } } });
    expect(leaksIn(historyText({ events }), secrets)).toEqual([secrets[1]!.name]);
  });

  test('in the log', () => {
    expect(leaksIn(`${worker.stderr()}\n{"level":"warn","msg":"${secrets[2]!.value}"}`, secrets)).toEqual([secrets[2]!.name]);
  });

  test('in one column of one row of the ledger', async () => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    try {
      const body = JSON.stringify({ deep: [{ er: `a ${secrets[0]!.value} b` }] });
      const changed = await client.query(
        'UPDATE observed SET body = body || $1::jsonb WHERE ctid = (SELECT ctid FROM observed LIMIT 1 OFFSET 3) RETURNING key, body - $2 AS before',
        [body, 'deep'],
      );
      expect(changed.rowCount).toBe(1);
      const leaking = (await dumpTables(postgres.url)).filter(({ text }) => leaksIn(text, secrets).length > 0);
      expect(leaking.map(({ table }) => table)).toEqual(['public.observed']);
      await client.query('UPDATE observed SET body = $1 WHERE key = $2', [changed.rows[0].before, changed.rows[0].key]);
    } finally {
      await client.end();
    }
  });
});
