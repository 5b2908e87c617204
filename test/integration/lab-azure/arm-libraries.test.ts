import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { arm, armList, startTestLab, type TestLab, type Wire } from './helpers.ts';

const SECURITY = 'providers/Microsoft.Security';
const POLICY = 'providers/Microsoft.Authorization';
const GROUP = '/providers/Microsoft.Management/managementGroups/';

let lab: TestLab;
let shared = '';
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:14:1500', options: { throttling: 'headers' } });
  [shared = ''] = lab.tenant('A').subscriptions;
});
afterAll(() => lab.close());

const filtered = (path: string, filter: string): string => `${path}&$filter=${encodeURIComponent(filter)}`;
const namesOf = (rows: readonly Wire[]): string[] => rows.map((row) => row.name as string);

describe('standards, assignments and recommendations by scope (azure.md §1.2)', () => {
  const list = (scope: string, type: string): string => `${scope}/${SECURITY}/${type}?api-version=2024-08-01`;

  test('customRecommendations of a subscription bind a query to a key that its metadata knows', async () => {
    const rows = await armList(lab, list(`/subscriptions/${shared}`, 'customRecommendations'));
    const metadata = await armList(lab, `/subscriptions/${shared}/${SECURITY}/assessmentMetadata?api-version=2025-05-04`);
    expect(rows).toHaveLength(2);
    for (const { properties } of rows) {
      expect(typeof properties.query).toBe('string');
      expect(metadata.find((row) => row.name === properties.assessmentKey)).toMatchObject({
        properties: { displayName: properties.displayName, assessmentType: 'CustomerManaged' },
      });
    }
    const single = await arm(lab, list(`/subscriptions/${shared}`, `customRecommendations/${rows[0].name as string}`));
    expect(single.body).toEqual(rows[0]);
  });

  test('a connector has the standards of its cloud, each assigned there', async () => {
    const connectors = await armList(lab, `/subscriptions/${shared}/${SECURITY}/securityConnectors?api-version=2024-03-01-preview`);
    const aws = connectors.find((row) => row.properties.environmentName === 'AWS');
    const rows = await armList(lab, list(aws.id as string, 'securityStandards'));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every((row) => (row.properties.cloudProviders as string[]).includes('AWS'))).toBe(true);
    expect(rows.every((row) => (row.id as string).startsWith(`${aws.id as string}/`))).toBe(true);
    const assignments = await armList(lab, list(aws.id as string, 'standardAssignments'));
    expect(namesOf(assignments)).toEqual(namesOf(rows));
  });

  test('a management group without standards of its own: an empty list; a resource that is no connector: 404', async () => {
    expect(await armList(lab, list(`${GROUP}fabrikam-a`, 'securityStandards'))).toEqual([]);
    const storage = `/subscriptions/${shared}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/none`;
    expect((await arm(lab, list(storage, 'securityStandards'))).status).toBe(404);
  });

  test('an exemption names the assessment that is waived, its category and when it ends', async () => {
    const rows = await armList(lab, list(`/subscriptions/${shared}`, 'standardAssignments'));
    const exempt = rows.find((row) => row.properties.effect === 'Exempt');
    expect(exempt?.properties).toMatchObject({
      exemptionData: { exemptionCategory: 'waiver', assignedAssessment: { assessmentKey: expect.any(String) } },
      expiresOn: expect.any(String),
    });
  });
});

describe('policy at every scope (azure.md §1.1)', () => {
  test('a management group sees the built-ins and its own, not those of a subscription below', async () => {
    const inGroup = await armList(lab, `${GROUP}fabrikam-shared/${POLICY}/policyDefinitions?api-version=2023-04-01`);
    const builtIn = await armList(lab, `/${POLICY}/policyDefinitions?api-version=2023-04-01`);
    const custom = inGroup.filter((row) => row.properties.policyType === 'Custom');
    expect(inGroup.length).toBe(builtIn.length + custom.length);
    expect(custom.every((row) => (row.id as string).toLowerCase().startsWith('/providers/microsoft.management/'))).toBe(true);
    expect(namesOf(custom)).not.toContain('audit-sku');
  });

  test('initiatives are seen from the tenant, a group and a subscription; one is read by name where it was made', async () => {
    for (const scope of ['', `${GROUP}fabrikam-shared`, `/subscriptions/${shared}`]) {
      const rows = await armList(lab, `${scope}/${POLICY}/policySetDefinitions?api-version=2025-03-01`);
      expect(namesOf(rows)).toContain('1f3afdf9-d0c9-4c3d-847f-89da613e70a8');
    }
    const path = `/${POLICY}/policySetDefinitions/1f3afdf9-d0c9-4c3d-847f-89da613e70a8?api-version=2023-04-01`;
    expect((await arm(lab, path)).status).toBe(200);
    expect((await arm(lab, `/subscriptions/${shared}${path}`)).status).toBe(404);
  });

  test('assignments by definition, at a resource group from above, and by name', async () => {
    const base = `/subscriptions/${shared}/${POLICY}/policyAssignments?api-version=2024-04-01`;
    const [first] = await armList(lab, base);
    const definition = first.properties.policyDefinitionId as string;
    const same = await armList(lab, filtered(base, `policyDefinitionId eq '${definition.toUpperCase()}'`));
    expect(same.every((row) => (row.properties.policyDefinitionId as string).toLowerCase() === definition.toLowerCase())).toBe(true);
    expect(same.length).toBeGreaterThan(0);
    const inGroup = await armList(lab, `/subscriptions/${shared}/resourceGroups/rg-any/${POLICY}/policyAssignments?api-version=2025-03-01`);
    expect(namesOf(inGroup)).toEqual(expect.arrayContaining(['SecurityCenterBuiltIn', 'corporate-baseline']));
    expect((await arm(lab, filtered(base, 'atMoon()'))).status).toBe(400);
    const applied = await armList(lab, base);
    const own = applied.find((row) => row.name === 'SecurityCenterBuiltIn');
    expect((await arm(lab, `${own.id as string}?api-version=2024-04-01`)).body).toEqual(own);
    // What is inherited from a group is listed here, and read there only with a role there.
    const inherited = applied.find((row) => row.name === 'corporate-baseline');
    expect((await arm(lab, `${inherited.id as string}?api-version=2024-04-01`)).status).toBe(403);
  });

  test('exemptions name the assignment they are from', async () => {
    const path = `/subscriptions/${shared}/${POLICY}/policyExemptions?api-version=2022-07-01-preview`;
    const rows = await armList(lab, path);
    const assignments = await armList(lab, `/subscriptions/${shared}/${POLICY}/policyAssignments?api-version=2024-04-01`);
    const known = new Set(assignments.map((row) => (row.id as string).toLowerCase()));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every((row) => known.has((row.properties.policyAssignmentId as string).toLowerCase()))).toBe(true);
    expect(rows.every((row) => ['Waiver', 'Mitigated'].includes(row.properties.exemptionCategory as string))).toBe(true);
    expect((await arm(lab, path.replace('2022-07-01-preview', '2024-04-01'))).status).toBe(400);
  });

  test('the versions of a definition, and one of them (examples listPolicyDefinitionVersions)', async () => {
    const [definition] = (await arm(lab, `/${POLICY}/policyDefinitions?api-version=2023-04-01&$top=1`)).body.value as Wire[];
    const path = `${definition.id as string}/versions`;
    const versions = await armList(lab, `${path}?api-version=2023-04-01`);
    expect(versions.length).toBeGreaterThan(0);
    expect(versions[0]).toMatchObject({
      id: `${path}/${versions[0].name as string}`,
      type: 'Microsoft.Authorization/policyDefinitions/versions',
      properties: { version: versions[0].name, displayName: definition.properties.displayName },
    });
    expect((await arm(lab, `${path}/${versions[0].name as string}?api-version=2023-04-01`)).body).toEqual(versions[0]);
    expect((await arm(lab, `${path}/99.0.0?api-version=2023-04-01`)).status).toBe(404);
  });

  test('500 a page where $top is absent; never more than 1,000', async () => {
    const fiveHundred = await arm(lab, `/${POLICY}/policyDefinitions?api-version=2023-04-01`);
    const all = await armList(lab, `/${POLICY}/policyDefinitions?api-version=2023-04-01`);
    expect((fiveHundred.body.value as Wire[]).length).toBe(Math.min(500, all.length));
    expect((await arm(lab, `/${POLICY}/policyDefinitions?api-version=2023-04-01&$top=0`)).status).toBe(400);
  });
});

describe('connectors (examples/azure/security-connectors)', () => {
  test('of a subscription, of a resource group, and one by name', async () => {
    const version = 'api-version=2024-03-01-preview';
    const all = await armList(lab, `/subscriptions/${shared}/${SECURITY}/securityConnectors?${version}`);
    const group = (all[0].id as string).split('/').slice(0, 5).join('/');
    const inGroup = await armList(lab, `${group}/${SECURITY}/securityConnectors?${version}`);
    expect(namesOf(inGroup)).toContain(all[0].name);
    expect((await arm(lab, `${all[0].id as string}?${version}`)).body).toEqual(all[0]);
    expect((await arm(lab, `${group}/${SECURITY}/securityConnectors/none?${version}`)).status).toBe(404);
  });
});
