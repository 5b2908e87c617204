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
  CiKey,
  CiRequest,
  Derived,
  DeriveContext,
  DesiredRecord,
  FieldValue,
  Integration,
  JsonObject,
  ObservedGroup,
  ObservedId,
  ObservedKind,
  ObservedRecord,
  Read,
  ReadContext,
} from '../model.ts';
import { providerName } from './cloud-attributes.ts';
import { cveEntry, cveRead, severityOf } from './cve.ts';
import { asObject, asObjects, asText, asTexts } from './fields.ts';
import { digestPattern, parseImageAssessment, parseSubAssessment } from './image-row.ts';
import { naturalKey } from './natural-key.ts';
import { kql, subscriptionGroups, subscriptionScope } from './reads.ts';
import { serviceNowTime } from './time.ts';

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

/** An image in one repository: the same digest may lie in several. */
interface Image {
  /** Integration instance, registry/repository and digest: what its own key and those of its parts begin with. */
  readonly keyParts: readonly string[];
  readonly key: string;
  readonly body: JsonObject;
  readonly rows: readonly ObservedRecord[];
  /** Nothing applies to it: an existing record is kept true, none is made. */
  readonly onlyIfExists: boolean;
}

function repositoryOf(image: JsonObject): string {
  return [asText(image, 'registry'), asText(image, 'repository')].filter((part) => part !== undefined).join('/');
}

/**
 * Images of one digest. Running containers often name no registry; such a row joins the image of the same repository
 * whose registry is known, if there is exactly one.
 */
function imagesOf(digest: string, records: readonly ObservedRecord[], context: DeriveContext): readonly Image[] {
  const byRepository = new Map<string, ObservedRecord[]>();
  const add = (repository: string, record: ObservedRecord): void => {
    byRepository.set(repository, [...(byRepository.get(repository) ?? []), record]);
  };
  const homeless: ObservedRecord[] = [];
  for (const record of records) {
    const image = asObject(record.body, 'image');
    if (asText(image, 'registry') === undefined) homeless.push(record);
    else add(repositoryOf(image), record);
  }
  const known = [...byRepository.keys()];
  for (const record of homeless) {
    const repository = repositoryOf(asObject(record.body, 'image'));
    const homes = known.filter((home) => home.endsWith(`/${repository}`));
    add(homes.length === 1 ? (homes[0] ?? repository) : repository, record);
  }
  const identified = [...byRepository].map(([repository, rows]) => ({
    keyParts: [context.integrationInstanceKey, `${repository}@${digest}`],
    rows,
  }));
  return identified.map(({ keyParts, rows }) => ({
    keyParts,
    key: naturalKey(...keyParts),
    body: {
      ...asObject(rows.find((row) => asText(asObject(row.body, 'image'), 'registry') !== undefined)?.body ?? rows[0]?.body ?? {}, 'image'),
    },
    rows,
    onlyIfExists: rows.every((row) => asText(row.body, 'status') === 'NotApplicable'),
  }));
}

function imageRecord(image: Image, digestHex: string, ci: CiKey, context: DeriveContext): DesiredRecord {
  const { body } = image;
  const tags = [...new Set(image.rows.flatMap((row) => asTexts(asObject(row.body, 'image'), 'tags')))].sort();
  const cloud = asText(body, 'cloud');
  return {
    table: 'sn_vul_container_image',
    key: image.key,
    fields: {
      integration_instance: { record: { table: 'sn_sec_int_impl', key: context.integrationInstanceKey } },
      docker_image: { ci },
      image_name: repositoryOf(body),
      image_digest: `sha256:${digestHex}`,
      image_id: digestHex.slice(0, 12),
      repository_entry: tags.join(', '),
      registry: asText(body, 'registry') ?? '',
      repository: repositoryOf(body),
      cloud_provider: providerName(cloud === 'aws' || cloud === 'gcp' ? cloud : 'azure'),
      cloud_account: asText(body, 'account') ?? '',
      cloud_region: asText(body, 'region') ?? '',
    },
    ...(image.onlyIfExists && { onlyIfExists: true }),
  };
}

/** A CVE in one version of a package, as one row says it. */
interface Vulnerability {
  readonly cve: string;
  readonly severity: number | undefined;
  readonly fixed: string;
  readonly name: string;
  readonly version: string;
  readonly path: string;
  readonly firstFound: string | undefined;
  readonly proof: string;
}

function vulnerabilitiesOf({ body: row }: ObservedRecord): readonly Vulnerability[] {
  if (asText(row, 'status') !== 'Unhealthy') return [];
  const software = asObject(row, 'package');
  const name = asText(software, 'name') ?? '';
  const versions = asTexts(software, 'versions');
  const paths = asTexts(row, 'paths');
  const kind = [asText(software, 'type'), asText(software, 'language')].filter((part) => part !== undefined).join(', ');
  return asObjects(row, 'cves').flatMap((cve) => {
    const fixed = asText(cve, 'fixed') ?? asText(software, 'fixed') ?? '';
    const fixStatus = asText(cve, 'fixStatus') ?? asText(software, 'fixStatus');
    return (versions.length === 0 ? [''] : versions).flatMap((version) =>
      (paths.length === 0 ? [''] : paths).map((path) => ({
        cve: asText(cve, 'id') ?? '',
        severity: severityOf(asText(cve, 'severity')),
        fixed,
        name,
        version,
        path,
        firstFound: asText(row, 'firstFound'),
        proof: [
          `${[name, version].filter((part) => part !== '').join(' ') || 'unnamed package'}${kind === '' ? '' : ` (${kind})`}`,
          path === '' ? '' : `in ${path}`,
          fixed === '' ? (fixStatus ?? '') : `fixed in ${fixed}`,
        ]
          .filter((part) => part !== '')
          .join(', '),
      })),
    );
  });
}

/** Records of one image: packages, findings, vulnerable items and the links between the last two. */
function vulnerabilityRecords(image: Image, digestHex: string, ci: CiKey, context: DeriveContext): readonly DesiredRecord[] {
  const reference = (table: string, key: string): FieldValue => ({ record: { table, key } });
  const own = reference('sn_vul_container_image', image.key);
  const scanned = serviceNowTime(context.scannedAtMs);
  const records = new Map<string, DesiredRecord>();
  const add = (record: DesiredRecord): void => {
    const key = `${record.table}\n${record.key}`;
    if (!records.has(key)) records.set(key, record);
  };
  for (const found of image.rows.flatMap(vulnerabilitiesOf)) {
    const tag = tagOf(image, digestHex);
    const packageKey = naturalKey(...image.keyParts, found.name, found.version);
    const findingParts = [...image.keyParts, found.cve, found.name, found.version, found.path];
    const findingKey = naturalKey(...findingParts);
    const itemKey = naturalKey(context.integrationInstanceKey, repositoryOf(image.body), found.cve, tag);
    const cve = reference('sn_vul_nvd_entry', found.cve);
    const firstFound = found.firstFound;
    if (found.name !== '') {
      add({ table: 'sn_vul_container_image_package', key: packageKey, fields: { image: own, name: found.name, version: found.version } });
    }
    add({
      table: 'sn_vul_container_image_findings',
      key: findingKey,
      fields: {
        image: own,
        vulnerability: cve,
        docker_image: { ci },
        ...(found.name !== '' && { package: reference('sn_vul_container_image_package', packageKey) }),
        source_id: findingKey,
        unique_key: findingKey,
        status: 'Open',
        proof: found.proof,
        path: found.path,
        fixed_version: found.fixed,
        ...(found.severity !== undefined && { severity: found.severity }),
        ...(firstFound !== undefined && { first_found: firstFound }),
      },
      volatile: { last_found: scanned },
    });
    add({
      table: 'sn_vul_container_image_vulnerable_item',
      key: itemKey,
      fields: {
        vulnerability: cve,
        image: own,
        docker_image: { ci },
        source: context.source,
        image_repository: repositoryOf(image.body),
        ...(firstFound !== undefined && { first_found: firstFound }),
      },
      volatile: { last_found: scanned },
    });
    add({
      table: 'sn_vul_container_finding_m2m_vul_item',
      key: naturalKey(...findingParts, tag),
      fields: {
        finding: reference('sn_vul_container_image_findings', findingKey),
        item: reference('sn_vul_container_image_vulnerable_item', itemKey),
      },
    });
  }
  return [...records.values()];
}

/** The default granularity is repository + CVE + tag; an image without exactly one known tag is told apart by its digest. */
function tagOf(image: Image, digestHex: string): string {
  const tags = new Set(image.rows.flatMap((row) => asTexts(asObject(row.body, 'image'), 'tags')));
  const [tag] = tags;
  return tags.size === 1 && tag !== undefined ? tag : `sha256:${digestHex}`;
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
    records.push(imageRecord(image, digestHex, ci, context), ...vulnerabilityRecords(image, digestHex, ci, context));
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
