import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { acquireLease, holdLease, type LeasedServer } from '../../../src/leased-server.ts';
import { identifyProcess, isRunning, spawnDetached, stopProcess } from '../../../src/local-process.ts';

/** The cheapest server there is: a process that does nothing. */
interface SleepServer extends LeasedServer<{ number: number }> {
  readonly starts: number[];
  answers: boolean;
}

let dir: string;
const spawned: number[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leased-server-'));
});
afterEach(async () => {
  for (const pid of spawned.splice(0)) {
    const identity = await identifyProcess(pid);
    if (identity !== undefined) await stopProcess(identity, [{ signal: 'SIGKILL', waitMs: 5_000 }]);
  }
  rmSync(dir, { recursive: true, force: true });
});

function sleepServer(overrides: Partial<LeasedServer<{ number: number }>> = {}): SleepServer {
  const starts: number[] = [];
  const server: SleepServer = {
    dir,
    name: 'sleep',
    service: 'temporal',
    details: z.object({ number: z.number() }),
    answerTimeoutMs: 200,
    starts,
    answers: true,
    start: async (previous, started) => {
      const { identity } = await spawnDetached({
        command: 'sleep',
        args: ['300'],
        env: { PATH: '/bin:/usr/bin' },
        cwd: '/',
        logFile: join(dir, 'sleep.log'),
      });
      spawned.push(identity.pid);
      starts.push(identity.pid);
      const record = { process: identity, details: { number: (previous?.number ?? 0) + 1 } };
      started(record);
      await sleep(20);
      return record;
    },
    probe: async (record) => server.answers && (await isRunning(record.process)),
    stop: async (running) => {
      await stopProcess(running, [{ signal: 'SIGTERM', waitMs: 5_000 }]);
    },
    ...overrides,
  };
  return server;
}

test('of many who come and go at the same time, each has a running server, and there are never two', async () => {
  const server = sleepServer();
  await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      await sleep(index * 7);
      const lease = await acquireLease(server);
      expect(await isRunning(lease.record.process)).toBe(true);
      const alive = await Promise.all(server.starts.map((pid) => identifyProcess(pid)));
      expect(alive.filter((identity) => identity !== undefined)).toHaveLength(1);
      await sleep(index * 3);
      expect(await isRunning(lease.record.process)).toBe(true);
      await lease.release();
    }),
  );
  const left = await Promise.all(server.starts.map((pid) => identifyProcess(pid)));
  expect(left.filter((identity) => identity !== undefined)).toEqual([]);
  expect(readdirSync(join(dir, 'leases'))).toEqual([]);
});

test('a lease without a start keeps the server that others start', async () => {
  const server = sleepServer();
  const kept = await holdLease(server);
  expect(server.starts).toEqual([]);
  const lease = await acquireLease(server);
  await lease.release();
  expect(await isRunning(lease.record.process)).toBe(true);
  await kept.release();
  expect(await isRunning(lease.record.process)).toBe(false);
});

test('the next start is given the details of the last one', async () => {
  const server = sleepServer();
  const first = await acquireLease(server);
  await first.release();
  const second = await acquireLease(server);
  expect([first.record.details, second.record.details]).toEqual([{ number: 1 }, { number: 2 }]);
  await second.release();
});

test('a server that hangs is replaced when nobody else uses it, and named when somebody does', async () => {
  const server = sleepServer();
  const user = await acquireLease(server);
  server.answers = false;
  await expect(acquireLease(server)).rejects.toMatchObject({ kind: 'transient', message: expect.stringContaining(`${process.pid}-`) });
  expect(await isRunning(user.record.process)).toBe(true);
  await user.release();

  server.answers = true;
  const again = await acquireLease(server);
  server.answers = false;
  const hung = again.record.process;
  // Its user ends without giving it back.
  rmSync(join(dir, 'leases'), { recursive: true });
  const replaced = await acquireLease(server);
  expect(replaced.record.process.pid).not.toBe(hung.pid);
  expect(await isRunning(hung)).toBe(false);
  server.answers = true;
  await replaced.release();
});

test('a server that dies while it is asked is started again, although others use it', async () => {
  const server = sleepServer();
  const user = await acquireLease(server);
  const dying: LeasedServer<{ number: number }> = {
    ...server,
    probe: async (record) => {
      await stopProcess(record.process, [{ signal: 'SIGKILL', waitMs: 5_000 }]);
      return false;
    },
  };
  const next = await acquireLease(dying);
  expect(next.record.process.pid).not.toBe(user.record.process.pid);
  expect(await isRunning(next.record.process)).toBe(true);
  await user.release();
  await next.release();
});

test('a start that fails leaves no process behind, and the lease is given back', async () => {
  const broken = sleepServer();
  const server: LeasedServer<{ number: number }> = {
    ...broken,
    start: async (previous, started) => {
      await broken.start(previous, started);
      throw new Error('it never answered');
    },
  };
  await expect(acquireLease(server)).rejects.toThrow('it never answered');
  expect(await identifyProcess(broken.starts[0]!)).toBeUndefined();
  expect(readdirSync(join(dir, 'leases'))).toEqual([]);
  const lease = await acquireLease(broken);
  await lease.release();
});

test('a process that has the recorded pid but another start time is not ours and is left alone', async () => {
  const server = sleepServer();
  const lease = await acquireLease(server);
  const { pid } = lease.record.process;
  const file = join(dir, 'sleep.json');
  const record = JSON.parse(readFileSync(file, 'utf8')) as { process: { pid: number; startedAt: string } };
  writeFileSync(file, JSON.stringify({ ...record, process: { ...record.process, startedAt: 'at another time' } }));
  await lease.release();
  expect(await identifyProcess(pid)).toBeDefined();
  const next = await acquireLease(server);
  expect(next.record.process.pid).not.toBe(pid);
  expect(await identifyProcess(pid)).toBeDefined();
  await next.release();
});

test('a running server whose details an earlier release wrote in another shape is replaced', async () => {
  const server = sleepServer();
  const earlier = await acquireLease(server);
  const file = join(dir, 'sleep.json');
  writeFileSync(file, JSON.stringify({ process: earlier.record.process, details: { port: 'another shape' } }));
  rmSync(join(dir, 'leases'), { recursive: true });
  const lease = await acquireLease(server);
  expect(await isRunning(earlier.record.process)).toBe(false);
  expect(await isRunning(lease.record.process)).toBe(true);
  await lease.release();
});

test.each(['', '{"process":', '{"process":{"pid":"x"}}', '{"process":null,"details":{"number":"x"}}'])(
  'a record that says %j counts as none',
  async (content) => {
    const server = sleepServer();
    writeFileSync(join(dir, 'sleep.json'), content);
    const lease = await acquireLease(server);
    expect(lease.record.details).toEqual({ number: 1 });
    await lease.release();
  },
);
