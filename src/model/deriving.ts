/** What should exist on the instance because of what was observed. */
import type { Brand, DeploymentName, IntegrationName, JsonObject, ObservedId, ResourceId, SysId } from './names.ts';
import type { ObservedKind, ObservedRecord, Read, ReadContext } from './observing.ts';

/** A value of a desired record. References are by natural key, and become sys_ids at the moment of sending. */
export type FieldValue =
  | string
  | number
  | boolean
  | null
  | { readonly record: { readonly table: string; readonly key: string } }
  /** A list of references; what never came to the instance is left out of it. */
  | { readonly records: { readonly table: string; readonly keys: readonly string[] } }
  | { readonly ci: CiKey };

/** Key of a CI in the ledger: `resource:<ResourceId>` or `image:<sha256 hex>`. */
export type CiKey = Brand<string, 'CiKey'>;

/** A ServiceNow record that should exist. */
export interface DesiredRecord {
  readonly table: string;
  /** Lower-case natural key, unique within (instance, table): see src/integrations/tables.ts. */
  readonly key: string;
  /** By logical column name (tables.ts). A change of any of these is a write. `null` empties the column. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Written along with any other change, never a reason to write by themselves (scan times). */
  readonly volatile?: Readonly<Record<string, FieldValue>>;
  /** Never created for this: an existing record takes the fields, a missing one stays missing (NotApplicable). */
  readonly onlyIfExists?: true;
}

/** How a logical column of a table finds its real column in the instance's dictionary, and how its value is shaped. */
export interface ColumnSpec {
  /** Real column names, the first that the dictionary has wins. Empty when the column is found by what it references. */
  readonly names: readonly string[];
  /** For references: the table pointed at. Also finds columns whose names nobody documents (link tables). */
  readonly references?: string;
  /**
   * text: cut with `…` to the column's length; key: cut, then `~` and 16 hex digits of its SHA-256; time: UTC
   * `YYYY-MM-DD HH:mm:ss`; choice: dropped when the instance does not have that value; label: the value whose label it is;
   * list: sys_ids of the table it references, only where the dictionary says that the column is such a list.
   */
  readonly type: 'text' | 'key' | 'time' | 'boolean' | 'integer' | 'decimal' | 'reference' | 'list' | 'choice' | 'label';
  /**
   * Without a required column the integration stops with a remedy (a table with `ifMissing: 'skip'` is left out);
   * an optional column is left out.
   */
  readonly required?: true;
  /** Sent when the record is created, never afterwards (the platform or an analyst owns it from then on). */
  readonly onCreateOnly?: true;
}

/** One ServiceNow table that the engine writes. */
export interface TableSpec {
  readonly name: string;
  /** Records of `data` tables count as serviceNowWrites; the engine's own records are bookkeeping. */
  readonly traffic: 'data' | 'bookkeeping';
  readonly columns: Readonly<Record<string, ColumnSpec>>;
  /** Logical columns that identify a record on the instance; used to find it before it is created. */
  readonly naturalKey: readonly string[];
  /** Never updated once it exists: somebody else's record (CVE library). */
  readonly createOnly?: true;
  /** Many groups yield the same record (a region, a CVE): one of them yielding it no longer says nothing about the others. */
  readonly yieldedByMany?: true;
  /**
   * Logical column of the record that it hangs on. When that one is still seen, and this one is not any more, it is removed from
   * the instance, provided that this ledger created it (docs/decisions/host-tags.md). Without it nothing is ever removed.
   */
  readonly removedFrom?: string;
  /** Absent on the instance: `stop` the integration with a remedy, or leave this table out (`skip`). */
  readonly ifMissing: 'stop' | 'skip';
  /**
   * Of no use without that table. Where the instance lacks that one, the whole feature is not installed: whatever `ifMissing` says, the
   * run goes on without it.
   */
  readonly onlyWith?: string;
}

/** What the CI behind a cloud resource looks like; input of src/inventory. */
export interface CiRequest {
  readonly key: CiKey;
  readonly identity: CiIdentity;
}

export type CiIdentity =
  | {
      readonly type: 'resource';
      readonly cloud: 'azure' | 'aws' | 'gcp' | 'on-premises';
      /** Normal form. */
      readonly resourceId: ResourceId;
      /** As the cloud spelled it, for display and for `object_id`. */
      readonly displayId: string;
      readonly name: string;
      /** Lower-case type: `microsoft.compute/virtualmachines`, `aws::s3::bucket`. */
      readonly resourceType: string;
      /** Class to look in before a placeholder is made (mapping.md §4). */
      readonly lookupClass: string;
      /** Subscription, AWS account, GCP project; on-premises: the subscription of the workspace the machine reports to. */
      readonly accountId?: string;
      readonly accountName?: string;
      /** Lower-case programmatic region (`eastus`); absent for global resources. */
      readonly region?: string;
    }
  | {
      readonly type: 'image';
      /** `sha256:<64 hex>`, lower case. */
      readonly digest: string;
      /** registry/repository. */
      readonly name: string;
    };

/** The observed records of one group, in id order. */
export interface ObservedGroup {
  readonly group: string;
  readonly records: readonly ObservedRecord[];
}

/** Observed records of other kinds that a derivation may look at, by id. */
export type Related = Readonly<Partial<Record<ObservedKind, ReadonlyMap<string, JsonObject>>>>;

export interface DeriveContext {
  readonly deployment: DeploymentName;
  /** `source` of all records: "Microsoft Defender for Cloud" unless the instance's records say otherwise. */
  readonly source: string;
  /** Natural key of the deployment's integration instance (`sn_sec_int_impl`). */
  readonly integrationInstanceKey: string;
  /** All records of the integration's `relatedKinds`, and those records that the group's links name. */
  readonly related: Related;
  /** When the scan of these records ended, UTC milliseconds: only for volatile fields. */
  readonly scannedAtMs: number;
  /** Choice of `result` for NotApplicable, if configured (mapping.md §4). */
  readonly notApplicableResult: string | undefined;
}

export interface Derived {
  readonly records: readonly DesiredRecord[];
  readonly cis: readonly CiRequest[];
  /** Observed records that are valid but make no desired record, with the reason (out of scope). */
  readonly excluded: readonly { readonly kind: ObservedKind; readonly id: ObservedId; readonly because: string }[];
}

/** How a CI came to be known; becomes the discovered item's matching type. */
export type CiMatch = 'discovered-item' | 'lookup-rule' | 'matched-by-ire' | 'created-by-ire' | 'reconciled';

export interface ResolvedCi {
  readonly key: CiKey;
  readonly sysId: SysId;
  readonly match: CiMatch;
}

/** One of the five. Pure: says what to read, and what should exist because of what was read. */
export interface Integration {
  readonly name: IntegrationName;
  /** Kinds this integration derives from. */
  readonly derivesFrom: readonly ObservedKind[];
  /** Kinds that its derivation looks at in full (small kinds only). Whole-derived integrations are due again when one of them changed. */
  readonly relatedKinds: readonly ObservedKind[];
  /** Tables it writes, in order of dependency: a table is written after all tables before it. */
  readonly tables: readonly string[];
  readonly reads: (context: ReadContext) => readonly Read[];
  /** Its records hang on CIs (`derive` gives CiRequests). */
  readonly hangsOnCis?: true;
  /** Desired records of one group. Called again for a group whenever one of its records, or a record its links name, changed. */
  readonly derive: (group: ObservedGroup, context: DeriveContext) => Derived;
  /** Which CI a group's records hang on; only integrations with `deriveForCi` have it. */
  readonly ciOfGroup?: (group: string) => CiKey;
  /** Desired records that can only be keyed once the CI is known: all groups whose CI is this one, together. */
  readonly deriveForCi?: (ci: ResolvedCi, groups: readonly ObservedGroup[], context: DeriveContext) => Derived;
}
