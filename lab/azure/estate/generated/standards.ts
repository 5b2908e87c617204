import { randomAt } from '../../../kit/random.ts';
import { textAt, type JsonObject } from '../../json.ts';
import type { Catalogue, CatalogueRule } from '../catalogue/catalogue.ts';
import type { RegulatoryStandard, StatusCounts } from '../model.ts';
import { BENCHMARK, controlsOf } from './library.ts';

/** One standard of the regulatory dashboard: its controls and the assessments under each. The same for every subscription that has it on. */
export interface StandardPlan {
  readonly name: string;
  /** GUID under securityStandards: another id space than the name (mapping §3). */
  readonly guid: string;
  readonly displayName: string;
  readonly clouds: readonly string[];
  readonly controls: readonly { readonly name: string; readonly description: string; readonly keys: readonly string[] }[];
}

const ISO_CONTROLS = ['A9.2.3', 'A9.4.2', 'A10.1.1', 'A12.4.1', 'A12.6.1', 'A13.1.1', 'A13.2.1', 'A14.1.2', 'A16.1.7', 'A18.1.3'];
const PCI_CONTROLS = ['1.3.2', '2.2.7', '3.5.1', '6.3.3', '7.2.1', '8.3.1', '10.2.2', '11.3.1'];
const AWS_CONTROLS = ['EC2.8', 'EC2.9', 'IAM.1', 'IAM.3', 'RDS.2', 'RDS.3', 'S3.2', 'S3.5', 'Lambda.1', 'EKS.1'];

/** All standards a generated tenant may have on. */
export function createStandards(catalogue: Catalogue): readonly StandardPlan[] {
  const known = catalogue.rules.filter(({ withoutMetadata }) => !withoutMetadata);
  const azure = known.filter(({ cloud }) => cloud === 'Azure');
  return [
    {
      name: 'Microsoft-cloud-security-benchmark',
      guid: BENCHMARK,
      displayName: 'Microsoft cloud security benchmark',
      clouds: ['Azure', 'AWS', 'GCP'],
      controls: groupedBy(known, (rule) => controlsOf(rule).map((control) => control.replace('-', '.'))),
    },
    dealtOut(
      'ISO-27001-2013',
      'ISO 27001:2013',
      ['Azure'],
      azure.filter((_rule, index) => index % 3 === 0),
      ISO_CONTROLS,
    ),
    dealtOut(
      'PCI-DSS-4.0',
      'PCI DSS v4',
      ['Azure'],
      azure.filter((_rule, index) => index % 4 === 0),
      PCI_CONTROLS,
    ),
    dealtOut(
      'AWS-Foundational-Security-Best-Practices',
      'AWS Foundational Security Best Practices',
      ['AWS'],
      known.filter(({ cloud }) => cloud === 'AWS'),
      AWS_CONTROLS,
    ),
  ];
}

function groupedBy(rules: readonly CatalogueRule[], controlsFor: (rule: CatalogueRule) => readonly string[]): StandardPlan['controls'] {
  const byControl = new Map<string, string[]>();
  for (const rule of rules) for (const control of controlsFor(rule)) byControl.set(control, [...(byControl.get(control) ?? []), rule.key]);
  return [...byControl.entries()]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, keys]) => ({ name, description: `Control ${name}`, keys }));
}

function dealtOut(
  name: string,
  displayName: string,
  clouds: readonly string[],
  rules: readonly CatalogueRule[],
  controls: readonly string[],
): StandardPlan {
  const dealt = groupedBy(rules, (rule) => {
    const random = randomAt('standard', name, rule.key);
    return random.chance(0.2)
      ? [random.pick(controls), random.pick(controls)].filter((control, index, all) => all.indexOf(control) === index)
      : [random.pick(controls)];
  });
  return { name, guid: randomAt('security-standard', name).uuid(), displayName, clouds, controls: dealt };
}

/** What is known about an assessment key in a subscription. */
export interface KeyFacts {
  readonly counts: ReadonlyMap<string, StatusCounts>;
  readonly titleOf: (key: string) => string;
}

/** The regulatory rows of one subscription, with states that follow from its statuses (azure.md §1.8). */
export function regulatoryRows(subscriptionId: string, plans: readonly StandardPlan[], facts: KeyFacts): RegulatoryStandard[] {
  return plans.map((plan) => {
    const id = `/subscriptions/${subscriptionId}/providers/Microsoft.Security/regulatoryComplianceStandards/${plan.name}`;
    const controls = plan.controls.map((control) => {
      const controlId = `${id}/regulatoryComplianceControls/${control.name}`;
      const assessments = control.keys.map((key) => assessmentRow(controlId, key, facts, subscriptionId));
      const states = assessments.map(stateOf);
      return { row: controlRow(controlId, control, states), assessments };
    });
    return {
      row: standardRow(
        id,
        plan.name,
        controls.map(({ row }) => stateOf(row)),
      ),
      controls,
    };
  });
}

function stateOf(row: JsonObject): string {
  return textAt(row, 'properties', 'state');
}

function tally(states: readonly string[]): { passed: number; failed: number; skipped: number; unsupported: number; state: string } {
  const count = (state: string): number => states.filter((candidate) => candidate === state).length;
  const [passed, failed, skipped, unsupported] = [count('Passed'), count('Failed'), count('Skipped'), count('Unsupported')];
  return {
    passed,
    failed,
    skipped,
    unsupported,
    state: failed > 0 ? 'Failed' : passed > 0 ? 'Passed' : skipped > 0 ? 'Skipped' : 'Unsupported',
  };
}

function standardRow(id: string, name: string, states: readonly string[]): JsonObject {
  const { passed, failed, skipped, unsupported, state } = tally(states);
  return {
    id,
    name,
    type: 'Microsoft.Security/regulatoryComplianceStandard',
    properties: { state, passedControls: passed, failedControls: failed, skippedControls: skipped, unsupportedControls: unsupported },
  };
}

function controlRow(id: string, control: StandardPlan['controls'][number], states: readonly string[]): JsonObject {
  const { passed, failed, skipped, state } = tally(states);
  return {
    id,
    name: control.name,
    type: 'Microsoft.Security/regulatoryComplianceControl',
    properties: {
      description: control.description,
      state,
      passedAssessments: passed,
      failedAssessments: failed,
      skippedAssessments: skipped,
    },
  };
}

function assessmentRow(controlId: string, key: string, facts: KeyFacts, subscriptionId: string): JsonObject {
  const { healthy = 0, unhealthy = 0, notApplicable = 0 } = facts.counts.get(key) ?? {};
  const state = unhealthy > 0 ? 'Failed' : healthy > 0 ? 'Passed' : notApplicable > 0 ? 'Skipped' : 'Unsupported';
  return {
    id: `${controlId}/regulatoryComplianceAssessments/${key}`,
    name: key,
    type: 'Microsoft.Security/regulatoryComplianceAssessment',
    properties: {
      description: facts.titleOf(key),
      assessmentType: 'Assessment',
      assessmentDetailsLink: `https://management.azure.com/subscriptions/${subscriptionId}/providers/Microsoft.Security/securityStatuses/${key}`,
      state,
      passedResources: healthy,
      failedResources: unhealthy,
      skippedResources: notApplicable,
      unsupportedResources: 0,
    },
  };
}

/** `securityStandards` of a subscription: the standards that are on, and one of the customer's own (azure.md §1.2). */
export function securityStandardRows(scope: string, plans: readonly StandardPlan[], custom: readonly string[]): JsonObject[] {
  const row = (
    guid: string,
    displayName: string,
    standardType: string,
    clouds: readonly string[],
    keys: readonly string[],
  ): JsonObject => ({
    id: `${scope}/providers/Microsoft.Security/securityStandards/${guid}`,
    name: guid,
    type: 'Microsoft.Security/securityStandards',
    properties: {
      displayName,
      standardType,
      description: `${displayName}: the assessments that belong to it.`,
      assessments: keys.map((assessmentKey) => ({ assessmentKey })),
      cloudProviders: clouds,
      policySetDefinitionId: standardType === 'Custom' ? undefined : `/providers/Microsoft.Authorization/policySetDefinitions/${guid}`,
      metadata: {
        createdBy: '00000000-0000-0000-0000-000000000000',
        createdOn: '2025-11-10T08:31:26.7993124Z',
        lastUpdatedBy: '',
        lastUpdatedOn: '2026-03-02T08:00:00.0000000Z',
      },
    },
  });
  return [
    ...plans.map((plan) =>
      row(plan.guid, plan.displayName, plan.guid === BENCHMARK ? 'Default' : 'Compliance', plan.clouds, [
        ...new Set(plan.controls.flatMap(({ keys }) => keys)),
      ]),
    ),
    row(randomAt('custom-standard', scope).uuid(), 'Corporate cloud standard', 'Custom', ['Azure'], custom),
  ];
}

/** `standardAssignments` of a subscription: each standard is audited, and one assessment is waived. */
export function standardAssignmentRows(scope: string, plans: readonly StandardPlan[], waivedKey: string): JsonObject[] {
  const row = (guid: string, properties: JsonObject): JsonObject => ({
    id: `${scope}/providers/Microsoft.Security/standardAssignments/${guid}`,
    name: guid,
    type: 'Microsoft.Security/standardAssignments',
    properties,
  });
  const waiver = randomAt('waiver', scope).uuid();
  return [
    ...plans.map((plan) =>
      row(plan.guid, {
        displayName: plan.displayName,
        description: '',
        assignedStandard: { id: `/providers/Microsoft.Security/securityStandards/${plan.guid}` },
        effect: 'Audit',
        excludedScopes: [],
        metadata: {},
      }),
    ),
    row(waiver, {
      displayName: 'Accepted by the risk board',
      description: '',
      assignedStandard: { id: `/providers/Microsoft.Security/securityStandards/${BENCHMARK}` },
      effect: 'Exempt',
      expiresOn: '2027-05-01T00:00:00Z',
      exemptionData: { exemptionCategory: 'waiver', assignedAssessment: { assessmentKey: waivedKey } },
      metadata: {},
    }),
  ];
}
