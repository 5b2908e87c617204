import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, armList, bearer, call, graphPage, graphRows, startTestLab, type TestLab, type Wire } from './helpers.ts';

const ASSESSMENTS = "securityresources | where type == 'microsoft.security/assessments'";
const CONTAINERS = `${ASSESSMENTS} | where properties.metadata.recommendationCategory == 'SoftwareUpdate' | where properties.resourceDetails.ResourceType in~ ('.containerimage', 'k8s-container')`;

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:5:5000', options: { throttling: 'headers' } });
});
afterAll(() => lab.close());

describe('the request (azure.md §1.9)', () => {
  test.each(['2022-10-01', '2024-04-01'])('api-version %s', async (version) => {
    expect((await graphPage(lab, { query: 'resources | take 1' }, 'A', version)).status).toBe(200);
  });

  test('needs application/json', async () => {
    const url = `${lab.lab.urls.arm}/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01`;
    const answer = await call(lab, url, {
      method: 'POST',
      headers: { ...(await bearer(lab)), 'content-type': 'text/plain' },
      body: '{"query":"resources"}',
    });
    expect(answer.status).toBe(415);
  });

  test('GET is not allowed', async () => {
    const url = `${lab.lab.urls.arm}/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01`;
    expect((await call(lab, url, { headers: await bearer(lab) })).status).toBe(405);
  });

  test.each([0, 1001])('$top of %d: 400', async ($top) => {
    expect((await graphPage(lab, { query: 'resources', options: { $top } })).status).toBe(400);
  });

  test.each([
    ['resources | foo bar', 'InvalidQueryLanguage', 'foo'],
    ['resources | where name matches regex "x"', 'ParserFailure', 'matches'],
    ['nosuchtable', 'DisallowedLogicalTableName', 'nosuchtable'],
    ['resources | join (resources) on id', 'InvalidQueryLanguage', 'join'],
  ])('%s: 400 in the service’s form, naming the fragment', async (query, code, token) => {
    const answer = await graphPage(lab, { query });
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({ code: 'BadRequest', details: [{ code: 'InvalidQuery' }, { code, token }] });
    expect(answer.body.error.message).toMatch(/^Please provide below info when asking for support: timestamp = /);
  });
});

describe('pages (azure.md §1.9)', () => {
  test.each([
    ['by id', `${ASSESSMENTS} | project id | order by id asc`],
    ['in no order', `${ASSESSMENTS} | project id`],
    ['held, sorted by name', `${ASSESSMENTS} | project id, name | order by name desc, id asc`],
  ])('%s: every row once, resultTruncated "false" throughout, no token at the end', async (_name, query) => {
    const ids: string[] = [];
    let token: string | undefined;
    let total: number;
    do {
      const answer = await graphPage(lab, { query, options: { $top: 777, ...(token === undefined ? {} : { $skipToken: token }) } });
      expect(answer.body.resultTruncated).toBe('false');
      expect(answer.body.count).toBe(answer.body.data.length);
      total = answer.body.totalRecords as number;
      ids.push(...(answer.body.data as Wire[]).map((row) => row.id as string));
      token = answer.body.$skipToken as string | undefined;
    } while (token !== undefined);
    expect(ids).toHaveLength(total);
    expect(new Set(ids).size).toBe(total);
    expect(total).toBeGreaterThan(3500);
  });

  test('order by id is an order', async () => {
    const ids = (await graphRows(lab, { query: `${ASSESSMENTS} | project id | order by id asc` })).map((row) =>
      (row.id as string).toLowerCase(),
    );
    expect(ids).toEqual(ids.toSorted((left, right) => (left < right ? -1 : left > right ? 1 : 0)));
  });

  test('without id there is no token: the rest is dropped, and resultTruncated says "true"', async () => {
    const answer = await graphPage(lab, { query: `${ASSESSMENTS} | project name`, options: { $top: 10 } });
    expect(answer.body).toMatchObject({ resultTruncated: 'true', count: 10 });
    expect(answer.body).not.toHaveProperty('$skipToken');
  });

  test('a token of another query is refused', async () => {
    const first = await graphPage(lab, { query: `${ASSESSMENTS} | project id`, options: { $top: 10 } });
    const answer = await graphPage(lab, { query: 'resources | project id', options: { $skipToken: first.body.$skipToken } });
    expect(answer.status).toBe(400);
  });

  test('a page above the payload limit: 400 ResponsePayloadTooLarge; a smaller $top goes through', async () => {
    const small = await startTestLab({ estate: 'generated:5:600', options: { graphPayloadBytes: 20_000 } });
    try {
      const large = await graphPage(small, { query: ASSESSMENTS, options: { $top: 100 } });
      expect(large).toMatchObject({ status: 400, body: { error: { details: [{ code: 'ResponsePayloadTooLarge' }] } } });
      expect((await graphPage(small, { query: ASSESSMENTS, options: { $top: 5 } })).status).toBe(200);
    } finally {
      await small.close();
    }
  });

  test('15 queries in 5 seconds, then 429 RateLimiting with the quota headers', async () => {
    const strict = await startTestLab({ estate: 'generated:5:100', options: { graphQuota: { queries: 15, windowSeconds: 30 } } });
    try {
      const answers = [];
      for (let query = 0; query < 16; query += 1) answers.push(await graphPage(strict, { query: 'resources | take 1' }));
      expect(answers[0]?.headers['x-ms-user-quota-remaining']).toBe('14');
      expect(answers[14]?.headers['x-ms-user-quota-remaining']).toBe('0');
      expect(answers[14]?.headers['x-ms-user-quota-resets-after']).toMatch(/^00:00:\d\d$/);
      expect(answers[15]).toMatchObject({ status: 429, body: { error: { code: 'RateLimiting', details: [{ code: 'RateLimiting' }] } } });
    } finally {
      await strict.close();
    }
  });
});

describe('scope (azure.md §1.9, §1.12)', () => {
  test('shows what the principal may read: fewer rows, never an error', async () => {
    const [, foreign = ''] = lab.tenant('B').subscriptions;
    expect((await graphPage(lab, { query: 'resources', subscriptions: [foreign] })).body.totalRecords).toBe(0);
    const [own = ''] = lab.tenant('A').subscriptions;
    const rows = await graphRows(lab, { query: 'resources | project id, subscriptionId', subscriptions: [own, foreign] });
    expect(new Set(rows.map((row) => row.subscriptionId as string))).toEqual(new Set([own]));
  });

  test('a management group is its subscriptions', async () => {
    const ofGroup = await graphRows(lab, { query: 'resources | summarize count() by subscriptionId', managementGroups: ['fabrikam-a'] });
    expect(ofGroup.map((row) => row.subscriptionId as string)).toEqual([lab.tenant('A').subscriptions[1]]);
  });

  test('cvedetails: at a management group with a role; otherwise empty, not forbidden (§1.7)', async () => {
    const query = 'securityresources | where type =~ "microsoft.security/cvedetails"';
    const subscriptions = lab.tenant('A').subscriptions;
    expect((await graphPage(lab, { query, subscriptions })).body.totalRecords).toBe(0);
    expect((await graphPage(lab, { query })).body.totalRecords).toBe(0);
    expect((await graphPage(lab, { query, managementGroups: ['fabrikam-b'] })).body.totalRecords).toBe(0);
    const answer = await graphPage(lab, { query, managementGroups: ['fabrikam-a'] });
    expect(answer.body.totalRecords).toBeGreaterThan(100);
    const [row] = answer.body.data;
    expect(row).toMatchObject({ tenantId: '', subscriptionId: '', type: 'microsoft.security/cvedetails' });
    expect(row.id).toBe(`/providers/microsoft.security/cvedetails/${(row.properties.cveId as string).toLowerCase()}`);
    expect(Object.keys(row.properties.cvss).toSorted()).toEqual(['2.0', '3.0', '4.0']);
  });
});

describe('rows (azure.md §1.7, §1.9)', () => {
  test('registry images of three clouds and running containers, with the key names of the official queries', async () => {
    const counts = await graphRows(
      lab,
      {
        query: `${CONTAINERS} | summarize count() by tostring(properties.resourceDetails.ResourceType), tostring(properties.resourceDetails.Source)`,
      },
      'A',
    );
    const kinds = counts.map(
      (row) => `${row.properties_resourceDetails_ResourceType as string} ${row.properties_resourceDetails_Source as string}`,
    );
    expect(kinds.toSorted()).toEqual(['.containerimage AWS', '.containerimage Azure', '.containerimage GCP', 'K8s-container Azure']);
  });

  test('CvesDetails is a JSON text on Unhealthy rows and absent from all others', async () => {
    const rows = await graphRows(lab, { query: `${CONTAINERS} | order by id asc` });
    for (const { properties } of rows) {
      const cves = properties.additionalData.CvesDetails as string | undefined;
      if (properties.status.code !== 'Unhealthy') expect(cves).toBeUndefined();
      else expect((JSON.parse(cves ?? '') as { CveId: string }[]).every(({ CveId }) => CveId.startsWith('CVE-'))).toBe(true);
      expect(JSON.parse(properties.resourceAdditionalData as string)).toMatchObject({
        Digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      });
    }
    expect(rows.some(({ properties }) => (properties.additionalData.DetectedSoftwareVersions as string).includes(','))).toBe(true);
  });

  test('some rows come twice, with ids that differ by case only', async () => {
    const ids = (await graphRows(lab, { query: `${CONTAINERS} | project id | order by id asc` })).map((row) => row.id as string);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(ids.map((id) => id.toLowerCase())).size).toBeLessThan(ids.length);
  });

  test('every CVE in a row has its details at the management group', async () => {
    const details = await graphRows(lab, {
      query: 'securityresources | where type =~ "microsoft.security/cvedetails" | project id',
      managementGroups: ['fabrikam-a'],
    });
    const known = new Set(details.map((row) => (row.id as string).split('/').at(-1)));
    const rows = await graphRows(lab, {
      query: `${CONTAINERS} | where properties.status.code == 'Unhealthy' | project id, cves = parse_json(tostring(properties.additionalData.CvesDetails))`,
    });
    const named = new Set(rows.flatMap((row) => (row.cves as { CveId: string }[]).map(({ CveId }) => CveId.toLowerCase())));
    expect([...named].filter((id) => !known.has(id))).toEqual([]);
  });

  test('classic assessments are the rows of the REST lists, with PascalCase details and metadata', async () => {
    const rows = await graphRows(lab, {
      query: `${ASSESSMENTS} | where isnull(properties.metadata.recommendationCategory) | order by id asc`,
    });
    const listed = (
      await Promise.all(
        lab
          .tenant('A')
          .subscriptions.map((id) => armList(lab, `/subscriptions/${id}/providers/Microsoft.Security/assessments?api-version=2021-06-01`)),
      )
    ).flat();
    const lower = (row: Wire): string => (row.id as string).toLowerCase();
    const inGraph = new Set(rows.map(lower));
    const dynamic = new Set(
      (
        await graphRows(lab, {
          query: `${ASSESSMENTS} | where properties.metadata.assessmentType == 'DynamicBuiltIn' | project id | order by id asc`,
        })
      ).map(lower),
    );
    expect(listed.map(lower).filter((id) => !inGraph.has(id) && !dynamic.has(id))).toEqual([]);
    expect(rows).toHaveLength(listed.map(lower).filter((id) => inGraph.has(id)).length);
    expect(
      rows.every((row) => typeof row.properties.resourceDetails.Source === 'string' && row.properties.metadata.displayName !== undefined),
    ).toBe(true);
  });

  test('regulatory compliance in three types equals REST, and is not there without a plan (§1.8)', async () => {
    const [shared = ''] = lab.tenant('A').subscriptions;
    const type = 'microsoft.security/regulatorycompliancestandards';
    const count = async (level: string): Promise<number> =>
      (await graphPage(lab, { query: `securityresources | where type == '${level}'`, subscriptions: [shared], options: { $top: 1 } })).body
        .totalRecords as number;
    const standards = await armList(
      lab,
      `/subscriptions/${shared}/providers/Microsoft.Security/regulatoryComplianceStandards?api-version=2019-01-01-preview`,
    );
    expect(await count(type)).toBe(standards.length);
    expect(await count(`${type}/regulatorycompliancecontrols`)).toBeGreaterThan(standards.length);
    expect(await count(`${type}/regulatorycompliancecontrols/regulatorycomplianceassessments`)).toBeGreaterThan(500);
    await admin(lab, 'POST', '/azure/change', { plan: { subscription: shared, tier: 'Free' } });
    const free = await count(type);
    await admin(lab, 'POST', '/azure/change', { plan: { subscription: shared, tier: 'Standard' } });
    expect(free).toBe(0);
  });

  test('resources and resourcecontainers', async () => {
    const resources = await graphRows(lab, {
      query: 'resources | project id, name, type, location, tags, subscriptionId | order by id asc',
    });
    expect(resources.every((row) => row.type === (row.type as string).toLowerCase())).toBe(true);
    const [shared = ''] = lab.tenant('A').subscriptions;
    const listed = await armList(lab, `/subscriptions/${shared}/resources?api-version=2024-03-01`);
    const ids = new Set(resources.map((row) => (row.id as string).toLowerCase()));
    expect(listed.filter((row) => !ids.has((row.id as string).toLowerCase()))).toEqual([]);
    const groups = await graphRows(lab, {
      query: "resourcecontainers | where type == 'microsoft.resources/subscriptions/resourcegroups' | project id",
    });
    const names = new Set(groups.map((row) => (row.id as string).toLowerCase()));
    expect(resources.filter((row) => !names.has((row.id as string).toLowerCase().split('/').slice(0, 5).join('/')))).toEqual([]);
  });
});
