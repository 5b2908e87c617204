import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { change, graphPage, graphRows, startTestLab, type TestLab, type Wire } from './helpers.ts';

/** The official queries (examples/azure/individual-recommendations/official_kql_queries.json, azure.md §1.7). */
const OFFICIAL = {
  registryImages:
    'securityresources\n| where type == "microsoft.security/assessments"\n| where properties.metadata.recommendationCategory == "SoftwareUpdate"\n| where properties.resourceDetails.ResourceType == ".containerimage"\n| where properties.resourceDetails.Source == "Azure"',
  runningContainers:
    'securityresources\n| where type == "microsoft.security/assessments"\n| where properties.metadata.recommendationCategory == "SoftwareUpdate"\n| where properties.resourceDetails.ResourceType == "K8s-container"\n| where properties.resourceDetails.Source == "Azure"',
  machines:
    'securityresources\n| where type == "microsoft.security/assessments"\n| where properties.resourceDetails.ResourceType =~ "microsoft.compute/virtualmachines"\n| where properties.metadata.recommendationCategory == "SoftwareUpdate"\n| extend DisplayName = tostring(properties.displayName)\n| extend Severity = tostring(properties.metadata.severity)\n| extend DetectedVersions = tostring(properties.additionalData.DetectedSoftwareVersions)\n| extend FixedVersion = tostring(properties.additionalData.FixedVersion)\n| extend CvesDetails = parse_json(tostring(properties.additionalData.CvesDetails))\n| mv-expand CveDetail = CvesDetails\n| extend CveId = tostring(CveDetail.CveId)\n| project DisplayName, Severity, DetectedVersions, FixedVersion, CveId',
  cveDetails: 'securityresources\n| where type =~ "microsoft.security/cvedetails"',
};
const MACHINES = "Resources | where type =~ 'Microsoft.Compute/virtualMachines'";
const IDS = 'resources | project id | order by id asc';

let lab: TestLab;
let shared = '';
let own = '';
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:5:2500', options: { throttling: 'headers' } });
  [shared = '', own = ''] = lab.tenant('A').subscriptions;
});
afterAll(() => lab.close());
afterEach(async () => {
  await change(lab, { options: { graphScopeLimit: 10_000 } });
});

const page = async (body: Parameters<typeof graphPage>[1]): Promise<Wire> => {
  const answer = await graphPage(lab, body);
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return answer.body;
};
/** A request whose `facets` the helper's type does not know. */
const withFacets = (query: string, facets: unknown[]): Parameters<typeof graphPage>[1] =>
  ({ query, facets }) as Parameters<typeof graphPage>[1];

describe('the official queries, verbatim (azure.md §1.7)', () => {
  test('registry images and running containers', async () => {
    const images = await graphRows(lab, { query: OFFICIAL.registryImages });
    expect(images.length).toBeGreaterThan(0);
    expect(new Set(images.map((row) => row.properties.resourceDetails.ResourceType as string))).toEqual(new Set(['.containerimage']));
    const running = await graphRows(lab, { query: OFFICIAL.runningContainers });
    expect(running.length).toBeGreaterThan(0);
    expect(running.every((row) => row.properties.metadata.recommendationCategory === 'SoftwareUpdate')).toBe(true);
  });

  test('machines: one row for each CVE of a recommendation, without id and so without a token', async () => {
    const { data, resultTruncated, totalRecords, count } = await page({ query: OFFICIAL.machines });
    expect(count).toBeGreaterThan(0);
    expect(Object.keys((data as Wire[])[0] as object)).toEqual(['DisplayName', 'Severity', 'DetectedVersions', 'FixedVersion', 'CveId']);
    expect(resultTruncated).toBe(totalRecords > count ? 'true' : 'false');
  });

  test('cvedetails: lower-case ids of no subscription, never a key "3.1"', async () => {
    const rows = await graphRows(lab, { query: OFFICIAL.cveDetails, managementGroups: ['fabrikam-a'] });
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every((row) => /^\/providers\/microsoft\.security\/cvedetails\/cve-[\d-]+$/.test(row.id as string))).toBe(true);
    expect(rows.some((row) => '3.1' in row.properties.cvss)).toBe(false);
  });
});

describe('the queries of the specification (examples/azure/resource-graph)', () => {
  test.each([
    ['tenant basic', 'Resources | project id, name, type, location, tags | limit 3'],
    ['filter', `${MACHINES.replace('Resources', 'Resources | project id, name, type, location')} | limit 3`],
    ['first page', "Resources | where name contains 'vm' | project id, name, type, location"],
    ['summarize', `${MACHINES} | summarize count() by tostring(properties.storageProfile.osDisk.osType)`],
    ['properties', 'Resources | project id, name, type, location | summarize by location'],
    ['complex', 'Resources | project id, name, type, location | summarize count() by location | top 3 by count_'],
  ])('%s', async (_name, query) => {
    const body = await page({ query, subscriptions: [shared] });
    expect(body.count).toBeGreaterThan(0);
    expect(body.resultTruncated).toBe('false');
    expect(body.facets).toEqual([]);
  });

  test('a random page: $skip leaves out so many, the token goes on from there', async () => {
    const all = await graphRows(lab, { query: IDS });
    const skipped = await page({ query: IDS, options: { $top: 2, $skip: 10 } });
    expect(skipped.data).toEqual(all.slice(10, 12));
    const next = await page({ query: IDS, options: { $top: 2, $skipToken: skipped.$skipToken } });
    expect(next.data).toEqual(all.slice(12, 14));
    expect(next.totalRecords).toBe(all.length);
  });

  test('counts of assessments by subscription are those of the rows', async () => {
    const query = "securityresources | where type =~ 'microsoft.security/assessments'";
    const counted = await graphRows(lab, {
      query: `${query} | summarize rows = count() by subscriptionId | project id = subscriptionId, rows`,
    });
    const rows = await graphRows(lab, { query: `${query} | project id, subscriptionId | order by id asc` });
    for (const { id, rows: count } of counted) expect(count).toBe(rows.filter((row) => row.subscriptionId === id).length);
    expect(counted).toHaveLength(2);
    const [total] = await graphRows(lab, { query: `${query} | count` });
    expect(total.Count).toBe(rows.length);
  });
});

describe('facets (examples/azure/resource-graph/ResourcesFacetQuery.json)', () => {
  const query = `${MACHINES} | project id, name, location, resourceGroup, properties.storageProfile.osDisk.osType`;

  test('count the result by a column, largest first, cut by $top; totalRecords counts them all', async () => {
    const { facets, totalRecords } = await page(withFacets(query, [{ expression: 'location', options: { $top: 2, sortOrder: 'desc' } }]));
    const [facet] = facets as Wire[];
    expect(facet).toMatchObject({ expression: 'location', resultType: 'FacetResult', count: 2 });
    expect(facet.totalRecords).toBeGreaterThan(2);
    expect(facet.data[0].count).toBeGreaterThanOrEqual(facet.data[1].count as number);
    const [whole] = (await page(withFacets(query, [{ expression: 'location', options: { $top: 100 } }]))).facets as Wire[];
    expect((whole.data as { count: number }[]).reduce((sum, row) => sum + row.count, 0)).toBe(totalRecords);
  });

  test('by a dotted path, sorted by an expression, filtered; an unknown column is a FacetError of its own', async () => {
    const { facets } = await page(
      withFacets(query, [
        { expression: 'properties.storageProfile.osDisk.osType' },
        { expression: 'resourceGroup', options: { sortBy: 'tolower(resourceGroup)', sortOrder: 'asc', $top: 3 } },
        { expression: 'resourceGroup', options: { filter: "resourceGroup contains 'nothing-like-it'" } },
        { expression: 'nonExistingColumn' },
      ]),
    );
    const [osTypes, sorted, filtered, unknown] = facets as Wire[];
    expect(Object.keys(osTypes.data[0] as object)).toEqual(['properties_storageProfile_osDisk_osType', 'count']);
    const names = (sorted.data as Wire[]).map((row) => (row.resourceGroup as string).toLowerCase());
    expect(names).toEqual(names.toSorted());
    expect(filtered).toMatchObject({ totalRecords: 0, count: 0, data: [] });
    expect(unknown).toEqual({
      expression: 'nonExistingColumn',
      resultType: 'FacetError',
      errors: [
        { code: 'NoValidColumns', message: 'No valid columns in facet expression.' },
        { code: 'InvalidColumnNames', message: 'Invalid column names: [nonExistingColumn].' },
      ],
    });
  });

  test('a facet without an expression: 400', async () => {
    expect((await graphPage(lab, withFacets(query, [{}]))).status).toBe(400);
  });
});

describe('options of the request (azure.md §1.9)', () => {
  test('resultFormat table: columns with types, rows without names', async () => {
    const { data, count } = await page({ query: 'resources | summarize rows = count() by location', options: { resultFormat: 'table' } });
    expect(data.columns).toEqual([
      { name: 'location', type: 'string' },
      { name: 'rows', type: 'integer' },
    ]);
    expect(data.rows).toHaveLength(count as number);
    expect((await graphPage(lab, { query: 'resources', options: { resultFormat: 'csv' } })).status).toBe(400);
  });

  test.each(['AtScopeAndBelow', 'AtScopeAndAbove', 'AtScopeExact', 'AtScopeAboveAndBelow'])(
    'authorizationScopeFilter %s',
    async (filter) => {
      const body = await page({ query: IDS, subscriptions: [own], options: { authorizationScopeFilter: filter } });
      expect(body.count).toBeGreaterThan(0);
    },
  );

  test('an authorizationScopeFilter that is none, a $skip below 0, allowPartialScopes that is no boolean: 400', async () => {
    for (const options of [{ authorizationScopeFilter: 'Everywhere' }, { $skip: -1 }, { allowPartialScopes: 'no' }]) {
      expect((await graphPage(lab, { query: IDS, options })).status).toBe(400);
    }
  });

  test('1,000 subscriptions in the array go through, one more is refused', async () => {
    const many = Array.from({ length: 1000 }, (_unused, index) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`);
    expect((await graphPage(lab, { query: IDS, subscriptions: many })).status).toBe(200);
    const answer = await graphPage(lab, { query: IDS, subscriptions: [...many, own] });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'BadRequest', details: [{ code: 'TooManySubscriptions' }] } } });
  });

  test('subscriptions and management groups together are refused', async () => {
    expect((await graphPage(lab, { query: IDS, subscriptions: [own], managementGroups: ['fabrikam-a'] })).status).toBe(400);
  });

  test('a tenant or group with more subscriptions than a query reaches: an error, or with allowPartialScopes a part and a header', async () => {
    await change(lab, { options: { graphScopeLimit: 1 } });
    const refused = await graphPage(lab, { query: IDS, options: { allowPartialScopes: false } });
    expect(refused).toMatchObject({ status: 400, headers: { 'x-ms-tenant-subscription-limit-hit': 'true' } });
    const partial = await graphPage(lab, { query: 'resources | summarize by subscriptionId', options: { allowPartialScopes: true } });
    expect(partial).toMatchObject({ status: 200, headers: { 'x-ms-tenant-subscription-limit-hit': 'true' } });
    expect(partial.body.data).toHaveLength(1);
    const named = await graphPage(lab, { query: IDS, subscriptions: [shared, own] });
    expect(named.status).toBe(200);
    expect(named.headers).not.toHaveProperty('x-ms-tenant-subscription-limit-hit');
  });

  test('every page costs quota, and says how much is left and when it is whole again', async () => {
    const first = await graphPage(lab, { query: IDS, options: { $top: 1 } });
    const second = await graphPage(lab, { query: IDS, options: { $top: 1, $skipToken: first.body.$skipToken } });
    const left = (answer: typeof first): number => Number(answer.headers['x-ms-user-quota-remaining']);
    expect(left(second)).toBeLessThanOrEqual(Math.max(left(first), 14));
    expect(second.headers['x-ms-user-quota-resets-after']).toMatch(/^00:00:0[1-5]$/);
  });
});
