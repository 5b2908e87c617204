import { ApiError } from './http.ts';
import { choicesOf } from './render.ts';
import type { Table } from './schema.ts';
import type { Store } from './store.ts';

/** A data policy: where its condition holds, a record may not be written without these columns (errors/403_data_policy_mandatory.json). */
export interface DataPolicy {
  table: string;
  /** Column values that switch the policy on; absent: always on. */
  when?: Record<string, string>;
  mandatory: string[];
}

/** A business rule that refuses a record (errors/403_business_rule_abort.json). */
export interface AbortRule {
  table: string;
  name: string;
  sysId: string;
  /** Default: insert and update. */
  on?: ('insert' | 'update')[];
  when?: Record<string, string>;
  /** Rules that run inside this one; they end the stack in the answer. */
  stack?: string[];
}

/** A business rule aborted a write. What the rule itself would tell a person is not in the message (servicenow.md §5.2). */
export class BusinessRuleAbort extends Error {
  constructor(table: string, rule: AbortRule) {
    const stack = [rule.name, ...(rule.stack ?? [])].join(',');
    super(`Operation against file '${table}' was aborted by Business Rule '${rule.name}^${rule.sysId}'. Business Rule Stack:${stack}`);
    this.name = 'BusinessRuleAbort';
  }
}

/** The rules of an instance that refuse whole records. */
export interface WriteRules {
  addDataPolicy(policy: DataPolicy): void;
  addAbort(rule: AbortRule): void;
  /** Throws the 403 of the first data policy that the record, as it would be stored, breaks. */
  checkPolicies(table: Table, values: Readonly<Record<string, string>>): void;
}

export function createWriteRules(store: Store, seeds: { policies: DataPolicy[]; aborts: AbortRule[] }): WriteRules {
  const policies = [...seeds.policies];
  const addAbort = (rule: AbortRule): void => {
    const on = rule.on ?? ['insert', 'update'];
    store.addRule({
      table: rule.table,
      apply: (values, before) => {
        const operation = before === undefined ? 'insert' : 'update';
        if (on.includes(operation) && holds(rule.when, values)) throw new BusinessRuleAbort(rule.table, rule);
      },
    });
  };
  seeds.aborts.forEach(addAbort);
  return {
    addAbort,
    addDataPolicy: (policy) => {
      policies.push(policy);
    },
    checkPolicies: (table, values) => {
      for (const policy of policies) {
        if (!table.lineage.includes(policy.table) || !holds(policy.when, values)) continue;
        const missing = policy.mandatory.filter((column) => !isGiven(store, table, column, values[column] ?? ''));
        if (missing.length === 0) continue;
        const labels = missing.map((column) => table.columns.get(column)?.label ?? column).join(', ');
        // Only the detail was recorded; the message is that of the other 403s of a write.
        throw new ApiError(403, 'Operation Failed', `Data Policy Exception: The following fields are mandatory: ${labels}`);
      }
    },
  };
}

function holds(when: Record<string, string> | undefined, values: Readonly<Record<string, string>>): boolean {
  return Object.entries(when ?? {}).every(([column, value]) => (values[column] ?? '') === value);
}

/** A choice that is not in the list is dropped first and then counts as missing, as recorded. */
function isGiven(store: Store, table: Table, column: string, value: string): boolean {
  if (value === '') return false;
  const choices = choicesOf(store, table, column);
  return choices.size === 0 || choices.has(value);
}
