import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, arm, armList, graphRows, startTestLab, type TestLab, type Wire } from './helpers.ts';

const ESTATES = ['company', 'generated:11:2500'];
const CONTAINERS =
  "securityresources | where type == 'microsoft.security/assessments' | where properties.metadata.recommendationCategory == 'SoftwareUpdate' | where properties.resourceDetails.ResourceType in ('.containerimage', 'K8s-container') | order by id asc";

/** What a reader finds who only has the wire. */
async function readBack(lab: TestLab, name: string): Promise<Wire> {
  const { subscriptions } = lab.tenant(name);
  const lists = await Promise.all(
    subscriptions.map((id) => armList(lab, `/subscriptions/${id}/providers/Microsoft.Security/assessments?api-version=2025-05-04`, name)),
  );
  const rows = lists.flat();
  const metadata = (
    await Promise.all(
      subscriptions.map((id) =>
        armList(lab, `/subscriptions/${id}/providers/Microsoft.Security/assessmentMetadata?api-version=2025-05-04`, name),
      ),
    )
  ).flat();
  const dynamic = new Set(metadata.filter((row) => row.properties.assessmentType === 'DynamicBuiltIn').map((row) => row.name as string));
  const known = new Set(metadata.map((row) => row.name as string));
  const inScope = rows.filter((row) => !dynamic.has(row.name as string));
  const resourceOf = (row: Wire): string => (row.id as string).toLowerCase().split('/providers/microsoft.security/assessments/')[0] ?? '';
  const withResult = inScope.filter((row) => row.properties.status.code !== 'NotApplicable');
  const count = (code: string): number => inScope.filter((row) => row.properties.status.code === code).length;
  const keys = new Set(inScope.map((row) => row.name as string));
  return {
    assessments: {
      listed: rows.length,
      inScope: { healthy: count('Healthy'), unhealthy: count('Unhealthy'), notApplicable: count('NotApplicable'), total: inScope.length },
      outOfScope: rows.length - inScope.length,
      results: new Set(withResult.map((row) => (row.id as string).toLowerCase())).size,
      keys: keys.size,
      keysWithoutMetadata: [...keys].filter((key) => !known.has(key)).length,
    },
    resources: {
      listed: new Set(rows.map(resourceOf)).size,
      inScope: new Set(inScope.map(resourceOf)).size,
      withResult: new Set(withResult.map(resourceOf)).size,
    },
    metadataKeys: known.size,
    containers: await readContainers(lab, name),
  };
}

async function readContainers(lab: TestLab, name: string): Promise<Wire> {
  const served = await graphRows(lab, { query: CONTAINERS }, name);
  const rows = [...new Map(served.map((row) => [(row.id as string).toLowerCase(), row])).values()];
  const [images, digests, packages, findings, cves] = [
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
  ];
  for (const { properties } of rows) {
    const { Digest: digest, RepositoryDetails: repository } = JSON.parse(properties.resourceAdditionalData as string) as {
      Digest: string;
      RepositoryDetails: { RepositoryName: string };
    };
    // A running container's row names no registry.
    const place = properties.resourceDetails.ResourceType === 'K8s-container' ? 'running' : 'registry';
    const image = `${place}|${repository.RepositoryName}@${digest}`;
    images.add(image);
    digests.add(digest);
    for (const version of (properties.additionalData.DetectedSoftwareVersions as string).split(', ')) {
      const found = `${image}|${properties.additionalData.SoftwareName as string}|${version}`;
      packages.add(found);
      for (const { CveId } of JSON.parse((properties.additionalData.CvesDetails as string | undefined) ?? '[]') as { CveId: string }[]) {
        cves.add(CveId);
        findings.add(`${found}|${CveId}`);
      }
    }
  }
  return {
    rows: rows.length,
    rowsServed: served.length,
    images: images.size,
    imagesByDigest: digests.size,
    packages: packages.size,
    findings: findings.size,
    cves: cves.size,
  };
}

describe.each(ESTATES)('the truth of %s is what its rows say', (estate) => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await startTestLab({ estate, options: { throttling: 'headers' } });
  });
  afterAll(() => lab.close());

  test.each(['A', 'B'])('deployment %s', async (name) => {
    const { body } = await admin(lab, 'GET', '/azure/estate');
    const truth = body.deployments[name];
    const found = await readBack(lab, name);
    expect(truth.subscriptions).toEqual(lab.tenant(name).subscriptions);
    expect(truth.assessments).toEqual(found.assessments);
    expect(truth.resources).toEqual(found.resources);
    expect(truth.metadata.keys).toBe(found.metadataKeys);
    expect(truth.containers).toMatchObject(found.containers);
  });

  test('standards, policies and connectors', async () => {
    const truth = (await admin(lab, 'GET', '/azure/estate')).body.deployments.B;
    const type = 'microsoft.security/regulatorycompliancestandards/regulatorycompliancecontrols/regulatorycomplianceassessments';
    const rows = await graphRows(lab, { query: `securityresources | where type == '${type}' | project id | order by id asc` }, 'B');
    const triples = rows.map((row) => (row.id as string).toLowerCase().split('/regulatorycompliancestandards/')[1]);
    expect(truth.standards.triples).toBe(new Set(triples).size);
    const names = new Set(triples.map((triple) => triple?.split('/')[0]));
    expect(truth.standards.regulatory).toBe(names.size);
    const perSubscription = await Promise.all(
      lab
        .tenant('B')
        .subscriptions.map((id) =>
          armList(lab, `/subscriptions/${id}/providers/Microsoft.Authorization/policyDefinitions?api-version=2023-04-01`, 'B'),
        ),
    );
    expect(truth.policies.definitions).toBe(new Set(perSubscription.flat().map((row) => (row.id as string).toLowerCase())).size);
    const connectors = await Promise.all(
      lab
        .tenant('B')
        .subscriptions.map((id) =>
          armList(lab, `/subscriptions/${id}/providers/Microsoft.Security/securityConnectors?api-version=2024-03-01-preview`, 'B'),
        ),
    );
    expect(truth.connectors).toEqual({ all: connectors.flat().length, awsAndGcp: connectors.flat().length });
  });

  test('the union counts what both see once', async () => {
    const { body } = await admin(lab, 'GET', '/azure/estate');
    const { A, B } = body.deployments;
    expect(body.union.assessments.listed).toBeLessThan((A.assessments.listed as number) + (B.assessments.listed as number));
    expect(body.union.subscriptions).toHaveLength(new Set([...(A.subscriptions as string[]), ...(B.subscriptions as string[])]).size);
  });
});

describe('change', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await startTestLab({ estate: 'generated:3:3000', options: { throttling: 'headers' } });
  });
  afterAll(() => lab.close());
  afterEach(async () => {
    await admin(lab, 'DELETE', '/azure/faults');
  });

  test('flip: that share of statuses changes sides, deterministically, with the date of the change', async () => {
    const path = `/subscriptions/${lab.tenant('A').subscriptions[0] ?? ''}/providers/Microsoft.Security/assessments?api-version=2021-06-01`;
    const before = new Map((await armList(lab, path)).map((row) => [row.id as string, row.properties.status]));
    await admin(lab, 'POST', '/azure/change', { flip: { percent: 3, seed: 99 } });
    const after = await armList(lab, path);
    const changed = after.filter((row) => before.get(row.id as string).code !== row.properties.status.code);
    expect(changed.length / after.length).toBeGreaterThan(0.01);
    expect(changed.length / after.length).toBeLessThan(0.05);
    expect(changed.every((row) => (row.properties.status.statusChangeDate as string) > '2026-11')).toBe(true);
    const truth = await readBack(lab, 'A');
    expect((await admin(lab, 'GET', '/azure/estate')).body.deployments.A.assessments).toEqual(truth.assessments);
    // The same flip again turns the same rows back.
    await admin(lab, 'POST', '/azure/change', { flip: { percent: 3, seed: 99 } });
    const back = await armList(lab, path);
    expect(back.filter((row) => before.get(row.id as string).code !== row.properties.status.code)).toEqual([]);
  });

  test('revoke shrinks the truth', async () => {
    const { clientId, subscriptions } = lab.tenant('A');
    await admin(lab, 'POST', '/azure/change', { revoke: { clientId, subscription: subscriptions[1] } });
    const { body } = await admin(lab, 'GET', '/azure/estate');
    await admin(lab, 'POST', '/azure/change', { restore: { clientId, subscription: subscriptions[1] } });
    expect(body.deployments.A.subscriptions).toEqual([subscriptions[0]]);
  });

  test.each([
    [{ flip: { percent: 101 } }, 400],
    [{ revoke: { clientId: 'nobody', subscription: 'x' } }, 404],
    [{ explode: {} }, 400],
    [{ options: { pageQuirk: 'nonsense' } }, 400],
    [{ consent: { clientId: 'nobody', state: 'granted' } }, 404],
  ])('%j is refused', async (change, status) => {
    const answer = await admin(lab, 'POST', '/azure/change', change);
    expect(answer.status).toBe(status);
    expect(typeof answer.body.error).toBe('string');
  });

  test('faults answer instead of the service, so many times; requests are counted', async () => {
    const path = `/subscriptions/${lab.tenant('A').subscriptions[0] ?? ''}/providers/Microsoft.Security/assessments?api-version=2021-06-01`;
    const body = { error: { code: 'GatewayTimeout', message: 'x' } };
    await admin(lab, 'DELETE', '/azure/requests');
    await admin(lab, 'POST', '/azure/faults', { match: { pathIncludes: '/assessments' }, action: { status: 504, body }, times: 1 });
    expect(await arm(lab, path)).toMatchObject({ status: 504, body });
    expect((await arm(lab, path)).status).toBe(200);
    const { counters } = (await admin(lab, 'GET', '/azure/requests')).body;
    expect(counters).toContainEqual({
      method: 'GET',
      pattern: '/subscriptions/{id}/providers/Microsoft.Security/assessments',
      count: 2,
      byStatus: { '200': 1, '504': 1 },
    });
  });
});
