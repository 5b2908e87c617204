/**
 * What an engine leaves in Temporal, in logs, in the ledger, on the instance and on the machine: little, and no secret. One deployment
 * runs well; another one signs in with a wrong secret, and some commands meet servers that refuse them.
 */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { integrationOrder, syncWorkflowId } from '../../workflows/contract.ts';
import { superuserUrl, withPostgres } from '../integration/servers.ts';
import { openCanaries, type Canaries } from './canaries.ts';
import { startCli, type CliProcess, type CliResult } from './cli-process.ts';
import { historiesOfRun, historyText, largestPayload, type HistoryOfWorkflow } from './histories.ts';
import { dumpTables, filesBelow, leaksIn, processStarts, type Secret } from './leaks.ts';
import { withOwnNamespace } from './own-namespace.ts';

const payloadLimitBytes = 64 * 1024;
const eventLimit = 500;

// Before the database is dropped, which its owner cannot do while somebody else is connected.
afterAll(async () => {
  worker.child.kill('SIGTERM');
  await worker.ended;
  await canaries.close();
}, 60_000);

const postgres = withPostgres();
const temporal = withOwnNamespace('histories');
let canaries: Canaries;
let secrets: readonly Secret[];
let worker: CliProcess;
let good: CliResult;
let refused: CliResult;
/** Of the deployment that ran well, then of the one that was refused. */
let histories: readonly (readonly HistoryOfWorkflow[])[];
/** What was printed, by the command that did. */
const printed = new Map<string, CliResult>();
/** What all processes were started with, while the worker and a command were at work. */
let starts: string;

beforeAll(async () => {
  canaries = await openCanaries(postgres.url, temporal);
  ({ secrets } = canaries);
  const { engine, deployments } = canaries;
  // Everything it has to say: what is kept from a log at this level is kept from every log.
  worker = startCli(['--config', engine.configFile, '--verbose', 'up']);
  await worker.says('Ready.');
  const syncing = run(['sync', deployments.certificate, '--json']);
  starts = await processStarts();
  good = await syncing;
  refused = await run(['sync', deployments.wrongSecret, '--json']);
  for (const words of commands(deployments)) await run(words);
  for (const file of canaries.refused) for (const words of [['doctor', '--json'], ['sync']]) await run(words, file);
  histories = await Promise.all(
    [deployments.certificate, deployments.wrongSecret].map((deployment) => historiesOfRun(temporal.client, deployment)),
  );
}, 580_000);

/** Whatever tells something; what each tells of in text and in JSON is the same, so that some do the one and some the other. */
function commands({ certificate, wrongSecret, federated, secret }: Canaries['deployments']): string[][] {
  return [
    ['doctor', certificate],
    ['doctor', wrongSecret],
    ['doctor', wrongSecret, '--json'],
    ['doctor', federated],
    ['doctor', secret],
    ['status'],
    ['status', '--json'],
    ['report', certificate],
    ['report', certificate, '--json'],
    ['recheck', wrongSecret],
    ['recheck', wrongSecret, '--json'],
    ['explain', '/subscriptions/00000000-0000-0000-0000-000000000000'],
    ['cis', 'pairs', '--json'],
    ['attachments', 'list', '--json'],
    ['schedules', 'apply', '--dry-run'],
    ['temporal', 'workflow', 'count'],
    ['sync', wrongSecret],
    ['sync', 'nobody'],
  ];
}

async function run(words: readonly string[], configFile = canaries.engine.configFile): Promise<CliResult> {
  const cli = startCli(['--config', configFile, '--verbose', ...words]);
  const result = { code: await cli.ended, stdout: cli.stdout(), stderr: cli.stderr() };
  printed.set(`${configFile} ${words.join(' ')}`, result);
  return result;
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

test('the memo, the search attributes and the details of the runs hold no secret', async () => {
  for (const deployment of [canaries.deployments.certificate, canaries.deployments.wrongSecret]) {
    const handle = temporal.client.workflow.getHandle(syncWorkflowId(deployment));
    const described = await handle.describe();
    const details = await handle.query('__temporal_workflow_metadata').catch(() => '');
    const text = JSON.stringify([described.memo, details, described.raw]);
    expect(text).toContain('DefenderSyncPhase');
    expect(leaksIn(text, secrets)).toEqual([]);
  }
});

test('all four ways to sign in to Entra are in use: three are right, one is wrong', () => {
  const doctor = (deployment: string): string => [...printed].find(([words]) => words.endsWith(`doctor ${deployment}`))?.[1].stdout ?? '';
  const { certificate, federated, secret, wrongSecret } = canaries.deployments;
  for (const deployment of [certificate, federated, secret]) expect(doctor(deployment)).not.toContain('AADSTS');
  expect(doctor(wrongSecret)).toContain('AADSTS7000215');
});

test('the temporal command gets through with the certificate authority and the key of the configuration', () => {
  const counted = [...printed].find(([words]) => words.endsWith('temporal workflow count'))?.[1];
  expect(counted).toMatchObject({ code: 0, stdout: expect.stringMatching(/Total: \d+/) });
});

test('the log of the worker and the output of the commands hold no secret', () => {
  expect(worker.stderr()).toContain('Ready.');
  expect(leaksIn(worker.stdout() + worker.stderr(), secrets)).toEqual([]);
  expect(printed.size).toBeGreaterThan(20);
  const leaking = [...printed].map(([command, { stdout, stderr }]) => ({ command, leaks: leaksIn(stdout + stderr, secrets) }));
  expect(leaking.filter(({ leaks }) => leaks.length > 0)).toEqual([]);
  // They had something to tell.
  const silent = [...printed].filter(([, { stdout, stderr }]) => (stdout + stderr).trim() === '').map(([command]) => command);
  expect(silent).toEqual([]);
});

test('the arguments and the environment of no process hold a secret', () => {
  expect(starts).toContain(canaries.engine.configFile);
  expect(leaksIn(starts, secrets)).toEqual([]);
});

test('the state folder holds no secret', async () => {
  const folder = join(canaries.engine.dir, 'state');
  await mkdir(folder, { recursive: true });
  for (const { file, text } of await filesBelow(folder)) expect({ file, leaks: leaksIn(text, secrets) }).toEqual({ file, leaks: [] });
});

test('no row of the instance holds a secret that the engine was given', async () => {
  // The instance keeps the secrets of its own users and clients.
  const own = new Set(['sys_user', 'oauth_entity', 'oauth_credential']);
  const tables = Object.entries(await canaries.lab.summary()).filter(([table, { writes }]) => writes > 0 && !own.has(table));
  expect(tables.map(([table]) => table)).toContain('sn_vul_integration_run');
  for (const [table] of tables)
    expect({ table, leaks: leaksIn(JSON.stringify(await canaries.lab.rows(table)), secrets) }).toEqual({ table, leaks: [] });
});

test('no row of any table of the ledger holds a secret', async () => {
  const tables = await dumpTables(superuserUrl(postgres.url));
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

  test('in the arguments of a process', async () => {
    const leaking = spawn(process.execPath, ['-e', 'setTimeout(() => undefined, 20_000)', leak.value], { stdio: 'ignore' });
    try {
      await new Promise((resolve) => leaking.once('spawn', resolve));
      expect(leaksIn(await processStarts(), [leak])).toContain(leak.name);
    } finally {
      leaking.kill();
    }
  });

  test('in a file of a folder', async () => {
    const folder = join(canaries.engine.dir, 'leaking', 'deep');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'state.json'), JSON.stringify({ url: `postgresql://x:${encodeURIComponent(leak.value)}@db/x` }));
    const texts = (await filesBelow(join(canaries.engine.dir, 'leaking'))).map(({ text }) => text);
    expect(texts.flatMap((text) => leaksIn(text, [leak]))).toEqual([leak.name]);
  });

  test('in one column of one row of the ledger', async () => {
    const client = new pg.Client({ connectionString: superuserUrl(postgres.url) });
    await client.connect();
    try {
      const body = JSON.stringify({ deep: [{ er: `a ${secrets[0]!.value} b` }] });
      const changed = await client.query(
        'UPDATE observed SET body = body || $1::jsonb WHERE ctid = (SELECT ctid FROM observed LIMIT 1 OFFSET 3) RETURNING key, body - $2 AS before',
        [body, 'deep'],
      );
      expect(changed.rowCount).toBe(1);
      const leaking = (await dumpTables(superuserUrl(postgres.url))).filter(({ text }) => leaksIn(text, secrets).length > 0);
      expect(leaking.map(({ table }) => table)).toEqual(['public.observed']);
      await client.query('UPDATE observed SET body = $1 WHERE key = $2', [changed.rows[0].before, changed.rows[0].key]);
    } finally {
      await client.end();
    }
  });
});
