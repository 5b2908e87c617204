/**
 * 4 · Assessments → CI, discovered item, test result (mapping.md §4; azure.md §1.4).
 *
 *     resource of an assessment       ─▶ CI (src/inventory), sn_sec_cmn_src_ci, one per deployment and resource
 *     its account, region, type, cloud ─▶ sn_sec_cmn_cloud_account, _region, _cloud_resource_type, _cloud_service_provider
 *     its tags                        ─▶ sn_sec_cmn_host_tag, sn_sec_cmn_m2m_src_ci_tag (host-tags.ts)
 *     assessment                      ─▶ sn_vulc_result, one per integration instance + CI + test
 *     key without metadata            ─▶ sn_vulc_test (placeholder)
 *
 *     Healthy        result = passed
 *     Unhealthy      result = failed
 *     NotApplicable  no new record; an existing one takes the configured choice; Exempt and OffByPolicy are ignored
 *
 * SoftwareUpdate, SystemUpdate, ServiceUpgrade and dynamic recommendations make no test: containers are §5, the rest is out
 * of scope.
 */
import { z } from 'zod';
import { ciKeyOf, ciRequestOf } from '../inventory/ci-identity.ts';
import { parseResourceDetails } from '../inventory/resource-details.ts';
import { regionCode } from '../inventory/regions.ts';
import { parseResourceId } from '../inventory/resource-id.ts';
import type { ParsedResourceId } from '../inventory/resource-id.ts';
import type {
  Derived,
  DeriveContext,
  DesiredRecord,
  Integration,
  JsonObject,
  ObservedGroup,
  ObservedId,
  ObservedKind,
  ObservedRecord,
  Read,
  ReadContext,
} from '../model.ts';
import { accountOf, accountReads } from './accounts.ts';
import { assessmentId, assessmentRow, contentOf, detailsOf } from './assessment-row.ts';
import type { AssessmentProperties } from './assessment-row.ts';
import { attributeRecords } from './cloud-attributes.ts';
import type { CloudAttributes } from './cloud-attributes.ts';
import { discoveredItem } from './discovered-item.ts';
import { asObject, asText } from './fields.ts';
import { hostTagLinks, hostTagLinkTable, hostTagRecords, hostTagTable, tagsBody, tagsOf } from './host-tags.ts';
import type { Tag } from './host-tags.ts';
import { missingMetadataRead, placeholderTest, reasonNoTest } from './metadata.ts';
import { kql, subscriptionGroups, subscriptionScope } from './reads.ts';
import { resultRecord } from './results.ts';
import type { AssessmentOfCi } from './results.ts';
import { body, looseRow, rowParser, text } from './row.ts';

/** The first version with `risk` (azure.md §1.4). */
const apiVersion = '2025-05-04';

export const parseAssessment = rowParser(
  'assessment',
  assessmentRow,
  (row) => row.id,
  (row, id) => {
    const about = assessmentId(id, row.id);
    if (about === undefined) return { problem: 'id is not that of an assessment' };
    const { properties } = row;
    const because =
      reasonNoTest(properties.metadata?.recommendationCategory, properties.metadata?.assessmentType) ?? individual(properties);
    if (because !== undefined) return { excluded: because };
    const resource = parseResourceDetails(detailsOf(properties.resourceDetails), about.assessed);
    if ('invalid' in resource) return { problem: `resource id ${resource.invalid}` };
    const content = contentOf(properties);
    if ('problem' in content) return content;
    return {
      group: resource.resourceId,
      body: body({ test: about.key, resource: resourceBody(resource), ...content.body }),
      links: [{ kind: 'metadata', id: about.key }],
    };
  },
);

/** Rows of the individual model that come without their category show it by their content (azure.md §1.7). */
function individual({ additionalData }: AssessmentProperties): string | undefined {
  const names = Object.keys(additionalData ?? {}).map((name) => name.toLowerCase());
  return names.includes('cvesdetails') || names.includes('detectedsoftwareversions')
    ? 'out of scope: recommendation category SoftwareUpdate'
    : undefined;
}

function resourceBody(resource: ParsedResourceId): JsonObject {
  return body({
    displayId: resource.displayId,
    cloud: resource.cloud,
    account: resource.accountId,
    region: resource.region,
  });
}

/** The list of resources says where a resource is, its tags, and how it spells its id; assessments do not (azure.md §1.10). */
export const parseResource = rowParser(
  'resource',
  looseRow({ id: z.string(), location: text, tags: z.unknown().optional() }),
  (row) => row.id,
  (row) => {
    const resource = parseResourceId(row.id);
    if ('invalid' in resource) return { problem: `id ${resource.invalid}` };
    const region = regionCode(row.location ?? '');
    return { group: resource.resourceId, body: body({ displayId: resource.displayId, region, ...tagsBody(row.tags) }) };
  },
);

/** Subscriptions and resource groups have a list of their own; of them only the tags are not known otherwise. */
export const parseContainer = rowParser(
  'resource',
  looseRow({ id: z.string(), tags: z.unknown().optional() }),
  (row) => row.id,
  (row) => {
    const resource = parseResourceId(row.id);
    if ('invalid' in resource) return { excluded: `no resource: its id ${resource.invalid}` };
    return { group: resource.resourceId, body: body(tagsBody(row.tags)) };
  },
);

/** Assessments are read per subscription even below a management group: each scope must be able to fail on its own. */
function reads(context: ReadContext): readonly Read[] {
  return [
    ...accountReads(context),
    ...subscriptionGroups(context).map((subscriptions, index): Read => ({
      name: index === 0 ? 'resources' : `resources-${index + 1}`,
      scope: { kind: 'tenant', id: context.tenantId },
      source: { type: 'resource-graph', query: kql('resources', [], ['location', 'tags']), subscriptions },
      parse: parseResource,
      optional: true,
      emptyMeans:
        'no resource is readable (role Reader): regions and tags stay unknown, and CIs hang on their account instead of a datacenter',
    })),
    ...subscriptionGroups(context).map((subscriptions, index): Read => ({
      name: index === 0 ? 'resource-containers' : `resource-containers-${index + 1}`,
      scope: { kind: 'tenant', id: context.tenantId },
      source: { type: 'resource-graph', query: kql('resourcecontainers', [], ['tags']), subscriptions },
      parse: parseContainer,
      optional: true,
      emptyMeans: 'tags of subscriptions and resource groups are not readable (role Reader)',
    })),
    ...context.subscriptions.map(subscriptionScope).map(({ scope, path }): Read => ({
      name: 'assessments',
      scope,
      source: { type: 'arm-list', path: `${path}/providers/Microsoft.Security/assessments`, apiVersion },
      parse: parseAssessment,
    })),
    missingMetadataRead(),
  ];
}

/** A group's resource, with what all its records know of it. */
interface Resource {
  readonly parsed: ParsedResourceId;
  readonly attributes: CloudAttributes;
  readonly displayId: string;
  readonly region: string | undefined;
  readonly accountName: string | undefined;
  /** Undefined when no list says which. */
  readonly tags: readonly Tag[] | undefined;
}

function resourceOf({ group, records }: ObservedGroup, { related }: DeriveContext): Resource | undefined {
  const parsed = parseResourceId(group);
  const first = records.find((record) => record.kind === 'assessment');
  if ('invalid' in parsed || first === undefined) return undefined;
  const listed = records.find((record) => record.kind === 'resource')?.body;
  const rows = records.filter((record) => record.kind === 'assessment').map((record) => asObject(record.body, 'resource'));
  const fact = (field: string): string | undefined => rows.map((row) => asText(row, field)).find((value) => value !== undefined);
  const cloud = cloudOf(fact('cloud'));
  // A connector's entity id names the subscription of the connector, which is not the resource's account.
  const own = parsed.kind === 'resource' && parsed.cloud === cloud ? parsed.accountId : undefined;
  const account = accountOf({ resourceId: group, accountId: own ?? fact('account') }, related);
  const region = parsed.region ?? (listed && asText(listed, 'region')) ?? fact('region');
  // Rows spell one id differently; without a list that decides, the first spelling in code-point order does.
  const spellings = rows.map((row) => asText(row, 'displayId') ?? group).sort();
  return {
    parsed,
    attributes: { cloud, account: account.id, region, resourceType: parsed.kind === 'resource' ? parsed.resourceType : 'container image' },
    displayId: (listed && asText(listed, 'displayId')) ?? spellings[0] ?? group,
    region,
    accountName: account.name,
    tags: listed && tagsOf(listed),
  };
}

function cloudOf(name: string | undefined): CloudAttributes['cloud'] {
  return name === 'aws' || name === 'gcp' || name === 'on-premises' ? name : 'azure';
}

function ciRequest({ parsed, attributes, displayId, region, accountName }: Resource): Derived['cis'][number] {
  if (parsed.kind === 'image') return ciRequestOf(parsed);
  return ciRequestOf(
    { ...parsed, cloud: attributes.cloud, name: nameIn(displayId, parsed.name) },
    { accountId: attributes.account, accountName, region, displayId },
  );
}

/** The group's id is lower case; the name is spelled as in the displayed id when that is the same text. */
function nameIn(displayId: string, name: string): string {
  const end = displayId.slice(-name.length);
  return end.toLowerCase() === name ? end : name;
}

/** Assessments of a group that count, and those that do not with the reason. */
function sorted(
  group: ObservedGroup,
  context: DeriveContext,
): { readonly counted: readonly ObservedRecord[]; readonly excluded: Derived['excluded'] } {
  const counted: ObservedRecord[] = [];
  const excluded: { kind: ObservedKind; id: ObservedId; because: string }[] = [];
  for (const record of group.records) {
    if (record.kind !== 'assessment') continue;
    const metadata = context.related.metadata?.get(asText(record.body, 'test') ?? '');
    const because = metadata && reasonNoTest(asText(metadata, 'recommendationCategory'), asText(metadata, 'type'));
    if (because === undefined) counted.push(record);
    else excluded.push({ kind: record.kind, id: record.id, because });
  }
  return { counted, excluded };
}

const isApplicable = (record: ObservedRecord): boolean => asText(record.body, 'status') !== 'NotApplicable';

function derive(group: ObservedGroup, context: DeriveContext): Derived {
  const { counted, excluded } = sorted(group, context);
  const resource = resourceOf(group, context);
  if (resource === undefined) return { records: [], cis: [], excluded };
  const applicable = counted.filter(isApplicable);
  const records: DesiredRecord[] = [];
  const named = new Set<string>();
  for (const { body: row } of applicable) {
    const key = asText(row, 'test') ?? '';
    if (context.related.metadata?.has(key) === true || named.has(key)) continue;
    named.add(key);
    records.push(placeholderTest(key, asText(row, 'name'), context.source));
  }
  // What does not apply makes nothing new: no CI, no attributes (mapping.md §4).
  if (applicable.length === 0) return { records, cis: [], excluded };
  return { records: [...records, ...attributeRecords(resource.attributes)], cis: [ciRequest(resource)], excluded };
}

const deriveForCi: NonNullable<Integration['deriveForCi']> = (ci, groups, context) => {
  const records: DesiredRecord[] = [];
  const byTest = new Map<string, AssessmentOfCi[]>();
  for (const group of groups) {
    const { counted } = sorted(group, context);
    const resource = resourceOf(group, context);
    if (resource === undefined || counted.length === 0) continue;
    const onlyIfExists = !counted.some(isApplicable);
    // What does not apply makes nothing new, and so no tag either; those that its item has stay.
    const tags = onlyIfExists ? undefined : resource.tags;
    const item = discoveredItem(ci, { ...resource, tags, normalId: group.group, onlyIfExists }, context);
    records.push(item, ...hostTagRecords(tags ?? []), ...hostTagLinks(item.key, tags ?? []));
    for (const { id, body: row } of counted) {
      const test = asText(row, 'test') ?? '';
      const list = byTest.get(test) ?? [];
      list.push({ id, body: row, discoveredItemKey: item.key });
      byTest.set(test, list);
    }
  }
  for (const [test, assessments] of byTest) records.push(resultRecord(ci, test, assessments, context));
  return { records, cis: [], excluded: [] };
};

export const assessments: Integration = {
  name: 'assessments',
  hangsOnCis: true,
  derivesFrom: ['assessment', 'resource'],
  relatedKinds: ['subscription', 'connector'],
  tables: [
    'sn_vulc_test',
    'sn_sec_cmn_cloud_service_provider',
    'sn_sec_cmn_cloud_account',
    'sn_sec_cmn_region',
    'sn_sec_cmn_cloud_resource_type',
    hostTagTable,
    'sn_sec_cmn_src_ci',
    'sn_vulc_result',
    hostTagLinkTable,
  ],
  reads,
  derive,
  ciOfGroup: ciKeyOf,
  deriveForCi,
};
