import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAdminApi } from '../../../lab/kit/admin-api.ts';
import { createClock } from '../../../lab/kit/clock.ts';
import { createFaultBook, type FaultBook } from '../../../lab/kit/faults.ts';
import { createHttpsApp, rawBody, type HttpsApp } from '../../../lab/kit/https-app.ts';
import { openPortMemory } from '../../../lab/kit/ports.ts';
import { createRandom, randomAt } from '../../../lab/kit/random.ts';
import { createRequestLog, type RequestLog } from '../../../lab/kit/request-log.ts';
import { loadOrCreateAuthority } from '../../../lab/kit/tls.ts';

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

let dir: string;
let server: HttpsApp;
let faults: FaultBook;
let log: RequestLog;
let url: string;
let caPem: string;
let worked = 0;

function call(path: string, options: { method?: string; body?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${url}${path}`,
      { method: options.method ?? 'GET', headers: options.headers ?? {}, ca: caPem, agent: false },
      (incoming) => {
        let body = '';
        incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
        incoming.on('end', () => {
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
        });
        incoming.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lab-kit-'));
  const authority = await loadOrCreateAuthority(dir);
  caPem = authority.caPem;
  faults = createFaultBook();
  log = createRequestLog();
  server = createHttpsApp({
    certificate: await authority.issue({ hostNames: ['localhost', '127.0.0.1'] }),
    clock: createClock(),
    faults,
    log,
    notFound: (_request, reply) => reply.code(404).send('nothing here'),
    failed: (error, _request, reply) => reply.code(500).send(Error.isError(error) ? error.message : 'unknown'),
  });
  server.app.post('/echo/:name', async (incoming, reply) => {
    worked += 1;
    return reply.send(rawBody(incoming).toString('utf8'));
  });
  ({ url } = await server.listen({}));
});

afterAll(async () => {
  await server.close();
  await rm(dir, { recursive: true, force: true });
});

describe('lab kit', () => {
  it('verifies TLS by the persisted authority, whose key nobody else may read', async () => {
    const again = await loadOrCreateAuthority(dir);
    expect(again.caPem).toBe(await readFile(again.caFile, 'utf8').then((text) => text.trim()));
    expect(again.caPem).toBe(caPem);
    expect((await stat(join(dir, 'ca-key.pem'))).mode & 0o777).toBe(0o600);
    await expect(call('/echo/a', { method: 'POST', body: 'x' })).resolves.toMatchObject({ status: 200, body: 'x' });
  });

  it.each(['application/json', 'text/xml', 'application/x-www-form-urlencoded', ''])(
    'hands the raw body of "%s" to the route',
    async (type) => {
      const answer = await call('/echo/a', { method: 'POST', body: '{"not": json', headers: type === '' ? {} : { 'content-type': type } });
      expect(answer).toMatchObject({ status: 200, body: '{"not": json' });
    },
  );

  it('answers with a fault as often as told, and counts it', async () => {
    log.clear();
    faults.add({
      match: { method: 'POST', pathPrefix: '/echo/', bodyIncludes: 'poison' },
      action: { status: 429, headers: { 'retry-after': '7' }, body: { slow: true } },
      times: 1,
    });
    await expect(call('/echo/b', { method: 'POST', body: 'fine' })).resolves.toMatchObject({ status: 200 });
    const hit = await call('/echo/b', { method: 'POST', body: 'poison' });
    expect(hit).toMatchObject({ status: 429, body: '{"slow":true}' });
    expect(hit.headers['retry-after']).toBe('7');
    await expect(call('/echo/b', { method: 'POST', body: 'poison' })).resolves.toMatchObject({ status: 200 });
    expect(log.counters()).toEqual([{ method: 'POST', pattern: '/echo/:name', count: 3, byStatus: { '200': 2, '429': 1 } }]);
    faults.clear();
  });

  it('cuts the connection before or after the work', async () => {
    const before = worked;
    faults.add({ match: {}, action: { dropConnection: 'before' }, times: 1 });
    faults.add({ match: {}, action: { dropConnection: 'after' }, times: 1 });
    await expect(call('/echo/c', { method: 'POST', body: 'x' })).rejects.toThrow(/socket hang up|ECONNRESET/);
    expect(worked).toBe(before);
    await expect(call('/echo/c', { method: 'POST', body: 'x' })).rejects.toThrow(/socket hang up|ECONNRESET/);
    expect(worked).toBe(before + 1);
    faults.clear();
  });

  it('announces a whole answer and sends half of it', async () => {
    faults.add({ match: {}, action: { truncateBody: true }, times: 1 });
    await expect(call('/echo/d', { method: 'POST', body: 'x'.repeat(1000) })).rejects.toThrow(/aborted|ECONNRESET/);
    faults.clear();
  });

  it('keeps ports over a restart', async () => {
    const memory = await openPortMemory(dir);
    await memory.remember('servicenow', 45_123);
    expect((await openPortMemory(dir)).wanted('servicenow')).toBe(45_123);
    expect((await openPortMemory(dir)).wanted('azure')).toBeUndefined();
  });

  it('draws the same numbers from the same seed', () => {
    const draw = (): string[] => {
      const random = createRandom(7);
      return [random.hex(40), random.uuid(), String(random.integer(1, 6)), randomAt(7, 'row', 12).hex(8)];
    };
    expect(draw()).toEqual(draw());
    expect(createRandom(8).hex(40)).not.toBe(createRandom(7).hex(40));
  });

  it('moves the clock for everybody who holds it', () => {
    const clock = createClock(new Date('2026-01-01T00:00:00Z'));
    clock.advance(86_400_000);
    expect(clock.now().toISOString().slice(0, 10)).toBe('2026-01-02');
  });

  it('serves admin handlers by prefix', async () => {
    const admin = createAdminApi();
    admin.register('/part', {
      'GET /rows/:table': ({ params, query }) => ({ table: params['table'], limit: query['limit'] }),
      'DELETE /faults': () => undefined,
      'POST /faults': ({ body }) => ({ got: body }),
    });
    const { url: adminUrl } = await admin.listen({});
    try {
      const response = await fetch(`${adminUrl}/part/rows/x?limit=3`);
      expect(await response.json()).toEqual({ table: 'x', limit: '3' });
      expect((await fetch(`${adminUrl}/other`)).status).toBe(404);
      const headers = { 'content-type': 'application/json' };
      expect((await fetch(`${adminUrl}/part/faults`, { method: 'DELETE', headers })).status).toBe(204);
      const posted = await fetch(`${adminUrl}/part/faults`, { method: 'POST', headers, body: '{"a":1}' });
      expect(await posted.json()).toEqual({ got: { a: 1 } });
      expect((await fetch(`${adminUrl}/part/faults`, { method: 'POST', headers, body: '{' })).status).toBe(400);
    } finally {
      await admin.close();
    }
  });
});
