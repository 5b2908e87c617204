import { randomBytes } from 'node:crypto';
import type { LabClock } from '../kit/clock.ts';
import { createIndexes, type Indexes } from './indexes.ts';
import type { Column, Schema, Table } from './schema.ts';
import { dateTime } from './values.ts';

/** A stored record. `table` is its class; `values` holds what is not empty, as strings. */
export interface Row {
  table: string;
  sysId: string;
  values: Record<string, string>;
}

export type Change = { op: 'put'; row: Row } | { op: 'delete'; table: string; sysId: string };

/** What a business rule may know of a write beside its values. */
export interface WriteContext {
  /** The class that is written. */
  table: Table;
  nowText: string;
  actor: string;
}

/** A rule that runs before a record is written (servicenow.md §2, §3). */
export interface BusinessRule {
  /** A table name; `*` for all. A rule of a table runs for those that extend it, too. */
  table: string;
  /** May change `values`; `before` is undefined on insert. @throws WriteAborted to stop the write */
  apply(values: Record<string, string>, before: Readonly<Record<string, string>> | undefined, context: WriteContext): void;
}

/** The records of one instance, in memory. Every change bumps sys_mod_count and sys_updated_on. */
export interface Store {
  schema: Schema;
  clock: LabClock;
  /** Finds a record in a table or in any table that extends it. */
  find(table: string, sysId: string): Row | undefined;
  /** All records of a table and of those that extend it. */
  rows(table: string): Generator<Row>;
  count(table: string): number;
  /** Records whose column equals one of the values, ignoring case. */
  equal(table: string, column: string, values: Iterable<string>): Row[];
  /** The value a reader sees: '' where unset, `false` for an unset boolean. */
  valueOf(row: Row, column: Column): string;
  insert(table: string, values: Record<string, string>, actor: string, options?: { sysId?: string; silent?: boolean }): Row;
  /** Writes what differs; a write that changes nothing leaves the record's version alone. Returns whether something changed. */
  update(row: Row, values: Record<string, string>, actor: string): boolean;
  /** Moves a record to another class of the same hierarchy. */
  reclassify(row: Row, table: string, actor: string): void;
  delete(row: Row): void;
  /** Puts a record as it is, without rules, counters or events: for seeds and for the journal. */
  load(row: Row): void;
  /** Takes a record away the same way. */
  unload(row: Row): void;
  /** Makes these records the whole content, as a restored backup does: no rules, no write counters; listeners hear what changed. */
  replaceAll(rows: readonly Row[]): void;
  onChange(listener: (change: Change) => void): void;
  addRule(rule: BusinessRule): void;
  /** Accepted write operations by table, including those that changed nothing. */
  writes: Map<string, number>;
}

/** A record would break a unique index. */
export class UniqueViolation extends Error {
  readonly table: string;

  constructor(table: string) {
    super(`Unique Key violation detected by database for ${table}`);
    this.name = 'UniqueViolation';
    this.table = table;
  }
}

/** A business rule or data policy stopped a write; the message is what a REST answer says as its detail (403). */
export class WriteAborted extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'WriteAborted';
  }
}

export function newSysId(): string {
  return randomBytes(16).toString('hex');
}

/** An empty store over a schema. */
export function createStore(schema: Schema, clock: LabClock): Store {
  const classes = new Map<string, Map<string, Row>>([...schema.tables.keys()].map((name) => [name, new Map<string, Row>()]));
  const roots = new Map<string, Map<string, Row>>();
  const indexes: Indexes = createIndexes();
  const listeners: ((change: Change) => void)[] = [];
  const rules = new Map<string, BusinessRule[]>();
  const lastNumbers = new Map<string, number>();
  const writes = new Map<string, number>();

  const tableOf = (name: string): Table => {
    const table = schema.get(name);
    if (table === undefined) throw new Error(`The lab has no table "${name}".`);
    return table;
  };
  const classRows = (name: string): Map<string, Row> => classes.get(name) ?? new Map<string, Row>();
  const rootRows = (table: Table): Map<string, Row> => {
    let rows = roots.get(table.root);
    if (rows === undefined) {
      rows = new Map();
      roots.set(table.root, rows);
    }
    return rows;
  };
  const emit = (change: Change): void => {
    for (const listener of listeners) listener(change);
  };
  const put = (row: Row): void => {
    const table = tableOf(row.table);
    classRows(row.table).set(row.sysId, row);
    rootRows(table).set(row.sysId, row);
    indexes.add(row);
    if (table.number !== undefined) rememberNumber(table, row.values['number'] ?? '');
  };
  const take = (row: Row): void => {
    classRows(row.table).delete(row.sysId);
    rootRows(tableOf(row.table)).delete(row.sysId);
    indexes.remove(row);
  };
  const counterOf = (table: Table): string => table.lineage.findLast((name) => schema.get(name)?.number !== undefined) ?? table.name;
  const rememberNumber = (table: Table, number: string): void => {
    const digits = Number(/(\d+)$/.exec(number)?.[1] ?? 0);
    const counter = counterOf(table);
    if (digits > (lastNumbers.get(counter) ?? 0)) lastNumbers.set(counter, digits);
  };
  const nextNumber = (table: Table, prefix: string): string => {
    const counter = counterOf(table);
    const next = (lastNumbers.get(counter) ?? 0) + 1;
    lastNumbers.set(counter, next);
    return `${prefix}${String(next).padStart(7, '0')}`;
  };
  const applyRules = (
    table: Table,
    values: Record<string, string>,
    before: Readonly<Record<string, string>> | undefined,
    actor: string,
  ): void => {
    const context: WriteContext = { table, nowText: dateTime(clock.now()), actor };
    for (const name of [...table.lineage, '*']) for (const rule of rules.get(name) ?? []) rule.apply(values, before, context);
  };
  const checkUnique = (table: Table, values: Record<string, string>, self?: string): void => {
    const unique = table.unique ?? [];
    const last = unique.at(-1);
    if (last === undefined || (values[last] ?? '') === '') return;
    const clash = equal(table.name, last, [values[last] ?? '']).some(
      (row) => row.sysId !== self && unique.every((name) => (row.values[name] ?? '').toLowerCase() === (values[name] ?? '').toLowerCase()),
    );
    if (clash) throw new UniqueViolation(table.name);
  };
  const countWrite = (table: string): void => {
    writes.set(table, (writes.get(table) ?? 0) + 1);
  };
  function* rows(name: string): Generator<Row> {
    for (const member of tableOf(name).family) yield* classRows(member).values();
  }
  const equal = (name: string, column: string, values: Iterable<string>): Row[] => {
    const found: Row[] = [];
    const wanted = [...new Set([...values].map((value) => value.toLowerCase()))];
    for (const member of tableOf(name).family) {
      const members = classRows(member);
      if (members.size > 0) for (const value of wanted) found.push(...indexes.lookup(member, column, value, members));
    }
    return found;
  };

  return {
    schema,
    clock,
    writes,
    rows,
    equal,
    find: (name, sysId) => {
      const row = rootRows(tableOf(name)).get(sysId.toLowerCase());
      return row !== undefined && schema.isA(row.table, name) ? row : undefined;
    },
    count: (name) => tableOf(name).family.reduce((sum, member) => sum + classRows(member).size, 0),
    valueOf: (row, column) => {
      if (column.name === 'sys_class_name') return row.values['sys_class_name'] ?? row.table;
      return row.values[column.name] ?? (column.type === 'boolean' ? 'false' : '');
    },
    insert: (name, given, actor, options = {}) => {
      const table = tableOf(name);
      const values: Record<string, string> = {};
      for (const column of table.columns.values()) {
        const value = given[column.name] ?? column.default ?? '';
        if (value !== '') values[column.name] = value;
      }
      const now = dateTime(clock.now());
      const sysId = options.sysId ?? newSysId();
      applyRules(table, values, undefined, actor);
      checkUnique(table, values);
      if (table.number !== undefined && table.columns.has('number')) values['number'] ??= nextNumber(table, table.number.prefix);
      Object.assign(values, { sys_id: sysId, sys_created_on: now, sys_created_by: actor, sys_updated_on: now, sys_updated_by: actor });
      values['sys_mod_count'] = '0';
      if (table.columns.has('sys_class_name')) values['sys_class_name'] = name;
      const row: Row = { table: name, sysId, values: withoutEmpty(values) };
      put(row);
      if (options.silent !== true) {
        countWrite(name);
        emit({ op: 'put', row });
      }
      return row;
    },
    update: (row, given, actor) => {
      const table = tableOf(row.table);
      countWrite(row.table);
      const next = { ...row.values, ...given };
      applyRules(table, next, row.values, actor);
      if (Object.keys(next).every((name) => (next[name] ?? '') === (row.values[name] ?? ''))) return false;
      checkUnique(table, next, row.sysId);
      indexes.remove(row);
      next['sys_mod_count'] = String(Number(row.values['sys_mod_count'] ?? '0') + 1);
      next['sys_updated_on'] = dateTime(clock.now());
      next['sys_updated_by'] = actor;
      row.values = withoutEmpty(next);
      indexes.add(row);
      emit({ op: 'put', row });
      return true;
    },
    reclassify: (row, name, actor) => {
      take(row);
      row.table = name;
      row.values = {
        ...row.values,
        sys_class_name: name,
        sys_mod_count: String(Number(row.values['sys_mod_count'] ?? '0') + 1),
        sys_updated_on: dateTime(clock.now()),
        sys_updated_by: actor,
      };
      put(row);
      countWrite(name);
      emit({ op: 'put', row });
    },
    delete: (row) => {
      take(row);
      countWrite(row.table);
      emit({ op: 'delete', table: row.table, sysId: row.sysId });
    },
    load: (row) => {
      const existing = rootRows(tableOf(row.table)).get(row.sysId);
      if (existing !== undefined) take(existing);
      put(row);
    },
    unload: take,
    replaceAll: (wanted) => {
      const wantedKeys = new Set(wanted.map((row) => `${tableOf(row.table).root}/${row.sysId}`));
      for (const [root, members] of roots) {
        for (const row of members.values()) {
          if (wantedKeys.has(`${root}/${row.sysId}`)) continue;
          take(row);
          emit({ op: 'delete', table: row.table, sysId: row.sysId });
        }
      }
      // The counters are as old as the records: numbers given out since then are given out again.
      lastNumbers.clear();
      for (const { table, sysId, values } of wanted) {
        const existing = rootRows(tableOf(table)).get(sysId);
        if (existing?.table === table && existing.values === values) {
          put(existing);
          continue;
        }
        if (existing !== undefined) take(existing);
        const row: Row = { table, sysId, values };
        put(row);
        emit({ op: 'put', row });
      }
    },
    onChange: (listener) => {
      listeners.push(listener);
    },
    addRule: (rule) => {
      rules.set(rule.table, [...(rules.get(rule.table) ?? []), rule]);
    },
  };
}

function withoutEmpty(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
}
