import { textAt, type JsonObject } from '../../json.ts';
import { securityStandardRows, standardAssignmentRows, type StandardPlan } from './standards.ts';

/** A connector with the standards of its subscription. */
export interface ConnectorScope {
  readonly row: JsonObject;
  readonly standards: readonly StandardPlan[];
}

/** `securityStandards` of a connector: those of its subscription that know its cloud (azure.md §1.2). */
export function connectorStandards(connector: ConnectorScope | undefined): JsonObject[] {
  if (connector === undefined) return [];
  const rows = securityStandardRows(textAt(connector.row, 'id'), plansOf(connector), []);
  return rows.filter((row) => textAt(row, 'properties', 'standardType') !== 'Custom');
}

/** `standardAssignments` of a connector: each of its standards is audited, nothing is waived. */
export function connectorStandardAssignments(connector: ConnectorScope | undefined): JsonObject[] {
  if (connector === undefined) return [];
  const rows = standardAssignmentRows(textAt(connector.row, 'id'), plansOf(connector), '');
  return rows.filter((row) => textAt(row, 'properties', 'effect') === 'Audit');
}

function plansOf({ row, standards }: ConnectorScope): StandardPlan[] {
  const cloud = textAt(row, 'properties', 'environmentName').toUpperCase();
  return standards.filter((plan) => plan.clouds.some((candidate) => candidate.toUpperCase() === cloud));
}

/** `customRecommendations` of a subscription, from the metadata of its own assessments: the same keys, titles and severities. */
export function customRecommendationRows(scope: string, metadata: readonly JsonObject[]): JsonObject[] {
  return metadata.map((row) => ({
    id: `${scope}/providers/Microsoft.Security/customRecommendations/${textAt(row, 'name')}`,
    name: textAt(row, 'name'),
    type: 'Microsoft.Security/customRecommendations',
    systemData: {
      createdBy: 'platform@example.com',
      createdByType: 'User',
      createdAt: '2025-09-01T08:00:00.000Z',
      lastModifiedBy: 'platform@example.com',
      lastModifiedByType: 'User',
      lastModifiedAt: '2025-09-01T08:00:00.000Z',
    },
    properties: {
      query:
        "RawEntityMetadata | where Environment == 'Azure' | extend HealthStatus = iff(isnotempty(Record.owner), 'HEALTHY', 'UNHEALTHY')",
      cloudProviders: ['Azure'],
      severity: textAt(row, 'properties', 'severity'),
      displayName: textAt(row, 'properties', 'displayName'),
      description: textAt(row, 'properties', 'description'),
      remediationDescription: textAt(row, 'properties', 'remediationDescription'),
      assessmentKey: textAt(row, 'name'),
      securityIssue: 'Vulnerability',
    },
  }));
}
