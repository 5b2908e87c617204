import { textAt, type JsonObject } from '../../json.ts';
import { inlineCve, type Cve, type SoftwarePackage } from '../catalogue/software.ts';
import type { GraphPartition, Rows } from '../model.ts';
import { graphEnvelope, type RowContext } from './assessment-rows.ts';
import { choose, hash32, hexOf, uuidOf } from './hash.ts';
import type { Layout } from './layout.ts';
import type { Connector, NamingContext } from './naming.ts';
import { statusMember, statusOf } from './status.ts';

/** Individual container recommendations per hundred classic assessments. */
export const CONTAINER_SHARE_PERCENT = 8;
/** One assessment per image and package (azure.md §0.2): so many packages per image. */
const PACKAGES_PER_IMAGE = 8;
const CONTAINER_STREAM = 2;
const IMAGES_PER_REGISTRY = 40;
const IMAGES_PER_CLUSTER = 25;
/** Every so many rows are followed by a copy whose id differs by case only (azure.md §1.9). */
const DUPLICATE_EVERY = 75;

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

/** Software found in an image: what one assessment is about. */
export interface Detection {
  readonly image: Image;
  readonly software: SoftwarePackage;
  readonly versions: readonly string[];
  readonly cves: readonly Cve[];
  /** What its draws belong to: the same in the registry and where it runs. */
  readonly ordinal: number;
}

/** A registry or cluster of the container estate, for the resources list. */
export interface ContainerHost {
  readonly id: string;
  readonly name: string;
  readonly type: string;
}

/** The images of one subscription and the individual recommendations on them. */
export interface ContainerEstate {
  readonly images: readonly Image[];
  /** Those of the images that run on a cluster; their rows name no registry. */
  readonly runningImages: readonly Image[];
  readonly hosts: readonly ContainerHost[];
  detections(image: Image): readonly Detection[];
  statusOf(detection: Detection): ReturnType<typeof statusOf>;
  readonly partitions: readonly GraphPartition[];
}

export function createContainers(input: {
  context: RowContext;
  naming: NamingContext;
  layout: Layout;
  classicRows: number;
  packages: readonly SoftwarePackage[];
}): ContainerEstate {
  const { context, naming, layout, packages } = input;
  const { seed } = context;
  const imageCount = Math.ceil((input.classicRows * CONTAINER_SHARE_PERCENT) / 100 / PACKAGES_PER_IMAGE);
  const connectors = firstConnectors(layout);
  const plan = shares(imageCount, connectors);
  const place = hostPlace(naming);
  const images = [
    ...Array.from({ length: plan.azure }, (_unused, index) => azureImage(naming, place, index)),
    ...Array.from({ length: plan.aws }, (_unused, index) => cloudImage(naming, connectors.AWS, plan.azure + index)),
    ...Array.from({ length: plan.gcp }, (_unused, index) => cloudImage(naming, connectors.GCP, plan.azure + plan.aws + index)),
  ].sort((left, right) => (left.id.toLowerCase() < right.id.toLowerCase() ? -1 : 1));
  const runningImages = images.filter(({ registry }) => registry === 'Azure').slice(0, plan.running);
  const clusterCount = Math.ceil(runningImages.length / IMAGES_PER_CLUSTER);

  const detection = (image: Image, position: number): Detection => {
    const ordinal = image.index * PACKAGES_PER_IMAGE + position;
    const draw = hash32(seed, CONTAINER_STREAM, ordinal, 6);
    const software = choose(packages, hash32(seed, CONTAINER_STREAM, image.index, 7) + position * 7);
    const first = draw % software.versions.length;
    const versions = software.versions.filter((_version, index) => index === first || (index === first + 1 && draw % 10 === 0));
    return { image, software, versions, cves: software.cves.slice(0, 1 + ((draw >>> 8) % software.cves.length)), ordinal };
  };
  const status = ({ ordinal }: Detection): ReturnType<typeof statusOf> => statusOf(seed, CONTAINER_STREAM, ordinal, context.changes);

  const registryRows = (registry: Registry): Rows => {
    const ofRegistry = images.filter((image) => image.registry === registry);
    return withCaseDuplicates({
      size: ofRegistry.length * PACKAGES_PER_IMAGE,
      at: (index) => {
        const image = itemAt(ofRegistry, Math.floor(index / PACKAGES_PER_IMAGE));
        const position = index % PACKAGES_PER_IMAGE;
        const found = detection(image, position);
        const key = uuidOf(seed, [CONTAINER_STREAM, found.ordinal, 1], risingHead(position, PACKAGES_PER_IMAGE));
        return recommendationRow(context, found, status(found), { resourceId: image.id, key, details: registryDetails(image, connectors) });
      },
    });
  };
  const runningRows: Rows = withCaseDuplicates({
    size: runningImages.length * PACKAGES_PER_IMAGE,
    at: (index) => {
      const imageNumber = Math.floor(index / PACKAGES_PER_IMAGE);
      const found = detection(itemAt(runningImages, imageNumber), index % PACKAGES_PER_IMAGE);
      const cluster = clusterHost(place, Math.floor(imageNumber / IMAGES_PER_CLUSTER));
      const key = uuidOf(seed, [CONTAINER_STREAM, found.ordinal, 2], risingHead(index, runningImages.length * PACKAGES_PER_IMAGE));
      const details = { Id: cluster.id, Source: 'Azure', ResourceType: 'K8s-container', ResourceName: cluster.name };
      return recommendationRow(context, found, status(found), { resourceId: cluster.id, key, details });
    },
  });

  const partitions = [
    partition(context.subscriptionId, '.containerimage', 'Azure', registryRows('Azure')),
    partition(context.subscriptionId, '.containerimage', 'AWS', registryRows('AWS')),
    partition(context.subscriptionId, '.containerimage', 'GCP', registryRows('GCP')),
    partition(context.subscriptionId, 'K8s-container', 'Azure', runningRows),
  ];
  return {
    images,
    runningImages,
    hosts: [
      ...Array.from({ length: Math.ceil(plan.azure / IMAGES_PER_REGISTRY) }, (_unused, index) => registryHost(place, index)),
      ...Array.from({ length: clusterCount }, (_unused, index) => clusterHost(place, index)),
    ],
    detections: (image) => Array.from({ length: PACKAGES_PER_IMAGE }, (_unused, position) => detection(image, position)),
    statusOf: status,
    partitions,
  };
}

function itemAt<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`No item ${String(index)} in a list of ${String(list.length)}.`);
  return item;
}

/** Registries hold all images; a third of Azure's also run somewhere. */
function shares(images: number, connectors: Connectors): { azure: number; aws: number; gcp: number; running: number } {
  // A running image costs rows as well: three quarters of the rows are registry images.
  const registry = Math.ceil((images * 3) / 4);
  const aws = connectors.AWS === undefined ? 0 : Math.floor(registry / 5);
  const gcp = connectors.GCP === undefined ? 0 : Math.floor(registry / 8);
  const azure = registry - aws - gcp;
  return { azure, aws, gcp, running: Math.min(azure, images - registry) };
}

interface Connectors {
  readonly AWS: Connector | undefined;
  readonly GCP: Connector | undefined;
}

function firstConnectors(layout: Layout): Connectors {
  let aws: Connector | undefined;
  let gcp: Connector | undefined;
  for (let block = 0; block < Math.min(layout.blockCount, 12); block += 1) {
    const { connector } = layout.block(block);
    if (connector?.cloud === 'AWS') aws ??= connector;
    if (connector?.cloud === 'GCP') gcp ??= connector;
  }
  return { AWS: aws, GCP: gcp };
}

interface HostPlace {
  readonly group: string;
  readonly short: string;
}

function hostPlace({ profile, subscription, subscriptionId }: NamingContext): HostPlace {
  return {
    group: `/subscriptions/${subscriptionId}/resourceGroups/rg-containers-${subscription.environment}`,
    short: `${profile.short}${subscription.environment}${subscription.name.toLowerCase().replace(/[^a-z0-9]/g, '')}`,
  };
}

function registryHost(place: HostPlace, index: number): ContainerHost {
  const name = `cr${place.short}${String(index).padStart(2, '0')}`;
  return {
    id: `${place.group}/providers/Microsoft.ContainerRegistry/registries/${name}`,
    name,
    type: 'Microsoft.ContainerRegistry/registries',
  };
}

function clusterHost(place: HostPlace, index: number): ContainerHost {
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

function azureImage(naming: NamingContext, place: HostPlace, index: number): Image {
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

function cloudImage(naming: NamingContext, connector: Connector | undefined, index: number): Image {
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
function registryDetails(image: Image, connectors: Connectors): JsonObject {
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

function recommendationRow(
  context: RowContext,
  { software, versions, cves, image }: Detection,
  status: ReturnType<typeof statusOf>,
  place: { resourceId: string; key: string; details: JsonObject },
): JsonObject {
  const title = `Update ${software.name}`;
  const worst = Math.max(...cves.map(({ base }) => base));
  const pushed = '2026-08-01T10:00:00Z';
  return graphEnvelope(context, {
    id: `${place.resourceId}/providers/microsoft.security/assessments/${place.key}`,
    name: place.key,
    resourceGroup: place.resourceId.split('/')[4] ?? '',
    properties: {
      displayName: title,
      status: statusMember(status),
      resourceDetails: place.details,
      additionalData: {
        SoftwareName: software.name,
        SoftwareVendor: software.vendor,
        DetectedSoftwareVersions: versions.join(', '),
        FixedVersion: software.fixedVersion,
        FixStatus: 'FixAvailable',
        PackageType: software.packageType,
        Language: software.language,
        MaxCvssScore: String(worst),
        ScannersDetails: JSON.stringify({
          agentlessmdvm: {
            DetectedSoftwareVersions: versions,
            FixedVersion: software.fixedVersion,
            FixStatus: 'FixAvailable',
            category: software.packageType,
            PackageType: software.packageType,
            Language: software.language,
          },
        }),
        // The list of CVEs is dropped once a row is no longer unhealthy (azure.md §1.7).
        CvesDetails: status.code === 'Unhealthy' ? JSON.stringify(cves.map((cve) => inlineCve(cve, software.fixedVersion))) : undefined,
      },
      resourceAdditionalData: JSON.stringify({
        Digest: image.digest,
        RepositoryDetails: { RepositoryName: image.repository, LastPushedToRegistryUTC: pushed },
        LastPushedToRegistryUTC: pushed,
      }),
      metadata: {
        displayName: title,
        assessmentType: 'DynamicBuiltIn',
        severity: worst >= 9 ? 'Critical' : worst >= 7 ? 'High' : worst >= 4 ? 'Medium' : 'Low',
        recommendationCategory: 'SoftwareUpdate',
        categories: ['Container'],
      },
      risk: { level: worst >= 7 ? 'High' : 'Medium', riskFactors: [] },
    },
  });
}

/** The first eight digits of a key that rises with the position: rows are in order by id without sorting. */
function risingHead(position: number, count: number): string {
  return Math.floor(((position + 0.37) / count) * 0xffff_ffff)
    .toString(16)
    .padStart(8, '0');
}

/** Rows with, now and then, the last one again under an upper-case resource group. */
function withCaseDuplicates(rows: Rows): Rows {
  const group = DUPLICATE_EVERY + 1;
  return {
    size: rows.size + Math.floor(rows.size / DUPLICATE_EVERY),
    at: (index) => {
      const block = Math.floor(index / group);
      const position = index % group;
      if (position < DUPLICATE_EVERY) return rows.at(block * DUPLICATE_EVERY + position);
      const row = rows.at(block * DUPLICATE_EVERY + DUPLICATE_EVERY - 1);
      return {
        ...row,
        id: textAt(row, 'id').replace(/\/resourceGroups\/([^/]+)/, (_whole, name: string) => `/resourcegroups/${name.toUpperCase()}`),
      };
    },
  };
}

function partition(subscriptionId: string, resourceType: string, source: string, rows: Rows): GraphPartition {
  return {
    table: 'securityresources',
    subscriptionId,
    constants: new Map([
      ['type', 'microsoft.security/assessments'],
      ['subscriptionId', subscriptionId],
      ['properties.metadata.recommendationCategory', 'SoftwareUpdate'],
      ['properties.metadata.assessmentType', 'DynamicBuiltIn'],
      ['properties.resourceDetails.ResourceType', resourceType],
      ['properties.resourceDetails.Source', source],
    ]),
    rows,
  };
}
