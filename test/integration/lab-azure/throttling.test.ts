import { afterEach, afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, arm, bearer, call, change, graphPage, startTestLab, type Answer, type TestLab } from './helpers.ts';

let lab: TestLab;
let shared = '';
let own = '';
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
  [shared = '', own = ''] = lab.tenant('A').subscriptions;
});
afterAll(() => lab.close());
afterEach(async () => {
  await change(lab, { throttle: { seconds: 0 } });
  await admin(lab, 'DELETE', '/azure/faults');
});

const security = (id: string, type = 'assessments', version = '2021-06-01'): string =>
  `/subscriptions/${id}/providers/Microsoft.Security/${type}?api-version=${version}`;
const resources = (id: string): string => `/subscriptions/${id}/resources?api-version=2024-03-01`;

/** So many calls of one path with one token, in order. */
async function repeat(test: TestLab, path: string, times: number): Promise<Answer[]> {
  const headers = await bearer(test);
  const answers: Answer[] = [];
  for (let index = 0; index < times; index += 1) answers.push(await call(test, `${test.lab.urls.arm}${path}`, { headers }));
  return answers;
}

describe('what answers say is left (azure.md §1.4, §1.11)', () => {
  test('Microsoft.Security counts its own requests: 749 after the first, sub-assessments apart from them: 4,999', async () => {
    const fresh = await startTestLab({ estate: 'generated:1:100' });
    try {
      const [id = ''] = fresh.tenant('A').subscriptions;
      const assessments = await arm(fresh, security(id));
      expect(assessments.headers['x-ms-ratelimit-remaining-subscription-resource-requests']).toBe('749');
      expect(assessments.headers['x-ms-ratelimit-remaining-subscription-global-reads']).toBe('3749');
      const sub = await arm(fresh, security(id, 'subAssessments', '2019-01-01-preview'));
      expect(sub.headers['x-ms-ratelimit-remaining-subscription-resource-requests']).toBe('4999');
    } finally {
      await fresh.close();
    }
  });

  test('a bucket refills by time', async () => {
    const small = await startTestLab({ estate: 'generated:1:100', options: { readBucket: { size: 3, refillPerSecond: 20 } } });
    try {
      const path = resources(small.tenant('A').subscriptions[0] ?? '');
      expect((await repeat(small, path, 3)).every(({ status }) => status === 200)).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect((await repeat(small, path, 1))[0]?.status).toBe(200);
    } finally {
      await small.close();
    }
  });

  test('buckets belong to one subscription and one principal', async () => {
    const small = await startTestLab({ estate: 'generated:1:100', options: { readBucket: { size: 2, refillPerSecond: 0.01 } } });
    try {
      const [id = '', other = ''] = small.tenant('A').subscriptions;
      expect((await repeat(small, resources(id), 3)).map(({ status }) => status)).toEqual([200, 200, 429]);
      expect((await arm(small, resources(other))).status).toBe(200);
      expect((await arm(small, resources(id), 'B')).status).toBe(200);
    } finally {
      await small.close();
    }
  });
});

describe('429 in both texts (azure.md §1.11)', () => {
  test('the requests of a subscription and actor', async () => {
    await change(lab, { throttle: { seconds: 60, retryAfterSeconds: 10, subscription: shared } });
    const answer = await arm(lab, security(shared));
    expect(answer).toMatchObject({
      status: 429,
      headers: { 'retry-after': '10' },
      body: { error: { code: 'SubscriptionRequestsThrottled' } },
    });
    expect(answer.body.error.message).toMatch(
      new RegExp(
        `^Number of 'read' requests for subscription '${shared}' actor '[0-9a-f-]{36}' exceeded\\. Please try again after '10' seconds\\.$`,
      ),
    );
    expect((await arm(lab, security(own))).status).toBe(200);
  });

  test('the backend storage of an operation', async () => {
    await change(lab, { throttle: { seconds: 60, form: 'backend-storage', clientId: lab.tenant('A').clientId } });
    const answer = await arm(lab, security(shared));
    expect(answer).toMatchObject({
      status: 429,
      headers: { 'retry-after': '6' },
      body: { error: { code: 'SubscriptionRequestsThrottled' } },
    });
    expect(answer.body.error.message).toBe(
      `Number of requests for subscription '${shared}' and operation 'GET/SUBSCRIPTIONS/PROVIDERS/MICROSOFT.SECURITY/ASSESSMENTS' ` +
        "exceeded the backend storage limit. Please try again after '6' seconds.",
    );
    expect((await arm(lab, security(shared), 'B')).status).toBe(200);
  });

  test('the provider’s own bucket, empty: the second text', async () => {
    const small = await startTestLab({
      estate: 'generated:1:100',
      options: { resourceRequestBuckets: { security: 1, subAssessments: 5000, refillPerSecond: 0.01 } },
    });
    try {
      const [first, second] = await repeat(small, security(small.tenant('A').subscriptions[0] ?? ''), 2);
      expect([first?.status, second?.status]).toEqual([200, 429]);
      expect(second?.body.error.message).toContain('exceeded the backend storage limit');
    } finally {
      await small.close();
    }
  });

  test('a forced one ends by itself', async () => {
    await change(lab, { throttle: { seconds: 0.3 } });
    expect((await arm(lab, security(shared))).status).toBe(429);
    expect((await graphPage(lab, { query: 'resources | project id' })).status).toBe(429);
    await new Promise((resolve) => setTimeout(resolve, 350));
    expect((await arm(lab, security(shared))).status).toBe(200);
  });

  test.each([[{ seconds: -1 }], [{ seconds: 1, form: 'loud' }], [{}], [{ seconds: 1, retryAfterSeconds: 0.5 }]])(
    '%j is refused',
    async (value) => {
      expect((await admin(lab, 'POST', '/azure/change', { throttle: value })).status).toBe(400);
    },
  );
});

describe('error bodies (azure.md §1.11, examples/azure/errors)', () => {
  test('an error has a code and a message, and details only where there are some', async () => {
    const answer = await arm(lab, '/subscriptions');
    expect(answer.body).toEqual({
      error: {
        code: 'MissingApiVersionParameter',
        message: 'The api-version query parameter (?api-version=) is required for all requests.',
      },
    });
  });

  test.each([
    [
      504,
      {
        error: {
          code: 'GatewayTimeout',
          message: "The gateway did not receive a response from 'Microsoft.Security' within the specified time period.",
        },
      },
    ],
    [500, { error: { code: 'InternalServerError', message: 'x' } }],
    [400, { Error: { Code: 'BadRequest', Message: '…' } }],
  ])('a fault answers %i as recorded, in other casing too', async (status, body) => {
    await admin(lab, 'POST', '/azure/faults', { match: { pathIncludes: '/assessments' }, action: { status, body }, times: 1 });
    expect(await arm(lab, security(shared))).toMatchObject({ status, body });
    expect((await arm(lab, security(shared))).status).toBe(200);
  });
});
