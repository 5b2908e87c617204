import type { JsonObject } from '../../json.ts';
import { choose, hash32, hexOf } from './hash.ts';
import type { Layout } from './layout.ts';
import type { Connector, NamingContext } from './naming.ts';
import { CONTAINER_STREAM } from './streams.ts';

export const IMAGES_PER_REGISTRY = 40;
export const IMAGES_PER_CLUSTER = 25;

export type Registry = 'Azure' | 'AWS' | 'GCP';

/** One image: where it lies and what its rows say about it. */
export interface Image {
  readonly index: number;
  readonly registry: Registry;
  /** Resource id of its rows. */
  readonly id: string;
  /** Registry as its rows name it: a registry's name, or its host. */
  readonly registryName: string;
  readonly repository: string;
  /** `sha256:…` */
  readonly digest: string;
}

/** A registry or cluster of the container estate, for the resources list. */
export interface ContainerHost {
  readonly id: string;
  readonly name: string;
  readonly type: string;
}

/** Registries hold all images; a third of Azure's also run somewhere. */
export function imageShares(images: number, connectors: Connectors): { azure: number; aws: number; gcp: number; running: number } {
  // A running image costs rows as well: three quarters of the rows are registry images.
  const registry = Math.ceil((images * 3) / 4);
  const aws = connectors.AWS === undefined ? 0 : Math.floor(registry / 5);
  const gcp = connectors.GCP === undefined ? 0 : Math.floor(registry / 8);
  const azure = registry - aws - gcp;
  return { azure, aws, gcp, running: Math.min(azure, images - registry) };
}

/** One connector per cloud that the subscription has. */
export interface Connectors {
  readonly AWS: Connector | undefined;
  readonly GCP: Connector | undefined;
}

/** The connectors whose accounts hold the images of the other clouds. */
export function firstConnectors(layout: Layout, blocks: number): Connectors {
  let aws: Connector | undefined;
  let gcp: Connector | undefined;
  for (let block = 0; block < Math.min(blocks, 12); block += 1) {
    const { connector } = layout.block(block);
    if (connector?.cloud === 'AWS') aws ??= connector;
    if (connector?.cloud === 'GCP') gcp ??= connector;
  }
  return { AWS: aws, GCP: gcp };
}

/** The resource group of registries and clusters, and what their names start with. */
export interface HostPlace {
  readonly group: string;
  readonly short: string;
}

/** Where the registries and clusters of a subscription are. */
export function hostPlace({ profile, subscription, subscriptionId }: NamingContext): HostPlace {
  return {
    group: `/subscriptions/${subscriptionId}/resourceGroups/rg-containers-${subscription.environment}`,
    short: `${profile.short}${subscription.environment}${subscription.name.toLowerCase().replace(/[^a-z0-9]/g, '')}`,
  };
}

/** Registry `index` of a subscription. */
export function registryHost(place: HostPlace, index: number): ContainerHost {
  const name = `cr${place.short}${String(index).padStart(2, '0')}`;
  return {
    id: `${place.group}/providers/Microsoft.ContainerRegistry/registries/${name}`,
    name,
    type: 'Microsoft.ContainerRegistry/registries',
  };
}

/** Cluster `index` of a subscription. */
export function clusterHost(place: HostPlace, index: number): ContainerHost {
  const name = `aks-${place.short}-${String(index).padStart(4, '0')}`;
  return {
    id: `${place.group}/providers/Microsoft.ContainerService/managedClusters/${name}`,
    name,
    type: 'Microsoft.ContainerService/managedClusters',
  };
}

function repositoryOf({ seed, profile }: NamingContext, index: number): string {
  const team = choose(profile.owners, hash32(seed, CONTAINER_STREAM, index, 8));
  return `${team}/${choose(profile.workloads, hash32(seed, CONTAINER_STREAM, index, 9))}-${choose(['api', 'worker', 'web', 'job'], hash32(seed, CONTAINER_STREAM, index, 10))}`;
}

/** Image `index`, in a registry of Azure. */
export function azureImage(naming: NamingContext, place: HostPlace, index: number): Image {
  const registry = registryHost(place, Math.floor(index / IMAGES_PER_REGISTRY));
  const repository = repositoryOf(naming, index);
  const digest = `sha256:${hexOf(64, naming.seed, CONTAINER_STREAM, index, 11)}`;
  return {
    index,
    registry: 'Azure',
    id: `${registry.id}/repositories/${repository}/images/${digest}`,
    registryName: registry.name,
    repository,
    digest,
  };
}

/** Image `index`, in the registry of a connected account. */
export function cloudImage(naming: NamingContext, connector: Connector | undefined, index: number): Image {
  if (connector === undefined) throw new Error('An image outside Azure needs a connector.');
  const repository = repositoryOf(naming, index);
  const hex = hexOf(64, naming.seed, CONTAINER_STREAM, index, 11);
  const provider = connector.cloud === 'AWS' ? 'ecr' : 'gar';
  return {
    index,
    registry: connector.cloud,
    id: `${connector.id}/securityentitydata/${connector.cloud.toLowerCase()}-${provider}-image-${repository.replaceAll('/', '-')}-${hex.slice(0, 12)}`,
    registryName:
      connector.cloud === 'AWS'
        ? `${connector.hierarchyId}.dkr.ecr.eu-central-1.amazonaws.com`
        : `europe-west3-docker.pkg.dev/${connector.alias}`,
    repository,
    digest: `sha256:${hex}`,
  };
}

/** resourceDetails of a registry image, by cloud (azure.md §1.7, §1.9). */
export function registryDetails(image: Image, connectors: Connectors): JsonObject {
  if (image.registry === 'Azure') return { Id: image.id, Source: 'Azure', ResourceType: '.containerimage', ResourceName: image.digest };
  const connector = connectors[image.registry];
  const native =
    image.registry === 'AWS'
      ? `arn:aws:ecr:eu-central-1:${connector?.hierarchyId ?? ''}:repository/${image.repository}`
      : `//artifactregistry.googleapis.com/projects/${connector?.alias ?? ''}/locations/europe-west3/repositories/${image.repository}`;
  return {
    Id: image.id,
    Source: image.registry,
    ResourceType: '.containerimage',
    ResourceName: image.id.split('/').at(-1),
    ConnectorId: connector?.connectorId,
    NativeResourceId: native,
    ResourceProvider: image.registry === 'AWS' ? 'ecr' : 'gar',
  };
}
