/**
 * The words that all rooms share (design §1). Types and constants only: no logic, no I/O.
 *
 * Data moves through three shapes: a **row** is what Azure sent; an **observed record** is one validated, normalised row,
 * keyed by its lower-case Azure id; a **desired record** is one ServiceNow record that should exist.
 */

declare const brand: unique symbol;
export type Brand<Value, Name extends string> = Value & { readonly [brand]: Name };

/** Name of a deployment in the configuration: `[a-z0-9][a-z0-9-]{0,62}`. */
export type DeploymentName = Brand<string, 'DeploymentName'>;
/** Identity of one run, a UUID. */
export type RunId = Brand<string, 'RunId'>;
/** Lower-case, validated id of something observed: an Azure resource id, an assessment id, a policy id, a CVE id. */
export type ObservedId = Brand<string, 'ObservedId'>;
/** Normal form of a cloud resource's id (src/inventory): two spellings of one resource have the same one. */
export type ResourceId = Brand<string, 'ResourceId'>;
/** 32 hexadecimal digits in stock records, but a few platform records use names: any non-empty string. */
export type SysId = Brand<string, 'SysId'>;

export const integrationNames = ['policies', 'metadata', 'standards', 'assessments', 'container-images'] as const;
/** The five integrations, in the order in which they must run. */
export type IntegrationName = (typeof integrationNames)[number];

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

// ---------------------------------------------------------------------------------------------------------------- scopes

/** What is read in one go and can be complete or not. */
export interface Scope {
  readonly kind: 'tenant' | 'subscription' | 'management-group' | 'keys';
  /** Lower-case subscription id, management-group name, tenant id; for `keys` the name of the list. */
  readonly id: string;
}

export type ScanState = 'open' | 'complete' | 'partial' | 'failed' | 'not-applicable';

// ------------------------------------------------------------------------------------------------------------- observing

export const observedKinds = [
  'policy-definition',
  'policy-set',
  'policy-assignment',
  'metadata',
  'regulatory-standard',
  'regulatory-control',
  'regulatory-assessment',
  'security-standard',
  'subscription',
  'connector',
  'resource',
  'assessment',
  'image-assessment',
  'sub-assessment',
  'cve',
] as const;
export type ObservedKind = (typeof observedKinds)[number];

/** One validated, normalised item from Azure. Equal content gives an equal `body`: no clocks, no request ids in it. */
export interface ObservedRecord {
  readonly kind: ObservedKind;
  /** Natural key: lower-case, at most 2,048 characters. */
  readonly id: ObservedId;
  /** Normalised content: only what desired records are derived from. */
  readonly body: JsonObject;
  /**
   * What is derived together: the resource for an assessment, the image for an image assessment, the CVE for a CVE;
   * `''` for kinds that are derived as a whole (policies, metadata, standards, connectors).
   */
  readonly group: string;
  /** Observed records of other kinds that this one uses: an assessment names its metadata key, an image assessment its CVEs. */
  readonly links?: readonly { readonly kind: ObservedKind; readonly id: ObservedId }[];
}

/** What one row became. A quarantined or excluded row is counted, never lost, and never fatal. */
export type RowOutcome =
  | { readonly outcome: 'observed'; readonly record: ObservedRecord }
  | { readonly outcome: 'excluded'; readonly because: string }
  | {
      readonly outcome: 'quarantined';
      /** One sentence: which field, what was wrong with it. */
      readonly because: string;
      /** The row's own id if it has a readable one, cut to 300 characters. */
      readonly id?: string;
    };

/** Which keys a read by keys asks for: all that links name, or only those that no list of this run has brought. */
export interface KeySelection {
  readonly kind: ObservedKind;
  readonly which: 'all' | 'missing';
}

/** How rows of one list are fetched. Paths are relative to the ARM endpoint and already escaped. */
export type ReadSource =
  | { readonly type: 'arm-list'; readonly path: string; readonly apiVersion: string; readonly query?: Readonly<Record<string, string>> }
  /** A tree of lists, depth first: a parent row names the paths of its child lists (regulatory standard → controls → assessments). */
  | {
      readonly type: 'arm-tree';
      readonly path: string;
      readonly apiVersion: string;
      readonly childPaths: (row: unknown, path: string) => readonly string[];
    }
  /** One GET per key, in key order; a 404 is an answer (the row is absent). */
  | { readonly type: 'arm-keys'; readonly keys: KeySelection; readonly pathOfKey: (key: string) => string; readonly apiVersion: string }
  | {
      readonly type: 'resource-graph';
      /** KQL that projects `id` and orders by it. */
      readonly query: string;
      readonly subscriptions?: readonly string[];
      readonly managementGroups?: readonly string[];
    }
  /** Resource Graph for rows named by keys, in key order, `keysPerQuery` at a time. */
  | {
      readonly type: 'resource-graph-keys';
      readonly keys: KeySelection;
      readonly queryOfKeys: (keys: readonly string[]) => string;
      readonly keysPerQuery: number;
      readonly managementGroups?: readonly string[];
    };

/** One list to read: one scan. */
export interface Read {
  /** Stable name, unique within the integration: `policy-definitions`, `assessments`. */
  readonly name: string;
  readonly scope: Scope;
  readonly source: ReadSource;
  /** 1 (default) is read at once; 2 only after all reads of stage 1 of this integration have ended (reads by keys). */
  readonly stage?: 1 | 2;
  /** Pure and total: never throws, whatever the row is. */
  readonly parse: (row: unknown) => RowOutcome;
  /** Why this answer means "not applicable here" (plan off), or undefined when it is a failure. */
  readonly notApplicable?: (error: {
    readonly status?: number | undefined;
    readonly code?: string | undefined;
    readonly message: string;
  }) => string | undefined;
  /** A read whose emptiness is a state worth saying (cvedetails without management-group access). */
  readonly emptyMeans?: string;
  /** 403 here is reported but does not fail the scope's integration (default false). */
  readonly optional?: boolean;
}

/** What an integration needs to know to say what it reads. */
export interface ReadContext {
  readonly tenantId: string;
  /** Lower-case ids of the enabled subscriptions in the deployment's scope. */
  readonly subscriptions: readonly string[];
  /** Configured management groups (empty when the scope is a list of subscriptions). */
  readonly managementGroups: readonly string[];
  /** Clouds that still answer sub-assessments (mapping.md §5). */
  readonly subAssessments: boolean;
  /** Where controls and their assessments are read (mapping.md §3): default `resource-graph`; `rest` where it has none. */
  readonly regulatorySource?: 'resource-graph' | 'rest';
}

// ------------------------------------------------------------------------------------------------------------- deriving

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

// ------------------------------------------------------------------------------------------------------------ the gate

/**
 * What stands before every HTTP request (design §2): a slot in the ledger keyed by instance or tenant, a shared
 * `not_before` that any 429 sets, and the fence of the run. Injected into the clients by the activities.
 */
export interface Gate {
  /**
   * Runs one request while holding a slot. Throws SyncError `fenced-out` when the run's fence is stale.
   * @param kind what the request is counted as in the report
   */
  pass<Answer>(kind: CallKind, send: (signal: AbortSignal) => Promise<Answer>, signal?: AbortSignal): Promise<Answer>;
  /** Called by a client on 429: nobody sends to this instance or tenant before that moment. */
  holdBack(forMs: number): Promise<void>;
}

export type CallKind = 'azure' | 'serviceNowReads' | 'serviceNowWrites' | 'serviceNowBookkeeping';

// ------------------------------------------------------------------------------------------------------------- report

export const runOutcomes = ['succeeded', 'degraded', 'failed', 'parked', 'cancelled'] as const;
export type RunOutcome = (typeof runOutcomes)[number];
export type RunMode = 'sync' | 'plan';

export interface IntegrationReport {
  readonly name: IntegrationName;
  readonly outcome: 'succeeded' | 'degraded' | 'failed' | 'not-run';
  readonly because: string | null;
  readonly scopes: { readonly complete: number; readonly partial: number; readonly failed: number; readonly notApplicable: number };
  /** Distinct observed records of complete and partial scans. */
  readonly read: number;
  readonly excluded: number;
  readonly quarantined: number;
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly closed: number;
  readonly parked: number;
  /** What an operator should know though nothing went wrong: a feature that is off, what a limit left out. */
  readonly notes?: readonly string[];
}

/** The report of one run, kept in the ledger. */
export interface Report {
  readonly deployment: string;
  readonly run: string;
  readonly mode: RunMode;
  readonly outcome: RunOutcome;
  readonly integrations: readonly IntegrationReport[];
  readonly calls: {
    readonly azure: number;
    readonly serviceNowReads: number;
    /** Records written to data tables. */
    readonly serviceNowWrites: number;
    readonly serviceNowBookkeeping: number;
  };
  readonly seconds: number;
  /** Records that the instance refuses, by table and reason; reports of older versions lack it. */
  readonly parkedRecords?: readonly {
    readonly table: string;
    readonly because: string;
    readonly remedy: string | null;
    readonly records: number;
    /** The first few natural keys. */
    readonly keys: readonly string[];
  }[];
  /** Columns that the instance does not keep, and that are left out because of it; reports of older versions lack it. */
  readonly skippedColumns?: readonly {
    readonly table: string;
    readonly column: string;
    /** skipped: never kept; undone: changed again after the write; some-records: some records do not keep it, others do. */
    readonly behaviour: 'skipped' | 'undone' | 'some-records';
    readonly evidence: string;
    readonly remedy: string | null;
    readonly records: number;
  }[];
}
