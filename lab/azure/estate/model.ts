import type { Json, JsonObject } from '../json.ts';

/** A list whose items are made when they are asked for, so that no estate has to fit into memory. */
export interface Rows<T = JsonObject> {
  readonly size: number;
  at(index: number): T;
}

/** What the principal was given on Microsoft Graph: azure.md §2.3. */
export type ConsentState = 'granted' | 'delegated-only' | 'no-consent';

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
  /** Plan tiers that differ from the estate's own. */
  readonly planTiers: Map<string, 'Free' | 'Standard'>;
  /** Another number, other casings of the ids in rows: Azure changed them before, and two answers need not agree (azure.md §1.9). */
  spelling: number;
  /** Rises with every change: cached totals belong to one revision. */
  revision: number;
}

export function createEstateChanges(): EstateChanges {
  return { flips: [], planTiers: new Map(), spelling: 0, revision: 0 };
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
  customMetadata(subscriptionId: string): readonly JsonObject[];

  securityStandards(scope: string): readonly JsonObject[];
  standardAssignments(scope: string): readonly JsonObject[];
  customRecommendations(scope: string): readonly JsonObject[];
  regulatoryStandards(subscriptionId: string): readonly RegulatoryStandard[];
  pricings(scope: string): readonly JsonObject[];
  securityConnectors(subscriptionId: string): readonly JsonObject[];

  /** The assessments list of a subscription. No order is documented (azure.md §4), and none is kept. */
  assessments(subscriptionId: string): Rows;
  /** One assessment by its resource (case-insensitive) and key. */
  findAssessment(resourceId: string, key: string): JsonObject | undefined;
  subAssessments(subscriptionId: string): readonly JsonObject[];
  /** What `GET /subscriptions/{id}/resources` lists. */
  resources(subscriptionId: string): Rows;
  /** Tags of a scope, for `Microsoft.Resources/tags/default`; undefined where the lab has no such scope. */
  tagsOf(scope: string): JsonObject | undefined;

  graphPartitions(subscriptionIds: readonly string[]): readonly GraphPartition[];
  /** Rows of no subscription: cvedetails (azure.md §1.7). */
  tenantGraphPartitions(): readonly GraphPartition[];

  /** True where the subscription has a paid plan: without one the regulatory lists answer 400 (azure.md §1.8). */
  hasPaidPlan(subscriptionId: string): boolean;
  truth(scope: { subscriptionIds: readonly string[]; managementGroups: readonly string[]; metadataCap: number }): EstateTruth;
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

/** Several lists read as one. */
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
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ends[middle] ?? 0) > index) high = middle;
    else low = middle + 1;
  }
  return low;
}
