import { readFile } from 'node:fs/promises';
import type { JsonObject } from '../../json.ts';
import type { ManagementGroup } from '../model.ts';

/** Where the items of a recorded file go. `behaviour` and `queries` hold no rows: tests provoke or run them. */
export type Collection =
  | 'assessmentMetadata'
  | 'assessments'
  | 'securityStandards'
  | 'customRecommendations'
  | 'standardAssignments'
  | 'regulatoryStandards'
  | 'regulatoryControls'
  | 'regulatoryAssessments'
  | 'pricings'
  | 'securityConnectors'
  | 'subAssessments'
  | 'policyDefinitions'
  | 'policySetDefinitions'
  | 'policyAssignments'
  | 'policyExemptions'
  | 'derivedPolicies'
  | 'graphRows'
  | 'cveDetails'
  | 'resources'
  | 'queries'
  | 'behaviour';

/** A file that is served: mapping.json. */
export interface ServedFile {
  readonly file: string;
  readonly becomes: Collection;
  /** The path that answers with it. */
  readonly route?: string;
  readonly apiVersion?: string;
  /** How many of its items that route answers with. */
  readonly expect: number;
  /** Ids in the file that stand for one of the estate's. */
  readonly rewrite?: Readonly<Record<string, string>>;
  /** Items another file has in another form. */
  readonly skip?: readonly { readonly id: string; readonly reason: string }[];
  /** Subscription that shows rows which name none of the estate's. */
  readonly home?: string;
}

export interface Mapping {
  readonly tenant: { readonly tenantId: string; readonly displayName: string; readonly defaultDomain: string };
  readonly managementGroups: readonly ManagementGroup[];
  readonly subscriptions: readonly {
    readonly name: string;
    readonly subscriptionId: string;
    readonly displayName: string;
    readonly managementGroup: string;
  }[];
  readonly deployments: readonly {
    readonly deployment: string;
    readonly displayName: string;
    readonly managementGroups: readonly string[];
  }[];
  readonly served: readonly ServedFile[];
  /** Rows that no recording shows and every tenant has. */
  readonly assembled: readonly { readonly becomes: Collection; readonly reason: string; readonly row: JsonObject }[];
  readonly notServed: readonly { readonly file: string; readonly reason: string }[];
}

/** Reads lab/azure/recordings/mapping.json. */
export async function readMapping(): Promise<Mapping> {
  return JSON.parse(await readFile(new URL('../../recordings/mapping.json', import.meta.url), 'utf8')) as Mapping;
}
