/** How the lists misbehave: azure.md §1, §4. */
export const PAGE_QUIRKS = ['none', 'empty-pages', 'self-loop', 'empty-string-at-end', 'null-at-end'] as const;
export type PageQuirk = (typeof PAGE_QUIRKS)[number];

/**
 * How rows of assessments differ from the specification: `resource-id-variant` is `{Source, ResourceId}` (azure.md §1.4),
 * `no-optional-fields` leaves out displayName, dates and additionalData, `no-required-fields` leaves out the status,
 * `upper-case-ids` writes resource groups and names in upper case (§1.4: `MYSERVICE1`).
 */
export const ROW_QUIRKS = ['resource-id-variant', 'no-optional-fields', 'no-required-fields', 'upper-case-ids'] as const;
export type RowQuirk = (typeof ROW_QUIRKS)[number];

/** What an operator may set about the local Azure; every value has the default that the references describe. */
export interface AzureLabOptions {
  /** Items per page of each kind of list. */
  pageSizes: {
    assessments: number;
    metadata: number;
    /** 500 when `$top` is absent (azure.md §1.1). */
    policies: number;
    managementGroups: number;
    subscriptions: number;
    resources: number;
    /** Standards, controls, regulatory assessments, connectors, sub-assessments. */
    security: number;
    /** Entries of `permissions`, role assignments and role definitions. */
    authorization: number;
  };
  pageQuirk: PageQuirk;
  rowQuirks: readonly RowQuirk[];
  /** Every so many-th row of assessments has the row quirks. */
  rowQuirkEvery: number;
  /** How many entries assessmentMetadata lists (azure-powershell#22696); those beyond it answer only one by one. */
  metadataCap: number;
  tokenLifetimeSeconds: number;
  /** `enforced`: token buckets and the Resource Graph quota answer 429; `headers`: they are only reported. */
  throttling: 'enforced' | 'headers';
  /** Subscription and tenant reads: bucket size and refill per second (azure.md §1.11). */
  readBucket: { size: number; refillPerSecond: number };
  /** What Microsoft.Security counts for itself: 749 were left after the first request, 4,999 of sub-assessments (azure.md §1.4). */
  resourceRequestBuckets: { security: number; subAssessments: number; refillPerSecond: number };
  /** Resource Graph: queries per window and user (azure.md §1.9). */
  graphQuota: { queries: number; windowSeconds: number };
  /** Largest Resource Graph answer (azure.md §1.9). */
  graphPayloadBytes: number;
  /** Subscriptions one query of tenant or management-group scope reaches (azure.md §1.9). */
  graphScopeLimit: number;
  /** `moving`: another totalRecords on each page, as while an estate changes (azure.md §4). */
  graphTotals: 'steady' | 'moving';
  /** `unreliable`: pages of a query that is not ordered by id lose rows, since there is no reliable skip token (azure.md §1.9). */
  graphOrder: 'kept' | 'unreliable';
}

export const DEFAULT_OPTIONS: AzureLabOptions = {
  pageSizes: {
    assessments: 1000,
    metadata: 1000,
    policies: 500,
    managementGroups: 100,
    subscriptions: 100,
    resources: 1000,
    security: 200,
    authorization: 100,
  },
  pageQuirk: 'none',
  rowQuirks: [],
  rowQuirkEvery: 5,
  metadataCap: 1000,
  tokenLifetimeSeconds: 3599,
  throttling: 'enforced',
  readBucket: { size: 250, refillPerSecond: 25 },
  resourceRequestBuckets: { security: 750, subAssessments: 5000, refillPerSecond: 25 },
  graphQuota: { queries: 15, windowSeconds: 5 },
  graphPayloadBytes: 16_777_216,
  graphScopeLimit: 10_000,
  graphTotals: 'steady',
  graphOrder: 'kept',
};

export type AzureLabOptionsInput = Partial<Omit<AzureLabOptions, 'pageSizes'>> & { pageSizes?: Partial<AzureLabOptions['pageSizes']> };

/** Defaults with the given values laid over them. */
export function withDefaults(input: AzureLabOptionsInput = {}): AzureLabOptions {
  return { ...DEFAULT_OPTIONS, ...input, pageSizes: { ...DEFAULT_OPTIONS.pageSizes, ...input.pageSizes } };
}
