import type { Schema, Table } from './schema.ts';

export type Operation = 'read' | 'create' | 'write' | 'delete';

/** Who may do what with a table (seed/access.json). */
export interface AccessRule {
  /** A table name, or a prefix ending in `*`. */
  table: string;
  read: string[];
  create: string[];
  write: string[];
  delete: string[];
  unreadable: 'empty' | 'forbidden';
  fields?: Record<string, string[]>;
  scriptFields?: string[];
  scriptFieldsNeed?: string;
}

/** The signed-in account with every role it holds, inherited ones included. */
export interface Caller {
  sysId: string;
  userName: string;
  roles: ReadonlySet<string>;
}

export interface Access {
  ruleFor(table: Table): AccessRule;
  may(caller: Caller, table: Table, operation: Operation): boolean;
  mayReadField(caller: Caller, table: Table, column: string): boolean;
  /** A column whose write needs a role that the caller lacks is left out without a word (field ACLs, servicenow.md §5.2). */
  mayWriteField(caller: Caller, table: Table, column: string): boolean;
  /** Plays an administrator: replaces the roles of one operation on one table. */
  override(table: string, operation: Operation, roles: string[]): void;
}

export function createAccess(schema: Schema, seeds: AccessRule[]): Access {
  const rules = new Map(seeds.map((rule) => [rule.table, rule]));
  const cache = new Map<string, AccessRule>();
  const ruleFor = (table: Table): AccessRule => {
    const cached = cache.get(table.name);
    if (cached !== undefined) return cached;
    const rule = findRule(rules, table);
    cache.set(table.name, rule);
    return rule;
  };
  const holds = (caller: Caller, roles: string[]): boolean =>
    caller.roles.has('admin') || roles.includes('*') || roles.some((role) => caller.roles.has(role));
  return {
    ruleFor,
    may: (caller, table, operation) => holds(caller, ruleFor(table)[operation]),
    mayReadField: (caller, table, column) => {
      const roles = ruleFor(table).fields?.[column];
      return roles === undefined || holds(caller, roles);
    },
    mayWriteField: (caller, table, column) => {
      const { scriptFields, scriptFieldsNeed } = ruleFor(table);
      return scriptFieldsNeed === undefined || scriptFields?.includes(column) !== true || holds(caller, [scriptFieldsNeed]);
    },
    override: (name, operation, roles) => {
      const table = schema.get(name);
      if (table === undefined) throw new Error(`The lab has no table "${name}".`);
      rules.set(name, { ...ruleFor(table), table: name, [operation]: roles });
      cache.clear();
    },
  };
}

function findRule(rules: Map<string, AccessRule>, table: Table): AccessRule {
  for (const name of table.lineage) {
    const exact = rules.get(name);
    if (exact !== undefined) return exact;
    const prefix = [...rules.values()]
      .filter((rule) => rule.table.endsWith('*') && rule.table !== '*' && name.startsWith(rule.table.slice(0, -1)))
      .sort((left, right) => right.table.length - left.table.length)[0];
    if (prefix !== undefined) return prefix;
  }
  const fallback = rules.get('*');
  if (fallback === undefined) throw new Error('Seed: access.json has no rule for "*".');
  return fallback;
}
