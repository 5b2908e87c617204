import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, arm, armList, startTestLab, type TestLab, type Wire } from './helpers.ts';

const SECURITY = 'providers/Microsoft.Security';
const POLICY = 'providers/Microsoft.Authorization';
const groupPath = (name: string): string => `/providers/Microsoft.Management/managementGroups/${name}`;

let lab: TestLab;
let shared = '';
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:5:3000', options: { throttling: 'headers' } });
  shared = lab.tenant('A').subscriptions[0] ?? '';
});
afterAll(() => lab.close());

describe('management groups (azure.md §1.10)', () => {
  test('the list says @nextLink, null at the end', async () => {
    const answer = await arm(lab, '/providers/Microsoft.Management/managementGroups?api-version=2023-04-01');
    expect(answer.body['@nextLink']).toBeNull();
    expect((answer.body.value as Wire[]).map((row) => row.name as string)).toEqual(lab.tenant('A').managementGroups);
  });

  test('descendants and subscriptions of a group', async () => {
    const group = groupPath('fabrikam-shared');
    const descendants = await armList(lab, `${group}/descendants?api-version=2023-04-01`);
    expect(descendants).toMatchObject([{ id: `/subscriptions/${shared}`, type: 'Microsoft.Management/managementGroups/subscriptions' }]);
    const subscriptions = await armList(lab, `${group}/subscriptions?api-version=2023-04-01`);
    expect(subscriptions).toMatchObject([{ name: shared, properties: { state: 'Active' } }]);
  });

  test('a group without a role: 403', async () => {
    expect((await arm(lab, `${groupPath('fabrikam-b')}/descendants?api-version=2023-04-01`)).status).toBe(403);
  });
});

describe('policy (azure.md §1.1)', () => {
  const definitions = `/${POLICY}/policyDefinitions?api-version=2023-04-01`;

  test('the tenant lists built-ins, a subscription also its own and inherited ones', async () => {
    const tenant = await armList(lab, definitions);
    expect(tenant.every((row) => (row.id as string).startsWith('/providers/Microsoft.Authorization/'))).toBe(true);
    const inView = await armList(lab, `/subscriptions/${shared}${definitions}`);
    const custom = inView.filter((row) => row.properties.policyType === 'Custom').map((row) => row.name as string);
    expect(custom.toSorted()).toEqual(['audit-sku', 'deny-public-ip', 'require-owner-tag']);
  });

  test('$filter: category, policyType in both spellings, atExactScope()', async () => {
    const category = await armList(lab, `${definitions}&$filter=${encodeURIComponent("category eq 'Security Center'")}`);
    expect(new Set(category.map((row) => row.properties.metadata.category as string))).toEqual(new Set(['Security Center']));
    for (const filter of ["policyType eq 'Custom'", 'policyType -eq Custom']) {
      const custom = await armList(lab, `/subscriptions/${shared}${definitions}&$filter=${encodeURIComponent(filter)}`);
      expect(custom).toHaveLength(3);
    }
    const exact = await armList(lab, `/subscriptions/${shared}${definitions}&$filter=${encodeURIComponent('atExactScope()')}`);
    expect(exact.map((row) => row.name as string).toSorted()).toEqual(['audit-sku', 'deny-public-ip']);
  });

  test('a filter that is none: 400', async () => {
    const answer = await arm(lab, `${definitions}&$filter=${encodeURIComponent("name eq 'x'")}`);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'InvalidFilterInQueryString' } } });
  });

  test('$top sets the page', async () => {
    const answer = await arm(lab, `${definitions}&$top=7`);
    expect(answer.body.value).toHaveLength(7);
    expect(answer.body.nextLink).toContain('%24top=7');
  });

  test('every member of the benchmark is a definition, and most are bound to an assessment', async () => {
    const [set] = await armList(
      lab,
      `/${POLICY}/policySetDefinitions?api-version=2023-04-01&$filter=${encodeURIComponent("category eq 'Security Center'")}`,
    );
    const known = new Set((await armList(lab, definitions)).map((row) => row.id as string));
    const members = (set.properties.policyDefinitions as Wire[]).map((member) => member.policyDefinitionId as string);
    expect(members.length).toBeGreaterThan(200);
    expect(members.filter((id) => !known.has(id))).toEqual([]);
    const groups = new Set((set.properties.policyDefinitionGroups as Wire[]).map((group) => group.name as string));
    const named = (set.properties.policyDefinitions as Wire[]).flatMap((member) => member.groupNames as string[]);
    expect(named.filter((name) => !groups.has(name))).toEqual([]);
  });

  test('assignments: at the scope, from above, and not beside it', async () => {
    const applied = await armList(lab, `/subscriptions/${shared}/${POLICY}/policyAssignments?api-version=2024-04-01`);
    expect(applied.map((row) => row.name as string)).toEqual(expect.arrayContaining(['SecurityCenterBuiltIn', 'corporate-baseline']));
    const exact = await armList(
      lab,
      `/subscriptions/${shared}/${POLICY}/policyAssignments?api-version=2024-04-01&$filter=${encodeURIComponent('atExactScope()')}`,
    );
    expect(exact.map((row) => row.name as string)).not.toContain('corporate-baseline');
  });

  test('one that does not exist: 404', async () => {
    const answer = await arm(lab, `/${POLICY}/policyDefinitions/99999999-0000-4000-8000-000000000000?api-version=2025-03-01`);
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 'PolicyDefinitionNotFound' } } });
  });
});

describe('assessmentMetadata (azure.md §1.3, §4)', () => {
  const path = `/${SECURITY}/assessmentMetadata`;

  test('ids are the tenant’s, in a subscription’s list too, which adds its own', async () => {
    const tenant = await armList(lab, `${path}?api-version=2021-06-01`);
    const own = await armList(lab, `/subscriptions/${shared}${path}?api-version=2021-06-01`);
    expect(own.every((row) => row.id === `/providers/Microsoft.Security/assessmentMetadata/${row.name as string}`)).toBe(true);
    expect(own.length - tenant.length).toBe(2);
  });

  test('links to policies in mixed casing; preview is absent when false; texts may be empty', async () => {
    const rows = await armList(lab, `${path}?api-version=2025-05-04`);
    const links = rows.map((row) => row.properties.policyDefinitionId as string | undefined).filter((id) => id !== undefined);
    expect(links.some((id) => id.startsWith('/providers/microsoft.authorization/'))).toBe(true);
    expect(links.some((id) => id.startsWith('/providers/Microsoft.Authorization/'))).toBe(true);
    expect(rows.some((row) => row.properties.preview === false)).toBe(false);
    expect(rows.some((row) => row.properties.description === '')).toBe(true);
    expect(new Set(links.map((id) => id.toLowerCase())).size).toBeLessThan(links.length);
  });

  test('a list stops at the cap; what is beyond it answers one by one', async () => {
    const all = await armList(lab, `${path}?api-version=2021-06-01`);
    await admin(lab, 'POST', '/azure/change', { options: { metadataCap: 50 } });
    const capped = await armList(lab, `${path}?api-version=2021-06-01`);
    const beyond = await arm(lab, `${path}/${all[60].name as string}?api-version=2021-06-01`);
    await admin(lab, 'POST', '/azure/change', { options: { metadataCap: 1000 } });
    expect(capped).toHaveLength(50);
    expect(beyond).toMatchObject({ status: 200, body: { name: all[60].name } });
  });

  test('an unknown key: 404', async () => {
    expect((await arm(lab, `${path}/99999999-0000-4000-8000-000000000000?api-version=2021-06-01`)).status).toBe(404);
  });
});

describe('assessments (azure.md §1.4)', () => {
  const list = (version: string): string => `/subscriptions/${shared}/${SECURITY}/assessments?api-version=${version}`;

  test('a list carries neither links nor metadata; a single one expands them', async () => {
    const rows = await armList(lab, list('2025-05-04'));
    expect(rows.some((row) => 'metadata' in row.properties || 'links' in row.properties)).toBe(false);
    const row = rows.find(
      (candidate) => candidate.properties.displayName !== undefined && candidate.properties.resourceDetails.Source === 'Azure',
    );
    const plain = await arm(lab, `${row.id as string}?api-version=2025-05-04`);
    expect(plain.body.properties).not.toHaveProperty('links');
    const expanded = await arm(lab, `${row.id as string}?api-version=2025-05-04&$expand=links,metadata`);
    expect(expanded.body.properties.links.azurePortalUri).toContain(row.name);
    expect(expanded.body.properties.metadata.displayName).toBe(row.properties.displayName);
    expect((await arm(lab, `${row.id as string}?api-version=2025-05-04&$expand=everything`)).status).toBe(400);
  });

  test('a single one equals its row, whatever the casing of the path', async () => {
    const [row] = await armList(lab, list('2025-05-04'));
    const single = await arm(lab, `${(row.id as string).toUpperCase()}?api-version=2025-05-04`);
    expect(single.body).toEqual(row);
  });

  test('risk exists from 2025-05-04, dates from 2021-06-01', async () => {
    const newest = await armList(lab, list('2025-05-04'));
    const middle = await armList(lab, list('2021-06-01'));
    const oldest = await armList(lab, list('2020-01-01'));
    expect(newest.some((row) => row.properties.risk !== undefined)).toBe(true);
    expect(middle.some((row) => row.properties.risk !== undefined)).toBe(false);
    expect(middle.every((row) => row.properties.status.firstEvaluationDate !== undefined)).toBe(true);
    expect(oldest.some((row) => row.properties.status.firstEvaluationDate !== undefined)).toBe(false);
  });

  test('rows show the casing of real traffic: PascalCase and camelCase details, one resource in several casings', async () => {
    const rows = await armList(lab, list('2025-05-04'));
    const details = rows.map((row) => row.properties.resourceDetails as Record<string, string>);
    expect(details.some((detail) => 'Source' in detail)).toBe(true);
    expect(details.some((detail) => 'source' in detail)).toBe(true);
    const ids = details.map((detail) => detail.Id ?? detail.id).filter((id) => id !== undefined);
    expect(new Set(ids).size).toBeGreaterThan(new Set(ids.map((id) => id.toLowerCase())).size);
    expect(rows.some((row) => row.properties.displayName === undefined)).toBe(true);
  });

  test('holds Azure, AWS, on-premises and subscription-level resources', async () => {
    const rows = await armList(lab, list('2025-05-04'));
    const sources = new Set(rows.map((row) => (row.properties.resourceDetails.Source ?? row.properties.resourceDetails.source) as string));
    expect([...sources].toSorted()).toEqual(['Aws', 'Azure', 'OnPremise', 'OnPremiseSql']);
    expect(rows.some((row) => (row.id as string).toLowerCase().startsWith(`/subscriptions/${shared}/providers/microsoft.security/`))).toBe(
      true,
    );
    const onPremises = rows.find((row) => row.properties.resourceDetails.Source === 'OnPremiseSql')?.properties.resourceDetails;
    expect(Object.keys(onPremises ?? {})).toEqual(
      expect.arrayContaining(['workspaceId', 'vmuuid', 'sourceComputerId', 'machineName', 'serverName', 'databaseName']),
    );
  });

  test('a management group lists the rows of its subscriptions', async () => {
    const ofGroup = await armList(lab, `${groupPath('fabrikam-shared')}/${SECURITY}/assessments?api-version=2021-06-01`);
    expect(ofGroup).toHaveLength((await armList(lab, list('2021-06-01'))).length);
  });

  test('sub-assessments are gone: 200 and nothing (§0.1)', async () => {
    expect(await armList(lab, `/subscriptions/${shared}/${SECURITY}/subAssessments?api-version=2019-01-01-preview`)).toEqual([]);
  });
});

describe('standards and regulatory compliance (azure.md §1.2, §1.8)', () => {
  const standards = (id: string): string => `/subscriptions/${id}/${SECURITY}/regulatoryComplianceStandards`;
  const version = '?api-version=2019-01-01-preview';

  test('states add up from assessments to controls to the standard', async () => {
    const [standard] = await armList(lab, standards(shared) + version);
    expect(standard.properties).not.toHaveProperty('displayName');
    const controls = await armList(lab, `${standards(shared)}/${standard.name as string}/regulatoryComplianceControls${version}`);
    const failed = controls.filter((control) => control.properties.state === 'Failed');
    expect(standard.properties.failedControls).toBe(failed.length);
    const rows = await armList(
      lab,
      `${standards(shared)}/${standard.name as string}/regulatoryComplianceControls/${controls[0].name as string}/regulatoryComplianceAssessments${version}`,
    );
    expect(controls[0].properties.failedAssessments).toBe(rows.filter((row) => row.properties.state === 'Failed').length);
  });

  test('without a paid plan: 400, and the plans say Free', async () => {
    await admin(lab, 'POST', '/azure/change', { plan: { subscription: shared, tier: 'Free' } });
    const answer = await arm(lab, standards(shared) + version);
    const pricings = await arm(lab, `/subscriptions/${shared}/${SECURITY}/pricings?api-version=2024-01-01`);
    await admin(lab, 'POST', '/azure/change', { plan: { subscription: shared, tier: 'Standard' } });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'Subscription with no standard pricing bundle' } } });
    expect(answer.body.error.message).toContain(shared);
    const inForce = (pricings.body.value as Wire[]).filter((row) => row.properties.pricingTier !== 'Free').map((row) => row.name as string);
    expect(inForce).toEqual(['FoundationalCspm', 'Discovery']);
  });

  test('securityStandards name their assessments; assignments name their standard', async () => {
    const rows = await armList(lab, `/subscriptions/${shared}/${SECURITY}/securityStandards?api-version=2024-08-01`);
    expect(rows.map((row) => row.properties.standardType as string)).toEqual(expect.arrayContaining(['Default', 'Compliance', 'Custom']));
    expect(rows.every((row) => row.properties.assessments.length > 0)).toBe(true);
    const assignments = await armList(lab, `/subscriptions/${shared}/${SECURITY}/standardAssignments?api-version=2024-08-01`);
    expect(assignments.some((row) => row.properties.effect === 'Exempt')).toBe(true);
  });
});

describe('connectors, resources, tags (azure.md §1.10)', () => {
  test('AWS resources name a connector that exists', async () => {
    const connectors = await armList(lab, `/subscriptions/${shared}/${SECURITY}/securityConnectors?api-version=2024-03-01-preview`);
    const accounts = new Set(connectors.map((row) => row.properties.hierarchyIdentifier as string));
    const rows = await armList(lab, `/subscriptions/${shared}/${SECURITY}/assessments?api-version=2025-05-04`);
    const details = rows
      .map((row) => row.properties.resourceDetails as Record<string, string>)
      .filter((detail) => (detail.Source ?? detail.source) === 'Aws');
    expect(details.length).toBeGreaterThan(0);
    expect(details.every((detail) => accounts.has((detail.HierarchyId ?? detail.hierarchyId) as string))).toBe(true);
  });

  test('resources carry tags, $filter takes a type, subnets are no resources', async () => {
    const path = `/subscriptions/${shared}/resources?api-version=2024-03-01`;
    const rows = await armList(lab, path);
    expect(rows.some((row) => (row.type as string).includes('subnets'))).toBe(false);
    const machines = await armList(lab, `${path}&$filter=${encodeURIComponent("resourceType eq 'microsoft.compute/virtualMachines'")}`);
    expect(machines.length).toBeGreaterThan(0);
    const tagged = rows.find((row) => row.tags !== undefined);
    const tags = await arm(lab, `${tagged.id as string}/providers/Microsoft.Resources/tags/default?api-version=2024-03-01`);
    expect(tags.body.properties.tags).toEqual(tagged.tags);
  });
});
