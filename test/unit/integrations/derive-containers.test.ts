import { describe, expect, test } from '@jest/globals';
import { parseCve } from '../../../src/integrations/cve.ts';
import { parseImageAssessment, parseSubAssessment } from '../../../src/integrations/image-row.ts';
import type { ObservedRecord } from '../../../src/model.ts';
import { bodiesOf, contextWith, deriveAll, instanceKey, keysOf, observed, recordOf, scanned } from './harness.ts';

const source = 'Microsoft Defender for Cloud';
const subscription = '00000000-1111-2222-3333-444444444444';
const hex = '0123456789abcdef'.repeat(4);
const digest = `sha256:${hex}`;
const registryImage = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/acr/repositories/team/app/images/${digest}`;
const cluster = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1`;
const reference = (table: string, key: string): unknown => ({ record: { table, key } });

interface Facts {
  readonly resource?: string;
  readonly key?: string;
  readonly code?: string;
  readonly additionalData?: Record<string, unknown>;
  readonly resourceAdditionalData?: unknown;
  readonly firstFound?: string;
}
function recommendation({
  resource = registryImage,
  key = 'k1',
  code = 'Unhealthy',
  firstFound = '2026-08-02T00:00:00Z',
  ...data
}: Facts = {}): ObservedRecord {
  return observed(
    parseImageAssessment({
      id: `${resource}/providers/microsoft.security/assessments/${key}`,
      properties: {
        status: { code, firstEvaluationDate: firstFound },
        resourceDetails: { Id: resource, Source: 'Azure' },
        additionalData: {
          SoftwareName: 'setuptools',
          DetectedSoftwareVersions: '65.5.1',
          FixedVersion: '70.0',
          PackageType: 'Language',
          Language: 'python',
          CvesDetails: JSON.stringify([{ CveId: 'CVE-2024-6345', Severity: 'High' }]),
          ...data.additionalData,
        },
        ...(data.resourceAdditionalData !== undefined && { resourceAdditionalData: data.resourceAdditionalData }),
      },
    }),
  );
}

const image = `${instanceKey}|acr/team/app@${digest}`;
const finding = `${image}|cve-2024-6345|setuptools|65.5.1|`;

describe('a vulnerable package in an image', () => {
  const derived = deriveAll('container-images', [recommendation()]);

  test('is an image, a package, a finding, a vulnerable item and their link', () => {
    const ci = { ci: `image:${hex}` };
    const item = `${instanceKey}|acr/team/app|cve-2024-6345|${digest}`;
    const packageKey = `${image}|setuptools|65.5.1`;
    expect(derived.cis).toEqual([{ key: `image:${hex}`, identity: { type: 'image', digest, name: 'acr/team/app' } }]);
    expect(derived.records).toEqual([
      { table: 'sn_vul_nvd_entry', key: 'cve-2024-6345', fields: { id: 'CVE-2024-6345', source_severity: 'High' } },
      {
        table: 'sn_vul_container_image',
        key: image,
        fields: {
          integration_instance: reference('sn_sec_int_impl', instanceKey),
          docker_image: ci,
          image_name: 'acr/team/app',
          image_digest: digest,
          image_id: '0123456789ab',
          repository_entry: '',
          registry: 'acr',
          repository: 'acr/team/app',
          cloud_provider: 'Microsoft Azure',
          cloud_account: subscription,
          cloud_region: '',
        },
      },
      {
        table: 'sn_vul_container_image_package',
        key: packageKey,
        fields: { image: reference('sn_vul_container_image', image), name: 'setuptools', version: '65.5.1' },
      },
      {
        table: 'sn_vul_container_image_findings',
        key: finding,
        fields: {
          image: reference('sn_vul_container_image', image),
          vulnerability: reference('sn_vul_nvd_entry', 'cve-2024-6345'),
          docker_image: ci,
          package: reference('sn_vul_container_image_package', packageKey),
          source_id: finding,
          unique_key: finding,
          status: 'Open',
          proof: 'setuptools 65.5.1 (Language, python), fixed in 70.0',
          path: '',
          fixed_version: '70.0',
          severity: 2,
          first_found: '2026-08-02 00:00:00',
        },
        volatile: { last_found: scanned },
      },
      {
        table: 'sn_vul_container_image_vulnerable_item',
        key: item,
        fields: {
          vulnerability: reference('sn_vul_nvd_entry', 'cve-2024-6345'),
          image: reference('sn_vul_container_image', image),
          docker_image: ci,
          source,
          image_repository: 'acr/team/app',
          first_found: '2026-08-02 00:00:00',
        },
        volatile: { last_found: scanned },
      },
      {
        table: 'sn_vul_container_finding_m2m_vul_item',
        key: `${finding}|${digest}`,
        fields: {
          finding: reference('sn_vul_container_image_findings', finding),
          item: reference('sn_vul_container_image_vulnerable_item', item),
        },
      },
    ]);
  });

  test('a CVE that has details of its own is not described by the image', () => {
    const cve = observed(parseCve({ name: 'cve-2024-6345', properties: { cveId: 'CVE-2024-6345' } }));
    const context = contextWith({ cve: bodiesOf([cve], 'cve') });
    expect(keysOf(deriveAll('container-images', [recommendation()], context), 'sn_vul_nvd_entry')).toEqual([]);
  });

  test('several versions are several packages and findings, one vulnerable item', () => {
    const several = deriveAll('container-images', [recommendation({ additionalData: { DetectedSoftwareVersions: '["1.0","2.0"]' } })]);
    expect(keysOf(several, 'sn_vul_container_image_package')).toHaveLength(2);
    expect(keysOf(several, 'sn_vul_container_image_findings')).toHaveLength(2);
    expect(keysOf(several, 'sn_vul_container_image_vulnerable_item')).toHaveLength(1);
    expect(keysOf(several, 'sn_vul_container_finding_m2m_vul_item')).toHaveLength(2);
  });

  test('a running container without a registry is the image of the same repository', () => {
    const running = recommendation({
      resource: cluster,
      key: 'k2',
      resourceAdditionalData: JSON.stringify({ Digest: digest.toUpperCase(), RepositoryDetails: { RepositoryName: 'Team/App' } }),
    });
    expect(running.group).toBe(digest);
    expect(keysOf(deriveAll('container-images', [recommendation(), running]), 'sn_vul_container_image')).toEqual([image]);
    expect(keysOf(deriveAll('container-images', [running]), 'sn_vul_container_image')).toEqual([`${instanceKey}|team/app@${digest}`]);
  });

  test('the same digest in two registries: two images, one CI', () => {
    const second = recommendation({ resource: registryImage.replace('registries/acr', 'registries/other'), key: 'k2' });
    const both = deriveAll('container-images', [recommendation(), second]);
    expect(keysOf(both, 'sn_vul_container_image')).toHaveLength(2);
    expect(both.cis.map(({ key }) => key)).toEqual([`image:${hex}`]);
  });

  test('a vulnerable item is as old as its oldest finding', () => {
    const older = recommendation({ key: 'k0', additionalData: { SoftwareName: 'pip' }, firstFound: '2026-01-01T00:00:00Z' });
    const both = deriveAll('container-images', [recommendation({ key: 'a' }), older]);
    expect(both.records.find(({ table }) => table === 'sn_vul_container_image_vulnerable_item')?.fields['first_found']).toBe(
      '2026-01-01 00:00:00',
    );
  });

  test('healthy: the image and its package stay, nothing is found in them', () => {
    const healthy = deriveAll('container-images', [recommendation({ code: 'Healthy', additionalData: { CvesDetails: undefined } })]);
    expect(healthy.records.map(({ table }) => table)).toEqual(['sn_vul_container_image', 'sn_vul_container_image_package']);
    expect(healthy.cis).toHaveLength(1);
  });

  test('not applicable: nothing new', () => {
    const exempt = deriveAll('container-images', [recommendation({ code: 'NotApplicable' })]);
    expect(exempt.records.map(({ table, onlyIfExists }) => [table, onlyIfExists])).toEqual([['sn_vul_container_image', true]]);
    expect(exempt.cis).toEqual([]);
  });

  test('an advisory that is no CVE is said, not lost', () => {
    const mixed = deriveAll('container-images', [
      recommendation({ additionalData: { CvesDetails: JSON.stringify([{ CveId: 'GHSA-1234' }, { CveId: 'cve-2024-6345' }]) } }),
    ]);
    expect(keysOf(mixed, 'sn_vul_nvd_entry')).toEqual(['cve-2024-6345']);
    expect(mixed.excluded).toEqual([
      { kind: 'image-assessment', id: expect.any(String), because: 'out of scope in part: GHSA-1234 is in no CVE library' },
    ]);
  });
});

describe('rows about images that cannot be used', () => {
  const row = (properties: Record<string, unknown>, resource = registryImage): unknown => ({
    id: `${resource}/providers/microsoft.security/assessments/k1`,
    properties: { status: { code: 'Unhealthy' }, ...properties },
  });
  test.each([
    [row({ additionalData: { CvesDetails: '[{' } }), 'properties.additionalData.CvesDetails is text that is no JSON'],
    [row({ additionalData: { CvesDetails: '[{"Severity":"High"}]' } }), 'properties.additionalData.CvesDetails.0.CveId is missing'],
    [row({ additionalData: { CvesDetails: '{"a":1}' } }), 'properties.additionalData.CvesDetails is not of type array'],
    [row({}, cluster), 'the row names no sha256 digest of an image'],
    [row({ resourceAdditionalData: { Digest: digest } }, cluster), 'the row names no repository of the image'],
    [row({ resourceAdditionalData: 'x' }), 'properties.resourceAdditionalData is text that is no JSON'],
  ])('%#', (bad, because) => {
    expect(parseImageAssessment(bad)).toMatchObject({ outcome: 'quarantined', because });
  });
});

test('CVE details become the entry with the scores that exist', () => {
  const cve = parseCve({
    name: 'cve-2024-6179',
    properties: {
      cveId: 'CVE-2024-6179',
      severity: 'Medium',
      status: 'Reject',
      publishedDate: '2024-06-20T01:53:11.588Z',
      description: 'Cross-site scripting',
      cvss: {
        '4.0': { base: 4.8, cvssVectorString: 'CVSS:4.0/AV:A' },
        '3.0': { base: 6.1, cvssVectorString: 'CVSS:3.1/AV:N' },
        '2.0': null,
      },
      exploitabilityDetails: { IsInExploitKit: true, Epss: { Score: 0.5 } },
    },
  });
  expect(deriveAll('container-images', [observed(cve)])).toEqual({
    records: [
      {
        table: 'sn_vul_nvd_entry',
        key: 'cve-2024-6179',
        fields: {
          id: 'CVE-2024-6179',
          summary: 'Rejected. Cross-site scripting',
          v4_base_score: 4.8,
          v4_vector_string: 'CVSS:4.0/AV:A',
          v3_base_score: 6.1,
          v3_vector_string: 'CVSS:3.1/AV:N',
          score: 4.8,
          source_severity: 'Medium',
          date_published: '2024-06-20 01:53:11',
          epss_score: 0.5,
          exploit: true,
        },
      },
    ],
    cis: [],
    excluded: [],
  });
});

test('a sub-assessment is the same finding, with its path and its tag', () => {
  const row = {
    id: `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/acr/providers/Microsoft.Security/assessments/a/subassessments/s`,
    properties: {
      id: 'CVE-2022-42969',
      status: { code: 'Unhealthy', severity: 'Critical' },
      resourceDetails: { id: `/repositories/team/app/images/${digest}`, source: 'Azure' },
      additionalData: {
        assessedResourceType: 'AzureContainerRegistryVulnerability',
        artifactDetails: { registryHost: 'acr.azurecr.io', repositoryName: 'team/app', digest, tags: ['v1'] },
        softwareDetails: { packageName: 'py', version: '1.11.0', evidence: ['/usr/lib/py'], fixStatus: 'WontFix' },
      },
    },
  };
  const derived = deriveAll('container-images', [observed(parseSubAssessment(row))]);
  const key = `${instanceKey}|acr.azurecr.io/team/app|cve-2022-42969|v1`;
  expect(recordOf(derived, 'sn_vul_container_image_vulnerable_item', key).fields['image_repository']).toBe('acr.azurecr.io/team/app');
  expect(derived.records.find(({ table }) => table === 'sn_vul_container_image_findings')?.fields).toMatchObject({
    severity: 1,
    path: '/usr/lib/py',
    proof: 'py 1.11.0, in /usr/lib/py, WontFix',
  });
});
