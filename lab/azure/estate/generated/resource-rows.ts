import type { JsonObject } from '../../json.ts';
import type { Presence } from '../content-changes.ts';
import { firstEndAbove, firstIndexWhere, mappedRows, rowsOf, type GraphPartition, type Rows } from '../model.ts';
import { BLOCK_KINDS, type BlockKind, type ResourceTemplate } from './blocks.ts';
import type { ContainerHost } from './images.ts';
import type { Layout } from './layout.ts';
import { perVersion } from './memo.ts';
import type { NamingContext } from './naming.ts';
import { placeOf } from './streams.ts';

/** What exists in a subscription according to ARM: its resources and resource groups. */
export interface ResourceEstate {
  /** As `GET /subscriptions/{id}/resources` lists them. */
  readonly list: () => Rows;
  readonly connectors: () => JsonObject[];
  readonly countConnectors: () => number;
  readonly tagsOf: (scope: string) => JsonObject | undefined;
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
  presence: Presence;
}): ResourceEstate {
  const { naming, tenantId, layout } = input;
  const { subscriptionId, subscription } = naming;
  const hosts = input.hosts.map((host): ArmResource => ({ ...host, location: CONTAINER_LOCATION, tags: CONTAINER_TAGS })).sort(byId);
  const inBlocks = blockResources(layout, input.presence);
  const graphRow = (resource: ArmResource): JsonObject => graphResource(resource, tenantId, subscriptionId);
  const groups = resourceGroups(naming, layout, hosts.length > 0);
  return {
    list: () => ({
      size: inBlocks.size + hosts.length,
      at: (index) => listedResource(index < inBlocks.size ? inBlocks.at(index) : rowsOf(hosts).at(index - inBlocks.size)),
    }),
    connectors: () => connectorRows(layout),
    countConnectors: () => connectorBlocks(layout).length,
    tagsOf: (scope) => {
      const lower = scope.toLowerCase();
      if (lower === `/subscriptions/${subscriptionId}`) return subscription.tags;
      if (hosts.some(({ id }) => id.toLowerCase() === lower)) return CONTAINER_TAGS;
      const number = Number(/\/resourcegroups\/[^/]*-(\d+)(?:\/|$)/.exec(lower)?.[1] ?? NaN);
      return Number.isInteger(number) && number < layout.blockCount ? layout.block(number).tags : undefined;
    },
    partitions: [
      graphPartition('resources', subscriptionId, mappedRows(inBlocks, graphRow)),
      graphPartition('resources', subscriptionId, mappedRows(rowsOf(hosts), graphRow)),
      graphPartition('resourcecontainers', subscriptionId, rowsOf([graphRow(subscriptionItem(naming))])),
      graphPartition('resourcecontainers', subscriptionId, mappedRows(groups, graphRow)),
    ],
  };
}

function byId(left: ArmResource, right: ArmResource): number {
  return left.id.toLowerCase() < right.id.toLowerCase() ? -1 : 1;
}

/** A subnet is a child of its network, no tracked resource of its own: ARM and Resource Graph do not list it. */
function isTracked({ cloud, type }: ResourceTemplate): boolean {
  return cloud === 'Azure' && type !== 'Microsoft.Network/virtualNetworks/subnets';
}

/** Per kind of block, which of its resources are tracked. */
const TRACKED: ReadonlyMap<BlockKind['name'], readonly number[]> = new Map(
  BLOCK_KINDS.map(({ name, resources }) => [
    name,
    [...resources.keys()].filter((index) => isTracked(resources[index] as ResourceTemplate)),
  ]),
);

function isCloudBlock(kind: BlockKind['name']): boolean {
  return kind === 'aws' || kind === 'gcp';
}

/** Azure resources that are still there and connectors, block by block in the order of their ids. */
function blockResources(layout: Layout, presence: Presence): Rows<ArmResource> {
  const presentIn = (block: number): number[] => {
    const laidOut = layout.countResources(block);
    return (TRACKED.get(layout.kindOf(block)) ?? []).filter((index) => index < laidOut && presence.hasResource(placeOf(block, index)));
  };
  const itemsOf = (block: number): ArmResource[] => {
    const { connector, location, tags } = layout.block(block);
    const resources = layout.resourcesOf(block);
    const own = presentIn(block).map((index): ArmResource => {
      const resource = rowsOf(resources).at(index);
      return { id: resource.id, name: resource.name, type: resource.type, location: resource.location, tags: resource.tags };
    });
    if (connector !== undefined) {
      own.push({ id: connector.id, name: connector.name, type: 'Microsoft.Security/securityConnectors', location, tags });
    }
    return own.sort(byId);
  };
  const ends = perVersion(presence.version, () => {
    let total = 0;
    return Uint32Array.from(
      layout.sortedBlocks,
      (block) => (total += presentIn(block).length + (isCloudBlock(layout.kindOf(block)) ? 1 : 0)),
    );
  });
  return {
    get size() {
      return ends().at(-1) ?? 0;
    },
    at: (index) => {
      const position = firstEndAbove(ends(), index);
      const block = layout.sortedBlocks[position] ?? 0;
      return rowsOf(itemsOf(block)).at(index - (ends()[position - 1] ?? 0));
    },
  };
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
  const containers = `rg-containers-${subscription.environment}`;
  // Where the containers' group stands among those of the blocks.
  const before = withContainers
    ? firstIndexWhere(
        layout.sortedBlocks.length,
        (index) => layout.resourceGroupOf(layout.sortedBlocks[index] ?? 0).toLowerCase() > containers,
      )
    : undefined;
  return {
    size: layout.sortedBlocks.length + (withContainers ? 1 : 0),
    at: (index) => {
      if (index === before) return group(containers, CONTAINER_LOCATION, CONTAINER_TAGS);
      const { resourceGroup, location, tags } = layout.block(
        layout.sortedBlocks[before !== undefined && index > before ? index - 1 : index] ?? 0,
      );
      return group(resourceGroup, location, tags);
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
  const idPrefix = `/subscriptions/${subscriptionId}`;
  return { table, subscriptionId, idPrefix, constants: new Map([['subscriptionId', subscriptionId]]), rows };
}

/** The blocks that are connected accounts. */
function connectorBlocks(layout: Layout): number[] {
  return Array.from({ length: layout.blockCount }, (_unused, block) => block).filter((block) => isCloudBlock(layout.kindOf(block)));
}

/** Connectors in the form of examples/azure/security-connectors. */
function connectorRows(layout: Layout): JsonObject[] {
  const rows: JsonObject[] = [];
  for (const number of connectorBlocks(layout)) {
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
