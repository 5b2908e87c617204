import type { Column, Schema, Table } from '../schema.ts';
import type { Row, Store } from '../store.ts';

/** A resolved dot-walk: the references to follow, then the column to read. */
export interface Path {
  references: Column[];
  column: Column;
  /** The table that `column` belongs to. */
  table: Table;
}

/**
 * Resolves `a.b.c` from a table. Only columns of the referenced table itself can be reached; columns of a table that extends it
 * need the `ref_<table>` step, as on the platform.
 */
export function resolvePath(schema: Schema, table: Table, field: string): Path | undefined {
  const steps = field.split('.');
  const references: Column[] = [];
  let current = table;
  for (const [index, step] of steps.entries()) {
    const cast = step.startsWith('ref_') ? schema.get(step.slice(4)) : undefined;
    if (cast !== undefined && schema.isA(cast.name, current.name)) {
      current = cast;
      continue;
    }
    const column = current.columns.get(step);
    if (column === undefined) return undefined;
    if (index === steps.length - 1) return { references, column, table: current };
    const next = column.reference === undefined ? undefined : schema.get(column.reference);
    if (next === undefined) return undefined;
    references.push(column);
    current = next;
  }
  return undefined;
}

/** The record a path ends at; undefined where a reference on the way is empty or dangling. */
export function walk(store: Store, row: Row, path: Path): Row | undefined {
  let current: Row | undefined = row;
  for (const column of path.references) {
    current = referenced(store, column, store.valueOf(current, column));
    if (current === undefined) return undefined;
  }
  return current;
}

/** The record that a reference value points to, by sys_id or by the column the reference is keyed by. */
export function referenced(store: Store, column: Column, value: string): Row | undefined {
  if (value === '' || column.reference === undefined || store.schema.get(column.reference) === undefined) return undefined;
  if (column.referenceKey !== undefined) return store.equal(column.reference, column.referenceKey, [value])[0];
  return store.find(column.reference, value);
}

/** The value at the end of a path; '' where it cannot be reached. */
export function valueAt(store: Store, row: Row, path: Path): string {
  const end = walk(store, row, path);
  return end === undefined ? '' : store.valueOf(end, path.column);
}
