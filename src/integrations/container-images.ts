/**
 * 5 · Container images → image, package, finding, vulnerable item (mapping.md §5; azure.md §1.7, §1.5).
 *
 *     digest                           ─▶ cmdb_ci_docker_image (CI, through src/inventory)
 *     registry/repository + digest     ─▶ sn_vul_container_image
 *     package + version of an image    ─▶ sn_vul_container_image_package
 *     CVE in a package of an image     ─▶ sn_vul_container_image_findings (per version and path)
 *     CVE of an image                  ─▶ sn_vul_container_image_vulnerable_item, linked to its findings
 *     CVE that the library lacks       ─▶ sn_vul_nvd_entry (create-only)
 *
 * One individual recommendation is one package of one image with a list of CVEs; a Healthy one has no list, so what it
 * closes comes from the stored links, not from here. Severity 1 Critical … 4 Low, 5 None.
 */
import { imageCiKey } from '../inventory/ci-identity.ts';
import type {
  CiRequest,
  Derived,
  DeriveContext,
  DesiredRecord,
  Integration,
  ObservedGroup,
  ObservedId,
  ObservedKind,
  Read,
  ReadContext,
} from '../model.ts';
import { cveEntry, cveRead } from './cve.ts';
import { asObjects, asText, asTexts } from './fields.ts';
import { findingRecords, packageRecords } from './image-findings.ts';
import { digestPattern, parseImageAssessment, parseSubAssessment } from './image-row.ts';
import { imageRecord, imagesOf, repositoryOf } from './images.ts';
import type { Image } from './images.ts';
import { kql, subscriptionGroups, subscriptionScope } from './reads.ts';

/** The official queries for registry images and running containers, as one (azure.md §1.7). */
const individualRecommendations = kql(
  'securityresources',
  [
    `type == 'microsoft.security/assessments'`,
    `properties.metadata.recommendationCategory == 'SoftwareUpdate'`,
    `properties.resourceDetails.ResourceType in~ ('.containerimage', 'K8s-container')`,
  ],
  ['name', 'type', 'properties'],
);

function reads(context: ReadContext): readonly Read[] {
  return [
    ...subscriptionGroups(context).map((subscriptions, index): Read => ({
      name: index === 0 ? 'image-assessments' : `image-assessments-${index + 1}`,
      scope: { kind: 'tenant', id: context.tenantId },
      source: { type: 'resource-graph', query: individualRecommendations, subscriptions },
      parse: parseImageAssessment,
      emptyMeans: 'no individual recommendation on a container image: the plan for containers may be off',
    })),
    ...(context.subAssessments ? context.subscriptions : []).map(subscriptionScope).map(({ scope, path }): Read => ({
      name: 'sub-assessments',
      scope,
      source: { type: 'arm-list', path: `${path}/providers/Microsoft.Security/subAssessments`, apiVersion: '2019-01-01-preview' },
      parse: parseSubAssessment,
    })),
    cveRead(context),
  ];
}

function deriveImage(group: ObservedGroup, digestHex: string, context: DeriveContext): Derived {
  const ci = imageCiKey(digestHex);
  const images = imagesOf(group.group, group.records, context);
  const records: DesiredRecord[] = [];
  const unknownCves = new Map<string, string | undefined>();
  const excluded: { kind: ObservedKind; id: ObservedId; because: string }[] = [];
  for (const { kind, id, body: row } of group.records) {
    const others = asTexts(row, 'otherIds');
    if (others.length > 0)
      excluded.push({ kind, id, because: `out of scope in part: ${others.slice(0, 5).join(', ')} is in no CVE library` });
    if (asText(row, 'status') !== 'Unhealthy') continue;
    for (const cve of asObjects(row, 'cves')) {
      const cveId = asText(cve, 'id') ?? '';
      if (context.related.cve?.has(cveId) !== true && !unknownCves.has(cveId)) unknownCves.set(cveId, asText(cve, 'severity'));
    }
  }
  for (const [cve, severity] of unknownCves) records.push(cveEntry(cve, severity === undefined ? {} : { severity }));
  for (const image of images) {
    records.push(imageRecord(image, digestHex, ci, context), ...packageRecords(image), ...findingRecords(image, digestHex, ci, context));
  }
  return { records, cis: imageCis(images, digestHex), excluded };
}

/** One CI for the digest, named after its first repository; none when nothing applies. */
function imageCis(images: readonly Image[], digestHex: string): readonly CiRequest[] {
  const [name] = images
    .filter((image) => !image.onlyIfExists)
    .map(({ body }) => repositoryOf(body))
    .sort();
  return name === undefined ? [] : [{ key: imageCiKey(digestHex), identity: { type: 'image', digest: `sha256:${digestHex}`, name } }];
}

export const containerImages: Integration = {
  name: 'container-images',
  hangsOnCis: true,
  derivesFrom: ['image-assessment', 'sub-assessment', 'cve'],
  relatedKinds: [],
  tables: [
    'sn_vul_nvd_entry',
    'sn_vul_container_image',
    'sn_vul_container_image_package',
    'sn_vul_container_image_findings',
    'sn_vul_container_image_vulnerable_item',
    'sn_vul_container_finding_m2m_vul_item',
  ],
  reads,
  derive(group, context): Derived {
    const digestHex = digestPattern.exec(group.group)?.[1];
    if (digestHex !== undefined) return deriveImage(group, digestHex, context);
    // The group of a CVE is the CVE.
    return { records: group.records.map(({ id, body }) => cveEntry(id, body)), cis: [], excluded: [] };
  },
  ciOfGroup: (group) => imageCiKey(group.replace(/^sha256:/, '')),
};
