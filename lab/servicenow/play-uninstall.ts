import { AdminError } from '../kit/admin-api.ts';
import { optionalText, tableNamed, textIn } from './admin-input.ts';
import type { Row, Store } from './store.ts';

type Play = (body: Record<string, unknown>) => unknown;

/**
 * An instance that lacks something: what an administrator who uninstalls an application leaves behind. Definitions are not kept on disk,
 * so that a lab which is started again has everything.
 */
export function uninstallHandlers(store: Store): Record<`POST /${string}`, Play> {
  return {
    // `{"scope"}`: its tables (and those of applications that are built on it), and its roles.
    'POST /uninstall': (body) => {
      const scope = textIn(body, 'scope');
      const tables = [...store.schema.tables.keys()].filter((name) => name.startsWith(`${scope}_`));
      const roles = [...store.rows('sys_user_role')].filter(({ values }) => values['name']?.startsWith(`${scope}.`) === true);
      if (tables.length + roles.length === 0) throw new AdminError(404, `Nothing of scope "${scope}" is installed.`);
      // One that extends another one goes with it.
      for (const name of tables) if (store.schema.tables.has(name)) dropTable(store, name);
      for (const role of roles) dropRole(store, role);
      return { tables, roles: roles.map(({ values }) => values['name'] ?? '') };
    },
    // `{"table"}`, `{"table","column"}`
    'POST /drop': (body) => {
      const table = tableNamed(store, textIn(body, 'table'));
      const column = optionalText(body, 'column');
      if (column === undefined) dropTable(store, table);
      else dropColumn(store, table, column);
    },
  };
}

/** The table, those that extend it, their records and definitions. */
function dropTable(store: Store, name: string): void {
  const { schema } = store;
  const family = schema.get(name)?.family ?? [];
  for (const row of [...store.rows(name)]) store.delete(row);
  for (const member of family) {
    for (const table of ['sys_db_object', 'sys_dictionary', 'sys_choice']) {
      for (const row of [...store.equal(table, 'name', [member])]) store.delete(row);
    }
  }
  for (const table of schema.tables.values()) table.family = table.family.filter((member) => !family.includes(member));
  for (const member of family) schema.tables.delete(member);
}

function dropColumn(store: Store, name: string, column: string): void {
  const table = store.schema.get(name);
  if (table?.ownColumns.some((own) => own.name === column) !== true)
    throw new AdminError(404, `${name} has no column "${column}" of its own.`);
  table.ownColumns = table.ownColumns.filter((own) => own.name !== column);
  for (const member of table.family) store.schema.get(member)?.columns.delete(column);
  for (const described of ['sys_dictionary', 'sys_choice']) {
    for (const row of store.equal(described, 'name', [name])) if (row.values['element'] === column) store.delete(row);
  }
  for (const row of store.rows(name)) row.values = Object.fromEntries(Object.entries(row.values).filter(([key]) => key !== column));
}

function dropRole(store: Store, role: Row): void {
  const links = [
    ['sys_user_has_role', 'role'],
    ['sys_group_has_role', 'role'],
    ['sys_user_role_contains', 'role'],
    ['sys_user_role_contains', 'contains'],
  ] as const;
  for (const [table, column] of links) for (const row of [...store.equal(table, column, [role.sysId])]) store.delete(row);
  store.delete(role);
}
