import { describe, expect, test } from '@jest/globals';
import { parseConnector, parseSubscription } from '../../../src/integrations/accounts.ts';
import { parseAssessment, parseResource } from '../../../src/integrations/assessments.ts';
import { integrationOf } from '../../../src/integrations/index.ts';
import { parseMetadata } from '../../../src/integrations/metadata.ts';
import type { ObservedRecord } from '../../../src/model.ts';
import { bodiesOf, contextWith, deriveAll, deriveForCi, instanceKey, keysOf, observed, recordOf, scanned } from './harness.ts';

const source = 'Microsoft Defender for Cloud';
const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const vm = `/subscriptions/${subscription}/resourceGroups/Rg/providers/Microsoft.Compute/virtualMachines/VM1`;
const group = vm.toLowerCase();
const key = '21300918-b2e3-0346-785f-c77ff57d243b';
const reference = (table: string, recordKey: string): unknown => ({ record: { table, key: recordKey } });

function assessment(resourceId: string, test: string, code: string, properties: Record<string, unknown> = {}): ObservedRecord {
  return observed(
    parseAssessment({
      id: `${resourceId}/providers/Microsoft.Security/assessments/${test}`,
      name: test,
      properties: { displayName: 'Encrypt disks', resourceDetails: { Source: 'Azure', Id: resourceId }, status: { code }, ...properties },
    }),
  );
}

const metadataRecords = [
  observed(parseMetadata({ name: key, properties: { displayName: 'Encrypt disks' } })),
  observed(parseMetadata({ name: 'dynamic', properties: { assessmentType: 'DynamicBuiltIn' } })),
];
const context = contextWith({
  metadata: bodiesOf(metadataRecords, 'metadata'),
  subscription: bodiesOf([observed(parseSubscription({ subscriptionId: subscription, displayName: 'Production' }))], 'subscription'),
});
const listed = observed(parseResource({ id: vm, location: 'eastus' }));

describe('a resource with assessments', () => {
  const failed = assessment(vm.toUpperCase(), key, 'Unhealthy', {
    status: {
      code: 'Unhealthy',
      cause: 'NoAgent',
      description: 'No agent is installed',
      firstEvaluationDate: '2021-04-12T09:07:18.6759138Z',
    },
    additionalData: { 'Agent version': '1.2', empty: '', count: 3 },
    risk: { level: 'High', riskFactors: ['Internet Exposure', 'Critical Resource'] },
    links: { azurePortalUri: 'https://portal.azure.com/#x' },
  });

  test('wants one CI and names its account, region, type and cloud', () => {
    const derived = deriveAll('assessments', [failed, listed], context);
    expect(derived.cis).toEqual([
      {
        key: `resource:${group}`,
        identity: {
          type: 'resource',
          cloud: 'azure',
          resourceId: group,
          displayId: vm,
          name: 'VM1',
          resourceType: 'microsoft.compute/virtualmachines',
          lookupClass: 'cmdb_ci_vm_instance',
          accountId: subscription,
          accountName: 'Production',
          region: 'eastus',
        },
      },
    ]);
    expect(derived.records).toEqual([
      { table: 'sn_sec_cmn_cloud_account', key: subscription, fields: { name: subscription } },
      { table: 'sn_sec_cmn_region', key: 'eastus', fields: { name: 'eastus' } },
      {
        table: 'sn_sec_cmn_cloud_resource_type',
        key: 'microsoft.compute/virtualmachines',
        fields: { name: 'microsoft.compute/virtualmachines' },
      },
      { table: 'sn_sec_cmn_cloud_service_provider', key: 'microsoft azure', fields: { name: 'Microsoft Azure' } },
    ]);
    expect(derived.excluded).toEqual([]);
  });

  test('becomes one discovered item and one result per test', () => {
    const { derived, ci } = deriveForCi([failed, listed], context);
    const item = `${instanceKey}|${group}`;
    expect(derived.records).toEqual([
      {
        table: 'sn_sec_cmn_src_ci',
        key: item,
        fields: {
          source: reference('sn_sec_int_impl', instanceKey),
          source_id: group,
          cmdb_ci: { ci: ci.key },
          asset_category: 'Cloud',
          cloud_account: reference('sn_sec_cmn_cloud_account', subscription),
          cloud_region: reference('sn_sec_cmn_region', 'eastus'),
          cloud_resource_type: reference('sn_sec_cmn_cloud_resource_type', 'microsoft.compute/virtualmachines'),
          cloud_service_provider: reference('sn_sec_cmn_cloud_service_provider', 'microsoft azure'),
          source_data: JSON.stringify({
            account: subscription,
            cloud: 'azure',
            id: group,
            region: 'eastus',
            type: 'microsoft.compute/virtualmachines',
          }),
          host_tag: { records: { table: 'sn_sec_cmn_host_tag', keys: [] } },
        },
        volatile: {
          resource_id: vm,
          resource_name: 'VM1',
          matching_type: 'created_by_ire',
          last_scan_date: scanned,
          last_comp_scan_date: scanned,
        },
      },
      {
        table: 'sn_vulc_result',
        key: `${instanceKey}|${ci.sysId}|${key}`,
        fields: {
          source,
          source_id: `${group}/providers/microsoft.security/assessments/${key}`,
          integration_instance: reference('sn_sec_int_impl', instanceKey),
          cmdb_ci: { ci: ci.key },
          src_ci: reference('sn_sec_cmn_src_ci', item),
          control: reference('sn_vulc_test', key),
          actual_values: 'NoAgent: No agent is installed\n\nAgent version: 1.2\ncount: 3',
          result_details: 'Risk: High\nRisk factors: Critical Resource, Internet Exposure\nPortal: https://portal.azure.com/#x',
          is_ignored: false,
          first_seen: '2021-04-12 09:07:18',
          source_risk_score: 'High',
          result: 'failed',
        },
        volatile: { last_seen: scanned },
      },
    ]);
  });

  test('healthy passes, with the time of the scan as last pass', () => {
    const { derived } = deriveForCi([assessment(vm, key, 'healthy')], context);
    const result = derived.records.find(({ table }) => table === 'sn_vulc_result');
    expect(result).toMatchObject({ fields: { result: 'passed' }, volatile: { last_pass: scanned } });
    expect(result?.onlyIfExists).toBeUndefined();
  });

  test.each([
    ['discovered-item', undefined],
    ['lookup-rule', 'matched_by_cilookup'],
    ['matched-by-ire', 'matched_by_ire'],
  ] as const)('a CI known by %s is reported as %s', (match, type) => {
    const { derived } = deriveForCi([failed], context, match);
    expect(derived.records[0]?.volatile?.['matching_type']).toBe(type);
  });

  test('without the list of resources the region is unknown, and the spelling does not depend on the order', () => {
    const other = assessment(vm, 'other', 'Healthy');
    const [first, second] = [
      [failed, other],
      [other, failed],
    ].map((records) => deriveAll('assessments', records, context).cis[0]?.identity);
    expect(first).toEqual(second);
    expect(first).not.toHaveProperty('region');
  });
});

describe('what does not apply', () => {
  const exempt = assessment(vm, key, 'NotApplicable', { status: { code: 'NotApplicable', cause: 'Exempt' } });

  test('makes nothing new', () => {
    expect(deriveAll('assessments', [exempt], context)).toEqual({ records: [], cis: [], excluded: [] });
    const { derived } = deriveForCi([exempt], context);
    expect(derived.records.map(({ table, onlyIfExists }) => [table, onlyIfExists])).toEqual([
      ['sn_sec_cmn_src_ci', true],
      ['sn_vulc_result', true],
    ]);
  });

  test('is ignored when a person decided it, and keeps its result unless a choice is configured', () => {
    const result = (record: ObservedRecord, notApplicableResult?: string): Record<string, unknown> => {
      const { derived } = deriveForCi([record], { ...context, notApplicableResult });
      return derived.records.find(({ table }) => table === 'sn_vulc_result')!.fields;
    };
    expect(result(exempt)).toMatchObject({ is_ignored: true });
    expect(result(exempt)).not.toHaveProperty('result');
    expect(result(exempt, 'unknown')).toMatchObject({ result: 'unknown' });
    expect(result(assessment(vm, key, 'NotApplicable', { status: { code: 'NotApplicable', cause: 'NoNsgOnVm' } }))).toMatchObject({
      is_ignored: false,
    });
  });
});

describe('several resource ids on one CI', () => {
  const twin = vm.replace('VM1', 'VM2');
  const records = [assessment(vm, key, 'Healthy'), assessment(twin, key, 'Unhealthy')];

  test('one result: failed if any failed, all named, from the item of the failure', () => {
    const { derived, ci } = deriveForCi(records, context);
    expect(keysOf(derived, 'sn_sec_cmn_src_ci')).toEqual([`${instanceKey}|${group}`, `${instanceKey}|${twin.toLowerCase()}`]);
    const result = recordOf(derived, 'sn_vulc_result', `${instanceKey}|${ci.sysId}|${key}`);
    expect(result.fields).toMatchObject({
      result: 'failed',
      src_ci: reference('sn_sec_cmn_src_ci', `${instanceKey}|${twin.toLowerCase()}`),
      actual_values: `Unhealthy: ${twin.toLowerCase()}/providers/microsoft.security/assessments/${key}\n\nHealthy: ${group}/providers/microsoft.security/assessments/${key}`,
    });
  });
});

describe('keys', () => {
  test('without metadata: a placeholder test, and its results', () => {
    const derived = deriveAll('assessments', [assessment(vm, 'Unknown-Key', 'Unhealthy')], context);
    expect(recordOf(derived, 'sn_vulc_test', 'unknown-key').fields).toEqual({
      source,
      source_id: 'unknown-key',
      short_description: 'Encrypt disks',
      description: 'Microsoft Defender for Cloud publishes no metadata for this assessment.',
    });
  });

  test('of individual recommendations make no test', () => {
    const derived = deriveAll('assessments', [assessment(vm, 'dynamic', 'Unhealthy')], context);
    expect(derived).toEqual({
      records: [],
      cis: [],
      excluded: [
        {
          kind: 'assessment',
          id: expect.stringContaining('/dynamic'),
          because: 'out of scope: individual recommendation (DynamicBuiltIn)',
        },
      ],
    });
  });

  test.each([
    [{ metadata: { recommendationCategory: 'ServiceUpgrade' } }, 'out of scope: recommendation category ServiceUpgrade'],
    [{ metadata: { assessmentType: 'dynamicBuiltIn' } }, 'out of scope: individual recommendation (DynamicBuiltIn)'],
    [{ additionalData: { CvesDetails: '[]' } }, 'out of scope: recommendation category SoftwareUpdate'],
  ])('%j is excluded where the row itself says so', (properties, because) => {
    const row = { id: `${vm}/providers/Microsoft.Security/assessments/k`, properties: { status: { code: 'Unhealthy' }, ...properties } };
    expect(parseAssessment(row)).toEqual({ outcome: 'excluded', because });
  });
});

describe('other clouds', () => {
  const connectorId = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Security/securityConnectors/Aws-Prod`;
  const connector = observed(
    parseConnector({ id: connectorId, name: 'Aws-Prod', properties: { environmentName: 'AWS', hierarchyIdentifier: '123456789012' } }),
  );
  const awsContext = contextWith({ metadata: bodiesOf(metadataRecords, 'metadata'), connector: bodiesOf([connector], 'connector') });
  const entity = `${connectorId}/securityEntityData/e1`;

  test('an AWS resource by its ARN, its account named by the connector', () => {
    const row = assessment(entity, key, 'Unhealthy', {
      resourceDetails: { Source: 'Aws', Id: entity, NativeResourceId: 'arn:aws:ec2:us-east-1:123456789012:instance/i-0ABC' },
    });
    const derived = deriveAll('assessments', [row], awsContext);
    expect(derived.cis[0]?.identity).toMatchObject({
      cloud: 'aws',
      displayId: 'arn:aws:ec2:us-east-1:123456789012:instance/i-0ABC',
      name: 'i-0ABC',
      resourceType: 'aws::ec2::instance',
      accountId: '123456789012',
      accountName: 'Aws-Prod',
      region: 'us-east-1',
    });
    expect(keysOf(derived, 'sn_sec_cmn_cloud_service_provider')).toEqual(['amazon web services']);
  });

  test("an entity without a native id belongs to its connector's account", () => {
    const row = assessment(entity, key, 'Unhealthy', { resourceDetails: { Source: 'AWS', Id: entity } });
    expect(deriveAll('assessments', [row], awsContext).cis[0]?.identity).toMatchObject({
      cloud: 'aws',
      accountId: '123456789012',
      accountName: 'Aws-Prod',
    });
  });

  test('a Google project is one account, by its id and by its number', () => {
    const google = observed(
      parseConnector({
        id: connectorId.replace('Aws-Prod', 'Gcp'),
        name: 'Gcp',
        properties: {
          environmentName: 'GCP',
          hierarchyIdentifier: '4711',
          environmentData: { projectDetails: { projectId: 'My-Project' } },
        },
      }),
    );
    const googleContext = contextWith({ metadata: bodiesOf(metadataRecords, 'metadata'), connector: bodiesOf([google], 'connector') });
    const accountOf = (nativeId: string): unknown => {
      const resourceDetails = { Source: 'Gcp', Id: entity, NativeResourceId: nativeId, HierarchyId: '4711' };
      return deriveAll('assessments', [assessment(entity, key, 'Unhealthy', { resourceDetails })], googleContext).cis[0]?.identity;
    };
    const expected = { cloud: 'gcp', accountId: 'my-project', accountName: 'Gcp' };
    expect(accountOf('//storage.googleapis.com/bucket')).toMatchObject(expected);
    expect(accountOf('//compute.googleapis.com/projects/My-Project/zones/us-east1-b/instances/i')).toMatchObject(expected);
  });

  test('a machine outside of a cloud hangs on the subscription of its workspace', () => {
    const row = assessment(`/subscriptions/${subscription}`, key, 'Unhealthy', {
      resourceDetails: {
        source: 'OnPremise',
        workspaceId: `/subscriptions/${subscription}/x/y`,
        vmuuid: 'U1',
        sourceComputerId: 'S1',
        machineName: 'Host',
      },
    });
    const derived = deriveAll('assessments', [row], context);
    expect(derived.cis[0]?.identity).toMatchObject({
      cloud: 'on-premises',
      name: 'Host',
      resourceType: 'on-premises::machine',
      lookupClass: 'cmdb_ci_cmp_resource',
      accountId: subscription,
      accountName: 'Production',
    });
    expect(keysOf(derived, 'sn_sec_cmn_cloud_service_provider')).toEqual(['on-premises']);
  });

  test('the subscription itself', () => {
    const row = assessment(`/subscriptions/${subscription}`, key, 'Unhealthy');
    expect(deriveAll('assessments', [row], context).cis[0]?.identity).toMatchObject({
      lookupClass: 'cmdb_ci_cloud_service_account',
      displayId: subscription,
      accountId: subscription,
    });
  });

  test('an assessed image is its image CI', () => {
    const hex = 'cd'.repeat(32);
    const image = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/acr/repositories/a/images/sha256:${hex}`;
    const row = assessment(image, key, 'Unhealthy');
    const derived = deriveAll('assessments', [row], context);
    expect(derived.cis).toEqual([{ key: `image:${hex}`, identity: { type: 'image', digest: `sha256:${hex}`, name: 'acr/a' } }]);
    expect(integrationOf('assessments').ciOfGroup?.(row.group)).toBe(`image:${hex}`);
  });
});

test('a resource without assessments makes nothing', () => {
  expect(deriveAll('assessments', [listed], context)).toEqual({ records: [], cis: [], excluded: [] });
});
