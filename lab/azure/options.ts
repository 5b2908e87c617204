/** How the lists misbehave: azure.md §4. */
export type PageQuirk = 'none' | 'empty-pages' | 'self-loop' | 'empty-string-at-end';

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
  };
  pageQuirk: PageQuirk;
  /** How many entries assessmentMetadata lists (azure-powershell#22696); those beyond it answer only one by one. */
  metadataCap: number;
  tokenLifetimeSeconds: number;
  /** `enforced`: token buckets and the Resource Graph quota answer 429; `headers`: they are only reported. */
  throttling: 'enforced' | 'headers';
  /** Subscription and tenant reads: bucket size and refill per second (azure.md §1.11). */
  readBucket: { size: number; refillPerSecond: number };
  /** Resource Graph: queries per window and user (azure.md §1.9). */
  graphQuota: { queries: number; windowSeconds: number };
  /** Largest Resource Graph answer (azure.md §1.9). */
  graphPayloadBytes: number;
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
  },
  pageQuirk: 'none',
  metadataCap: 1000,
  tokenLifetimeSeconds: 3599,
  throttling: 'enforced',
  readBucket: { size: 250, refillPerSecond: 25 },
  graphQuota: { queries: 15, windowSeconds: 5 },
  graphPayloadBytes: 16_777_216,
};

export type AzureLabOptionsInput = Partial<Omit<AzureLabOptions, 'pageSizes'>> & { pageSizes?: Partial<AzureLabOptions['pageSizes']> };

/** Defaults with the given values laid over them. */
export function withDefaults(input: AzureLabOptionsInput = {}): AzureLabOptions {
  return { ...DEFAULT_OPTIONS, ...input, pageSizes: { ...DEFAULT_OPTIONS.pageSizes, ...input.pageSizes } };
}
