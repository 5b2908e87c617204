/** Cloud account, region, resource type and provider: small library records that discovered items point at (mapping.md §4). */
import type { DesiredRecord, FieldValue } from '../model.ts';
import { naturalKey } from './natural-key.ts';

export interface CloudAttributes {
  /** Subscription, AWS account, GCP project. */
  readonly account?: string | undefined;
  /** Programmatic region. */
  readonly region?: string | undefined;
  /** Lower-case resource type. */
  readonly resourceType?: string | undefined;
  readonly cloud: 'azure' | 'aws' | 'gcp' | 'on-premises';
}

const providers = { azure: 'Microsoft Azure', aws: 'Amazon Web Services', gcp: 'Google Cloud', 'on-premises': 'On-premises' } as const;

/** Display name of a cloud. */
export function providerName(cloud: CloudAttributes['cloud']): string {
  return providers[cloud];
}

const tables = {
  cloud_account: 'sn_sec_cmn_cloud_account',
  cloud_region: 'sn_sec_cmn_region',
  cloud_resource_type: 'sn_sec_cmn_cloud_resource_type',
  cloud_service_provider: 'sn_sec_cmn_cloud_service_provider',
} as const;

function names({ account, region, resourceType, cloud }: CloudAttributes): readonly (readonly [keyof typeof tables, string])[] {
  return (
    [
      ['cloud_account', account],
      ['cloud_region', region],
      ['cloud_resource_type', resourceType],
      ['cloud_service_provider', providers[cloud]],
    ] as const
  ).flatMap(([column, name]) => (name === undefined || name === '' ? [] : [[column, name] as const]));
}

/** The attribute records themselves: the name is the key. */
export function attributeRecords(attributes: CloudAttributes): readonly DesiredRecord[] {
  return names(attributes).map(([column, name]) => ({ table: tables[column], key: naturalKey(name), fields: { name } }));
}

/** A discovered item's references to them. */
export function attributeReferences(attributes: CloudAttributes): Readonly<Record<string, FieldValue>> {
  return Object.fromEntries(
    names(attributes).map(([column, name]) => [column, { record: { table: tables[column], key: naturalKey(name) } }]),
  );
}
