import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeItems, item, runBatch } from './batch-helper.ts';
import { setProperty, startLab, type StartedLab } from './start.ts';

const TESTS = '/api/now/table/sn_vulc_test';

function countOf(started: StartedLab, source: string): number {
  return started.lab.store.equal('sn_vulc_test', 'source', [source]).length;
}

describe('the quota of a single request (servicenow.md §5.8, errors/transaction_cancelled_500_or_partial_200.json)', () => {
  it('500 when the time is up, while the write stays; a faster request is answered', async () => {
    const started = await startLab({ transactionQuotaMs: 300, latency: { perWriteMs: 2_000 } });
    try {
      const sentMs = performance.now();
      const answer = await started.post(TESTS, { source: 'slow' });
      expect(performance.now() - sentMs).toBeLessThan(2_000);
      expect(answer).toMatchObject({
        status: 500,
        json: {
          error: {
            message: 'Transaction cancelled: maximum execution time exceeded',
            detail: 'Transaction cancelled: maximum execution time exceeded. Check logs for error trace.',
          },
          status: 'failure',
        },
      });
      expect(countOf(started, 'slow')).toBe(1);
      await expect(started.get(`${TESTS}?sysparm_limit=1`)).resolves.toMatchObject({ status: 200 });
    } finally {
      await started.stop();
    }
  });
});

describe('a transaction that a fault rule cancels', () => {
  let started: StartedLab;

  beforeAll(async () => {
    started = await startLab();
  });

  afterAll(() => started.stop());

  it('before the answer: 500, and the insert was committed', async () => {
    const rule = { match: { bodyIncludes: 'committed' }, action: { cancelTransaction: 'before-answer' }, times: 1 };
    await started.admin('POST', '/servicenow/faults', rule);
    const answer = await started.post(TESTS, { source: 'committed' });
    expect(answer).toMatchObject({
      status: 500,
      json: { error: { message: 'Transaction cancelled: maximum execution time exceeded' }, status: 'failure' },
    });
    expect(countOf(started, 'committed')).toBe(1);
  });

  it('while streaming: 200 with rows, broken in the middle, then the error', async () => {
    await started.post(TESTS, { source: 'streamed' });
    const rule = { match: { method: 'GET', pathPrefix: TESTS }, action: { cancelTransaction: 'while-streaming' }, times: 1 };
    await started.admin('POST', '/servicenow/faults', rule);
    const answer = await started.get(`${TESTS}?sysparm_limit=1`);
    expect(answer.status).toBe(200);
    expect(answer.json).toBeUndefined();
    expect(answer.text).toMatch(/^\{"result":\[\{/);
    expect(answer.text).toMatch(/"error":\{"message":"Transaction cancelled: maximum execution time exceeded".*"status":"failure"\}\s*$/s);
  });
});

describe('Batch: limits (servicenow.md §5.4, batch-api)', () => {
  let started: StartedLab;

  beforeAll(async () => {
    started = await startLab();
    for (const source of ['big', 'big']) await started.post(TESTS, { source, description: 'x'.repeat(1000) });
  });

  afterAll(() => started.stop());

  it('the output limit counts each item, not the sum', async () => {
    const read = (id: string, limit: number): ReturnType<typeof item> =>
      item(id, 'GET', `${TESTS}?sysparm_query=source=big&sysparm_fields=description&sysparm_limit=${String(limit)}`);
    const headers = { 'x-batchrequest-max-output-size': '1500' };
    const fits = await runBatch(started, [read('1', 1), read('2', 1), read('3', 1)], { headers });
    expect(fits.json).toMatchObject({ serviced_requests: [{ id: '1' }, { id: '2' }, { id: '3' }], unserviced_requests: [] });
    const tooLarge = await runBatch(started, [read('1', 1), read('2', 2), read('3', 1)], { headers });
    expect(tooLarge.json).toMatchObject({ serviced_requests: [{ id: '1' }], unserviced_requests: ['2', '3'] });
  });

  it('the properties move the limits: input up to 10 MB, output down', async () => {
    const large = item('1', 'POST', TESTS, { source: 'input', description: 'x'.repeat(5 * 1024 * 1024) });
    await expect(runBatch(started, [large])).resolves.toMatchObject({ json: { unserviced_requests: ['1'] } });
    await setProperty(started, 'glide.rest.batch.max.inputSize', '6');
    const answer = await runBatch(started, [large]);
    expect(decodeItems(answer)).toMatchObject([{ id: '1', status: 201 }]);
  });

  it('a whole request over 10 MB is refused before any item runs', async () => {
    const chunk = 'x'.repeat(3 * 1024 * 1024);
    const items = ['1', '2', '3'].map((id) => item(id, 'POST', TESTS, { source: 'whole', description: chunk }));
    const answer = await runBatch(started, items);
    expect(answer).toMatchObject({ status: 400, json: { error: { message: 'Exception while reading request' } } });
    expect(countOf(started, 'whole')).toBe(0);
  });

  it('no batch inside a batch; the other APIs are items like any other', async () => {
    const inner = { batch_request_id: 'inner', rest_requests: [item('x', 'POST', TESTS, { source: 'nested' })] };
    const answer = await runBatch(
      started,
      [
        item('1', 'POST', '/api/now/v1/batch', inner),
        item('2', 'GET', '/api/global/user_role_inheritance'),
        item('3', 'GET', '/api/now/stats/sn_vulc_test?sysparm_count=true&sysparm_query=source=nested'),
      ],
      { as: 'admin' },
    );
    expect(decodeItems(answer)).toMatchObject([
      { id: '1', status: 404 },
      { id: '2', status: 200, json: { result: { user_name: '' } } },
      { id: '3', status: 200, json: { result: { stats: { count: '0' } } } },
    ]);
  });
});

describe('Batch: the client goes away (servicenow.md §5.4)', () => {
  const ITEMS = 40;

  /** Sends the bytes of a request over a socket of its own and returns that socket. */
  async function sendRaw(started: StartedLab, head: string[], body: string): Promise<Socket> {
    const { hostname, port } = new URL(started.lab.url);
    const socket = connect({ host: hostname, port: Number(port) });
    const secured = connectTls({ socket, servername: hostname, rejectUnauthorized: false });
    secured.on('error', () => undefined);
    await new Promise((resolve) => secured.once('secureConnect', resolve));
    secured.write(`POST /api/now/v1/batch HTTP/1.1\r\nHost: ${hostname}\r\n${head.join('\r\n')}\r\n\r\n${body}`);
    return socket;
  }

  function headOf(started: StartedLab, lengthBytes: number): string[] {
    const password = started.lab.users.find(({ userName }) => userName === 'defender.sync')!.password;
    return [
      'Accept: application/json',
      'Content-Type: application/json',
      `Authorization: Basic ${Buffer.from(`defender.sync:${password}`).toString('base64')}`,
      `Content-Length: ${String(lengthBytes)}`,
    ];
  }

  async function until(condition: () => boolean): Promise<void> {
    for (let round = 0; round < 2000; round += 1) {
      if (condition()) return;
      await sleep(2);
    }
    throw new Error('The condition did not come true within 4 s.');
  }

  it('its socket is reset in the middle, and the later items are written all the same, each once', async () => {
    const started = await startLab({ latency: { perWriteMs: 10 } });
    try {
      const rest_requests = Array.from({ length: ITEMS }, (_, index) =>
        item(String(index), 'POST', TESTS, { source: `gone-${String(index)}` }),
      );
      const body = JSON.stringify({ batch_request_id: '1', rest_requests });
      const socket = await sendRaw(started, headOf(started, Buffer.byteLength(body)), body);
      const sources = Array.from({ length: ITEMS }, (_, index) => `gone-${String(index)}`);
      const written = (): number => started.lab.store.equal('sn_vulc_test', 'source', sources).length;
      await until(() => written() >= 3);
      socket.resetAndDestroy();
      const atReset = written();
      expect(atReset).toBeLessThan(ITEMS);
      await until(() => written() === ITEMS);
      await sleep(50);
      expect(sources.map((source) => countOf(started, source))).toEqual(sources.map(() => 1));
    } finally {
      await started.stop();
    }
  });

  it('a request that never arrived whole writes nothing', async () => {
    const started = await startLab();
    try {
      const rest_requests = [item('1', 'POST', TESTS, { source: 'half' })];
      const body = JSON.stringify({ batch_request_id: '1', rest_requests });
      const socket = await sendRaw(started, headOf(started, body.length), body.slice(0, -10));
      await sleep(50);
      socket.resetAndDestroy();
      await sleep(100);
      expect(countOf(started, 'half')).toBe(0);
    } finally {
      await started.stop();
    }
  });
});
