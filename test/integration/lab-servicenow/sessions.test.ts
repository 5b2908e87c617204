import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ask } from './admin-helper.ts';
import { startLab, type Answer, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

beforeEach(async () => {
  await ask(started, 'POST', '/latency', {});
  await ask(started, 'POST', '/sessions', { queueLimit: 10, waitMs: 30_000 });
});

const TESTS = '/api/now/table/sn_vulc_test?sysparm_limit=1';

function cookiesOf(answer: Answer): Record<string, string> {
  const pairs = [...(answer.headers['set-cookie'] ?? '').matchAll(/(?:^|,)([A-Za-z_]+)=([^;,]*)/g)];
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, value]));
}

async function session(): Promise<{ headers: { cookie: string } }> {
  const { JSESSIONID: id } = cookiesOf(await started.get(TESTS));
  return { headers: { cookie: `glide_user=; JSESSIONID=${String(id)}` } };
}

const statusesOf = async (answers: Promise<Answer>[]): Promise<number[]> => (await Promise.all(answers)).map(({ status }) => status);
const times = (count: number, call: () => Promise<Answer>): Promise<Answer>[] => Array.from({ length: count }, call);

describe('sessions (servicenow.md §5.8)', () => {
  it('table-api/get_list_all_response_headers.http: the cookies of a signed-in answer', async () => {
    const cookies = cookiesOf(await started.get(TESTS));
    expect(cookies).toMatchObject({
      JSESSIONID: expect.stringMatching(/^[0-9A-F]{32}$/),
      glide_user: '',
      glide_user_session: '',
      glide_user_route: expect.stringMatching(/^glide\.[0-9a-f]{32}$/),
      glide_session_store: expect.stringMatching(/^[0-9A-F]{32}$/),
    });
  });

  it('errors/401_not_authenticated.http: without sign-in there is no route', async () => {
    const cookies = cookiesOf(await started.get(TESTS, { as: null }));
    expect(Object.keys(cookies)).toEqual(expect.arrayContaining(['JSESSIONID', 'glide_user', 'glide_user_session']));
    expect(cookies).not.toHaveProperty('glide_user_route');
  });

  it('a client that sends its cookie gets no other one; one without a jar makes a session per request', async () => {
    const kept = await session();
    const before = (await ask(started, 'GET', '/sessions')).sessions as number;
    const again = await started.get(TESTS, kept);
    expect(again.headers).not.toHaveProperty('set-cookie');
    expect((await ask(started, 'GET', '/sessions')).sessions).toBe(before);
    await started.get(TESTS);
    expect((await ask(started, 'GET', '/sessions')).sessions).toBe(before + 1);
  });

  it('requests of one session run one at a time, those without a cookie side by side', async () => {
    await ask(started, 'POST', '/latency', { perRequestMs: 100 });
    const shared = await session();
    const startedMs = performance.now();
    await expect(statusesOf(times(4, () => started.get(TESTS, shared)))).resolves.toEqual([200, 200, 200, 200]);
    const inARowMs = performance.now() - startedMs;
    expect(inARowMs).toBeGreaterThanOrEqual(400);
    await ask(started, 'POST', '/latency', { perRequestMs: 1_000 });
    const besideMs = performance.now();
    await statusesOf(times(4, () => started.get(TESTS)));
    expect(performance.now() - besideMs).toBeLessThan(4 * 1_000);
  });

  it('more than 10 queued: 202, and no work is done', async () => {
    const shared = await session();
    const before = started.lab.store.count('sn_vulc_auth_src');
    const create = (): Promise<Answer> => started.post('/api/now/table/sn_vulc_auth_src', {}, shared);
    await ask(started, 'POST', '/latency', { perRequestMs: 1_500 });
    const first = create();
    while ((await ask(started, 'GET', '/latency')).running === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await ask(started, 'POST', '/latency', {});
    const answers = await Promise.all([first, ...times(14, create)]);
    const codes = answers.map(({ status }) => status).sort();
    expect(codes).toEqual([...Array<number>(11).fill(201), ...Array<number>(4).fill(202)]);
    expect(answers.filter(({ status }) => status === 202).every(({ text }) => text === '')).toBe(true);
    expect(started.lab.store.count('sn_vulc_auth_src')).toBe(before + 11);
  });

  it('waiting too long: 202, dropped', async () => {
    await ask(started, 'POST', '/latency', { perRequestMs: 1_000 });
    await ask(started, 'POST', '/sessions', { waitMs: 100 });
    const shared = await session();
    const before = started.lab.store.count('sn_vulc_auth_src');
    const codes = await statusesOf(times(3, () => started.post('/api/now/table/sn_vulc_auth_src', {}, shared)));
    expect(codes.sort()).toEqual([201, 202, 202]);
    expect(started.lab.store.count('sn_vulc_auth_src')).toBe(before + 1);
  });

  it('a session that was idle for half an hour is a new one', async () => {
    const kept = await session();
    started.clock.advance(31 * 60_000);
    expect(cookiesOf(await started.get(TESTS, kept))).toHaveProperty('JSESSIONID');
  });
});
