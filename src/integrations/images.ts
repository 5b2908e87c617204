/** Images: which rows of a digest are about which repository, and the discovered container image (mapping.md §5). */
import type { CiKey, DeriveContext, DesiredRecord, JsonObject, ObservedRecord } from '../model.ts';
import { providerName } from './cloud-attributes.ts';
import { asObject, asText, asTexts } from './fields.ts';
import { naturalKey } from './natural-key.ts';

/** An image in one repository: the same digest may lie in several. */
export interface Image {
  /** Integration instance, registry/repository and digest: what its own key and those of its parts begin with. */
  readonly keyParts: readonly string[];
  readonly key: string;
  readonly body: JsonObject;
  readonly rows: readonly ObservedRecord[];
  /** Nothing applies to it: an existing record is kept true, none is made. */
  readonly onlyIfExists: boolean;
}

export function repositoryOf(image: JsonObject): string {
  return [asText(image, 'registry'), asText(image, 'repository')].filter((part) => part !== undefined).join('/');
}

/**
 * Images of one digest. Running containers often name no registry; such a row joins the image of the same repository
 * whose registry is known, if there is exactly one.
 */
export function imagesOf(digest: string, records: readonly ObservedRecord[], context: DeriveContext): readonly Image[] {
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

export function imageRecord(image: Image, digestHex: string, ci: CiKey, context: DeriveContext): DesiredRecord {
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

/** The default granularity is repository + CVE + tag; an image without exactly one known tag is told apart by its digest. */
export function tagOf(image: Image, digestHex: string): string {
  const tags = new Set(image.rows.flatMap((row) => asTexts(asObject(row.body, 'image'), 'tags')));
  const [tag] = tags;
  return tags.size === 1 && tag !== undefined ? tag : `sha256:${digestHex}`;
}
