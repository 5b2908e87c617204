import { createHash } from 'node:crypto';
import type { SeedUser } from './accounts.ts';
import type { Schema, SeedData, Table } from './schema.ts';
import type { Store } from './store.ts';

interface SeedChoice {
  table: string;
  column: string;
  value: string;
  label: string;
}

interface SeedRole {
  name: string;
  contains: string[];
  containedIn?: string[];
}

interface SeedIdentifier {
  class: string;
  name: string;
  independent: boolean;
  /** `table`: the look-up table, where it is not the class itself; `ciAttributes`: columns of the class, for a hybrid entry. */
  entries: {
    order: number;
    attributes: string[];
    table?: string;
    ciAttributes?: string[];
    allowNull?: boolean;
    fallback?: boolean;
    exactCount?: boolean;
  }[];
  related?: { table: string; referencedField: string; attributes?: string[] }[];
}

interface SeedDependency {
  kind: 'hosting' | 'containment';
  dependent: string;
  on: string;
  relation: string;
  dependentEnd: 'parent' | 'child';
}

/** The moment all seed records carry, so that a lab's seeds are the same on every start. */
const SEEDED_ON = '2026-01-05 08:00:00';

/** The sys_id of a seed record: the same on every start and on every machine. */
export function seedSysId(table: string, key: string): string {
  return createHash('sha256').update(`${table}\u0000${key}`).digest('hex').slice(0, 32);
}

/** Fills a store with what an instance has before anybody works on it. */
export function loadSeedRows(store: Store, seeds: SeedData): void {
  const put = (table: string, key: string, values: Record<string, string>): string => {
    const definition = store.schema.get(table);
    if (definition === undefined) throw new Error(`Seed: rows for table "${table}", which no seed file has.`);
    const sysId = seedSysId(definition.root, `${table}/${key}`);
    store.load({ table, sysId, values: { ...seedValues(definition, values), ...systemValues(definition, sysId) } });
    return sysId;
  };
  loadDictionary(put, store.schema);
  // A choice of a column, and a row of a table, that this shape of instance does not have.
  const choices = (seeds['choices'] as SeedChoice[]).filter(({ table, column }) => store.schema.get(table)?.columns.has(column) === true);
  loadChoices(put, choices);
  const otherEdition = new Set(
    (seeds['tables'] as { name: string }[]).map(({ name }) => name).filter((name) => store.schema.get(name) === undefined),
  );
  const roles = [...((seeds['roles'] ?? []) as SeedRole[]), ...((seeds['extraRoles'] ?? []) as SeedRole[])];
  loadAccounts(put, roles, seeds['users'] as SeedUser[]);
  loadCmdbRules(put, seeds);
  for (const { table, values } of seeds.rows) {
    if (otherEdition.has(table)) continue;
    const { '@': key, ...rest } = values;
    if (key === undefined) throw new Error(`Seed: a row of "${table}" has no "@" name.`);
    put(table, key, Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, resolveReference(store.schema, value)])));
  }
}

type Put = (table: string, key: string, values: Record<string, string>) => string;

function seedValues(table: Table, values: Record<string, string>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const column of table.columns.values()) {
    const value = values[column.name] ?? column.default ?? '';
    if (value !== '') result[column.name] = value;
  }
  return result;
}

function systemValues(table: Table, sysId: string): Record<string, string> {
  return {
    sys_id: sysId,
    sys_created_on: SEEDED_ON,
    sys_created_by: 'system',
    sys_updated_on: SEEDED_ON,
    sys_updated_by: 'system',
    sys_mod_count: '0',
    ...(table.columns.has('sys_class_name') ? { sys_class_name: table.name } : {}),
  };
}

/** `@table:name` stands for the seed record of that name. */
function resolveReference(schema: Schema, value: string): string {
  const match = /^@([a-z0-9_]+):(.+)$/.exec(value);
  const table = schema.get(match?.[1] ?? '');
  return match === null || table === undefined ? value : seedSysId(table.root, `${table.name}/${match[2] ?? ''}`);
}

/** sys_db_object and sys_dictionary: one row per table, one per table without element, one per own column. */
function loadDictionary(put: Put, schema: Schema): void {
  for (const table of schema.tables.values()) {
    put('sys_db_object', table.name, {
      name: table.name,
      label: table.label,
      is_extendable: String(table.family.length > 1),
      ...(table.extends === undefined ? {} : { super_class: seedSysId('sys_metadata', `sys_db_object/${table.extends}`) }),
    });
    put('sys_dictionary', table.name, { name: table.name, element: '', internal_type: 'collection', column_label: table.label });
    for (const column of table.ownColumns) {
      put('sys_dictionary', `${table.name}.${column.name}`, {
        name: table.name,
        element: column.name,
        column_label: column.label,
        internal_type: column.type,
        max_length: String(column.maxLength),
        reference: column.reference ?? '',
        reference_key: column.referenceKey ?? '',
        default_value: column.default ?? '',
        mandatory: String(column.mandatory === true),
        read_only: String(column.readOnly === true),
        display: String(table.display === column.name),
        unique: String(column.name === 'sys_id' || (table.unique?.length === 1 && table.unique[0] === column.name)),
        primary: String(column.name === 'sys_id'),
        active: 'true',
      });
    }
  }
}

function loadChoices(put: Put, choices: SeedChoice[]): void {
  for (const [index, { table, column, value, label }] of choices.entries()) {
    put('sys_choice', `${table}.${column}.${value}`, {
      name: table,
      element: column,
      value,
      label,
      language: 'en',
      inactive: 'false',
      sequence: String(index),
    });
  }
}

function loadAccounts(put: Put, roles: SeedRole[], users: SeedUser[]): void {
  const contains = new Map<string, Set<string>>();
  const addContained = (role: string, contained: string): void => {
    contains.set(role, (contains.get(role) ?? new Set()).add(contained));
    if (!contains.has(contained)) contains.set(contained, new Set());
  };
  for (const role of roles) {
    if (!contains.has(role.name)) contains.set(role.name, new Set());
    for (const contained of role.contains) addContained(role.name, contained);
    for (const container of role.containedIn ?? []) addContained(container, role.name);
  }
  for (const name of contains.keys()) put('sys_user_role', name, { name });
  for (const [role, contained] of contains) {
    for (const name of contained) {
      put('sys_user_role_contains', `${role}>${name}`, { role: roleId(role), contains: roleId(name) });
    }
  }
  for (const user of users) {
    const sysId = put('sys_user', user.userName, {
      user_name: user.userName,
      first_name: user.firstName,
      last_name: user.lastName,
      name: `${user.firstName} ${user.lastName}`,
      active: 'true',
      locked_out: 'false',
    });
    for (const [role, inherited] of effectiveRoles(user.roles, contains)) {
      put('sys_user_has_role', `${user.userName}/${role}`, {
        user: sysId,
        role: roleId(role),
        inherited: String(inherited),
        state: 'active',
      });
    }
  }
}

function roleId(role: string): string {
  return seedSysId('sys_metadata', `sys_user_role/${role}`);
}

/** Every role that follows from the granted ones; true: inherited. */
function effectiveRoles(granted: string[], contains: Map<string, Set<string>>): Map<string, boolean> {
  const roles = new Map<string, boolean>(granted.map((role) => [role, false]));
  for (const role of roles.keys()) {
    for (const contained of contains.get(role) ?? []) if (!roles.has(contained)) roles.set(contained, true);
  }
  return roles;
}

function loadCmdbRules(put: Put, seeds: SeedData): void {
  for (const { name, parent, child } of seeds['relationTypes'] as { name: string; parent: string; child: string }[]) {
    put('cmdb_rel_type', name, { name, parent_descriptor: parent, child_descriptor: child });
  }
  for (const rule of seeds['identifiers'] as SeedIdentifier[]) {
    const identifier = put('cmdb_identifier', rule.class, {
      name: rule.name,
      applies_to: rule.class,
      active: 'true',
      independent: String(rule.independent),
    });
    for (const entry of rule.entries) {
      put('cmdb_identifier_entry', `${rule.class}/${String(entry.order)}`, {
        identifier,
        table: entry.table ?? rule.class,
        attributes: entry.attributes.join(','),
        hybrid_entry_ci_criterion_attributes: (entry.ciAttributes ?? []).join(','),
        order: String(entry.order),
        active: 'true',
        allow_null_attribute: String(entry.allowNull ?? false),
        allow_fallback: String(entry.fallback ?? false),
        exact_count_match: String(entry.exactCount ?? false),
      });
    }
    for (const { table, referencedField, attributes = [] } of rule.related ?? []) {
      const values = { identifier, table, referenced_field: referencedField, attributes: attributes.join(',') };
      put('cmdb_related_entry', `${rule.class}/${table}`, values);
    }
  }
  for (const dependency of seeds['dependencies'] as SeedDependency[]) putDependency(put, dependency);
}

/**
 * Hosting rows name both classes; a containment row names the contained class and, through parent_id, another row of the table
 * whose ci_type is the container. `is_reverse` swaps the ends: without it the parent of a hosting relation is the dependent one,
 * and the child of a containment relation is.
 */
function putDependency(put: Put, { kind, dependent, on, relation, dependentEnd }: SeedDependency): void {
  const relType = seedSysId('sys_metadata', `cmdb_rel_type/${relation}`);
  if (kind === 'hosting') {
    const isReverse = dependentEnd === 'child';
    put('cmdb_metadata_hosting', `${dependent}>${on}>${relation}`, {
      parent_type: isReverse ? on : dependent,
      child_type: isReverse ? dependent : on,
      rel_type: relType,
      is_reverse: String(isReverse),
    });
    return;
  }
  const container = put('cmdb_metadata_containment', on, { ci_type: on });
  put('cmdb_metadata_containment', `${on}>${dependent}`, {
    ci_type: dependent,
    parent_id: container,
    rel_type: relType,
    is_reverse: String(dependentEnd === 'parent'),
  });
}
