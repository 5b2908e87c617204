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
  /** Plays an administrator: switches the ACL of one operation on one table off (or on again); the next wider one decides then. */
  setActive(table: string, operation: Operation, isActive: boolean): void;
}

export function createAccess(schema: Schema, seeds: AccessRule[]): Access {
  const rules = new Map(seeds.map((rule) => [rule.table, rule]));
  const cache = new Map<string, AccessRule>();
  const inactive = new Set<string>();
  const ruleFor = (table: Table): AccessRule => {
    const cached = cache.get(table.name);
    if (cached !== undefined) return cached;
    const rule = findRule(rules, table);
    cache.set(table.name, rule);
    return rule;
  };
  const holds = (caller: Caller, roles: string[]): boolean =>
    caller.roles.has('admin') || roles.includes('*') || roles.some((role) => caller.roles.has(role));
  const rolesFor = (table: Table, operation: Operation): string[] => {
    if (inactive.size === 0) return ruleFor(table)[operation];
    return [...matchingRules(rules, table)].find((rule) => !inactive.has(`${rule.table}/${operation}`))?.[operation] ?? [];
  };
  return {
    ruleFor,
    may: (caller, table, operation) => holds(caller, rolesFor(table, operation)),
    mayReadField: (caller, table, column) => {
      // Encrypted columns are given out to nobody; what the platform answers instead of the value was not recorded.
      if (table.columns.get(column)?.type === 'password2') return false;
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
    setActive: (name, operation, isActive) => {
      const table = schema.get(name);
      if (table === undefined) throw new Error(`The lab has no table "${name}".`);
      const key = `${ruleFor(table).table}/${operation}`;
      if (isActive) inactive.delete(key);
      else inactive.add(key);
    },
  };
}

function findRule(rules: Map<string, AccessRule>, table: Table): AccessRule {
  for (const rule of matchingRules(rules, table)) return rule;
  throw new Error('Seed: access.json has no rule for "*".');
}

/** From the most specific one on: the class itself before its ancestors, an exact name before the longest prefix. */
function* matchingRules(rules: Map<string, AccessRule>, table: Table): Generator<AccessRule> {
  for (const name of table.lineage) {
    const exact = rules.get(name);
    if (exact !== undefined) yield exact;
    yield* [...rules.values()]
      .filter((rule) => rule.table.endsWith('*') && rule.table !== '*' && name.startsWith(rule.table.slice(0, -1)))
      .sort((left, right) => right.table.length - left.table.length);
  }
  const fallback = rules.get('*');
  if (fallback !== undefined) yield fallback;
}
