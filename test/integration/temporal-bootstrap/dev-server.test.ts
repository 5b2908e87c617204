import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findProcesses } from '../../../src/local-process.ts';
import { connectWorker } from '../../../src/temporal/connect-worker.ts';
import { connectTemporal } from '../../../src/temporal/connect.ts';
import { acquireTemporalDevServer, type TemporalDevServer, type TemporalDevServerOptions } from '../../../src/temporal/dev-server.ts';
import { startUser } from '../user-process.ts';

let dir: string;
let options: TemporalDevServerOptions;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'temporal-dev-server-'));
  options = { dir, environment: process.env, preferredPorts: { frontend: 0, ui: 0 } };
});

afterAll(async () => {
  for (const { pid } of await findProcesses('start-dev', dir)) process.kill(pid, 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

function serverPids(): Promise<number[]> {
  return findProcesses('start-dev', dir).then((found) => found.map(({ pid }) => pid));
}

async function startedWorkflows(server: TemporalDevServer): Promise<string[]> {
  const { client, connection } = await connectTemporal(server);
  try {
    const ids: string[] = [];
    for await (const { workflowId } of client.workflow.list()) ids.push(workflowId);
    return ids.sort();
  } finally {
    await connection.close();
  }
}

async function startWorkflow(server: TemporalDevServer, workflowId: string): Promise<void> {
  const { client, connection } = await connectTemporal(server);
  try {
    await client.workflow.start('nobody-works-on-it', { workflowId, taskQueue: 'nobody', args: [] });
    // Visibility is written a moment later.
    while ((await client.workflow.count(`WorkflowId = "${workflowId}"`)).count === 0) await new Promise((done) => setTimeout(done, 50));
  } finally {
    await connection.close();
  }
}

describe('the Temporal server that comes along', () => {
  test('answers clients and shows its Web UI, on loopback alone', async () => {
    const server = await acquireTemporalDevServer(options);
    expect(server.address).toMatch(/^127\.0\.0\.1:\d+$/);
    const page = await fetch(`${server.uiUrl}/`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<html');
    await startWorkflow(server, 'before-the-restart');
    await server.release();
    expect(await serverPids()).toEqual([]);
  });

  test('continues where it was, at the same address', async () => {
    const first = await acquireTemporalDevServer(options);
    expect(await startedWorkflows(first)).toEqual(['before-the-restart']);
    await first.release();
    const second = await acquireTemporalDevServer(options);
    expect({ address: second.address, uiUrl: second.uiUrl }).toEqual({ address: first.address, uiUrl: first.uiUrl });
    await second.release();
  });

  test('is shared by two processes; the last one out stops it', async () => {
    const users = [startUser<TemporalDevServer>('temporal', dir), startUser<TemporalDevServer>('temporal', dir)] as const;
    const [first, second] = await Promise.all(users.map((user) => user.server));
    expect(first?.address).toBe(second?.address);
    expect(await serverPids()).toHaveLength(1);
    expect(await users[0].leave()).toBe(0);
    expect(await serverPids()).toHaveLength(1);
    expect(await users[1].leave()).toBe(0);
    expect(await serverPids()).toEqual([]);
  });

  test('after a SIGKILL of everything, has lost nothing it had accepted', async () => {
    const user = startUser<TemporalDevServer>('temporal', dir);
    const killed = await user.server;
    await startWorkflow(killed, 'before-the-kill');
    await user.kill();
    for (const pid of await serverPids()) process.kill(pid, 'SIGKILL');

    const next = await acquireTemporalDevServer(options);
    expect(await startedWorkflows(next)).toEqual(['before-the-kill', 'before-the-restart']);
    await next.release();
  });

  test('a server that no record names, because its starter was killed in between, is replaced and not doubled', async () => {
    const user = startUser<TemporalDevServer>('temporal', dir);
    await user.server;
    await user.kill();
    const [stray] = await serverPids();
    rmSync(join(dir, 'temporal.json'));
    const next = await acquireTemporalDevServer(options);
    const now = await serverPids();
    expect(now).toHaveLength(1);
    expect(now).not.toContain(stray);
    await next.release();
    expect(readdirSync(join(dir, 'leases'))).toEqual([]);
  });

  test('makes a second namespace beside the first, usable at once', async () => {
    const server = await acquireTemporalDevServer({ ...options, namespace: 'another' });
    expect(server.namespace).toBe('another');
    expect(await startedWorkflows(server)).toEqual([]);
    const again = await acquireTemporalDevServer({ ...options, namespace: 'another' });
    await again.release();
    await server.release();
  });
});

describe('connecting', () => {
  test('to nothing is one sentence with a remedy, for clients and workers', async () => {
    const nowhere = { address: '127.0.0.1:1', namespace: 'default' };
    const expected = {
      kind: 'transient',
      service: 'temporal',
      message: expect.stringContaining('127.0.0.1:1'),
      remedy: expect.stringContaining('defender-sync up'),
    };
    await expect(connectTemporal(nowhere)).rejects.toMatchObject(expected);
    await expect(connectWorker(nowhere)).rejects.toMatchObject(expected);
  });

  test('to a namespace that is not there names the command that makes it', async () => {
    const server = await acquireTemporalDevServer(options);
    await expect(connectTemporal({ address: server.address, namespace: 'absent' })).rejects.toMatchObject({
      kind: 'misconfigured',
      remedy: expect.stringContaining('temporal operator namespace create --namespace absent'),
    });
    const worker = await connectWorker(server);
    await worker.close();
    await server.release();
  });
});
