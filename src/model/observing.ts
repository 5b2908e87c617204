/** What is read, and what a row of it becomes. */
import type { JsonObject, ObservedId } from './names.ts';

/** What is read in one go and can be complete or not. */
export interface Scope {
  readonly kind: 'tenant' | 'subscription' | 'management-group' | 'keys';
  /** Lower-case subscription id, management-group name, tenant id; for `keys` the name of the list. */
  readonly id: string;
}

export type ScanState = 'open' | 'complete' | 'partial' | 'failed' | 'not-applicable';

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
