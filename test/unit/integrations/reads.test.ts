import { describe, expect, test } from '@jest/globals';
import { integrationOf, integrations } from '../../../src/integrations/index.ts';
import { kqlText } from '../../../src/integrations/reads.ts';
import { integrationNames } from '../../../src/model.ts';
import type { IntegrationName, Read, ReadContext } from '../../../src/model.ts';

const [first, second] = ['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002'];
const context: ReadContext = { tenantId: 'tenant', subscriptions: [first, second], managementGroups: [], subAssessments: false };

function readsOf(name: IntegrationName, changes: Partial<ReadContext> = {}): readonly Read[] {
  return integrationOf(name).reads({ ...context, ...changes });
}

/** One line per read: what an operator would call it. */
function lines(reads: readonly Read[]): string[] {
  return reads.map(({ name, scope, source, stage }) => {
    const where =
      'path' in source ? `${source.path}?${source.apiVersion}${'query' in source ? ` ${JSON.stringify(source.query)}` : ''}` : source.type;
    return `${name} ${scope.kind}:${scope.id} ${where}${stage === 2 ? ' (stage 2)' : ''}`;
  });
}

describe('what is read', () => {
  test('policies: built-in ones once, custom ones and assignments per scope', () => {
    const authorization = `/subscriptions/${first}/providers/Microsoft.Authorization`;
    const group = '/providers/Microsoft.Management/managementGroups/Corp%20MG/providers/Microsoft.Authorization';
    expect(lines(readsOf('policies', { subscriptions: [first], managementGroups: ['Corp MG'] }))).toEqual([
      'policy-definitions tenant:tenant /providers/Microsoft.Authorization/policyDefinitions?2023-04-01',
      'policy-sets tenant:tenant /providers/Microsoft.Authorization/policySetDefinitions?2023-04-01',
      `policy-definitions management-group:corp mg ${group}/policyDefinitions?2023-04-01 {"$filter":"policyType -eq Custom"}`,
      `policy-sets management-group:corp mg ${group}/policySetDefinitions?2023-04-01 {"$filter":"policyType -eq Custom"}`,
      `policy-definitions subscription:${first} ${authorization}/policyDefinitions?2023-04-01 {"$filter":"policyType -eq Custom"}`,
      `policy-sets subscription:${first} ${authorization}/policySetDefinitions?2023-04-01 {"$filter":"policyType -eq Custom"}`,
      `policy-assignments management-group:corp mg ${group}/policyAssignments?2024-04-01 {"$filter":"atScope()"}`,
      `policy-assignments subscription:${first} ${authorization}/policyAssignments?2024-04-01`,
    ]);
  });

  test('metadata: the lists, then what they lack', () => {
    expect(lines(readsOf('metadata', { subscriptions: [first] }))).toEqual([
      'metadata tenant:tenant /providers/Microsoft.Security/assessmentMetadata?2025-05-04',
      `metadata subscription:${first} /subscriptions/${first}/providers/Microsoft.Security/assessmentMetadata?2025-05-04`,
      'metadata-keys keys:metadata arm-keys (stage 2)',
    ]);
  });

  test('standards: from Resource Graph, or by the REST tree where it has none', () => {
    const standards = `/subscriptions/${first}/providers/Microsoft.Security/regulatoryComplianceStandards?2019-01-01-preview`;
    const others = [
      `security-standards subscription:${first} /subscriptions/${first}/providers/Microsoft.Security/securityStandards?2024-08-01`,
      'metadata-keys keys:metadata arm-keys (stage 2)',
    ];
    const graph = readsOf('standards', { subscriptions: [first] });
    expect(lines(graph)).toEqual([
      `regulatory-standards subscription:${first} ${standards}`,
      others[0],
      'regulatory-controls tenant:tenant resource-graph',
      others[1],
    ]);
    const tree = readsOf('standards', { subscriptions: [first], regulatorySource: 'rest' });
    expect(lines(tree)).toEqual([`regulatory-standards subscription:${first} ${standards}`, ...others]);
    expect(tree[0]?.source.type).toBe('arm-tree');
  });

  test('a subscription without a paid plan is not applicable, another 400 is a failure', () => {
    const [read] = readsOf('standards');
    const message = "Regulatory compliance is not supported for subscription '<id>' as it has no standard pricing bundle";
    expect(read?.notApplicable?.({ status: 400, code: 'Subscription with no standard pricing bundle', message })).toMatch(
      /paid Defender plan/,
    );
    expect(read?.notApplicable?.({ status: 400, code: 'BadRequest', message: 'no' })).toBeUndefined();
    expect(read?.notApplicable?.({ status: 500, code: undefined, message })).toBeUndefined();
  });

  test('assessments: per subscription even below a management group', () => {
    const reads = readsOf('assessments', { managementGroups: ['corp'] });
    expect(lines(reads.filter(({ name }) => name === 'assessments'))).toEqual(
      [first, second].map(
        (id) => `assessments subscription:${id} /subscriptions/${id}/providers/Microsoft.Security/assessments?2025-05-04`,
      ),
    );
    expect(reads.find(({ name }) => name === 'resources')).toMatchObject({ optional: true, scope: { kind: 'tenant', id: 'tenant' } });
  });

  test('images: the official filters, CVEs by key, sub-assessments only where configured', () => {
    const [images, cve] = readsOf('container-images');
    expect(images?.source).toEqual({
      type: 'resource-graph',
      query: [
        'securityresources',
        "| where type == 'microsoft.security/assessments'",
        "| where properties.metadata.recommendationCategory == 'SoftwareUpdate'",
        "| where properties.resourceDetails.ResourceType in~ ('.containerimage', 'K8s-container')",
        '| project id, name, type, properties',
        '| order by id asc',
      ].join('\n'),
      subscriptions: [first, second],
    });
    if (cve?.source.type !== 'resource-graph-keys') throw new Error('the second read is by keys');
    expect(cve.source.queryOfKeys(['cve-2024-1', "o'clock"])).toContain("| where name in~ ('cve-2024-1', 'o\\'clock')");
    expect(cve.source).not.toHaveProperty('managementGroups');
    expect(readsOf('container-images', { managementGroups: ['Corp'] })[1]?.source).toMatchObject({ managementGroups: ['Corp'] });
    expect(readsOf('container-images', { subAssessments: true }).filter(({ name }) => name === 'sub-assessments')).toHaveLength(2);
  });

  test('a thousand subscriptions are four queries', () => {
    const subscriptions = Array.from({ length: 1_000 }, (_, index) => `sub-${index}`);
    const reads = readsOf('container-images', { subscriptions }).filter(({ name }) => name.startsWith('image-assessments'));
    expect(reads.map(({ name }) => name)).toEqual([
      'image-assessments',
      'image-assessments-2',
      'image-assessments-3',
      'image-assessments-4',
    ]);
    expect(reads.flatMap(({ source }) => (source.type === 'resource-graph' ? (source.subscriptions ?? []) : [])).sort()).toEqual(
      [...subscriptions].sort(),
    );
  });
});

test.each(integrationNames)('%s: every read has a name of its own in its scope, and every query projects and orders by id', (name) => {
  const reads = readsOf(name, { managementGroups: ['mg'], subAssessments: true });
  const identities = reads.map(({ name: read, scope }) => `${read} ${scope.kind} ${scope.id}`);
  expect(new Set(identities).size).toBe(identities.length);
  for (const { source } of reads) {
    const query =
      source.type === 'resource-graph' ? source.query : source.type === 'resource-graph-keys' ? source.queryOfKeys(['a']) : undefined;
    if (query !== undefined) expect(query).toMatch(/\| project id, .*\n\| order by id asc$/);
    if ('path' in source) expect(source.path).toMatch(/^\/[^?\s]*$/);
  }
});

test('the five stand in their order', () => {
  expect(integrations.map(({ name }) => name)).toEqual([...integrationNames]);
  expect(integrationNames.map((name) => integrationOf(name).name)).toEqual([...integrationNames]);
});

test('a KQL literal cannot be left', () => {
  expect(kqlText("a' or 1==1")).toBe("'a\\' or 1==1'");
  expect(kqlText('a\\')).toBe("'a\\\\'");
});
