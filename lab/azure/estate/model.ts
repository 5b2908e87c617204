import type { Json, JsonObject } from '../json.ts';
import { createContentChanges, type ContentChanges, type RemovalTarget } from './content-changes.ts';

/** A list whose items are made when they are asked for, so that no estate has to fit into memory. */
export interface Rows<T = JsonObject> {
  readonly size: number;
  readonly at: (index: number) => T;
}

export type RoleName = 'Reader' | 'Security Reader';

/** One Azure RBAC assignment. `scope` is `/`, a management group's id or a subscription's id. */
export interface RoleAssignment {
  readonly scope: string;
  readonly role: RoleName;
}

/** An app registration with its service principal; one per deployment. */
export interface LabApplication {
  /** The deployment that uses it (`A`, `B`). */
  readonly deployment: string;
  readonly displayName: string;
  readonly clientId: string;
  /** Object id of the service principal: what RBAC and error messages name. */
  readonly principalId: string;
  /** Object id of the application object: what Graph's `applications` returns. */
  readonly applicationObjectId: string;
  readonly clientSecret: string;
  readonly roleAssignments: readonly RoleAssignment[];
}

export interface LabTenantInfo {
  readonly tenantId: string;
  readonly displayName: string;
  readonly defaultDomain: string;
}

export interface ManagementGroup {
  /** The last segment of its id. */
  readonly name: string;
  readonly displayName: string;
  /** Name of the parent; null for the tenant's root group. */
  readonly parent: string | null;
}

export interface Subscription {
  readonly subscriptionId: string;
  readonly displayName: string;
  readonly state: 'Enabled' | 'Warned' | 'PastDue' | 'Disabled' | 'Deleted';
  readonly managementGroup: string;
  readonly tags: JsonObject;
}

/** One regulatory standard of one subscription with all that is below it (azure.md §1.8), rows in REST form. */
export interface RegulatoryStandard {
  readonly row: JsonObject;
  readonly controls: readonly { readonly row: JsonObject; readonly assessments: readonly JsonObject[] }[];
}

/**
 * A run of Resource Graph rows that share a home and some columns. Rows are ordered by lower-case `id`, so that a page
 * can start anywhere without reading what comes before it.
 */
export interface GraphPartition {
  readonly table: 'resources' | 'resourcecontainers' | 'securityresources';
  /** The subscription whose readers see it; null: visible at management-group and tenant scope only. */
  readonly subscriptionId: string | null;
  /** What all lower-case ids in it start with, where that is known: partitions with different prefixes need not be merged. */
  readonly idPrefix?: string;
  /** Columns (dotted) that have this value in every row; null says that no row has the column. */
  readonly constants: ReadonlyMap<string, Json>;
  readonly rows: Rows;
}

/** Statuses of rows, as counts. */
export interface StatusCounts {
  healthy: number;
  unhealthy: number;
  notApplicable: number;
}

/** What an estate says about itself: the proof that readers are measured against. Computed from its own plan, never from answers. */
export interface EstateTruth {
  subscriptions: string[];
  assessments: {
    /** Rows of the assessments lists of all scopes. */
    listed: number;
    inScope: StatusCounts & { total: number };
    /** recommendationCategory SoftwareUpdate, SystemUpdate or ServiceUpgrade, or assessment type DynamicBuiltIn: no test (mapping §4). */
    outOfScope: number;
    /** Distinct (resource, assessment key) in scope that are Healthy or Unhealthy. */
    results: number;
    /** Assessment keys that in-scope rows use. */
    keys: number;
    /** Of those, keys that assessmentMetadata does not know at all, not even asked for one by one. */
    keysWithoutMetadata: number;
  };
  resources: {
    /** Distinct resources (case-insensitive id) of all listed rows. */
    listed: number;
    /** Distinct resources of in-scope rows. */
    inScope: number;
    /** Distinct resources with at least one in-scope Healthy or Unhealthy row. */
    withResult: number;
  };
  policies: {
    definitions: number;
    custom: number;
    categorySecurityCenter: number;
    /** Distinct members of the initiatives assigned in scope, and how many of them can be read. */
    membersOfAssignedSets: number;
    membersReadable: number;
    /** Readable definitions that are of category Security Center, custom, or a member of an assigned initiative (mapping §1). */
    inMappingScope: number;
  };
  policySets: { all: number; custom: number; categorySecurityCenter: number; assigned: number; inMappingScope: number };
  metadata: { keys: number; listed: number; builtIn: number; custom: number; dynamic: number };
  standards: {
    /** Distinct lower-case names of regulatory standards in subscriptions with a paid plan. */
    regulatory: number;
    controls: number;
    /** Distinct (standard, control, assessment key). */
    triples: number;
    /** Distinct GUIDs of securityStandards, and their (standard, assessment key) pairs. */
    securityStandards: number;
    securityStandardPairs: number;
    /** Those of the customer's own standards, which have no controls. */
    customStandardPairs: number;
    /** Subscriptions whose regulatory lists answer 400 for want of a plan. */
    notApplicableSubscriptions: number;
  };
  containers: {
    /** Individual recommendations on `.containerimage` and `K8s-container` resources; ids that differ by case count once. */
    rows: number;
    byStatus: StatusCounts;
    /** Rows Resource Graph serves for them, duplicates by case included. */
    rowsServed: number;
    /** Distinct registry/repository@digest; a running image's row names no registry, so it counts under an empty one. */
    images: number;
    /** Distinct repository@digest, registry left out. */
    imagesByRepositoryDigest: number;
    imagesByDigest: number;
    /** Distinct (registry/repository@digest, package, version) over all rows. */
    packages: number;
    /** Distinct (registry/repository@digest, CVE, package, version) over Unhealthy rows: only those carry CVEs. */
    findings: number;
    /** Distinct CVE ids in those findings. */
    cves: number;
  };
  connectors: { all: number; awsAndGcp: number };
}

/** A simulated change of statuses: this share of rows changes sides, chosen by the seed. */
export interface StatusFlip {
  readonly percent: number;
  readonly seed: number;
  /** When it happened: becomes the statusChangeDate of the rows it met. */
  readonly at: string;
}

/** What an operator changed while the lab runs; estates read it, the admin API writes it. */
export interface EstateChanges {
  readonly flips: StatusFlip[];
  /** Tiers of all plans of a subscription, where they differ from the estate's own. */
  readonly planTiers: Map<string, PlanTier>;
  /** Tiers of single plans, by `subscription|plan` in lower case; they come before `planTiers`. */
  readonly namedPlanTiers: Map<string, PlanTier>;
  /** Subscriptions that did not opt in to Foundational CSPM: nothing is assessed there (azure.md §0.4). */
  readonly unassessed: Set<string>;
  /** Subscriptions that Resource Graph does not know yet, while ARM does (azure.md §1.9). */
  readonly graphUnaware: Set<string>;
  /** What was taken away, added and re-keyed. */
  readonly content: ContentChanges;
  /** Another number, other casings of the ids in rows: Azure changed them before, and two answers need not agree (azure.md §1.9). */
  spelling: number;
  /** Rises with every change: cached totals belong to one revision. */
  revision: number;
}

export type PlanTier = 'Free' | 'Standard';

export function createEstateChanges(): EstateChanges {
  return {
    flips: [],
    planTiers: new Map(),
    namedPlanTiers: new Map(),
    unassessed: new Set(),
    graphUnaware: new Set(),
    content: createContentChanges(),
    spelling: 0,
    revision: 0,
  };
}

/** The tier of one Defender plan of a subscription; `usual` is the estate's own. */
export function planTierOf(changes: EstateChanges, subscriptionId: string, plan: string, usual: PlanTier): PlanTier {
  const subscription = subscriptionId.toLowerCase();
  return changes.namedPlanTiers.get(`${subscription}|${plan.toLowerCase()}`) ?? changes.planTiers.get(subscription) ?? usual;
}

/** One Azure tenant as far as this lab serves it. Rows are in wire form of the newest api-version. */
export interface Estate {
  readonly name: string;
  readonly tenant: LabTenantInfo;
  readonly applications: readonly LabApplication[];
  readonly managementGroups: readonly ManagementGroup[];
  readonly subscriptions: readonly Subscription[];

  /** All of the tenant's; the scope of each is in its id. */
  readonly policyDefinitions: readonly JsonObject[];
  readonly policySetDefinitions: readonly JsonObject[];
  readonly policyAssignments: readonly JsonObject[];
  readonly policyExemptions: readonly JsonObject[];

  /** Built-in metadata of the tenant, in list order; the cap is applied where it is served. */
  readonly assessmentMetadata: readonly JsonObject[];
  /** Metadata that only this subscription has. */
  readonly customMetadata: (subscriptionId: string) => readonly JsonObject[];

  readonly securityStandards: (scope: string) => readonly JsonObject[];
  readonly standardAssignments: (scope: string) => readonly JsonObject[];
  readonly customRecommendations: (scope: string) => readonly JsonObject[];
  readonly regulatoryStandards: (subscriptionId: string) => readonly RegulatoryStandard[];
  readonly pricings: (scope: string) => readonly JsonObject[];
  readonly securityConnectors: (subscriptionId: string) => readonly JsonObject[];

  /** The assessments list of a subscription. No order is documented (azure.md §4), and none is kept. */
  readonly assessments: (subscriptionId: string) => Rows;
  /** One assessment by its resource (case-insensitive) and key. */
  readonly findAssessment: (resourceId: string, key: string) => JsonObject | undefined;
  readonly subAssessments: (subscriptionId: string) => readonly JsonObject[];
  /** What `GET /subscriptions/{id}/resources` lists. */
  readonly resources: (subscriptionId: string) => Rows;
  /** Tags of a scope, for `Microsoft.Resources/tags/default`; undefined where the lab has no such scope. */
  readonly tagsOf: (scope: string) => JsonObject | undefined;

  readonly graphPartitions: (subscriptionIds: readonly string[]) => readonly GraphPartition[];
  /** Rows of no subscription: cvedetails (azure.md §1.7). */
  readonly tenantGraphPartitions: () => readonly GraphPartition[];

  /** Undefined where the content cannot be changed. */
  readonly content?: EstateContent;
  /** True where the subscription has a paid plan: without one the regulatory lists answer 400 (azure.md §1.8). */
  readonly hasPaidPlan: (subscriptionId: string) => boolean;
  readonly truth: (scope: { subscriptionIds: readonly string[]; managementGroups: readonly string[]; metadataCap: number }) => EstateTruth;
}

/** A part of an estate that an administrator may name. */
export interface NamedPart {
  readonly subscriptionId: string;
  readonly target: Extract<RemovalTarget, { kind: 'assessment' | 'resource' }>;
}

/** What the content of an estate can be changed by; a recorded one stays as it was recorded. */
export interface EstateContent {
  /** The resource or assessment with this id (case-insensitive), be it there or gone. */
  readonly locate: (id: string) => NamedPart | undefined;
  /** True for a key that a recommendation has now; individual recommendations have no static keys (azure.md §0.2). */
  readonly isKey: (key: string) => boolean;
}

/** Rows over an array that is already there. */
export function rowsOf<T>(items: readonly T[]): Rows<T> {
  return {
    size: items.length,
    at: (index) => {
      const item = items[index];
      if (item === undefined) throw new RangeError(`Row ${String(index)} of ${String(items.length)}.`);
      return item;
    },
  };
}

/** Rows made of other rows when they are asked for. */
export function mappedRows<T, U>(rows: Rows<T>, make: (row: T) => U): Rows<U> {
  return {
    get size() {
      return rows.size;
    },
    at: (index) => make(rows.at(index)),
  };
}

/** Several lists read as one, as long as they are now. */
export function concatRows<T>(parts: readonly Rows<T>[]): Rows<T> {
  const ends: number[] = [];
  let size = 0;
  for (const part of parts) {
    size += part.size;
    ends.push(size);
  }
  return {
    size,
    at: (index) => {
      const part = firstEndAbove(ends, index);
      const rows = parts[part];
      if (rows === undefined) throw new RangeError(`Row ${String(index)} of ${String(size)}.`);
      return rows.at(index - (ends[part - 1] ?? 0));
    },
  };
}

/** Index of the first running total that is greater than `index`: which part a position lies in. */
export function firstEndAbove(ends: ArrayLike<number>, index: number): number {
  return firstIndexWhere(ends.length, (position) => (ends[position] ?? 0) > index);
}

/** The first index below `size` that meets a condition which, once met, stays met; `size` where none does. */
export function firstIndexWhere(size: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
