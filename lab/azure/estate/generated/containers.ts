import { textAt, type JsonObject } from '../../json.ts';
import { inlineCve, type Cve, type SoftwarePackage } from '../catalogue/software.ts';
import type { Presence } from '../content-changes.ts';
import type { GraphPartition, Rows } from '../model.ts';
import { graphEnvelope, type RowContext } from './assessment-rows.ts';
import { choose, hash32, uuidOf } from './hash.ts';
import {
  azureImage,
  cloudImage,
  clusterHost,
  firstConnectors,
  hostPlace,
  IMAGES_PER_CLUSTER,
  IMAGES_PER_REGISTRY,
  imageShares,
  registryDetails,
  registryHost,
  type ContainerHost,
  type Image,
  type Registry,
} from './images.ts';
import type { Layout } from './layout.ts';
import type { NamingContext } from './naming.ts';
import { presentRows } from './present-rows.ts';
import { statusMember, statusOf } from './status.ts';
import { CONTAINER_STREAM, imagePlace, RUNNING_STREAM } from './streams.ts';

/** Individual container recommendations per hundred classic assessments. */
export const CONTAINER_SHARE_PERCENT = 8;
/** One assessment per image and package (azure.md §0.2): so many packages per image. */
const PACKAGES_PER_IMAGE = 8;
/** Every so many rows are followed by a copy whose id differs by case only (azure.md §1.9). */
const DUPLICATE_EVERY = 75;

/** Software found in an image: what one assessment is about. */
export interface Detection {
  readonly image: Image;
  readonly software: SoftwarePackage;
  readonly versions: readonly string[];
  readonly cves: readonly Cve[];
  /** What its draws belong to: the same in the registry and where it runs. */
  readonly ordinal: number;
}

/** The images of one subscription and the individual recommendations on them. */
export interface ContainerEstate {
  /** Images with what is still found on each, in the registry and where they run (those rows name no registry), one at a time. */
  places(): Iterable<{ readonly image: Image; readonly isRunning: boolean; readonly detections: readonly Detection[] }>;
  readonly hosts: readonly ContainerHost[];
  readonly statusOf: (detection: Detection) => ReturnType<typeof statusOf>;
  readonly partitions: readonly GraphPartition[];
  /** The row with this lower-case id, be it there or gone. */
  findRow(id: string): { stream: number; ordinal: number } | undefined;
  /** The number of an image as a resource, by its lower-case id. */
  readonly findPlace: (id: string) => number | undefined;
}

interface Input {
  readonly context: RowContext;
  readonly naming: NamingContext;
  readonly layout: Layout;
  readonly classicRows: number;
  /** Images that were pushed later. */
  readonly addedImages: number;
  /** Blocks the subscription was first laid out with: what came later moves no image. */
  readonly firstBlocks: number;
  readonly packages: readonly SoftwarePackage[];
  readonly presence: Presence;
}

export function createContainers(input: Input): ContainerEstate {
  const { context, naming, packages, presence } = input;
  const { seed, subscriptionId } = context;
  const imageCount = Math.ceil((input.classicRows * CONTAINER_SHARE_PERCENT) / 100 / PACKAGES_PER_IMAGE);
  const connectors = firstConnectors(input.layout, input.firstBlocks);
  const plan = imageShares(imageCount, connectors);
  const place = hostPlace(naming);
  const laidOut = plan.azure + plan.aws + plan.gcp;
  const imageOf = (index: number): Image => {
    if (index < plan.azure || index >= laidOut) return azureImage(naming, place, index);
    return cloudImage(naming, index < plan.azure + plan.aws ? connectors.AWS : connectors.GCP, index);
  };
  /** Indexes in the order of their ids. */
  const inOrder = (indexes: readonly number[]): Uint32Array => {
    const ids = new Map(indexes.map((index) => [index, imageOf(index).id.toLowerCase()]));
    return Uint32Array.from(indexes.toSorted((left, right) => ((ids.get(left) ?? '') < (ids.get(right) ?? '') ? -1 : 1)));
  };
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_unused, offset) => from + offset);
  const added = range(laidOut, laidOut + input.addedImages);
  const registries: Readonly<Record<Registry, Uint32Array>> = {
    Azure: inOrder([...range(0, plan.azure), ...added]),
    AWS: inOrder(range(plan.azure, plan.azure + plan.aws)),
    GCP: inOrder(range(plan.azure + plan.aws, laidOut)),
  };
  const running = registries.Azure.filter((index) => index < plan.azure).slice(0, plan.running);

  const detection = (image: Image, position: number): Detection => {
    const ordinal = image.index * PACKAGES_PER_IMAGE + position;
    const draw = hash32(seed, CONTAINER_STREAM, ordinal, 6);
    const software = choose(packages, hash32(seed, CONTAINER_STREAM, image.index, 7) + position * 7);
    const first = draw % software.versions.length;
    const versions = software.versions.filter((_version, index) => index === first || (index === first + 1 && draw % 10 === 0));
    return { image, software, versions, cves: software.cves.slice(0, 1 + ((draw >>> 8) % software.cves.length)), ordinal };
  };
  const status = ({ ordinal }: Detection): ReturnType<typeof statusOf> => statusOf(seed, CONTAINER_STREAM, ordinal, context.changes);
  const isPresent = (stream: number, index: number, position: number): boolean =>
    presence.hasResource(imagePlace(index)) && presence.hasRow(stream, index * PACKAGES_PER_IMAGE + position);

  /** One row per image and package, images in the order of these indexes. */
  const rowsOn = (images: Uint32Array, stream: number, row: (image: Image, imageNumber: number, position: number) => JsonObject): Rows =>
    presentRows({
      size: images.length * PACKAGES_PER_IMAGE,
      at: (index) => {
        const imageNumber = Math.floor(index / PACKAGES_PER_IMAGE);
        return row(imageOf(itemAt(images, imageNumber)), imageNumber, index % PACKAGES_PER_IMAGE);
      },
      isPresent: (index) => isPresent(stream, itemAt(images, Math.floor(index / PACKAGES_PER_IMAGE)), index % PACKAGES_PER_IMAGE),
      version: presence.version,
    });
  const registryRow = (image: Image, position: number): JsonObject => {
    const found = detection(image, position);
    const key = uuidOf(seed, [CONTAINER_STREAM, found.ordinal, 1], risingHead(position, PACKAGES_PER_IMAGE));
    return recommendationRow(context, found, status(found), { resourceId: image.id, key, details: registryDetails(image, connectors) });
  };
  const runningRow = (image: Image, imageNumber: number, position: number): JsonObject => {
    const found = detection(image, position);
    const cluster = clusterHost(place, Math.floor(imageNumber / IMAGES_PER_CLUSTER));
    const count = running.length * PACKAGES_PER_IMAGE;
    const key = uuidOf(seed, [CONTAINER_STREAM, found.ordinal, 2], risingHead(imageNumber * PACKAGES_PER_IMAGE + position, count));
    const details = { Id: cluster.id, Source: 'Azure', ResourceType: 'K8s-container', ResourceName: cluster.name };
    return recommendationRow(context, found, status(found), { resourceId: cluster.id, key, details });
  };
  const registryRows = (registry: Registry): Rows =>
    rowsOn(registries[registry], CONTAINER_STREAM, (image, _imageNumber, position) => registryRow(image, position));
  const runningRows = rowsOn(running, RUNNING_STREAM, runningRow);

  const detectionsOn = (image: Image, stream: number): Detection[] =>
    range(0, PACKAGES_PER_IMAGE)
      .filter((position) => isPresent(stream, image.index, position))
      .map((position) => detection(image, position));
  const findImage = (id: string): number | undefined =>
    range(0, laidOut + input.addedImages).find((index) => imageOf(index).id.toLowerCase() === id);
  return {
    places: function* () {
      for (const index of Object.values(registries).flatMap((indexes) => [...indexes])) {
        const image = imageOf(index);
        yield { image, isRunning: false, detections: detectionsOn(image, CONTAINER_STREAM) };
      }
      for (const index of running) {
        const image = imageOf(index);
        yield { image, isRunning: true, detections: detectionsOn(image, RUNNING_STREAM) };
      }
    },
    hosts: [...new Set([...range(0, plan.azure), ...added].map((index) => Math.floor(index / IMAGES_PER_REGISTRY)))]
      .map((index) => registryHost(place, index))
      .concat(range(0, Math.ceil(running.length / IMAGES_PER_CLUSTER)).map((index) => clusterHost(place, index))),
    statusOf: status,
    partitions: [
      partition(subscriptionId, '.containerimage', 'Azure', withCaseDuplicates(registryRows('Azure'))),
      partition(subscriptionId, '.containerimage', 'AWS', withCaseDuplicates(registryRows('AWS'))),
      partition(subscriptionId, '.containerimage', 'GCP', withCaseDuplicates(registryRows('GCP'))),
      partition(subscriptionId, 'K8s-container', 'Azure', withCaseDuplicates(runningRows)),
    ],
    findPlace: (id) => {
      const index = findImage(id);
      return index === undefined ? undefined : imagePlace(index);
    },
    findRow: (id) => {
      const [resourceId = ''] = id.split('/providers/microsoft.security/assessments/');
      const index = findImage(resourceId);
      const positions = range(0, PACKAGES_PER_IMAGE);
      if (index !== undefined) {
        const position = positions.find((candidate) => idOf(registryRow(imageOf(index), candidate)) === id);
        return position === undefined ? undefined : { stream: CONTAINER_STREAM, ordinal: index * PACKAGES_PER_IMAGE + position };
      }
      for (const [imageNumber, runningIndex] of running.entries()) {
        const position = positions.find((candidate) => idOf(runningRow(imageOf(runningIndex), imageNumber, candidate)) === id);
        if (position !== undefined) return { stream: RUNNING_STREAM, ordinal: runningIndex * PACKAGES_PER_IMAGE + position };
      }
      return undefined;
    },
  };
}

function idOf(row: JsonObject): string {
  return textAt(row, 'id').toLowerCase();
}

function itemAt(list: Uint32Array, index: number): number {
  const item = list[index];
  if (item === undefined) throw new RangeError(`No item ${String(index)} in a list of ${String(list.length)}.`);
  return item;
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
    get size() {
      return rows.size + Math.floor(rows.size / DUPLICATE_EVERY);
    },
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
    idPrefix: `/subscriptions/${subscriptionId}`,
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
