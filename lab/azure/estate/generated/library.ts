import { randomAt } from '../../../kit/random.ts';
import type { Json, JsonObject } from '../../json.ts';
import type { Catalogue, CatalogueRule } from '../catalogue/catalogue.ts';
import type { EstateProfile } from './profile.ts';

/** Microsoft's own id for the benchmark (azure.md §1.1). */
export const BENCHMARK = '1f3afdf9-d0c9-4c3d-847f-89da613e70a8';

/** Controls of the benchmark by family: how many each has. */
export const BENCHMARK_FAMILIES = { NS: 10, IM: 9, PA: 8, DP: 8, AM: 5, LT: 7, IR: 7, PV: 7, ES: 3, BR: 4, DS: 7, GS: 10 } as const;
const FAMILY_OF_CATEGORY: Record<string, readonly (keyof typeof BENCHMARK_FAMILIES)[]> = {
  Compute: ['PV', 'ES', 'LT'],
  Networking: ['NS'],
  Data: ['DP', 'NS', 'BR'],
  IdentityAndAccess: ['IM', 'PA'],
  Container: ['PV', 'DS'],
  AppServices: ['DP', 'NS'],
  IoT: ['LT', 'AM'],
};

export interface PolicyLibrary {
  readonly definitions: readonly JsonObject[];
  readonly sets: readonly JsonObject[];
  readonly assignments: readonly JsonObject[];
  readonly exemptions: readonly JsonObject[];
}

/** The benchmark's controls that a rule belongs to, as `NS-1`. */
export function controlsOf(rule: Pick<CatalogueRule, 'key' | 'category'>): readonly string[] {
  const random = randomAt('controls', rule.key);
  const families = FAMILY_OF_CATEGORY[rule.category] ?? ['GS'];
  const first = random.pick(families);
  const controls = new Set([`${first}-${String(random.integer(1, BENCHMARK_FAMILIES[first]))}`]);
  if (random.chance(0.25)) {
    const second = random.pick(families);
    controls.add(`${second}-${String(random.integer(1, BENCHMARK_FAMILIES[second]))}`);
  }
  return [...controls];
}

/** Policies, initiatives and assignments of a generated tenant. */
export function createPolicyLibrary(catalogue: Catalogue, profile: EstateProfile, subscriptionIds: readonly string[]): PolicyLibrary {
  const linked = distinctPolicies(catalogue);
  const root = profile.managementGroups.find(({ parent }) => parent === null)?.name ?? '';
  const rootScope = `/providers/Microsoft.Management/managementGroups/${root}`;
  const subscriptionScopes = subscriptionIds.map((id) => `/subscriptions/${id}`);
  const custom = [
    customDefinition(rootScope, 'require-owner-tag', 'Resources should carry an owner tag'),
    ...subscriptionScopes.flatMap(customDefinitions),
  ];
  const sets = [
    benchmarkSet(linked),
    regulatorySet('iso', 'ISO 27001:2013', linked, 3),
    regulatorySet('pci', 'PCI DSS v4', linked, 4),
    customSet(rootScope),
  ];
  return {
    definitions: [...linked.map(({ rule, policy }) => builtInDefinition(rule, policy)), ...UNRELATED.map(unrelatedDefinition), ...custom],
    sets,
    assignments: [
      assignment(
        rootScope,
        'corporate-baseline',
        'Corporate baseline',
        `${rootScope}/providers/Microsoft.Authorization/policySetDefinitions/corporate-baseline`,
      ),
      ...subscriptionScopes.flatMap((scope, index) => [
        assignment(scope, 'SecurityCenterBuiltIn', 'ASC Default', builtInSetId(BENCHMARK)),
        ...(profile.subscriptions[index]?.standards.includes('ISO-27001-2013') === true
          ? [assignment(scope, 'iso-27001-2013', 'ISO 27001:2013', builtInSetId(setGuid('iso')))]
          : []),
        assignment(
          scope,
          'deny-public-ip',
          'Public IP addresses are denied',
          `${scope}/providers/Microsoft.Authorization/policyDefinitions/deny-public-ip`,
        ),
      ]),
    ],
    exemptions: subscriptionScopes.map(exemption),
  };
}

interface LinkedPolicy {
  readonly policy: string;
  readonly rule: CatalogueRule;
}

/** One entry per policy: two rules may share one. */
function distinctPolicies(catalogue: Catalogue): LinkedPolicy[] {
  const seen = new Map<string, LinkedPolicy>();
  for (const rule of catalogue.rules)
    if (rule.policy !== undefined && !seen.has(rule.policy)) seen.set(rule.policy, { policy: rule.policy, rule });
  return [...seen.values()];
}

function definitionId(guid: string): string {
  return `/providers/Microsoft.Authorization/policyDefinitions/${guid}`;
}

function builtInSetId(guid: string): string {
  return `/providers/Microsoft.Authorization/policySetDefinitions/${guid}`;
}

function setGuid(name: string): string {
  return randomAt('policy-set', name).uuid();
}

const EFFECT_PARAMETER: JsonObject = {
  effect: {
    type: 'String',
    metadata: { displayName: 'Effect', description: 'Enable or disable the execution of the policy' },
    allowedValues: ['AuditIfNotExists', 'Disabled'],
    defaultValue: 'AuditIfNotExists',
  },
};
const SYSTEM_DATA: JsonObject = {
  createdBy: 'Policy Operations Team',
  createdByType: 'User',
  createdAt: '2025-02-11T09:12:44.1840512Z',
  lastModifiedBy: 'Policy Operations Team',
  lastModifiedByType: 'User',
  lastModifiedAt: '2026-05-19T14:03:21.0071193Z',
};

function builtInDefinition(rule: CatalogueRule, policy: string): JsonObject {
  const random = randomAt('definition', policy);
  const deprecated = rule.withoutMetadata;
  const preview = !deprecated && random.chance(0.05);
  const version = `${String(random.integer(1, 4))}.${String(random.integer(0, 3))}.0${deprecated ? '-deprecated' : preview ? '-preview' : ''}`;
  const mark = deprecated ? '[Deprecated]: ' : preview ? '[Preview]: ' : '';
  const category = random.chance(0.6) ? 'Security Center' : serviceCategory(rule.resourceType);
  const metadata: Record<string, Json | undefined> = {
    version,
    category,
    deprecated: deprecated ? true : undefined,
    preview: preview ? true : undefined,
  };
  return {
    properties: {
      displayName: `${mark}${rule.title}`,
      policyType: 'BuiltIn',
      mode: 'All',
      description: `Audits resources of type ${rule.resourceType}: ${rule.title}.`,
      metadata,
      version: version.split('-', 1)[0],
      parameters: EFFECT_PARAMETER,
      policyRule: {
        if: { field: 'type', equals: rule.resourceType === 'subscription' ? 'Microsoft.Resources/subscriptions' : rule.resourceType },
        then: {
          effect: "[parameters('effect')]",
          details: {
            type: 'Microsoft.Security/assessments',
            name: rule.key,
            existenceCondition: { field: 'Microsoft.Security/assessments/status.code', in: ['NotApplicable', 'Healthy'] },
          },
        },
      },
    },
    id: definitionId(policy),
    type: 'Microsoft.Authorization/policyDefinitions',
    name: policy,
    systemData: SYSTEM_DATA,
  };
}

function serviceCategory(resourceType: string): string {
  const [namespace = ''] = resourceType.split('/');
  return namespace === 'subscription' ? 'Security Center' : namespace.replace('Microsoft.', '').replace(/([a-z])([A-Z])/g, '$1 $2');
}

/** Built-ins that have nothing to do with Defender: a reader has to leave them out. */
const UNRELATED = [
  'Allowed locations',
  'Allowed resource types',
  'Inherit a tag from the resource group',
  'Not allowed virtual machine sizes',
  'Add a tag to resources',
];

function unrelatedDefinition(title: string): JsonObject {
  const guid = randomAt('policy', 'general', title).uuid();
  return {
    properties: {
      displayName: title,
      policyType: 'BuiltIn',
      mode: 'Indexed',
      description: `${title}.`,
      metadata: { version: '1.0.0', category: title.includes('tag') ? 'Tags' : 'General' },
      version: '1.0.0',
      parameters: {},
      policyRule: { if: { field: 'location', exists: 'true' }, then: { effect: 'audit' } },
    },
    id: definitionId(guid),
    type: 'Microsoft.Authorization/policyDefinitions',
    name: guid,
    systemData: SYSTEM_DATA,
  };
}

function customDefinitions(scope: string): JsonObject[] {
  return [
    customDefinition(scope, 'deny-public-ip', 'Public IP addresses are denied'),
    customDefinition(scope, 'audit-sku', 'SKUs outside the price list are audited'),
  ];
}

function customDefinition(scope: string, name: string, title: string): JsonObject {
  return {
    properties: {
      displayName: title,
      policyType: 'Custom',
      mode: 'Indexed',
      description: `${title}. Written by the platform team.`,
      metadata: {
        category: 'Corporate',
        createdBy: '00000000-0000-0000-0000-000000000000',
        createdOn: '2025-11-03T10:00:00Z',
        updatedBy: null,
        updatedOn: null,
      },
      version: '1.0.0',
      parameters: {},
      policyRule: { if: { field: 'type', equals: 'Microsoft.Network/publicIPAddresses' }, then: { effect: 'deny' } },
    },
    id: `${scope}/providers/Microsoft.Authorization/policyDefinitions/${name}`,
    type: 'Microsoft.Authorization/policyDefinitions',
    name,
    systemData: { ...SYSTEM_DATA, createdBy: 'platform@contoso.example', lastModifiedBy: 'platform@contoso.example' },
  };
}

function benchmarkSet(linked: readonly LinkedPolicy[]): JsonObject {
  const groups = Object.entries(BENCHMARK_FAMILIES).flatMap(([family, count]) =>
    Array.from({ length: count }, (_unused, index) => groupName(`${family}-${String(index + 1)}`)),
  );
  return setDefinition(
    builtInSetId(BENCHMARK),
    BENCHMARK,
    {
      displayName: 'Microsoft cloud security benchmark',
      policyType: 'BuiltIn',
      description: 'The policies and controls that implement the security recommendations of the Microsoft cloud security benchmark.',
      metadata: { version: '57.56.0', category: 'Security Center' },
      version: '57.56.0',
      parameters: {},
      policyDefinitionGroups: groups.map((name) => ({
        name,
        additionalMetadataId: `/providers/Microsoft.PolicyInsights/policyMetadata/${name}`,
      })),
    },
    linked.map(({ policy, rule }) => ({ policy, groups: controlsOf(rule).map(groupName) })),
  );
}

function groupName(control: string): string {
  return `Azure_Security_Benchmark_v3.0_${control}`;
}

function regulatorySet(name: string, title: string, linked: readonly LinkedPolicy[], stride: number): JsonObject {
  const guid = setGuid(name);
  return setDefinition(
    builtInSetId(guid),
    guid,
    {
      displayName: title,
      policyType: 'BuiltIn',
      description: `Policies that address a subset of ${title} controls.`,
      metadata: { version: '8.1.0', category: 'Regulatory Compliance' },
      version: '8.1.0',
      parameters: {},
      policyDefinitionGroups: [],
    },
    linked.filter((_policy, index) => index % stride === 0).map(({ policy }) => ({ policy, groups: [] })),
  );
}

function setDefinition(
  id: string,
  name: string,
  properties: JsonObject,
  members: readonly { policy: string; groups: readonly string[] }[],
): JsonObject {
  return {
    properties: {
      ...properties,
      policyDefinitions: members.map(({ policy, groups }, index) => ({
        policyDefinitionReferenceId: `reference${String(index)}`,
        policyDefinitionId: definitionId(policy),
        definitionVersion: '1.*.*',
        parameters: {},
        groupNames: groups,
      })),
    },
    id,
    type: 'Microsoft.Authorization/policySetDefinitions',
    name,
    systemData: SYSTEM_DATA,
  };
}

function customSet(scope: string): JsonObject {
  return {
    properties: {
      displayName: 'Corporate baseline',
      policyType: 'Custom',
      description: 'What every subscription has to meet.',
      metadata: { category: 'Corporate' },
      version: '1.0.0',
      parameters: {},
      policyDefinitions: [
        {
          policyDefinitionReferenceId: 'owner',
          policyDefinitionId: `${scope}/providers/Microsoft.Authorization/policyDefinitions/require-owner-tag`,
          definitionVersion: '1.*.*',
          parameters: {},
        },
      ],
    },
    id: `${scope}/providers/Microsoft.Authorization/policySetDefinitions/corporate-baseline`,
    type: 'Microsoft.Authorization/policySetDefinitions',
    name: 'corporate-baseline',
    systemData: { ...SYSTEM_DATA, createdBy: 'platform@contoso.example', lastModifiedBy: 'platform@contoso.example' },
  };
}

function assignment(scope: string, name: string, displayName: string, policyDefinitionId: string): JsonObject {
  return {
    properties: {
      displayName,
      policyDefinitionId,
      definitionVersion: '1.*.*',
      scope,
      notScopes: [],
      parameters: {},
      metadata: { assignedBy: 'Security Center' },
      enforcementMode: 'Default',
    },
    id: `${scope}/providers/Microsoft.Authorization/policyAssignments/${name}`,
    type: 'Microsoft.Authorization/policyAssignments',
    name,
    systemData: SYSTEM_DATA,
  };
}

function exemption(scope: string): JsonObject {
  return {
    properties: {
      policyAssignmentId: `${scope}/providers/Microsoft.Authorization/policyAssignments/SecurityCenterBuiltIn`,
      policyDefinitionReferenceIds: ['reference0'],
      exemptionCategory: 'Waiver',
      displayName: 'Legacy workload until its migration',
      description: 'Accepted by the risk board.',
      metadata: {},
    },
    systemData: SYSTEM_DATA,
    id: `${scope}/providers/Microsoft.Authorization/policyExemptions/legacy-workload`,
    type: 'Microsoft.Authorization/policyExemptions',
    name: 'legacy-workload',
  };
}
