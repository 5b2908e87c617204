import type { JsonObject } from '../../json.ts';
import { firstEndAbove, rowsOf, type GraphPartition, type Rows } from '../model.ts';
import type { ContainerHost } from './containers.ts';
import type { Layout } from './layout.ts';
import type { Block, NamingContext, Resource } from './naming.ts';

/** What exists in a subscription according to ARM: its resources and resource groups. */
export interface ResourceEstate {
  /** As `GET /subscriptions/{id}/resources` lists them. */
  list(): Rows;
  connectors(): JsonObject[];
  tagsOf(scope: string): JsonObject | undefined;
  readonly partitions: readonly GraphPartition[];
}

const CONTAINER_LOCATION = 'westeurope';
/** Of the registries, clusters and their resource group. */
const CONTAINER_TAGS: JsonObject = { application: 'containers', owner: 'platform-team' };

interface ArmResource {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly location: string;
  readonly tags: JsonObject;
}

export function createResources(input: {
  naming: NamingContext;
  tenantId: string;
  layout: Layout;
  hosts: readonly ContainerHost[];
}): ResourceEstate {
  const { naming, tenantId, layout } = input;
  const { subscriptionId, subscription } = naming;
  const hosts = input.hosts.map((host): ArmResource => ({ ...host, location: CONTAINER_LOCATION, tags: CONTAINER_TAGS })).sort(byId);
  const inBlocks = blockResources(layout);
  const graphRow = (resource: ArmResource): JsonObject => graphResource(resource, tenantId, subscriptionId);
  const groups = resourceGroups(naming, layout, hosts.length > 0);
  return {
    list: () => ({
      size: inBlocks.size + hosts.length,
      at: (index) => listedResource(index < inBlocks.size ? inBlocks.at(index) : rowsOf(hosts).at(index - inBlocks.size)),
    }),
    connectors: () => connectorRows(layout),
    tagsOf: (scope) => {
      const lower = scope.toLowerCase();
      if (lower === `/subscriptions/${subscriptionId}`) return subscription.tags;
      if (hosts.some(({ id }) => id.toLowerCase() === lower)) return CONTAINER_TAGS;
      const number = Number(/\/resourcegroups\/[^/]*-(\d+)(?:\/|$)/.exec(lower)?.[1] ?? NaN);
      return Number.isInteger(number) && number < layout.blockCount ? layout.block(number).tags : undefined;
    },
    partitions: [
      graphPartition('resources', subscriptionId, { size: inBlocks.size, at: (index) => graphRow(inBlocks.at(index)) }),
      graphPartition('resources', subscriptionId, { size: hosts.length, at: (index) => graphRow(rowsOf(hosts).at(index)) }),
      graphPartition('resourcecontainers', subscriptionId, rowsOf([graphRow(subscriptionItem(naming))])),
      graphPartition('resourcecontainers', subscriptionId, { size: groups.size, at: (index) => graphRow(groups.at(index)) }),
    ],
  };
}

function byId(left: ArmResource, right: ArmResource): number {
  return left.id.toLowerCase() < right.id.toLowerCase() ? -1 : 1;
}

/** Azure resources and connectors, block by block in the order of their ids. */
function blockResources(layout: Layout): Rows<ArmResource> {
  const itemsOf = (block: number): ArmResource[] => armResources(layout.block(block), layout.resourcesOf(block)).sort(byId);
  // All whole blocks of a kind hold the same number; only the last block may be cut short.
  const whole = new Map<string, number>();
  const countOf = (block: number): number => {
    if (block === layout.blockCount - 1) return itemsOf(block).length;
    const kind = layout.kindOf(block);
    const count = whole.get(kind) ?? itemsOf(block).length;
    whole.set(kind, count);
    return count;
  };
  let total = 0;
  const ends = Uint32Array.from(layout.sortedBlocks, (block) => (total += countOf(block)));
  return {
    size: total,
    at: (index) => {
      const position = firstEndAbove(ends, index);
      const block = layout.sortedBlocks[position] ?? 0;
      return rowsOf(itemsOf(block)).at(index - (ends[position - 1] ?? 0));
    },
  };
}

function armResources({ connector, location, tags }: Block, resources: readonly Resource[]): ArmResource[] {
  // A subnet is a child of its network, no tracked resource of its own: ARM and Resource Graph do not list it.
  const own = resources
    .filter(({ cloud, type }) => cloud === 'Azure' && type !== 'Microsoft.Network/virtualNetworks/subnets')
    .map(({ id, name, type, ...rest }) => ({ id, name, type, location: rest.location, tags: rest.tags }));
  return connector === undefined
    ? own
    : [...own, { id: connector.id, name: connector.name, type: 'Microsoft.Security/securityConnectors', location, tags }];
}

function resourceGroups({ subscriptionId, subscription }: NamingContext, layout: Layout, withContainers: boolean): Rows<ArmResource> {
  const type = 'Microsoft.Resources/subscriptions/resourceGroups';
  const group = (name: string, location: string, tags: JsonObject): ArmResource => ({
    id: `/subscriptions/${subscriptionId}/resourceGroups/${name}`,
    name,
    type,
    location,
    tags,
  });
  const names: { name: string; block?: number }[] = Array.from(layout.sortedBlocks, (block) => ({
    name: layout.resourceGroupOf(block),
    block,
  }));
  if (withContainers) names.push({ name: `rg-containers-${subscription.environment}` });
  names.sort((left, right) => (left.name.toLowerCase() < right.name.toLowerCase() ? -1 : 1));
  return {
    size: names.length,
    at: (index) => {
      const { name, block } = rowsOf(names).at(index);
      return block === undefined
        ? group(name, CONTAINER_LOCATION, CONTAINER_TAGS)
        : group(name, layout.block(block).location, layout.block(block).tags);
    },
  };
}

function subscriptionItem({ subscriptionId, subscription }: NamingContext): ArmResource {
  return {
    id: `/subscriptions/${subscriptionId}`,
    name: subscription.displayName,
    type: 'Microsoft.Resources/subscriptions',
    location: '',
    tags: subscription.tags,
  };
}

function listedResource(resource: ArmResource): JsonObject {
  return { ...resource, tags: Object.keys(resource.tags).length === 0 ? undefined : resource.tags };
}

function graphResource(resource: ArmResource, tenantId: string, subscriptionId: string): JsonObject {
  return {
    id: resource.id,
    name: resource.name,
    type: resource.type.toLowerCase(),
    tenantId,
    kind: '',
    location: resource.location,
    resourceGroup: (resource.id.split('/')[4] ?? '').toLowerCase(),
    subscriptionId,
    managedBy: '',
    sku: null,
    plan: null,
    properties: {},
    tags: resource.tags,
    identity: null,
    zones: null,
    extendedLocation: null,
  };
}

function graphPartition(table: GraphPartition['table'], subscriptionId: string, rows: Rows): GraphPartition {
  return { table, subscriptionId, constants: new Map([['subscriptionId', subscriptionId]]), rows };
}

/** Connectors in the form of examples/azure/security-connectors. */
function connectorRows(layout: Layout): JsonObject[] {
  const rows: JsonObject[] = [];
  for (let number = 0; number < layout.blockCount; number += 1) {
    const kind = layout.kindOf(number);
    if (kind !== 'aws' && kind !== 'gcp') continue;
    const block = layout.block(number);
    const { connector } = block;
    if (connector === undefined) continue;
    const aws = connector.cloud === 'AWS';
    rows.push({
      id: connector.id,
      name: connector.name,
      type: 'Microsoft.Security/securityConnectors',
      etag: `"${connector.connectorId}"`,
      kind: '',
      location: block.location,
      tags: block.tags,
      systemData: {
        createdBy: 'platform@contoso.example',
        createdByType: 'User',
        createdAt: '2025-08-31T13:47:50.328Z',
        lastModifiedBy: 'platform@contoso.example',
        lastModifiedByType: 'User',
        lastModifiedAt: '2026-02-11T09:00:00.000Z',
      },
      properties: {
        hierarchyIdentifier: connector.hierarchyId,
        environmentName: connector.cloud,
        environmentData: aws
          ? { environmentType: 'AwsAccount', accountName: connector.alias, scanInterval: 4 }
          : {
              environmentType: 'GcpProject',
              projectDetails: {
                projectNumber: connector.hierarchyId,
                projectId: connector.alias,
                workloadIdentityPoolId: connector.connectorId,
              },
            },
        offerings: [
          aws
            ? {
                offeringType: 'CspmMonitorAws',
                nativeCloudConnection: { cloudRoleArn: `arn:aws:iam::${connector.hierarchyId}:role/CspmMonitorAws` },
              }
            : {
                offeringType: 'CspmMonitorGcp',
                nativeCloudConnection: {
                  workloadIdentityProviderId: 'cspm',
                  serviceAccountEmailAddress: `microsoft-defender-cspm@${connector.alias}.iam.gserviceaccount.com`,
                },
              },
        ],
      },
    });
  }
  return rows;
}
