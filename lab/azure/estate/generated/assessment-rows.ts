import type { Json, JsonObject } from '../../json.ts';
import { objectAt } from '../../json.ts';
import type { EstateChanges } from '../model.ts';
import { hash32 } from './hash.ts';
import type { RowReference } from './layout.ts';
import type { Resource } from './naming.ts';
import { statusCodeOf, statusMember, statusOf, type Status, type StatusCode } from './status.ts';
import { CLASSIC_STREAM } from './streams.ts';

export interface RowContext {
  readonly seed: number;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly changes: EstateChanges;
  readonly metadataOf: (key: string) => JsonObject | undefined;
}

const RISK_LEVELS = { High: ['High', 'Critical'], Medium: ['Medium', 'Medium'], Low: ['Low', 'Low'] } as const;
const RISK_FACTORS = [['Internet Exposure'], ['Critical Resource', 'Internet Exposure'], [], ['Lateral Movement'], []];

/** The code alone: counting a million rows needs no dates. */
export function classicCode(context: RowContext, ordinal: number): StatusCode {
  return statusCodeOf(context.seed, CLASSIC_STREAM, ordinal, context.changes);
}

function classicStatus(context: RowContext, ordinal: number): Status {
  return statusOf(context.seed, CLASSIC_STREAM, ordinal, context.changes);
}

/** A row of the REST list, newest api-version (azure.md §1.4), with the casing that real traffic shows. */
export function restRow(context: RowContext, { resource, rule, ordinal }: RowReference): JsonObject {
  const draw = hash32(context.seed, CLASSIC_STREAM, ordinal, 5);
  const status = classicStatus(context, ordinal);
  const withName = draw % 50 !== 0;
  const properties: Record<string, Json | undefined> = {
    // displayName is optional in the schema: some rows have none.
    displayName: withName ? rule.title : undefined,
    resourceDetails: restDetails(resource, draw, spelt(draw, context.changes)),
    status: statusMember(status),
    additionalData: additionalData(resource, draw),
    risk: riskOf(rule.severity, status, draw),
  };
  const id = `${recased(resource.id, spelt(draw, context.changes))}/providers/Microsoft.Security/assessments/${rule.key}`;
  return { id, name: rule.key, type: 'Microsoft.Security/assessments', properties };
}

/** The same row in Resource Graph (azure.md §1.9): lower-case type, PascalCase details, metadata and links inside. */
export function graphRow(context: RowContext, { resource, rule, ordinal }: RowReference): JsonObject {
  const draw = hash32(context.seed, CLASSIC_STREAM, ordinal, 5);
  const status = classicStatus(context, ordinal);
  const metadata = context.metadataOf(rule.key);
  return graphEnvelope(context, {
    id: `${recased(resource.id, spelt(draw, context.changes))}/providers/Microsoft.Security/assessments/${rule.key}`,
    name: rule.key,
    resourceGroup: resource.resourceGroup,
    properties: {
      displayName: rule.title,
      status: statusMember(status),
      resourceDetails: graphDetails(resource),
      additionalData: additionalData(resource, draw),
      metadata: metadata === undefined ? { displayName: rule.title, severity: rule.severity } : objectAt(metadata, 'properties'),
      links: { azurePortal: `portal.azure.com/#blade/Microsoft_Azure_Security/RecommendationsBlade/assessmentKey/${rule.key}` },
      risk: riskOf(rule.severity, status, draw),
    },
  });
}

/** The columns every Resource Graph row has. */
export function graphEnvelope(
  context: Pick<RowContext, 'tenantId' | 'subscriptionId'>,
  row: { id: string; name: string; resourceGroup: string; properties: JsonObject; type?: string; location?: string },
): JsonObject {
  return {
    id: row.id,
    name: row.name,
    type: row.type ?? 'microsoft.security/assessments',
    tenantId: context.tenantId,
    kind: '',
    location: row.location ?? '',
    resourceGroup: row.resourceGroup.toLowerCase(),
    subscriptionId: context.subscriptionId,
    managedBy: '',
    sku: null,
    plan: null,
    properties: row.properties,
    tags: null,
    identity: null,
    zones: null,
    extendedLocation: null,
  };
}

/** The draw that an id's casing comes from: the row's own, until the estate is spelt anew. */
export function spelt(draw: number, { spelling }: EstateChanges): number {
  return spelling === 0 ? draw : hash32(draw, spelling);
}

/** One resource appears in several casings within one answer (azure.md §1.4, "Recorded reality"). */
export function recased(id: string, draw: number): string {
  switch (draw % 10) {
    case 0:
      return id.toLowerCase();
    case 1:
      return id.replace(/\/resourceGroups\/([^/]+)/, (_whole, group: string) => `/resourceGroups/${group.toUpperCase()}`);
    case 2:
      return id.replace('/resourceGroups/', '/resourcegroups/');
    default:
      return id;
  }
}

/** PascalCase in most recorded rows, the documented camelCase in the rest; the id's casing is drawn apart from the row's. */
function restDetails(resource: Resource, draw: number, spelling: number): JsonObject {
  const id = recased(resource.id, spelling >>> 4);
  const members: JsonObject = {
    Source: restSource(resource),
    Id: resource.onPremises === undefined ? id : undefined,
    ...(resource.connector === undefined
      ? {}
      : {
          ConnectorId: resource.connector.connectorId,
          ResourceType: resource.type,
          ResourceName: resource.name,
          ResourceProvider: resource.type.split('.', 1)[0],
          NativeResourceId: resource.nativeId,
          Region: resource.region,
          HierarchyId: resource.connector.hierarchyId,
        }),
  };
  const cased = (draw >>> 8) % 5 < 3 ? members : camelCase(members);
  // OnPremise members have no other recorded spelling.
  return resource.onPremises === undefined ? cased : { ...cased, ...onPremisesMembers(resource) };
}

function restSource(resource: Resource): string {
  if (resource.onPremises !== undefined) return resource.type;
  if (resource.cloud === 'AWS') return 'Aws';
  return resource.cloud === 'GCP' ? 'Gcp' : 'Azure';
}

function onPremisesMembers({ onPremises }: Resource): JsonObject {
  return { ...onPremises };
}

function camelCase(members: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(members).map(([name, value]) => [name.charAt(0).toLowerCase() + name.slice(1), value]));
}

/** resourceDetails in Resource Graph: azure.md §1.9. */
export function graphDetails(resource: Resource): JsonObject {
  const { connector, onPremises, nativeId } = resource;
  if (onPremises !== undefined) {
    return {
      Id: resource.id,
      Source: resource.type,
      ResourceType: resource.type,
      ResourceName: resource.name,
      VMUUID: onPremises.vmuuid,
      MachineName: onPremises.machineName,
      workspaceId: onPremises.workspaceId,
      SourceComputerId: onPremises.sourceComputerId,
      ServerName: onPremises.serverName,
      DatabaseName: onPremises.databaseName,
    };
  }
  if (connector !== undefined) {
    return {
      Id: resource.id,
      Source: connector.cloud,
      ResourceType: resource.type,
      ResourceName: resource.name,
      ResourceProvider: resource.type.split('.', 1)[0],
      NativeResourceId: nativeId,
      ConnectorId: connector.connectorId,
      ...(connector.cloud === 'AWS' ? { AwsResourceId: nativeId } : { GcpResourceId: nativeId }),
      Region: resource.region,
    };
  }
  return {
    Id: resource.id,
    Source: 'Azure',
    ResourceType: resource.type === 'subscription' ? 'microsoft.resources/subscriptions' : resource.type.toLowerCase(),
    ResourceName: resource.name,
    AzureResourceId: resource.id,
  };
}

/** Numbers, booleans and dates are strings here, and keys may hold spaces (azure.md §1.4). */
function additionalData(resource: Resource, draw: number): JsonObject | undefined {
  switch ((draw >>> 12) % 6) {
    case 0:
      return {
        linkedWorkspaceId: `/subscriptions/${resource.id.split('/')[2] ?? ''}/resourceGroups/rg-logs/providers/Microsoft.OperationalInsights/workspaces/law-central`,
      };
    case 1:
      return { 'Last scan time': '0001-01-01T00:00:00Z', isCompliant: 'False', findings: String(draw % 17) };
    case 2:
      return { assessedResourceType: resource.type, 'Agent status': 'NotInstalled', lastHeartbeat: '1/1/0001 12:00:00 AM' };
    default:
      return undefined;
  }
}

function riskOf(severity: keyof typeof RISK_LEVELS, status: Status, draw: number): JsonObject | undefined {
  if (status.code !== 'Unhealthy') return undefined;
  const [usual, raised] = RISK_LEVELS[severity];
  const factors = RISK_FACTORS[(draw >>> 16) % RISK_FACTORS.length] ?? [];
  return {
    level: factors.length > 0 ? raised : usual,
    riskFactors: factors,
    attackPathsReferences: [],
    isContextualRisk: factors.length > 0,
  };
}
