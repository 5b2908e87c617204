import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A column as the lab's dictionary knows it. */
export interface Column {
  name: string;
  label: string;
  type: string;
  maxLength: number;
  /** The referenced table, for type `reference`. */
  reference?: string;
  /** References that hold another column than sys_id: `sys_glide_object` by name, for example. */
  referenceKey?: string;
  default?: string;
  mandatory?: boolean;
  /** Read only on forms; a REST write is stored all the same. */
  readOnly?: boolean;
  grade: string;
}

export interface Table {
  name: string;
  label: string;
  extends?: string;
  display?: string;
  number?: { prefix: string };
  unique?: string[];
  grade: string;
  ownColumns: Column[];
  /** Own and inherited columns by name. */
  columns: Map<string, Column>;
  /** This table, then its parent, and so on. */
  lineage: string[];
  /** This table and every table below it. */
  family: string[];
  root: string;
}

/** All tables of an instance. */
export interface Schema {
  tables: Map<string, Table>;
  get(name: string): Table | undefined;
  /** True if `name` is `ancestor` or extends it, however far. */
  isA(name: string, ancestor: string): boolean;
}

interface SeedColumn extends Partial<Column> {
  name: string;
  dialect?: string;
  edition?: string;
}

interface SeedTable {
  name: string;
  label?: string;
  extends?: string;
  display?: string;
  number?: { prefix: string };
  unique?: { columns: string[] };
  edition?: string;
  grade?: string;
  columns: SeedColumn[];
}

/** Which of the two documented spellings of the container image columns an instance has (see seed/README.md). */
export type ContainerDialect = 'singular' | 'plural';

/** Before or after the one-way upgrade to USEM, which moved rule tables and gave findings further columns (servicenow.md §1.8). */
export type Edition = 'classic' | 'usem';
/** Everything the seed folders hold, by top-level key, arrays joined. */
export type SeedData = Record<string, unknown[]> & { rows: { table: string; values: Record<string, string> }[] };

/** Reads every JSON file of the folders, in order. */
export function readSeeds(folders: string[]): SeedData {
  const seeds: SeedData = { rows: [] };
  for (const folder of folders) {
    for (const file of readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .sort()) {
      const content = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, unknown>;
      for (const [key, value] of Object.entries(content)) {
        if (key === 'rows') seeds.rows.push(...seedRows(value as Record<string, Record<string, string>[]>));
        else if (Array.isArray(value)) seeds[key] = [...(seeds[key] ?? []), ...(value as unknown[])];
      }
    }
  }
  return seeds;
}

function seedRows(byTable: Record<string, Record<string, string>[]>): SeedData['rows'] {
  return Object.entries(byTable).flatMap(([table, rows]) => rows.map((values) => ({ table, values })));
}

/** Builds the schema from the seeds' `tables`; an unknown parent or a cycle is an error of the seed. */
export function buildSchema(seeds: SeedData, dialect: ContainerDialect, edition: Edition = 'usem'): Schema {
  const sources = sourceTables(seeds, edition);
  const tables = new Map<string, Table>();
  const build = (name: string, trail: string[]): Table => {
    const existing = tables.get(name);
    if (existing !== undefined) return existing;
    const source = sources.get(name);
    if (source === undefined) throw new Error(`Seed: table "${trail.at(-1) ?? ''}" extends "${name}", which no seed file has.`);
    if (trail.includes(name)) throw new Error(`Seed: the tables ${[...trail, name].join(' > ')} extend each other.`);
    const parent = source.extends === undefined ? undefined : build(source.extends, [...trail, name]);
    const table = tableOf(source, parent, (column) => (column.dialect ?? dialect) === dialect && (column.edition ?? edition) === edition);
    tables.set(name, table);
    return table;
  };
  for (const name of sources.keys()) build(name, []);
  for (const table of tables.values()) for (const ancestor of table.lineage) tables.get(ancestor)?.family.push(table.name);
  return {
    tables,
    get: (name) => tables.get(name),
    isA: (name, ancestor) => tables.get(name)?.lineage.includes(ancestor) ?? false,
  };
}

function sourceTables(seeds: SeedData, edition: Edition): Map<string, SeedTable> {
  const sources = new Map<string, SeedTable>();
  for (const table of seeds['tables'] as SeedTable[]) {
    if ((table.edition ?? edition) === edition) sources.set(table.name, mergedTable(sources.get(table.name), table));
  }
  return sources;
}

/** A table that several seed files speak of has the columns of all of them; the first one says what the table and what a column is. */
function mergedTable(known: SeedTable | undefined, table: SeedTable): SeedTable {
  if (known === undefined) return table;
  const names = new Set(known.columns.map(({ name }) => name));
  return { ...table, ...known, columns: [...known.columns, ...table.columns.filter(({ name }) => !names.has(name))] };
}

function tableOf(source: SeedTable, parent: Table | undefined, has: (column: SeedColumn) => boolean): Table {
  const ownColumns = source.columns.filter(has).map(columnOf);
  if (parent === undefined && !ownColumns.some(({ name }) => name === 'sys_id')) ownColumns.unshift(...SYSTEM_COLUMNS.map(columnOf));
  const columns = new Map([...(parent?.columns ?? []), ...ownColumns.map((column) => [column.name, column] as const)]);
  const display = source.display ?? parent?.display;
  const number = source.number ?? parent?.number;
  return {
    name: source.name,
    label: source.label ?? source.name,
    ...(source.extends === undefined ? {} : { extends: source.extends }),
    ...(display === undefined ? {} : { display }),
    ...(number === undefined ? {} : { number }),
    ...(source.unique === undefined ? {} : { unique: source.unique.columns.filter((name) => columns.has(name)) }),
    grade: source.grade ?? 'documented',
    ownColumns,
    columns,
    lineage: [source.name, ...(parent?.lineage ?? [])],
    family: [],
    root: parent?.root ?? source.name,
  };
}

/** References that the platform keys by name (dictionary rows, recorded). */
const KEYED_BY_NAME = new Set(['sys_glide_object', 'sys_db_object']);

function columnOf(source: SeedColumn): Column {
  const type = source.type ?? 'string';
  return {
    name: source.name,
    label: source.label ?? source.name,
    type,
    maxLength: source.maxLength ?? 255,
    ...(source.reference === undefined ? {} : { reference: source.reference }),
    ...(source.reference !== undefined && KEYED_BY_NAME.has(source.reference) && source.name !== 'super_class'
      ? { referenceKey: 'name' }
      : {}),
    ...(source.default === undefined ? {} : { default: source.default }),
    ...(source.mandatory === true ? { mandatory: true } : {}),
    ...(source.readOnly === true ? { readOnly: true } : {}),
    grade: source.grade ?? 'lab',
  };
}

/** What every table has; a seed table that lists no sys_id gets these. */
const SYSTEM_COLUMNS: SeedColumn[] = [
  { name: 'sys_id', label: 'Sys ID', type: 'GUID', maxLength: 32 },
  { name: 'sys_created_by', label: 'Created by', maxLength: 40 },
  { name: 'sys_created_on', label: 'Created', type: 'glide_date_time', maxLength: 40 },
  { name: 'sys_mod_count', label: 'Updates', type: 'integer', maxLength: 40 },
  { name: 'sys_updated_by', label: 'Updated by', maxLength: 40 },
  { name: 'sys_updated_on', label: 'Updated', type: 'glide_date_time', maxLength: 40 },
];
