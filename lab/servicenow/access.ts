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
  /** Columns that only these roles may write; a write by others leaves them out without a word. */
  writeFields?: Record<string, string[]>;
  /**
   * What a query meets beside hidden columns (errors/403_field_not_readable_in_query.json): `unknown-refused`: a column that does not
   * exist is a 403 instead of being dropped; `refused`: every query is, even an administrator's.
   */
  queries?: 'unknown-refused' | 'refused';
  scriptFields?: string[];
  scriptFieldsNeed?: string;
}

/** The signed-in account with every role it holds, inherited ones included. */
export interface Caller {
  sysId: string;
  userName: string;
  roles: ReadonlySet<string>;
}

/** What stands beside the roles: guards that no role but admin's opens (rules/restrictions.ts). */
export interface Restrictions {
  refusesOperation(table: Table, operation: Operation): boolean;
  refusesColumn(caller: Caller, table: Table, column: string, operation: Operation): boolean;
  skipsColumn(table: Table, column: string, operation: Operation): boolean;
}

export interface Access {
  ruleFor(table: Table): AccessRule;
  may(caller: Caller, table: Table, operation: Operation): boolean;
  mayReadField(caller: Caller, table: Table, column: string): boolean;
  /** A column whose write needs a role that the caller lacks is left out without a word (field ACLs, servicenow.md §5.2). */
  mayWriteField(caller: Caller, table: Table, column: string, operation: 'create' | 'write'): boolean;
  /** True where naming one of these columns refuses the whole write, 403 (servicenow.md §5.3). */
  refusesColumns(caller: Caller, table: Table, columns: string[], operation: 'create' | 'write'): boolean;
  /** Plays an administrator: replaces the roles of one operation on one table. */
  override(table: string, operation: Operation, roles: string[]): void;
  /** Plays an administrator: switches the ACL of one operation on one table off (or on again); the next wider one decides then. */
  setActive(table: string, operation: Operation, isActive: boolean): void;
  /** The same for one column of a table. */
  overrideField(table: string, operation: 'read' | 'write', column: string, roles: string[]): void;
}

const UNRESTRICTED: Restrictions = { refusesOperation: () => false, refusesColumn: () => false, skipsColumn: () => false };

export function createAccess(schema: Schema, seeds: AccessRule[], restrictions: Restrictions = UNRESTRICTED): Access {
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
    isAdmin(caller) || roles.includes('*') || roles.some((role) => caller.roles.has(role));
  const rolesFor = (table: Table, operation: Operation): string[] => {
    if (inactive.size === 0) return ruleFor(table)[operation];
    return [...matchingRules(rules, table)].find((rule) => !inactive.has(`${rule.table}/${operation}`))?.[operation] ?? [];
  };
  const replace = (name: string, change: (rule: AccessRule) => Partial<AccessRule>): void => {
    const table = schema.get(name);
    if (table === undefined) throw new Error(`The lab has no table "${name}".`);
    const rule = ruleFor(table);
    rules.set(name, { ...rule, table: name, ...change(rule) });
    cache.clear();
  };
  return {
    ruleFor,
    may: (caller, table, operation) =>
      holds(caller, rolesFor(table, operation)) && (isAdmin(caller) || !restrictions.refusesOperation(table, operation)),
    mayReadField: (caller, table, column) => {
      // Encrypted columns are given out to nobody; what the platform answers instead of the value was not recorded.
      if (table.columns.get(column)?.type === 'password2') return false;
      const roles = ruleFor(table).fields?.[column];
      return roles === undefined || holds(caller, roles);
    },
    refusesColumns: (caller, table, columns, operation) =>
      !isAdmin(caller) && columns.some((column) => restrictions.refusesColumn(caller, table, column, operation)),
    mayWriteField: (caller, table, column, operation) => {
      if (!isAdmin(caller) && restrictions.skipsColumn(table, column, operation)) return false;
      const { scriptFields, scriptFieldsNeed, writeFields } = ruleFor(table);
      const roles = writeFields?.[column];
      if (roles !== undefined && !holds(caller, roles)) return false;
      return scriptFieldsNeed === undefined || scriptFields?.includes(column) !== true || holds(caller, [scriptFieldsNeed]);
    },
    override: (name, operation, roles) => {
      replace(name, () => ({ [operation]: roles }));
    },
    overrideField: (name, operation, column, roles) => {
      replace(name, (rule) =>
        operation === 'read' ? { fields: { ...rule.fields, [column]: roles } } : { writeFields: { ...rule.writeFields, [column]: roles } },
      );
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

function isAdmin(caller: Caller): boolean {
  return caller.roles.has('admin');
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
