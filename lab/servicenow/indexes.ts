import type { Row } from './store.ts';

/** Hash indexes per (class, column), built at the first look-up and kept from then on. Values are lower-cased. */
export interface Indexes {
  add(row: Row): void;
  remove(row: Row): void;
  /** The records of this class whose column equals the (lower-case) value; `all` is what a first look-up indexes. */
  lookup(table: string, column: string, value: string, all: Map<string, Row>): Iterable<Row>;
}

export function createIndexes(): Indexes {
  const byTable = new Map<string, Map<string, Map<string, Set<Row>>>>();
  const keyOf = (row: Row, column: string): string => (row.values[column] ?? '').toLowerCase();
  const addTo = (index: Map<string, Set<Row>>, key: string, row: Row): void => {
    const bucket = index.get(key);
    if (bucket === undefined) index.set(key, new Set([row]));
    else bucket.add(row);
  };
  return {
    add: (row) => {
      for (const [column, index] of byTable.get(row.table) ?? []) addTo(index, keyOf(row, column), row);
    },
    remove: (row) => {
      for (const [column, index] of byTable.get(row.table) ?? []) {
        const key = keyOf(row, column);
        const bucket = index.get(key);
        bucket?.delete(row);
        if (bucket?.size === 0) index.delete(key);
      }
    },
    lookup: (table, column, value, all) => {
      let columns = byTable.get(table);
      if (columns === undefined) {
        columns = new Map();
        byTable.set(table, columns);
      }
      let index = columns.get(column);
      if (index === undefined) {
        index = new Map();
        for (const row of all.values()) addTo(index, keyOf(row, column), row);
        columns.set(column, index);
      }
      return index.get(value) ?? [];
    },
  };
}
