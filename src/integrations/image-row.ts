/** Rows about container images: individual recommendations (azure.md §1.7) and, where a cloud still has them, sub-assessments (§1.5). */
import { z } from 'zod';
import { parseResourceDetails } from '../inventory/resource-details.ts';
import { parseResourceId } from '../inventory/resource-id.ts';
import type { ParsedResourceId } from '../inventory/resource-id.ts';
import type { Json, JsonObject, ObservedId, ObservedRecord } from '../model.ts';
import { assessmentRow, detailsOf, statusOf } from './assessment-row.ts';
import type { AssessmentProperties } from './assessment-row.ts';
import { observedId } from './natural-key.ts';
import { body, looseRow, rowParser, sentence, text, texts } from './row.ts';
import type { Problem } from './row.ts';
import { cleanLine } from './text.ts';
import { serviceNowTimeOf } from './time.ts';

/** Group of an image: its digest. The same layers in several registries are one image CI (mapping.md §5). */
export function imageGroup(digestHex: string): string {
  return `sha256:${digestHex}`;
}

export const digestPattern = /^sha256:([0-9a-f]{64})$/;
const cvePattern = /^cve-\d{4}-\d{4,}$/;

const additional = looseRow({
  SoftwareName: text,
  SoftwareVendor: text,
  DetectedSoftwareVersions: z.union([z.string(), z.array(z.string())]).optional(),
  FixedVersion: text,
  FixStatus: text,
  PackageType: text,
  Language: text,
  CvesDetails: z.unknown().optional(),
});

const resourceAdditional = looseRow({
  Digest: text,
  RegistryHost: text,
  Tags: texts,
  RepositoryDetails: looseRow({ RepositoryName: text, RegistryHost: text, Tags: texts }).optional(),
});

const cveDetails = z.array(looseRow({ CveId: z.string(), Severity: text, FixedVersion: text, FixStatus: text }));

export const parseImageAssessment = rowParser(
  'image-assessment',
  assessmentRow,
  (row) => row.id,
  ({ properties }, id) => {
    const status = statusOf(properties.status.code);
    if (typeof status !== 'string') return status;
    const image = imageOf(properties, id.replace(/\/providers\/microsoft\.security\/assessments\/[^/]+$/, ''));
    if ('problem' in image) return image;
    const found = embedded(properties.additionalData, additional, 'properties.additionalData');
    if ('problem' in found) return found;
    const cves = cvesOf(found.value.CvesDetails);
    if ('problem' in cves) return cves;
    const { SoftwareName, SoftwareVendor, DetectedSoftwareVersions, FixedVersion, FixStatus, PackageType, Language } = found.value;
    return {
      group: imageGroup(image.digestHex),
      body: body({
        image: image.body,
        status,
        cause: cleanLine(properties.status.cause ?? ''),
        package: body({
          name: cleanLine(SoftwareName ?? ''),
          vendor: cleanLine(SoftwareVendor ?? ''),
          versions: versionsOf(DetectedSoftwareVersions),
          fixed: cleanLine(FixedVersion ?? ''),
          fixStatus: FixStatus,
          type: PackageType,
          language: Language,
        }),
        cves: cves.known,
        otherIds: cves.other,
        firstFound: serviceNowTimeOf(properties.status.firstEvaluationDate),
      }),
      links: cves.links,
    };
  },
);

/** JSON inside a string, as Resource Graph delivers it, or the object itself. */
function embedded<Value>(raw: unknown, schema: z.ZodType<Value>, field: string): { readonly value: Value } | Problem {
  const value = typeof raw === 'string' && raw !== '' ? parsedJson(raw) : raw === '' || raw === null || raw === undefined ? {} : raw;
  if (value === undefined) return { problem: `${field} is text that is no JSON` };
  const parsed = schema.safeParse(value);
  if (parsed.success) return { value: parsed.data };
  return { problem: sentence(parsed.error, field) };
}

function parsedJson(raw: string): unknown {
  try {
    return JSON.parse(raw) as unknown;
  } catch {
    return undefined;
  }
}

interface Image {
  readonly digestHex: string;
  readonly body: JsonObject;
}

/** Digest, registry and repository from wherever the row says them: the id, the details, the additional data. */
function imageOf(properties: AssessmentProperties, assessedId: string): Image | Problem {
  const extra = embedded(properties.resourceAdditionalData, resourceAdditional, 'properties.resourceAdditionalData');
  if ('problem' in extra) return extra;
  const details = detailsOf(properties.resourceDetails);
  const resource = parseResourceDetails(details, assessedId);
  if ('invalid' in resource) return { problem: `resource id ${resource.invalid}` };
  // The entity id of an image in Azure's registry wins: the details of a running container name the cluster.
  const digestHex =
    digestPattern.exec(extra.value.Digest?.toLowerCase() ?? '')?.[1] ?? (resource.kind === 'image' ? resource.digestHex : undefined);
  if (digestHex === undefined) return { problem: 'the row names no sha256 digest of an image' };
  const repository =
    resource.kind === 'image'
      ? resource.repository
      : (extra.value.RepositoryDetails?.RepositoryName ?? ecrRepository(resource)?.repository);
  if (repository === undefined || repository === '') return { problem: 'the row names no repository of the image' };
  const registry =
    extra.value.RepositoryDetails?.RegistryHost ??
    extra.value.RegistryHost ??
    (resource.kind === 'image' ? resource.registry : ecrRepository(resource)?.registry);
  return imageBody(digestHex, { registry, repository, tags: extra.value.RepositoryDetails?.Tags ?? extra.value.Tags ?? [], resource });
}

/** `arn:aws:ecr:{region}:{account}:repository/{name}`: the registry's host name follows from it. */
function ecrRepository(resource: ParsedResourceId): { readonly registry: string; readonly repository: string } | undefined {
  const [, partition, region, account, repository] =
    /^arn:(aws[a-z-]*):ecr:([a-z0-9-]+):(\d{12}):repository\/(.+)$/.exec(resource.resourceId) ?? [];
  if (partition === undefined || region === undefined || account === undefined || repository === undefined) return undefined;
  return { registry: `${account}.dkr.ecr.${region}.amazonaws.com${partition === 'aws-cn' ? '.cn' : ''}`, repository };
}

function imageBody(
  digestHex: string,
  image: {
    readonly registry: string | undefined;
    readonly repository: string;
    readonly tags: readonly string[];
    readonly resource: ParsedResourceId;
  },
): Image | Problem {
  const { registry, repository, tags, resource } = image;
  for (const part of [registry, repository].filter((one) => one !== undefined)) {
    const checked = observedId(part);
    if ('invalid' in checked) return { problem: `registry or repository ${checked.invalid}` };
  }
  return {
    digestHex,
    body: body({
      registry: registry?.toLowerCase(),
      repository: repository.toLowerCase(),
      tags: tags.map(cleanLine).sort(),
      cloud: resource.cloud ?? 'azure',
      account: resource.accountId,
      region: resource.region,
    }),
  };
}

/** One text, a comma-separated list, or a list in JSON: several versions of a package may lie in one image (azure.md §1.7). */
function versionsOf(versions: string | readonly string[] | undefined): readonly string[] {
  const listed = typeof versions === 'string' && versions.startsWith('[') ? z.array(z.string()).safeParse(parsedJson(versions)) : undefined;
  const list = listed?.success === true ? listed.data : typeof versions === 'string' ? versions.split(/[,;]/) : (versions ?? []);
  return [...new Set(list.map(cleanLine).filter((version) => version !== ''))].sort();
}

interface Cves {
  readonly known: readonly JsonObject[];
  /** Advisories that are no CVEs: the CVE library has no place for them. */
  readonly other: readonly string[];
  readonly links: NonNullable<ObservedRecord['links']>;
}

/** Absent on Healthy and NotApplicable rows: what those close comes from the stored links (azure.md §1.7). */
function cvesOf(raw: unknown): Cves | Problem {
  const list = embedded(raw === undefined || raw === null || raw === '' ? [] : raw, cveDetails, 'properties.additionalData.CvesDetails');
  if ('problem' in list) return list;
  const known = new Map<string, JsonObject>();
  const other = new Set<string>();
  for (const { CveId, Severity, FixedVersion, FixStatus } of list.value) {
    const id = CveId.toLowerCase();
    if (cvePattern.test(id)) known.set(id, body({ id, severity: Severity, fixed: cleanLine(FixedVersion ?? ''), fixStatus: FixStatus }));
    else other.add(cleanLine(CveId));
  }
  return {
    known: [...known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, cve]) => cve),
    other: [...other].sort(),
    links: [...known.keys()].sort().map((id) => ({ kind: 'cve', id: id as ObservedId })),
  };
}

const subAssessment = looseRow({
  id: z.string(),
  properties: looseRow({
    id: text,
    status: looseRow({ code: z.string(), cause: text, severity: text }),
    resourceDetails: looseRow({ id: text, source: text, nativeCloudUniqueIdentifier: text, region: text, hierarchyId: text }).optional(),
    timeGenerated: text,
    additionalData: looseRow({
      assessedResourceType: text,
      imageDigest: text,
      repositoryName: text,
      cve: z.array(looseRow({ title: text })).optional(),
      vulnerabilityDetails: looseRow({ cveId: text, severity: text }).optional(),
      artifactDetails: looseRow({ repositoryName: text, registryHost: text, digest: text, tags: texts }).optional(),
      softwareDetails: looseRow({
        packageName: text,
        version: text,
        fixedVersion: text,
        vendor: text,
        category: text,
        language: text,
        fixStatus: text,
        evidence: texts,
      }).optional(),
    }).optional(),
  }),
});

/** One finding per row (CVE × package × image), in the shape of an image assessment with one CVE. */
export const parseSubAssessment = rowParser(
  'sub-assessment',
  subAssessment,
  (row) => row.id,
  ({ id, properties }) => {
    const { additionalData, resourceDetails } = properties;
    if (additionalData?.assessedResourceType?.toLowerCase().endsWith('containerregistryvulnerability') !== true) {
      return { excluded: `out of scope: sub-assessment of ${cleanLine(additionalData?.assessedResourceType ?? 'no type')}` };
    }
    const status = statusOf(properties.status.code);
    if (typeof status !== 'string') return status;
    const { artifactDetails: artifact, softwareDetails: software, vulnerabilityDetails } = additionalData;
    const [registryId] = id.toLowerCase().split('/providers/microsoft.security/assessments/');
    const owner = parseResourceId(registryId);
    if ('invalid' in owner) return { problem: `id ${owner.invalid}` };
    const assessed = parseResourceId(resourceDetails?.nativeCloudUniqueIdentifier ?? resourceDetails?.id);
    const relative = 'invalid' in assessed ? undefined : assessed;
    const digest = artifact?.digest ?? (relative?.kind === 'image' ? `sha256:${relative.digestHex}` : additionalData.imageDigest);
    const digestHex = digestPattern.exec(digest?.toLowerCase() ?? '')?.[1];
    if (digestHex === undefined) return { problem: 'the row names no sha256 digest of an image' };
    const repository = artifact?.repositoryName ?? (relative?.kind === 'image' ? relative.repository : additionalData.repositoryName);
    if (repository === undefined || repository === '') return { problem: 'the row names no repository of the image' };
    const registry = artifact?.registryHost ?? (owner.kind === 'resource' ? owner.name : undefined);
    const image = imageBody(digestHex, {
      registry,
      repository,
      tags: artifact?.tags ?? [],
      resource: relative?.accountId === undefined ? owner : relative,
    });
    if ('problem' in image) return image;
    const named = [vulnerabilityDetails?.cveId, properties.id, ...(additionalData.cve ?? []).map((cve) => cve.title)];
    const ids = [
      ...new Set(named.flatMap((one) => (one !== undefined && cvePattern.test(one.toLowerCase()) ? [one.toLowerCase()] : []))),
    ].sort();
    const severity = vulnerabilityDetails?.severity ?? properties.status.severity;
    return {
      group: imageGroup(digestHex),
      body: body({
        image: image.body,
        status,
        cause: cleanLine(properties.status.cause ?? ''),
        package: body({
          name: cleanLine(software?.packageName ?? ''),
          vendor: cleanLine(software?.vendor ?? ''),
          versions: versionsOf(software?.version),
          fixed: cleanLine(software?.fixedVersion ?? ''),
          fixStatus: software?.fixStatus,
          type: software?.category,
          language: software?.language,
        }),
        paths: (software?.evidence ?? []).map(cleanLine).sort(),
        cves: ids.map((cve): Json => body({ id: cve, severity })),
        otherIds: ids.length > 0 || properties.id === undefined ? [] : [cleanLine(properties.id)],
      }),
      links: ids.map((cve) => ({ kind: 'cve', id: cve as ObservedId })),
    };
  },
);
