import { describe, expect, test } from '@jest/globals';
import { parseConnector, parseSubscription } from '../../../src/integrations/accounts.ts';
import { parseAssessment, parseResource } from '../../../src/integrations/assessments.ts';
import { parseCve } from '../../../src/integrations/cve.ts';
import { parseImageAssessment, parseSubAssessment } from '../../../src/integrations/image-row.ts';
import { parseMetadata } from '../../../src/integrations/metadata.ts';
import { parsePolicyAssignment, parsePolicyDefinition, parsePolicySet } from '../../../src/integrations/policies.ts';
import { parseRegulatory, parseSecurityStandard } from '../../../src/integrations/standards.ts';
import type { RowOutcome } from '../../../src/model.ts';
import { exampleFiles, exampleRows, examplesAbsent } from './examples.ts';
import { observed } from './harness.ts';

type Parse = (row: unknown) => RowOutcome;

/** [folder, files, parse, rows: observed, excluded, quarantined] */
const recorded: readonly (readonly [string, RegExp, Parse, { observed: number; excluded: number; quarantined: number }])[] = [
  ['policy', /^2023.*_list(?!All|.*Versions).*PolicyDefinitions/, parsePolicyDefinition, { observed: 8, excluded: 0, quarantined: 0 }],
  ['policy', /^2023.*_get.*PolicyDefinition/i, parsePolicyDefinition, { observed: 3, excluded: 0, quarantined: 0 }],
  ['policy', /^2023.*_list.*PolicySetDefinitions/, parsePolicySet, { observed: 5, excluded: 0, quarantined: 0 }],
  ['policy', /^2024.*_(?:list|get)PolicyAssignment/, parsePolicyAssignment, { observed: 7, excluded: 0, quarantined: 0 }],
  ['policy/real', /^policyDef/, parsePolicyDefinition, { observed: 7, excluded: 0, quarantined: 0 }],
  ['policy/real', /^policySet/, parsePolicySet, { observed: 2, excluded: 0, quarantined: 0 }],
  ['assessment-metadata', /./, parseMetadata, { observed: 9, excluded: 0, quarantined: 0 }],
  ['regulatory-compliance', /./, parseRegulatory, { observed: 13, excluded: 0, quarantined: 0 }],
  ['security-standards-2024-08-01', /SecurityStandards/, parseSecurityStandard, { observed: 2, excluded: 0, quarantined: 0 }],
  ['assessments', /./, parseAssessment, { observed: 8, excluded: 0, quarantined: 0 }],
  ['security-connectors', /./, parseConnector, { observed: 7, excluded: 2, quarantined: 0 }],
  ['subscriptions', /^GetSubscription/, parseSubscription, { observed: 3, excluded: 0, quarantined: 0 }],
  ['individual-recommendations', /^arg_row/, parseImageAssessment, { observed: 4, excluded: 0, quarantined: 0 }],
  ['individual-recommendations', /^cvedetails/, parseCve, { observed: 1, excluded: 0, quarantined: 0 }],
  ['subassessments', /./, parseSubAssessment, { observed: 1, excluded: 3, quarantined: 0 }],
  // The page prints {placeholders} instead of ids: a subscription that is no GUID is refused.
  ['subassessments-mdvm-arg', /./, parseSubAssessment, { observed: 0, excluded: 0, quarantined: 1 }],
];

const describeRecorded = examplesAbsent === undefined ? describe : describe.skip;
if (examplesAbsent !== undefined) test.skip(examplesAbsent, () => undefined);

describeRecorded('recorded payloads', () => {
  test.each(recorded)('%s %s', (folder, files, parse, expected) => {
    const outcomes = exampleFiles(folder, files).flatMap(exampleRows).map(parse);
    const counts = { observed: 0, excluded: 0, quarantined: 0 };
    for (const { outcome } of outcomes) counts[outcome] += 1;
    expect({ counts, because: outcomes.filter(({ outcome }) => outcome === 'quarantined') }).toMatchObject({ counts: expected });
  });

  test('a policy definition', () => {
    expect(observed(parsePolicyDefinition(exampleRows('policy/real/policyDef_ASC_BlobEncryption_Audit_Deprecated.json')[0]))).toEqual({
      kind: 'policy-definition',
      id: '/providers/microsoft.authorization/policydefinitions/655cb504-bcee-4362-bd4c-402e6aa38759',
      group: '',
      body: {
        name: '[Deprecated]: [Deprecated]: Audit missing blob encryption for storage accounts',
        description: 'This policy is no longer necessary because storage blob encryption is enabled by default and cannot be turned off.',
        category: 'security center',
        deprecated: true,
      },
    });
  });

  test('the benchmark initiative', () => {
    const record = observed(parsePolicySet(exampleRows('policy/real/policySet_AzureSecurityCenter_MCSB.json')[0]));
    expect(record.id).toBe('/providers/microsoft.authorization/policysetdefinitions/1f3afdf9-d0c9-4c3d-847f-89da613e70a8');
    expect(record.body).toMatchObject({ name: 'Microsoft cloud security benchmark', category: 'security center' });
    expect(record.body['members']).toHaveLength(223);
  });

  test('a policy assignment', () => {
    expect(observed(parsePolicyAssignment(exampleRows('policy/2024-04-01_listPolicyAssignments.json')[0]))).toEqual({
      kind: 'policy-assignment',
      id: '/subscriptions/ae640e6b-ba3e-4256-9d62-2993eecfa6f2/providers/microsoft.authorization/policyassignments/costmanagement',
      group: '',
      body: {
        assigned: '/subscriptions/ae640e6b-ba3e-4256-9d62-2993eecfa6f2/providers/microsoft.authorization/policydefinitions/storageskus',
      },
    });
  });

  test('assessment metadata: HTML is text, dates are UTC, lists are sorted', () => {
    const [first] = exampleRows('assessment-metadata/2021-06-01_ListAssessmentsMetadata_subscription_example.json');
    expect(observed(parseMetadata(first))).toEqual({
      kind: 'metadata',
      id: '21300918-b2e3-0346-785f-c77ff57d243b',
      group: '',
      body: {
        name: 'Install endpoint protection solution on virtual machine scale sets',
        description:
          'Install an endpoint protection solution on your virtual machines scale sets, to protect them from threats and vulnerabilities.',
        remediation:
          'To install an endpoint protection solution: 1. Follow the instructions in How do I turn on antimalware in my virtual machine scale set (https://docs.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-faq#how-do-i-turn-on-antimalware-in-my-virtual-machine-scale-set)',
        policy: '/providers/microsoft.authorization/policydefinitions/26a828e1-e88f-464e-bbb3-c134a282b9de',
        categories: ['Compute'],
        severity: 'Medium',
        type: 'BuiltIn',
        published: '2021-06-01 00:00:00',
        threats: ['data exfiltration', 'data spillage', 'malicious insider'],
        tactics: ['Collection', 'Credential Access', 'Defense Evasion', 'Discovery', 'Execution', 'Persistence', 'Privilege Escalation'],
        techniques: ['Ingress Tool Transfer', 'Obfuscated Files or Information', 'Phishing', 'User Execution'],
        userImpact: 'Low',
        effort: 'Low',
        deprecation: '03/2022',
      },
    });
  });

  test('regulatory standard, control and assessment; the id decides where a row belongs', () => {
    const prefix =
      '/subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23/providers/microsoft.security/regulatorycompliancestandards/pci-dss-3.2';
    const parsed = (file: string, index: number): unknown => observed(parseRegulatory(exampleRows(`regulatory-compliance/${file}`)[index]));
    expect(parsed('getRegulatoryComplianceStandardList_example.json', 0)).toEqual({
      kind: 'regulatory-standard',
      id: prefix,
      group: '',
      body: { standard: 'pci-dss-3.2', name: 'PCI-DSS-3.2' },
    });
    expect(parsed('getRegulatoryComplianceControlList_example.json', 0)).toEqual({
      kind: 'regulatory-control',
      id: `${prefix}/regulatorycompliancecontrols/1.1`,
      group: '',
      body: {
        standard: 'pci-dss-3.2',
        control: '1.1',
        name: '1.1',
        description: 'Common Criteria Related to Organization and Management.',
      },
    });
    expect(parsed('getRegulatoryComplianceAssessmentList_example.json', 1)).toEqual({
      kind: 'regulatory-assessment',
      id: `${prefix}/regulatorycompliancecontrols/2/regulatorycomplianceassessments/3bcd234d-c9c7-c2a2-89e0-c01f419c1a8a`,
      group: '',
      body: {
        standard: 'pci-dss-3.2',
        control: '2',
        controlName: '2',
        test: '3bcd234d-c9c7-c2a2-89e0-c01f419c1a8a',
        name: 'Resolve endpoint protection health issues on your machines',
      },
      links: [{ kind: 'metadata', id: '3bcd234d-c9c7-c2a2-89e0-c01f419c1a8a' }],
    });
  });

  test('a security standard', () => {
    const keys = ['1195afff-c881-495e-9bc5-1486211ae03f', 'dbd0cb49-b563-45e7-9724-889e799fa648'];
    const [first] = exampleRows('security-standards-2024-08-01/ListBySubscriptionSecurityStandards_example.json');
    expect(observed(parseSecurityStandard(first))).toEqual({
      kind: 'security-standard',
      id: '/subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23/providers/microsoft.security/securitystandards/1f3afdf9-d0c9-4c3d-847f-89da613e70a8',
      group: '',
      body: {
        standard: '1f3afdf9-d0c9-4c3d-847f-89da613e70a8',
        name: 'Cross cloud standard 1',
        description: 'Controls and security data implementing security recommendations defined in Azure Security',
        tests: keys,
      },
      links: keys.map((id) => ({ kind: 'metadata', id })),
    });
  });

  test('an assessment that does not apply', () => {
    const vmss =
      '/subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23/resourceGroups/myRg/providers/Microsoft.Compute/virtualMachineScaleSets/vmss2';
    expect(observed(parseAssessment(exampleRows('assessments/2021-06-01_GetAssessmentWithExpand_example.json')[0]))).toEqual({
      kind: 'assessment',
      id: `${vmss}/providers/Microsoft.Security/assessments/21300918-b2e3-0346-785f-c77ff57d243b`.toLowerCase(),
      group: vmss.toLowerCase(),
      body: {
        test: '21300918-b2e3-0346-785f-c77ff57d243b',
        resource: { displayId: vmss, cloud: 'azure', account: '20ff7fc3-e762-44dd-bd96-b71116dcdc23' },
        name: 'Install endpoint protection solution on virtual machine scale sets',
        status: 'NotApplicable',
        cause: 'OffByPolicy',
        reason:
          'The effective policy for the assessment was evaluated to off - use Microsoft.Authorization/policyAssignments to turn this assessment on',
        firstEvaluated: '2021-04-12 09:07:18',
        data: 'linkedWorkspaceId: /subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23/resourceGroups/myRg/providers/Microsoft.OperationalInsights/workspaces/myLaWorkspace',
        portal:
          'https://www.portal.azure.com/?fea#blade/Microsoft_Azure_Security/RecommendationsBlade/assessmentKey/21300918-b2e3-0346-785f-c77ff57d243b',
      },
      links: [{ kind: 'metadata', id: '21300918-b2e3-0346-785f-c77ff57d243b' }],
    });
  });

  test('a row that names itself as its resource is about what stands before it', () => {
    const record = observed(parseAssessment(exampleRows('assessments/2021-06-01_PutAssessment_example.json')[0]));
    expect(record.group).toMatch(/\/virtualmachinescalesets\/vmss1$/);
  });

  test('connectors of AWS and GCP; code platforms have no cloud account', () => {
    const rows = exampleRows('security-connectors/GetSecurityConnectorsSubscription_example.json');
    expect(rows.map(parseConnector).map((outcome) => (outcome.outcome === 'observed' ? outcome.record.body : outcome.outcome))).toEqual([
      { cloud: 'aws', account: 'examplehierarchyid', name: 'exampleSecurityConnectorAws' },
      { cloud: 'aws', account: 'examplehierarchyid', name: 'exampleSecurityConnectorAwsOrganization' },
      'excluded',
      'excluded',
      { cloud: 'gcp', account: 'my-0gcp-project', alias: 'examplehierarchyid', name: 'exampleSecurityConnectorGcp' },
    ]);
  });

  test('a subscription', () => {
    expect(observed(parseSubscription(exampleRows('subscriptions/GetSubscriptions.json')[0]))).toEqual({
      kind: 'subscription',
      id: '291bba3f-e0a5-47bc-a099-3bdcb2a50a05',
      group: '',
      body: { name: 'Example Subscription' },
    });
  });

  test('an individual recommendation on an image', () => {
    const [row] = exampleRows('individual-recommendations/arg_row_registry_image_unhealthy_HAND_ASSEMBLED.json');
    const digest = `sha256:${'ab'.repeat(32)}`;
    expect(observed(parseImageAssessment(row))).toEqual({
      kind: 'image-assessment',
      id: `/subscriptions/00000000-1111-2222-3333-444444444444/resourcegroups/rg-reg/providers/microsoft.containerregistry/registries/contosoacr/repositories/team/app/images/${digest}/providers/microsoft.security/assessments/7f0c1d6e-2f0b-4b8c-9a6b-3a2b1c0d9e8f`,
      group: digest,
      body: {
        image: { registry: 'contosoacr', repository: 'team/app', cloud: 'azure', account: '00000000-1111-2222-3333-444444444444' },
        status: 'Unhealthy',
        package: {
          name: 'setuptools',
          vendor: 'python',
          versions: ['65.5.1'],
          fixed: '70.0',
          fixStatus: 'FixAvailable',
          type: 'Language',
          language: 'python',
        },
        cves: [{ id: 'cve-2024-6345', severity: 'High', fixed: '70.0', fixStatus: 'FixAvailable' }],
        firstFound: '2026-08-02 00:00:00',
      },
      links: [{ kind: 'cve', id: 'cve-2024-6345' }],
    });
  });

  test('an image in a registry of AWS; one that runs, whose registry nobody names; a healthy one without CVEs', () => {
    const imageOf = (name: string): unknown => {
      const { body, links } = observed(
        parseImageAssessment(exampleRows(`individual-recommendations/arg_row_${name}_HAND_ASSEMBLED.json`)[0]),
      );
      return { image: body['image'], status: body['status'], links };
    };
    const cve = [{ kind: 'cve', id: 'cve-2024-6345' }];
    expect(imageOf('aws_registry_image')).toEqual({
      image: {
        registry: '544047870946.dkr.ecr.us-east-1.amazonaws.com',
        repository: 'team/app',
        cloud: 'aws',
        account: '544047870946',
        region: 'us-east-1',
      },
      status: 'Unhealthy',
      links: cve,
    });
    const account = '00000000-1111-2222-3333-444444444444';
    expect(imageOf('running_container')).toEqual({
      image: { repository: 'team/app', cloud: 'azure', account },
      status: 'Unhealthy',
      links: cve,
    });
    expect(imageOf('registry_image_healthy_no_cves')).toMatchObject({ status: 'Healthy', links: [] });
  });

  test('CVE details', () => {
    expect(observed(parseCve(exampleRows('individual-recommendations/cvedetails_properties_populated_FIELD_OBSERVED.json')[0]))).toEqual({
      kind: 'cve',
      id: 'cve-2024-6179',
      group: 'cve-2024-6179',
      body: {
        severity: 'Medium',
        published: '2024-06-20 01:53:11',
        modified: '2026-06-17 08:17:26',
        summary: 'Summary: …',
        v4: { base: 4.8, vector: 'CVSS:4.0/AV:A/…' },
        v3: { base: 6.1, vector: 'CVSS:3.1/AV:N/…' },
        epss: 0.00253,
      },
    });
  });

  test('a sub-assessment with the placeholders of the page filled in', () => {
    const [row] = exampleRows('subassessments-mdvm-arg/Azure_AzureContainerRegistryVulnerability.json');
    const filled: unknown = JSON.parse(
      JSON.stringify(row)
        .replaceAll('{SubscriptionId}', '00000000-1111-2222-3333-444444444444')
        .replaceAll(/\{[^{}":]*\}/g, 'x'),
    );
    expect(observed(parseSubAssessment(filled))).toMatchObject({
      kind: 'sub-assessment',
      group: 'sha256:4af8e6f002401a965bbe753a381af308b40d8947fad2b9e1f6a369aa81abee59',
      body: {
        image: {
          registry: 'ptebic.azurecr.io',
          repository: 'public/azureml/aifx/stable-ubuntu2004-cu117-py39-torch200',
          tags: ['biweekly.202309.1'],
          cloud: 'azure',
          account: '00000000-1111-2222-3333-444444444444',
        },
        status: 'NotApplicable',
        cause: 'Exempt',
        package: { name: 'py', vendor: 'py', versions: ['1.11.0.0'], fixStatus: 'FixAvailable', type: 'Language', language: 'python' },
        cves: [{ id: 'cve-2022-42969', severity: 'High' }],
      },
      links: [{ kind: 'cve', id: 'cve-2022-42969' }],
    });
  });

  test('a resource from Resource Graph', () => {
    const id = '/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/RG/providers/Microsoft.Web/sites/Shop';
    expect(observed(parseResource({ id, location: 'East US' }))).toEqual({
      kind: 'resource',
      id: id.toLowerCase(),
      group: id.toLowerCase(),
      body: { displayId: id, region: 'eastus' },
    });
  });
});
