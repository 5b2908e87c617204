/** Certificates of the way to Temporal are renewed under a worker that lives for months (mutual TLS in front of a real server). */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { bundleWorkflowCode, DefaultLogger, Runtime, type WorkflowBundle } from '@temporalio/worker';
import type { Activities } from '../../../activities/index.ts';
import { loadOrCreateAuthority, selfSignedPair, type LabAuthority, type LabCertificate } from '../../../lab/kit/tls.ts';
import { addressOf } from '../../../src/cli/servers.ts';
import { keepWorker, type KeptWorker } from '../../../src/temporal/keep-worker.ts';
import type { TemporalAddress } from '../../../src/temporal/connect.ts';
import { withTemporal } from '../servers.ts';
import { openMutualTlsGate, type MutualTlsGate } from './mutual-tls-gate.ts';

const temporal = withTemporal();
const shutdownForceMs = 2_000;
let dir: string;
let bundle: WorkflowBundle;
let authorities: readonly [LabAuthority, LabAuthority];

beforeAll(async () => {
  // What a cut connection makes the core say is no news here.
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  dir = await mkdtemp(join(tmpdir(), 'defender-sync-keep-worker-'));
  bundle = await bundleWorkflowCode({
    workflowsPath: new URL('./workflows/one-step.ts', import.meta.url).pathname,
    logger: new DefaultLogger('ERROR'),
  });
  authorities = [await loadOrCreateAuthority(join(dir, 'first')), await loadOrCreateAuthority(join(dir, 'second'))];
}, 240_000);
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Setting {
  readonly gate: MutualTlsGate;
  readonly to: TemporalAddress;
  readonly taskQueue: string;
  readonly refusals: unknown[];
  readonly files: { readonly caFile: string; readonly certificateFile: string; readonly keyFile: string };
  readonly worker: KeptWorker;
  /** Runs the workflow; resolves with what its activity said and how often it was tried. */
  run(): Promise<string>;
  close(): Promise<void>;
}

async function open(client: LabCertificate, step: () => Promise<string>): Promise<Setting> {
  const [authority] = authorities;
  const taskQueue = `keep-${randomBytes(4).toString('hex')}`;
  const at = (name: string): string => join(dir, `${taskQueue}-${name}.pem`);
  const files = { caFile: at('ca'), certificateFile: at('certificate'), keyFile: at('key') };
  await Promise.all([
    writeFile(files.caFile, authority.caPem),
    writeFile(files.certificateFile, client.cert),
    writeFile(files.keyFile, client.key),
  ]);
  const gate = await openMutualTlsGate(temporal.address, await authority.issue({ hostNames: ['localhost'] }), client.cert);
  const tls = { ...files, serverName: 'localhost' };
  const { namespace } = temporal;
  const to = addressOf({ address: undefined, namespace, taskQueue, tls, apiKey: undefined, uiUrl: undefined }, gate.address);
  const refusals: unknown[] = [];
  const worker = await keepWorker(to, {
    taskQueue,
    activities: { step } as unknown as Activities,
    workflowBundle: bundle,
    onRefused: (error) => refusals.push(error),
    lookEveryMs: 50,
    // The one whose connection the server no longer takes.
    shutdownForceMs,
  });
  return {
    ...{ gate, to, taskQueue, refusals, files, worker },
    run: () =>
      temporal.client.workflow.execute<() => Promise<string>>('oneStep', {
        taskQueue,
        workflowId: `${taskQueue}-${randomBytes(4).toString('hex')}`,
      }),
    close: async () => {
      worker.shutdown();
      await worker.ended;
      await gate.close();
    },
  };
}

/** Another certificate, beside which the server still takes the one of before; resolves when somebody has connected with it. */
async function renew({ gate, files }: Setting, before: LabCertificate): Promise<void> {
  const connections = gate.connections();
  const renewed = await selfSignedPair('renewed');
  gate.change(undefined, `${before.cert}${renewed.cert}`);
  await Promise.all([writeFile(files.certificateFile, renewed.cert), writeFile(files.keyFile, renewed.key)]);
  while (gate.connections() === connections) await sleep(20);
}

test('a worker outlives its certificate, and the authority of the server, also while the files are half replaced', async () => {
  const [first, second] = await Promise.all([selfSignedPair('first'), selfSignedPair('second')]);
  const setting = await open(first, () => Promise.resolve('done'));
  const { gate, files, refusals } = setting;
  try {
    await expect(setting.run()).resolves.toBe('done');
    gate.change(await authorities[1].issue({ hostNames: ['localhost'] }), second.cert);
    const waiting = setting.run();
    await expect(Promise.race([waiting, sleep(1_000, 'nobody works')])).resolves.toBe('nobody works');
    await writeFile(files.certificateFile, second.cert);
    await sleep(200);
    expect(refusals.length).toBeGreaterThan(0);
    await rm(files.keyFile);
    await sleep(100);
    await writeFile(files.keyFile, second.key);
    await writeFile(files.caFile, authorities[1].caPem);
    await expect(waiting).resolves.toBe('done');
  } finally {
    await setting.close();
  }
}, 240_000);

test('what is under way when the certificate is renewed ends where it was begun', async () => {
  const pair = await selfSignedPair('first');
  const [begun, goOn] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  let tries = 0;
  const setting = await open(pair, async () => {
    tries += 1;
    begun.resolve(undefined);
    await goOn.promise;
    return `try ${tries}`;
  });
  try {
    const running = setting.run();
    await begun.promise;
    await renew(setting, pair);
    goOn.resolve(undefined);
    await expect(running).resolves.toBe('try 1');
    await expect(setting.run()).resolves.toBe('try 2');
  } finally {
    await setting.close();
  }
}, 240_000);

test('a former worker that ends badly, because a step does not let go, is no reason for the new one to stop', async () => {
  const pair = await selfSignedPair('first');
  const [begun, goOn] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  let tries = 0;
  const setting = await open(pair, async () => {
    tries += 1;
    begun.resolve(undefined);
    if (tries === 1) await goOn.promise;
    return `try ${tries}`;
  });
  // Nobody waits for its result: a question that is still open when the connection closes ends the process.
  const stuck = await temporal.client.workflow.start<() => Promise<string>>('oneStep', {
    taskQueue: setting.taskQueue,
    workflowId: `${setting.taskQueue}-stuck`,
  });
  try {
    await begun.promise;
    await renew(setting, pair);
    while (setting.refusals.length === 0) await sleep(20);
    // A task may go to a poll of the former worker that the server still holds open, and comes back after a minute.
    await expect(Promise.race([setting.run(), sleep(150_000, 'nobody works')])).resolves.toMatch(/^try /);
  } finally {
    goOn.resolve(undefined);
    await stuck.terminate();
    await setting.close();
  }
}, 240_000);
