import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  admin,
  arm,
  armList,
  bearer,
  call,
  claimsOf,
  graphPage,
  graphRows,
  requestToken,
  startTestLab,
  type Answer,
  type TestLab,
  type Wire,
} from './helpers.ts';

/** Recorded payloads are not part of the repository: beside it, or where the variable says. */
const EXAMPLES = process.env.DEFENDER_SYNC_AZURE_EXAMPLES ?? join(import.meta.dirname, '../../../../shared/examples/azure');
const present = existsSync(EXAMPLES);
if (!present) console.warn(`Skipped: no recorded payloads at ${EXAMPLES} (set DEFENDER_SYNC_AZURE_EXAMPLES).`);
const withExamples = present ? describe : describe.skip;

interface Served {
  file: string;
  becomes: string;
  expect: number;
  route?: string;
  apiVersion?: string;
  parameters?: Record<string, string>;
  as?: string;
  match?: 'members' | 'ids';
  rewrite?: Record<string, string>;
  skip?: { id: string }[];
  query?: string;
  queries?: Record<string, number>;
  managementGroups?: string[];
  provoke?: string;
}

const mapping = JSON.parse(await readFile(new URL('../../../lab/azure/recordings/mapping.json', import.meta.url), 'utf8')) as {
  served: Served[];
  notServed: { file: string; reason: string }[];
};

async function recorded({ file, rewrite = {} }: Pick<Served, 'file' | 'rewrite'>): Promise<Wire> {
  let text = await readFile(join(EXAMPLES, file), 'utf8');
  for (const [from, to] of Object.entries(rewrite)) text = text.replaceAll(from, to);
  return JSON.parse(text);
}

/** The items of a recorded file that the mapping does not leave out. */
async function recordedItems(entry: Served): Promise<Wire[]> {
  const payload = await recorded(entry);
  if (Array.isArray(payload)) return payload;
  const body = payload.responses?.['200'].body ?? payload;
  const items = (body.value ?? body.data ?? [body]) as Wire[];
  const left = new Set((entry.skip ?? []).map(({ id }) => id.toLowerCase()));
  return items.filter((item) => !left.has((item.id as string | undefined)?.toLowerCase() ?? ''));
}

/** What the entry's route answers with, all pages. */
async function served(lab: TestLab, entry: Served): Promise<Wire[]> {
  const name = entry.as ?? 'A';
  if (entry.query !== undefined) {
    const scope = entry.managementGroups === undefined ? {} : { managementGroups: entry.managementGroups };
    return graphRows(lab, { query: entry.query, ...scope }, name);
  }
  const query = new URLSearchParams({ 'api-version': entry.apiVersion ?? '', ...entry.parameters });
  const path = `${entry.route ?? ''}?${query.toString()}`;
  const answer = await arm(lab, path, name);
  expect(answer.status).toBe(200);
  return Array.isArray(answer.body.value) ? armList(lab, path, name) : [answer.body];
}

function holds(rows: Wire[], item: Wire, match: Served['match']): boolean {
  const sought = ((item.id ?? item.policyDefinitionId) as string).toLowerCase();
  const row = rows.find((candidate) => (candidate.id as string).toLowerCase() === sought);
  if (row === undefined) return false;
  if (match === 'ids') return true;
  try {
    if (match === 'members') expect(row).toMatchObject(item);
    else expect(row).toEqual(item);
    return true;
  } catch {
    return false;
  }
}

withExamples('every recorded file has its place', () => {
  test('in the mapping or in the list of files that are not served, once', async () => {
    const found = (await readdir(EXAMPLES, { recursive: true, withFileTypes: true }))
      .filter((file) => file.isFile() && file.name.endsWith('.json'))
      .map((file) => relative(EXAMPLES, join(file.parentPath, file.name)));
    const mapped = [...mapping.served, ...mapping.notServed].map(({ file }) => file);
    expect(mapped.toSorted()).toEqual(found.toSorted());
  });

  test('and every file that is not served says why', () => {
    expect(mapping.notServed.filter(({ reason }) => reason.length < 20)).toEqual([]);
  });
});

withExamples('every served file is read back over HTTPS', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await startTestLab({ estate: `recordings:${EXAMPLES}`, options: { throttling: 'headers' } });
  });
  afterAll(() => lab.close());

  const rows = mapping.served.filter(({ becomes }) => becomes !== 'behaviour' && becomes !== 'queries');
  test.each(rows.map((entry) => [entry.file, entry.expect, entry] as const))('%s: %d', async (_file, count, entry) => {
    const items = await recordedItems(entry);
    const answered = await served(lab, entry);
    const lost = items.filter((item) => !holds(answered, item, entry.match));
    expect(lost).toEqual([]);
    expect(new Set(items.map((item) => ((item.id ?? item.policyDefinitionId) as string).toLowerCase())).size).toBe(count);
  });

  const queries = mapping.served.filter(({ becomes }) => becomes === 'queries');
  test.each(queries.map((entry) => [entry.file, entry] as const))('%s: each query as it is', async (_file, entry) => {
    const { queries: texts } = (await recorded(entry)) as { queries: Record<string, string> };
    const scope = entry.managementGroups === undefined ? {} : { managementGroups: entry.managementGroups };
    const counts: Record<string, number> = {};
    for (const [name, query] of Object.entries(texts)) counts[name] = (await graphRows(lab, { query, ...scope })).length;
    expect(counts).toEqual(entry.queries);
  });

  test('the truth is what was recorded', async () => {
    const { A, B } = (await admin(lab, 'GET', '/azure/estate')).body.deployments;
    expect(A.assessments).toMatchObject({ listed: 2, inScope: { healthy: 1, unhealthy: 0, notApplicable: 1 } });
    expect(A.policies.membersOfAssignedSets).toBe(223);
    expect(A.containers).toMatchObject({ rows: 3, images: 2, cves: 1 });
    expect(B.containers).toMatchObject({ rows: 3, images: 3 });
    expect(B.connectors).toEqual({ all: 9, awsAndGcp: 7 });
  });
});

withExamples('recorded behaviour is provoked', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await startTestLab({ estate: 'generated:1:400' });
  });
  afterAll(() => lab.close());

  const [foreign, own] = [(): string => lab.tenant('B').subscriptions[1] ?? '', (): string => lab.tenant('A').subscriptions[0] ?? ''];
  const graphScope = { scope: 'https://graph.microsoft.com/.default' };
  const consent = (change: object): Promise<unknown> =>
    admin(lab, 'POST', '/azure/change', { consent: { clientId: lab.tenant('A').clientId, ...change } });
  const graph = async (path: string): Promise<Answer> =>
    call(lab, lab.lab.urls.graph + path, { headers: await bearer(lab, 'A', graphScope.scope) });

  /** Status, code and the names of the members; texts are compared with ids left out. */
  const sameError = (answer: Answer, example: Wire): void => {
    expect(answer.status).toBe(example.status);
    if (typeof example.body.error === 'string') {
      expect(answer.body).toMatchObject({ error: example.body.error, error_codes: example.body.error_codes });
    } else {
      expect(answer.body.error.code).toBe(example.body.error.code);
      expect(Object.keys(answer.body.error as object)).toEqual(expect.arrayContaining(Object.keys(example.body.error as object)));
    }
  };
  const sameClaims = async (answer: Answer, example: Wire): Promise<void> => {
    // Optional claims of Entra's that say nothing about the app: the display name, and the tenant's creation time.
    const optional = new Set(['app_displayname', 'xms_tcdt']);
    const claims = Object.keys(example as object).filter((name) => !optional.has(name));
    expect(Object.keys(claimsOf(answer.body.access_token as string))).toEqual(expect.arrayContaining(claims));
  };
  const limited = async (options: object, run: (strict: TestLab) => Promise<Answer>): Promise<Answer> => {
    const strict = await startTestLab({ estate: 'generated:1:400', options });
    try {
      return await run(strict);
    } finally {
      await strict.close();
    }
  };

  const provocations: Record<string, (example: Wire) => Promise<void>> = {
    token: async (example) => {
      const answer = await requestToken(lab);
      expect(answer.status).toBe(example.status);
      expect(Object.keys(answer.body as object)).toEqual(expect.arrayContaining(Object.keys(example.body as object)));
    },
    'wrong-secret': async (example) => sameError(await requestToken(lab, { client_secret: 'wrong' }), example),
    'unknown-application': async (example) => sameError(await requestToken(lab, { client_id: 'nobody' }), example),
    'unknown-tenant': async (example) => sameError(await requestToken(lab, {}, 'no-such-tenant'), example),
    'unknown-tenant-discovery': async (example) =>
      sameError(await call(lab, `${lab.lab.urls.authority}/no-such-tenant/v2.0/.well-known/openid-configuration`), example),
    'unknown-resource': async (example) => sameError(await requestToken(lab, { scope: 'https://example.com/.default' }), example),
    discovery: async (example) => {
      const answer = await call(lab, `${lab.lab.urls.authority}/${lab.tenant('A').tenantId}/v2.0/.well-known/openid-configuration`);
      expect(Object.keys(answer.body as object)).toEqual(expect.arrayContaining(Object.keys(example as object)));
    },
    'claims-arm': async (example) => sameClaims(await requestToken(lab), example),
    'claims-graph-with-roles': async (example) => sameClaims(await requestToken(lab, graphScope), example),
    'claims-graph-without-roles': async (example) => {
      await consent({ state: 'no-consent' });
      const answer = await requestToken(lab, graphScope);
      await consent({ state: 'granted' });
      await sameClaims(answer, example);
      expect(claimsOf(answer.body.access_token as string)).not.toHaveProperty('roles');
    },
    'forbidden-subscription': async (example) =>
      sameError(await arm(lab, `/subscriptions/${foreign()}/providers/Microsoft.Security/assessments?api-version=2021-06-01`), example),
    'incidents-without-roles': async (example) => {
      await consent({ state: 'delegated-only' });
      const answer = await graph('/v1.0/security/incidents');
      await consent({ state: 'granted' });
      sameError(answer, example);
      expect(answer.body.error.message).toBe(example.body.error.message);
    },
    'incidents-with-other-roles': async (example) => {
      await consent({ state: 'no-consent', directoryReader: true });
      const answer = await graph('/v1.0/security/incidents');
      await consent({ state: 'granted', directoryReader: false });
      sameError(answer, example);
    },
    'regulatory-without-plan': async (example) => {
      await admin(lab, 'POST', '/azure/change', { plan: { subscription: own(), tier: 'Free' } });
      const path = `/subscriptions/${own()}/providers/Microsoft.Security/regulatoryComplianceStandards?api-version=2019-01-01-preview`;
      const answer = await arm(lab, path);
      await admin(lab, 'POST', '/azure/change', { plan: { subscription: own(), tier: 'Standard' } });
      sameError(answer, example);
      expect((answer.body.error.message as string).replace(own(), '<id>')).toBe(example.body.error.message);
    },
    'graph-payload': async (example) => {
      const answer = await limited({ graphPayloadBytes: 1000 }, (strict) => graphPage(strict, { query: 'resources' }));
      sameError(answer, example);
      expect(answer.body.error.details[0].code).toBe(example.body.error.details[0].code);
    },
    'graph-quota': async (example) => {
      const answer = await limited({ graphQuota: { queries: 0, windowSeconds: 5 } }, (strict) => graphPage(strict, { query: 'resources' }));
      sameError(answer, example);
      expect(Object.keys(answer.headers)).toEqual(
        expect.arrayContaining(Object.keys(example.headers as object).map((name) => name.toLowerCase())),
      );
    },
    'arm-throttle': async (example) => {
      const answer = await limited({ readBucket: { size: 0, refillPerSecond: 0.1 } }, (strict) =>
        arm(strict, `/subscriptions/${strict.tenant('A').subscriptions[0] ?? ''}/resources?api-version=2024-03-01`),
      );
      sameError(answer, example);
      expect(answer.headers).toHaveProperty('retry-after');
    },
    fault: async (example) => {
      await admin(lab, 'POST', '/azure/faults', {
        match: { pathIncludes: '/subscriptions' },
        action: { status: example.status, body: example.body },
        times: 1,
      });
      expect(await arm(lab, '/subscriptions?api-version=2022-12-01')).toMatchObject({ status: example.status, body: example.body });
    },
    'requested-access-application': (example) => requestedAccess('granted', example),
    'requested-access-delegated': (example) => requestedAccess('delegated-only', example),
    'granted-roles': async (example) => {
      await consent({ directoryReader: true });
      const answer = await graph(`/v1.0/servicePrincipals(appId='${lab.tenant('A').clientId}')/appRoleAssignments`);
      await consent({ directoryReader: false });
      const [{ appRoleId, principalType, resourceDisplayName }] = example.value;
      expect(answer.body.value).toEqual(
        expect.arrayContaining([expect.objectContaining({ appRoleId, principalType, resourceDisplayName })]),
      );
    },
  };

  async function requestedAccess(state: string, example: Wire): Promise<void> {
    await consent({ state, directoryReader: true });
    const answer = await graph(`/v1.0/applications?$filter=${encodeURIComponent(`appId eq '${lab.tenant('A').clientId}'`)}`);
    await consent({ state: 'granted', directoryReader: false });
    const access = (body: Wire): Wire[] => body.value[0].requiredResourceAccess[0].resourceAccess as Wire[];
    expect(access(answer.body)).toEqual(expect.arrayContaining(access(example)));
  }

  const entries = mapping.served.filter(({ becomes }) => becomes === 'behaviour');
  test.each(entries.map((entry) => [entry.file, entry.provoke ?? '', entry] as const))('%s: %s', async (_file, name, entry) => {
    const provoke = provocations[name];
    if (provoke === undefined) throw new Error(`Nothing provokes '${name}'.`);
    await provoke(await recorded(entry));
  });
});
