/** The discovered item: what one deployment calls a resource, and which CI that is (mapping.md §4; servicenow.md §4). */
import type { CiMatch, DeriveContext, DesiredRecord, ResolvedCi } from '../model.ts';
import { attributeReferences } from './cloud-attributes.ts';
import type { CloudAttributes } from './cloud-attributes.ts';
import { hostTagList } from './host-tags.ts';
import type { Tag } from './host-tags.ts';
import { naturalKey } from './natural-key.ts';
import { serviceNowTime } from './time.ts';

export interface DiscoveredResource {
  /** Normal resource id: the item's `source_id`. */
  readonly normalId: string;
  readonly displayId: string;
  readonly attributes: CloudAttributes;
  /** Undefined when nobody said which tags it has; its host tags are left alone then. */
  readonly tags?: readonly Tag[] | undefined;
  /** Nothing applies to the resource any more: an existing item is kept true, none is made. */
  readonly onlyIfExists: boolean;
}

/** A CI found through an item that existed before keeps that item's own word for it. */
const matchingTypes: Readonly<Record<CiMatch, string | undefined>> = {
  'discovered-item': undefined,
  'lookup-rule': 'matched_by_cilookup',
  'matched-by-ire': 'matched_by_ire',
  'created-by-ire': 'created_by_ire',
  reconciled: 'manual',
};

/** Key of a deployment's discovered item for a resource. */
export function discoveredItemKey(integrationInstanceKey: string, normalId: string): string {
  return naturalKey(integrationInstanceKey, normalId);
}

export function discoveredItem(ci: ResolvedCi, resource: DiscoveredResource, context: DeriveContext): DesiredRecord {
  const { attributes, normalId, displayId, tags } = resource;
  const matchingType = matchingTypes[ci.match];
  const scanned = serviceNowTime(context.scannedAtMs);
  return {
    table: 'sn_sec_cmn_src_ci',
    key: discoveredItemKey(context.integrationInstanceKey, normalId),
    fields: {
      source: { record: { table: 'sn_sec_int_impl', key: context.integrationInstanceKey } },
      source_id: normalId,
      cmdb_ci: { ci: ci.key },
      asset_category: 'Cloud',
      ...attributeReferences(attributes),
      source_data: JSON.stringify({
        account: attributes.account ?? null,
        cloud: attributes.cloud,
        id: normalId,
        region: attributes.region ?? null,
        type: attributes.resourceType ?? null,
      }),
      ...(tags !== undefined && { host_tag: hostTagList(tags) }),
    },
    volatile: {
      // The spelling of an id changes from answer to answer (azure.md §1.9): shown, but never a reason to write.
      resource_id: displayId,
      resource_name: displayId.slice(displayId.lastIndexOf('/') + 1),
      ...(matchingType !== undefined && { matching_type: matchingType }),
      last_scan_date: scanned,
      last_comp_scan_date: scanned,
    },
    ...(resource.onlyIfExists && { onlyIfExists: true }),
  };
}
