/** What is found in an image: packages, findings, vulnerable items and the links between the last two (mapping.md §5). */
import type { CiKey, DeriveContext, DesiredRecord, FieldValue, ObservedRecord } from '../model.ts';
import { severityOf } from './cve.ts';
import { asObject, asObjects, asText, asTexts } from './fields.ts';
import { repositoryOf, tagOf } from './images.ts';
import type { Image } from './images.ts';
import { naturalKey } from './natural-key.ts';
import { serviceNowTime } from './time.ts';

const reference = (table: string, key: string): FieldValue => ({ record: { table, key } });

/** Packages are facts about the image, whether or not something is wrong with them; what does not apply makes nothing new. */
export function packageRecords(image: Image): readonly DesiredRecord[] {
  const records = new Map<string, DesiredRecord>();
  for (const { body } of image.rows) {
    const software = asObject(body, 'package');
    const name = asText(software, 'name');
    if (name === undefined || asText(body, 'status') === 'NotApplicable') continue;
    for (const version of versionsIn(asTexts(software, 'versions'))) {
      const key = packageKey(image, name, version);
      records.set(key, {
        table: 'sn_vul_container_image_package',
        key,
        fields: { image: reference('sn_vul_container_image', image.key), name, version },
      });
    }
  }
  return [...records.values()];
}

function packageKey(image: Image, name: string, version: string): string {
  return naturalKey(...image.keyParts, name, version);
}

/** A package without a version is still one package. */
function versionsIn(versions: readonly string[]): readonly string[] {
  return versions.length === 0 ? [''] : versions;
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
    return versionsIn(versions).flatMap((version) =>
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

/** One finding per CVE, package, version and path; one vulnerable item per CVE; each finding linked to its item. */
export function findingRecords(image: Image, digestHex: string, ci: CiKey, context: DeriveContext): readonly DesiredRecord[] {
  const byKey = new Map<string, { readonly keyParts: readonly string[]; readonly found: Vulnerability }>();
  for (const found of image.rows.flatMap(vulnerabilitiesOf)) {
    const keyParts = [...image.keyParts, found.cve, found.name, found.version, found.path];
    const key = naturalKey(...keyParts);
    if (!byKey.has(key)) byKey.set(key, { keyParts, found });
  }
  const tag = tagOf(image, digestHex);
  const byCve = new Map<string, string[]>();
  const findings: DesiredRecord[] = [];
  const links: DesiredRecord[] = [];
  for (const [key, { keyParts, found }] of byKey) {
    findings.push(finding(image, key, found, ci, context));
    links.push({
      table: 'sn_vul_container_finding_m2m_vul_item',
      key: naturalKey(...keyParts, tag),
      fields: {
        finding: reference('sn_vul_container_image_findings', key),
        item: reference('sn_vul_container_image_vulnerable_item', itemKey(image, found.cve, tag, context)),
      },
    });
    const times = byCve.get(found.cve) ?? [];
    if (found.firstFound !== undefined) times.push(found.firstFound);
    byCve.set(found.cve, times);
  }
  const items = [...byCve].map(([cve, times]) =>
    vulnerableItem(image, cve, { key: itemKey(image, cve, tag, context), firstFound: times.sort()[0] }, ci, context),
  );
  return [...findings, ...items, ...links];
}

function itemKey(image: Image, cve: string, tag: string, { integrationInstanceKey }: DeriveContext): string {
  return naturalKey(integrationInstanceKey, repositoryOf(image.body), cve, tag);
}

function finding(image: Image, key: string, found: Vulnerability, ci: CiKey, context: DeriveContext): DesiredRecord {
  const { firstFound, severity } = found;
  return {
    table: 'sn_vul_container_image_findings',
    key,
    fields: {
      image: reference('sn_vul_container_image', image.key),
      vulnerability: reference('sn_vul_nvd_entry', found.cve),
      docker_image: { ci },
      ...(found.name !== '' && { package: reference('sn_vul_container_image_package', packageKey(image, found.name, found.version)) }),
      source_id: key,
      unique_key: key,
      status: 'Open',
      proof: found.proof,
      path: found.path,
      fixed_version: found.fixed,
      ...(severity !== undefined && { severity }),
      ...(firstFound !== undefined && { first_found: firstFound }),
    },
    volatile: { last_found: serviceNowTime(context.scannedAtMs) },
  };
}

/** Never without its Docker image CI: a stock job cancels such items (servicenow.md §11). */
function vulnerableItem(
  image: Image,
  cve: string,
  item: { readonly key: string; readonly firstFound: string | undefined },
  ci: CiKey,
  context: DeriveContext,
): DesiredRecord {
  return {
    table: 'sn_vul_container_image_vulnerable_item',
    key: item.key,
    fields: {
      vulnerability: reference('sn_vul_nvd_entry', cve),
      image: reference('sn_vul_container_image', image.key),
      docker_image: { ci },
      source: context.source,
      image_repository: repositoryOf(image.body),
      ...(item.firstFound !== undefined && { first_found: item.firstFound }),
    },
    volatile: { last_found: serviceNowTime(context.scannedAtMs) },
  };
}
