import { describe, expect, test } from '@jest/globals';
import { parseMetadata } from '../../../src/integrations/metadata.ts';
import { parsePolicyAssignment, parsePolicyDefinition, parsePolicySet } from '../../../src/integrations/policies.ts';
import { parseRegulatory, parseSecurityStandard, regulatoryChildPaths, standards } from '../../../src/integrations/standards.ts';
import type { ObservedRecord } from '../../../src/model.ts';
import { bodiesOf, contextWith, deriveAll, keysOf, observed, recordOf } from './harness.ts';

const source = 'Microsoft Defender for Cloud';
const subscription = '/subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const builtIn = '/providers/Microsoft.Authorization/policyDefinitions';
const sets = '/providers/Microsoft.Authorization/policySetDefinitions';

function definition(id: string, properties: Record<string, unknown> = {}): ObservedRecord {
  return observed(
    parsePolicyDefinition({ id, properties: { displayName: `Policy ${id.slice(-1)}`, policyType: 'BuiltIn', ...properties } }),
  );
}
function initiative(id: string, members: readonly string[], properties: Record<string, unknown> = {}): ObservedRecord {
  const policyDefinitions = members.map((policyDefinitionId) => ({ policyDefinitionId }));
  return observed(
    parsePolicySet({ id, properties: { displayName: 'Benchmark', policyType: 'BuiltIn', ...properties, policyDefinitions } }),
  );
}
function assignment(name: string, policyDefinitionId: string): ObservedRecord {
  return observed(
    parsePolicyAssignment({
      id: `${subscription}/providers/Microsoft.Authorization/policyAssignments/${name}`,
      properties: { policyDefinitionId },
    }),
  );
}

const policyRecords = [
  definition(`${builtIn}/a`, {
    metadata: { category: 'Security Center', deprecated: true, preview: true },
    description: 'Audits<br>blobs',
  }),
  definition(`${builtIn}/b`, { metadata: { category: 'Storage' } }),
  definition(`${builtIn}/c`, { metadata: { category: 'Storage' } }),
  definition(`${subscription}${builtIn}/d`, { policyType: 'Custom' }),
  initiative(`${sets}/assigned`, [`${builtIn}/B`, `${builtIn}/a`]),
  initiative(`${sets}/unassigned`, [`${builtIn}/c`], { metadata: { category: 'Security Center' } }),
  assignment('one', `${sets.toUpperCase()}/ASSIGNED`),
  assignment('two', `${builtIn}/c`),
];
const lower = (id: string): string => id.toLowerCase();

describe('policies become test groups', () => {
  const derived = deriveAll('policies', policyRecords);

  test('category Security Center, custom ones, members of assigned initiatives, those initiatives; nothing else', () => {
    expect(keysOf(derived, 'sn_vulc_policy')).toEqual(
      [`${builtIn}/a`, `${builtIn}/b`, `${sets}/assigned`, `${subscription}${builtIn}/d`].map(lower).sort(),
    );
    expect(derived.excluded).toEqual([
      { kind: 'policy-definition', id: lower(`${builtIn}/c`), because: 'policy that no assigned initiative uses' },
      { kind: 'policy-set', id: lower(`${sets}/unassigned`), because: 'initiative that is not assigned in scope' },
    ]);
  });

  test('marks stand in the first line of the description', () => {
    expect(recordOf(derived, 'sn_vulc_policy', lower(`${builtIn}/a`))).toEqual({
      table: 'sn_vulc_policy',
      key: lower(`${builtIn}/a`),
      fields: {
        source,
        source_id: lower(`${builtIn}/a`),
        short_description: 'Policy a',
        description: 'Deprecated, Preview\n\nAudits\nblobs',
      },
    });
  });

  test('times of the source, and the name where there is no display name', () => {
    const row = {
      id: `${subscription}${builtIn}/Named`,
      name: 'Named',
      properties: {},
      systemData: { createdAt: '2021-08-31T13:47:50.3281234Z', lastModifiedAt: '2021-08-31T15:47:50+02:00' },
    };
    expect(deriveAll('policies', [observed(parsePolicyDefinition(row))]).records[0]?.fields).toEqual({
      source,
      source_id: lower(row.id),
      short_description: 'Named',
      description: '',
      source_created: '2021-08-31 13:47:50',
      source_updated: '2021-08-31 13:47:50',
    });
  });
});

const key = '21300918-b2e3-0346-785f-c77ff57d243b';
function metadataRow(name: string, properties: Record<string, unknown> = {}): ObservedRecord {
  return observed(
    parseMetadata({
      id: `/providers/Microsoft.Security/assessmentMetadata/${name}`,
      name,
      properties: { displayName: 'Encrypt disks', severity: 'High', assessmentType: 'BuiltIn', ...properties },
    }),
  );
}
const policyContext = contextWith({
  'policy-definition': bodiesOf(policyRecords, 'policy-definition'),
  'policy-set': bodiesOf(policyRecords, 'policy-set'),
  'policy-assignment': bodiesOf(policyRecords, 'policy-assignment'),
});

describe('metadata becomes tests', () => {
  test('with everything that has no column of its own in the description', () => {
    const row = metadataRow(key.toUpperCase(), {
      description: 'Disks &lt;b&gt;must&lt;/b&gt; be encrypted',
      remediationDescription: '1. Open<br/>2. Encrypt',
      categories: ['Compute', 'Data', 'IoT'],
      threats: ['DataExfiltration'],
      tactics: ['Impact'],
      techniques: ['Data Destruction'],
      userImpact: 'Low',
      implementationEffort: 'High',
      preview: true,
      publishDates: { public: '06/30/2021' },
      plannedDeprecationDate: '03/2027',
    });
    expect(deriveAll('metadata', [row], policyContext)).toEqual({
      records: [
        {
          table: 'sn_vulc_test',
          key,
          fields: {
            source,
            source_id: key,
            short_description: 'Encrypt disks',
            description:
              'Preview\n\nDisks must be encrypted\n\nThreats: data exfiltration\nTactics: Impact\nTechniques: Data Destruction\nUser impact: Low\nImplementation effort: High\nPlanned deprecation: 03/2027',
            remediation: '1. Open\n2. Encrypt',
            source_category: 'Compute',
            source_sub_category: 'Data, IoT',
            source_criticality: 'High',
            criticality: 'High',
            source_created: '2021-06-30 00:00:00',
          },
        },
      ],
      cis: [],
      excluded: [],
    });
  });

  test('ServiceNow says Moderate; a severity that nobody knows has no criticality', () => {
    const medium = deriveAll('metadata', [metadataRow('k1', { severity: 'medium' })], policyContext);
    expect(medium.records[0]?.fields).toMatchObject({ source_criticality: 'medium', criticality: 'Moderate' });
    const strange = deriveAll('metadata', [metadataRow('k1', { severity: 'Apocalyptic' })], policyContext);
    expect(strange.records[0]?.fields).toMatchObject({ source_criticality: 'Apocalyptic' });
    expect(strange.records[0]?.fields).not.toHaveProperty('criticality');
  });

  test('linked to its policy and to the assigned initiatives of that policy', () => {
    const derived = deriveAll('metadata', [metadataRow('k1', { policyDefinitionId: `${builtIn}/A` })], policyContext);
    expect(derived.records.filter(({ table }) => table === 'sn_vulc_policy_test')).toEqual(
      [`${builtIn}/a`, `${sets}/assigned`].map(lower).map((policy) => ({
        table: 'sn_vulc_policy_test',
        key: `${policy}|k1`,
        fields: { policy: { record: { table: 'sn_vulc_policy', key: policy } }, test: { record: { table: 'sn_vulc_test', key: 'k1' } } },
      })),
    );
  });

  test('not linked to a policy that is no test group', () => {
    const derived = deriveAll('metadata', [metadataRow('k1', { policyDefinitionId: `${builtIn}/c` })], policyContext);
    expect(keysOf(derived, 'sn_vulc_policy_test')).toEqual([]);
  });

  test.each([
    { recommendationCategory: 'SoftwareUpdate' },
    { recommendationCategory: 'systemUpdate' },
    { assessmentType: 'DynamicBuiltIn' },
  ])('%j is no test', (properties) => {
    const derived = deriveAll('metadata', [metadataRow('k1', properties)], policyContext);
    expect(derived.records).toEqual([]);
    expect(derived.excluded).toEqual([{ kind: 'metadata', id: 'k1', because: expect.stringMatching(/^out of scope: /) }]);
  });

  test('an assessment that was given a new key says so', () => {
    const derived = deriveAll('metadata', [metadataRow('050ac097-3dda-4d24-ab6d-82568e7a50cf')], policyContext);
    expect(derived.records[0]?.fields['description']).toContain('Replaced by the assessment whose key begins with a4899b81.');
  });
});

const regulatory = `${subscription}/providers/Microsoft.Security/regulatoryComplianceStandards`;
const otherSubscription = regulatory.replace('20ff', '30ff');
function standardsEstate(): ObservedRecord[] {
  return [regulatory, otherSubscription].flatMap((prefix) => [
    observed(parseRegulatory({ id: `${prefix}/PCI-DSS-4`, name: 'PCI-DSS-4', properties: { state: 'Failed' } })),
    observed(
      parseRegulatory({
        id: `${prefix}/PCI-DSS-4/regulatoryComplianceControls/1.1`,
        name: '1.1',
        properties: { description: 'Firewalls' },
      }),
    ),
    observed(
      parseRegulatory({
        id: `${prefix}/PCI-DSS-4/regulatoryComplianceControls/1.1/regulatoryComplianceAssessments/${key.toUpperCase()}`,
        name: key,
        properties: { description: 'Encrypt disks', state: 'Failed', failedResources: 4 },
      }),
    ),
  ]);
}
function securityStandard(id: string, displayName: string, keys: readonly string[]): ObservedRecord {
  return observed(
    parseSecurityStandard({
      id: `${subscription}/providers/Microsoft.Security/securityStandards/${id}`,
      properties: { displayName, description: `About ${displayName}`, assessments: keys.map((assessmentKey) => ({ assessmentKey })) },
    }),
  );
}
const knownTests = contextWith({
  metadata: bodiesOf([metadataRow(key), metadataRow('dyn', { assessmentType: 'DynamicBuiltIn' })], 'metadata'),
});

describe('standards become authoritative sources and citations', () => {
  test('many subscriptions, one standard, one citation', () => {
    expect(deriveAll('standards', standardsEstate(), knownTests).records).toEqual([
      {
        table: 'sn_vulc_auth_src',
        key: 'pci-dss-4',
        fields: { source, source_id: 'pci-dss-4', short_description: 'PCI-DSS-4', description: '' },
      },
      {
        table: 'sn_vulc_citation',
        key: `pci-dss-4|1.1|${key}`,
        fields: {
          source,
          auth_src: { record: { table: 'sn_vulc_auth_src', key: 'pci-dss-4' } },
          control: { record: { table: 'sn_vulc_test', key } },
          section: '1.1',
          section_name: 'Firewalls',
        },
      },
    ]);
  });

  test('a security standard of the same name gives it its display name', () => {
    const derived = deriveAll('standards', [...standardsEstate(), securityStandard('aaaa', 'PCI DSS 4', [key])], knownTests);
    expect(keysOf(derived, 'sn_vulc_auth_src')).toEqual(['pci-dss-4']);
    expect(recordOf(derived, 'sn_vulc_auth_src', 'pci-dss-4').fields).toMatchObject({
      short_description: 'PCI DSS 4',
      description: 'About PCI DSS 4',
    });
    expect(keysOf(derived, 'sn_vulc_citation')).toEqual([`pci-dss-4|1.1|${key}`]);
  });

  test('two security standards of one name are joined with none', () => {
    const twins = [securityStandard('aaaa', 'PCI DSS 4', [key]), securityStandard('bbbb', 'PCI-DSS 4', [key])];
    expect(keysOf(deriveAll('standards', [...standardsEstate(), ...twins], knownTests), 'sn_vulc_auth_src')).toEqual([
      'aaaa',
      'bbbb',
      'pci-dss-4',
    ]);
  });

  test('a custom standard has no controls: its citations name the test alone', () => {
    const derived = deriveAll('standards', [securityStandard('AAAA', 'Ours', [key])], knownTests);
    expect(keysOf(derived, 'sn_vulc_auth_src')).toEqual(['aaaa']);
    expect(recordOf(derived, 'sn_vulc_citation', `aaaa||${key}`).fields).toMatchObject({ section: '', section_name: 'Ours' });
  });

  test('a test without metadata is a placeholder; an individual recommendation is not cited', () => {
    const derived = deriveAll(
      'standards',
      [...standardsEstate(), securityStandard('aaaa', 'Ours', ['dyn', 'unknown'])],
      contextWith({ metadata: new Map() }),
    );
    expect(recordOf(derived, 'sn_vulc_test', key).fields).toMatchObject({ short_description: 'Encrypt disks' });
    expect(recordOf(derived, 'sn_vulc_test', 'unknown').fields).toMatchObject({ short_description: 'unknown' });
    expect(keysOf(deriveAll('standards', [securityStandard('aaaa', 'Ours', ['dyn'])], knownTests), 'sn_vulc_citation')).toEqual([]);
  });

  test('a standard whose own row is missing is known by its controls', () => {
    const derived = deriveAll(
      'standards',
      standardsEstate().filter(({ kind }) => kind !== 'regulatory-standard'),
      knownTests,
    );
    expect(keysOf(derived, 'sn_vulc_auth_src')).toEqual(['pci-dss-4']);
  });

  test('the REST tree: controls of a standard, assessments of a control', () => {
    const path = '/subscriptions/x/providers/Microsoft.Security/regulatoryComplianceStandards';
    expect(regulatoryChildPaths({ name: 'ISO 27001/A' }, path)).toEqual([`${path}/ISO%2027001%2FA/regulatoryComplianceControls`]);
    const controls = `${path}/ISO/regulatoryComplianceControls`;
    expect(regulatoryChildPaths({ Name: '1.1' }, controls)).toEqual([`${controls}/1.1/regulatoryComplianceAssessments`]);
    expect(regulatoryChildPaths({ name: 'k' }, `${controls}/1.1/regulatoryComplianceAssessments`)).toEqual([]);
    expect(regulatoryChildPaths({ name: '' }, path)).toEqual([]);
  });

  test('100,000 citations are derived in linear time', () => {
    const [, , template] = standardsEstate();
    const records = Array.from({ length: 100_000 }, (_, index) => ({
      ...template!,
      id: `id-${index}` as ObservedRecord['id'],
      body: { standard: `s${index % 20}`, control: `c${index % 500}`, controlName: 'c', test: `t${index}`, name: 'x' },
    }));
    const startedMs = performance.now();
    expect(keysOf(deriveAllUnchecked(records), 'sn_vulc_citation')).toHaveLength(100_000);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });
});

function deriveAllUnchecked(records: readonly ObservedRecord[]): ReturnType<typeof deriveAll> {
  return standards.derive({ group: '', records }, contextWith({ metadata: new Map() }));
}
