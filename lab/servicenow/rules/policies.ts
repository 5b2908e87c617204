import { seedSysId } from '../seed-rows.ts';
import type { Table } from '../schema.ts';
import { WriteAborted, type BusinessRule, type Row, type Store } from '../store.ts';
import { recordMatcher } from '../query/evaluate.ts';
import { isPlatform } from './platform-users.ts';

interface Scope {
  table: string;
  /** An encoded query over the record as it would be stored; empty = every record. */
  condition: string;
  /** Binds the platform too, as transform maps, which write as `system`; default: its own jobs pass. */
  bindsPlatform?: boolean;
}

/** A rule of the customer's own that stops a write (errors/403_business_rule_abort.json). */
export interface AbortRule extends Scope {
  kind: 'business-rule';
  name: string;
  /** sys_id of its record, as the answer names it; default: derived from table and name. */
  sysId?: string;
  on: ('insert' | 'update')[];
  /** Rules that run inside this one; they follow it in the answer's stack. */
  stack?: string[];
}

/** Columns that must have a value, whatever the dictionary says (errors/403_data_policy_mandatory.json). */
export interface DataPolicy extends Scope {
  kind: 'data-policy';
  mandatory: string[];
}

export type Policy = AbortRule | DataPolicy;

/** What an administrator of the instance has forbidden, in every profile. */
export interface PolicyBook {
  add(policy: Policy): void;
  list(): Policy[];
  clear(): void;
  rule: BusinessRule;
}

interface Write {
  table: Table;
  values: Readonly<Record<string, string>>;
  before: Readonly<Record<string, string>> | undefined;
}

export function createPolicyBook(store: Store): PolicyBook {
  const policies: { policy: Policy; matches: (row: Row) => boolean }[] = [];
  const applying = (write: Write): Policy[] => {
    const row: Row = { table: write.table.name, sysId: write.before?.['sys_id'] ?? '', values: write.values };
    return policies
      .filter(({ policy, matches }) => store.schema.isA(write.table.name, policy.table) && matches(row))
      .map(({ policy }) => policy);
  };
  return {
    add: (policy) => {
      policies.push({ policy, matches: recordMatcher(store, tableNamed(store, policy.table), policy.condition) });
    },
    list: () => policies.map(({ policy }) => policy),
    clear: () => {
      policies.length = 0;
    },
    rule: {
      table: '*',
      apply: (values, before, { table, actor }) => {
        if (policies.length === 0) return;
        const write: Write = { table, values, before };
        const found = applying(write).filter(({ bindsPlatform = false }) => bindsPlatform || !isPlatform(actor));
        abort(write, found);
        requireMandatory(store, write, found);
      },
    },
  };
}

function tableNamed(store: Store, name: string): Table {
  const table = store.schema.get(name);
  if (table === undefined) throw new Error(`The lab has no table "${name}".`);
  return table;
}

/** The rule's own message is not in the answer; several rules are one stack, joined by a comma without a space. */
function abort(write: Write, policies: Policy[]): void {
  const operation = write.before === undefined ? 'insert' : 'update';
  const rules = policies.filter((policy) => policy.kind === 'business-rule' && policy.on.includes(operation)) as AbortRule[];
  const [first] = rules;
  if (first === undefined) return;
  const stack = rules.flatMap(({ name, stack: inner = [] }) => [name, ...inner]).join(',');
  const rule = `${first.name}^${first.sysId ?? seedSysId('sys_script', `${first.table}/${first.name}`)}`;
  throw new WriteAborted(
    `Operation against file '${write.table.name}' was aborted by Business Rule '${rule}'. Business Rule Stack:${stack}`,
  );
}

/** A choice value that is not in the list counts as missing; columns are named by their form label. */
function requireMandatory(store: Store, write: Write, policies: Policy[]): void {
  const columns = policies.flatMap((policy) => (policy.kind === 'data-policy' ? policy.mandatory : []));
  const missing = [...new Set(columns)].filter((column) => !hasValue(store, write, column));
  if (missing.length === 0) return;
  const labels = missing.map((column) => write.table.columns.get(column)?.label ?? column);
  throw new WriteAborted(`Data Policy Exception: The following fields are mandatory: ${labels.join(', ')}`);
}

function hasValue(store: Store, { table, values }: Write, column: string): boolean {
  const value = values[column] ?? '';
  if (value === '') return false;
  const choices = store.equal('sys_choice', 'element', [column]).filter((row) => table.lineage.includes(row.values['name'] ?? ''));
  return choices.length === 0 || choices.some((row) => row.values['value'] === value);
}
