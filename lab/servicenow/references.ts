import type { Row, Store } from './store.ts';

/** Deletes a record with what hangs on it: relations and source entries go too, other references to it become empty (not recorded). */
export function deleteWithReferences(store: Store, row: Row, actor: string): void {
  for (const relation of [...relationsOf(store, row)]) store.delete(relation);
  for (const source of [...store.equal('sys_object_source', 'target_sys_id', [row.sysId])]) store.delete(source);
  for (const { row: referring, column } of referencesTo(store, row)) store.update(referring, { [column]: '' }, actor);
  store.delete(row);
}

/** The CI's relations, as parent and as child. */
export function relationsOf(store: Store, row: Row): Row[] {
  return ['parent', 'child'].flatMap((end) => store.equal('cmdb_rel_ci', end, [row.sysId]));
}

/** Every record that refers to this one, with the column that does. */
export function referencesTo(store: Store, row: Row): { row: Row; column: string }[] {
  const found: { row: Row; column: string }[] = [];
  for (const table of store.schema.tables.values()) {
    for (const column of table.ownColumns) {
      if (column.reference === undefined || column.referenceKey !== undefined || !store.schema.isA(row.table, column.reference)) continue;
      for (const referring of store.equal(table.name, column.name, [row.sysId])) found.push({ row: referring, column: column.name });
    }
  }
  return found;
}
