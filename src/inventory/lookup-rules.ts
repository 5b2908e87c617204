/**
 * The instance's CI lookup rules (servicenow.md §1.5, §4): lowest Order first, stop at the first hit. Field matching is done as the
 * rule says; of script rules only the three that ship with the integration are known, by what their documentation says. A rule
 * that cannot be evaluated is named with the reason and never guessed.
 */
import type { CiIdentity } from '../model.ts';
import { conditionOf, type Condition } from './rule-condition.ts';

export type ResourceIdentity = Extract<CiIdentity, { type: 'resource' }>;

/** A row of `sn_sec_cmn_ci_lookup_rule`, texts as the instance keeps them. */
export interface LookupRuleRow {
  readonly name: string;
  readonly order: string;
  readonly method: string;
  readonly condition: string;
  readonly sourceField: string;
  readonly targetTable: string;
  readonly targetField: string;
}

/** Where a resource's CI is looked for by one rule. */
export interface LookupRule {
  readonly name: string;
  /** The class to look in: the one its type is mapped to, or the rule's own. */
  readonly targetClass: (identity: ResourceIdentity) => string;
  readonly targetField: string;
  /** What the field must hold; undefined: the rule says nothing about this resource. */
  readonly valueOf: (identity: ResourceIdentity) => string | undefined;
}

export interface LookupRules {
  /** In their order. */
  readonly rules: readonly LookupRule[];
  readonly notEvaluated: readonly { readonly name: string; readonly because: string }[];
  /** Classes that rules name themselves. */
  readonly targetTables: readonly string[];
}

const ofItsType = (identity: ResourceIdentity): string => identity.lookupClass;
const bucketType = 'aws::s3::bucket';

/** What ships, in its order (servicenow.md §1.5). */
const resourceIdRule: LookupRule = {
  name: 'Resource Id',
  targetClass: ofItsType,
  targetField: 'object_id',
  valueOf: ({ displayId }) => displayId,
};
const nameRule: LookupRule = { name: 'Name', targetClass: ofItsType, targetField: 'object_id', valueOf: ({ name }) => name };
const bucketRule: LookupRule = {
  name: 'S3 Bucket',
  targetClass: () => 'cmdb_ci_cloud_object_storage',
  targetField: 'object_id',
  valueOf: ({ resourceType, name }) => (resourceType === bucketType ? `arn:aws:s3:::${name}` : undefined),
};

/** For an instance whose rules are absent or not readable. */
export const shippedRules: LookupRules = { rules: [resourceIdRule, nameRule, bucketRule], notEvaluated: [], targetTables: [] };

const shippedByName: ReadonlyMap<string, LookupRule> = new Map(shippedRules.rules.map((rule) => [rule.name.toLowerCase(), rule]));

/** Fields of a discovered item that a rule may take its value from, and what a cloud resource has there. */
const sourceFields: ReadonlyMap<string, LookupRule['valueOf']> = new Map<string, LookupRule['valueOf']>([
  ['resource_id', ({ displayId }) => displayId],
  ['resource_name', ({ name }) => name],
  ['name', ({ name }) => name],
  ['source_id', ({ resourceId }) => resourceId],
  ['cloud_account', ({ accountId }) => accountId],
  ['cloud_account.name', ({ accountId }) => accountId],
  ['cloud_region', ({ region }) => region],
  ['cloud_region.name', ({ region }) => region],
  ['cloud_resource_type', ({ resourceType }) => resourceType],
  ['cloud_resource_type.name', ({ resourceType }) => resourceType],
]);

/** Reads the active rules of the integration, whatever order they come in. */
export function lookupRulesOf(rows: readonly LookupRuleRow[]): LookupRules {
  const rules: LookupRule[] = [];
  const notEvaluated: { name: string; because: string }[] = [];
  for (const row of [...rows].sort(byOrder)) {
    const rule = ruleOf(row);
    if ('because' in rule) notEvaluated.push({ name: row.name, because: rule.because });
    else rules.push(rule);
  }
  const targetTables = rows.filter(({ method, targetTable }) => method === 'field_matching' && isTable(targetTable));
  return { rules, notEvaluated, targetTables: [...new Set(targetTables.map(({ targetTable }) => targetTable))] };
}

/** A rule without a number comes last. Equal numbers: by name, so that every run decides alike. */
function byOrder(left: LookupRuleRow, right: LookupRuleRow): number {
  const [a, b] = [left, right].map(({ order }) => (/^-?\d+$/.test(order) ? Number(order) : Number.MAX_SAFE_INTEGER)) as [number, number];
  return a - b || (left.name < right.name ? -1 : 1);
}

function ruleOf(row: LookupRuleRow): LookupRule | { readonly because: string } {
  const condition = conditionOf(row.condition);
  if ('because' in condition) return condition;
  const rule = row.method === 'field_matching' ? fieldMatching(row) : shippedScript(row);
  return 'because' in rule ? rule : limitedTo(rule, condition);
}

function shippedScript({ name, method }: LookupRuleRow): LookupRule | { readonly because: string } {
  const shipped = shippedByName.get(name.trim().toLowerCase());
  if (shipped !== undefined) return shipped;
  return { because: method === 'script' ? 'it is a script, which only the platform can run' : `its method is ${method || 'empty'}` };
}

function fieldMatching(row: LookupRuleRow): LookupRule | { readonly because: string } {
  const shipped = shippedByName.get(row.name.trim().toLowerCase());
  const valueOf = sourceFields.get(row.sourceField);
  if (valueOf === undefined) {
    return { because: `its source field ${row.sourceField || '(none)'} is nothing that Defender for Cloud says of a resource` };
  }
  // The shipped rules name no table: the resource's type decides.
  if (row.targetTable === '' && shipped === undefined) return { because: 'it names no target table' };
  if (row.targetTable !== '' && !isTable(row.targetTable)) return { because: 'its target table is no name of a table' };
  if (row.targetField === '' && shipped === undefined) return { because: 'it names no target field' };
  if (shipped === bucketRule) return bucketRule;
  return {
    name: row.name,
    targetClass: row.targetTable === '' ? ofItsType : () => row.targetTable,
    targetField: row.targetField === '' ? 'object_id' : row.targetField,
    valueOf,
  };
}

function isTable(name: string): boolean {
  return /^[a-z][a-z0-9_]{0,79}$/.test(name);
}

function limitedTo(rule: LookupRule, { holds }: Condition): LookupRule {
  return { ...rule, valueOf: (identity) => (holds(identity) ? rule.valueOf(identity) : undefined) };
}
