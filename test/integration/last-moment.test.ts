/** A request that must not leave late does not, however late that turns out: also when connecting took the time. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createTransport, type HttpAnswer, type Transport } from '../../src/transport.ts';
import { joinSockets } from './join-sockets.ts';
import { createTestAuthority, type TestAuthority, type TestServer } from './azure-client/test-server.ts';

let authority: TestAuthority;
let server: TestServer;
let front: Server;
let transport: Transport;
const sockets = new Set<Socket>();
/** How long a new connection waits before its handshake goes through. */
let delayMs: number;

beforeEach(async () => {
  delayMs = 0;
  authority = await createTestAuthority();
  server = await authority.listen(() => ({ status: 200, text: 'yes' }));
  front = createServer((near) => void passOn(near));
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  transport = createTransport({ caFile: authority.caFile, maxAnswerBytes: 1_000_000 });
});

afterEach(async () => {
  transport.close();
  for (const socket of sockets) socket.destroy();
  front.close();
  await server.close();
  await authority.remove();
});

async function passOn(near: Socket): Promise<void> {
  sockets.add(near);
  near.on('error', () => undefined);
  await sleep(delayMs, undefined, { ref: false });
  if (!near.destroyed) joinSockets(near, connect(server.port, '127.0.0.1'));
}

function post(mayLeave?: () => boolean): Promise<HttpAnswer> {
  const url = `https://localhost:${(front.address() as AddressInfo).port}/`;
  return transport.send({ method: 'POST', url, headers: {}, body: 'x'.repeat(100_000), timeoutMs: 5_000, mayLeave });
}

const forMs = (timeMs: number): (() => boolean) => {
  const startedMs = performance.now();
  return () => performance.now() - startedMs < timeMs;
};

test('asked once per request, on a new connection and on a used one', async () => {
  let asked = 0;
  const yes = (): boolean => {
    asked += 1;
    return true;
  };
  await post(yes);
  await post(yes);
  expect(asked).toBe(2);
  expect(server.received.map(({ body }) => body.length)).toEqual([100_000, 100_000]);
});

test('when connecting takes too long, nothing leaves', async () => {
  delayMs = 300;
  await expect(post(forMs(150))).rejects.toMatchObject({ failure: 'held-back' });
  await expect(post(forMs(2_000))).resolves.toMatchObject({ status: 200 });
  expect(server.received).toHaveLength(1);
});

test('on a connection that was used before, nothing leaves either, and the next request gets another one', async () => {
  await post();
  await expect(post(() => false)).rejects.toMatchObject({ failure: 'held-back' });
  await expect(post()).resolves.toMatchObject({ status: 200 });
  expect(server.received).toHaveLength(2);
});

test('a deadline and a cancellation end it while it is connecting', async () => {
  delayMs = 10_000;
  const url = `https://localhost:${(front.address() as AddressInfo).port}/`;
  const request = { method: 'POST', url, headers: {}, mayLeave: () => true } as const;
  await expect(transport.send({ ...request, timeoutMs: 100 })).rejects.toMatchObject({ failure: 'timed-out' });
  const signal = AbortSignal.timeout(100);
  await expect(transport.send({ ...request, timeoutMs: 5_000, signal })).rejects.toThrow('due to timeout');
  expect(server.received).toHaveLength(0);
});
