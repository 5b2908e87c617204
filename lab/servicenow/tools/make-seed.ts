/**
 * Turns the evidenced dictionary (one JSON file per table) and the lab's additions into the committed seed files.
 *
 *   node lab/servicenow/tools/make-seed.ts <folder with the dictionary files>
 *
 * The seeds are what runs; this script only documents where they come from. See seed/README.md.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { typeOf, lengthOf, type LabTypes } from './guess-columns.ts';
import { writeRuleSeeds } from './rule-seeds.ts';

interface SourceColumn {
  name: string;
  label?: string;
  type?: string;
  max_length?: number;
  reference?: string;
  default?: string;
  mandatory?: boolean;
  grade: string;
  display?: boolean;
  read_only?: boolean;
}

interface SourceTable {
  table: string;
  label?: string;
  super_class?: string;
  display_column?: string;
  columns: SourceColumn[];
}

interface SeedColumn {
  name: string;
  label?: string;
  type?: string;
  maxLength?: number;
  reference?: string;
  default?: string;
  mandatory?: boolean;
  dialect?: string;
  grade?: string;
  lab?: string[];
}

interface SeedTable {
  name: string;
  label: string;
  extends?: string;
  display?: string;
  number?: { prefix: string; grade?: string };
  unique?: { columns: string[]; grade: string; note?: string };
  grade?: string;
  columns: SeedColumn[];
}

interface Additions extends LabTypes {
  defaults: Record<string, string>;
  dialects: Record<string, string>;
  display: Record<string, string>;
  numbers: Record<string, { prefix: string; grade?: string }>;
  unique: Record<string, { columns: string[]; grade: string; note?: string }>;
  columns: Record<string, SeedColumn[]>;
  tables: SeedTable[];
  choices: Record<string, Record<string, string>>;
}

const NOT_TABLES = new Set(['choices', 'cmdb-class-tree', 'identifiers', 'relation-types', 'roles']);
/** Columns that every table has; evidenced on sys_metadata and on most platform tables. */
const SYSTEM_COLUMNS: SeedColumn[] = [
  { name: 'sys_id', label: 'Sys ID', type: 'GUID', maxLength: 32, grade: 'seen-in-code' },
  { name: 'sys_created_by', label: 'Created by', type: 'string', maxLength: 40, grade: 'seen-in-code' },
  { name: 'sys_created_on', label: 'Created', type: 'glide_date_time', maxLength: 40, grade: 'seen-in-code' },
  { name: 'sys_mod_count', label: 'Updates', type: 'integer', maxLength: 40, grade: 'seen-in-code' },
  { name: 'sys_updated_by', label: 'Updated by', type: 'string', maxLength: 40, grade: 'seen-in-code' },
  { name: 'sys_updated_on', label: 'Updated', type: 'glide_date_time', maxLength: 40, grade: 'seen-in-code' },
];
const CLASS_COLUMN: SeedColumn = { name: 'sys_class_name', label: 'Class', type: 'sys_class_name', maxLength: 80, grade: 'seen-in-code' };
const ROOTS_WITH_CLASS = new Set(['cmdb', 'sys_metadata', 'sn_vul_entry', 'sys_user']);

const [dictionaryDir] = process.argv.slice(2);
if (dictionaryDir === undefined) throw new Error('Usage: make-seed.ts <folder with the dictionary files>');
const here = import.meta.dirname;
const seedDir = join(here, '..', 'seed');
const additions = readJson(join(here, 'additions.json')) as Additions;
const tables = collectTables(dictionaryDir);

writeTables('tables-platform.json', (name) => /^(sys|v_)/.test(name));
writeTables('tables-cmdb.json', (name) => name.startsWith('cmdb'));
writeTables('tables-security.json', (name) => name.startsWith('sn_'));
writeRuleSeeds({ dictionaryDir, seedDir, choices: additions.choices, hasColumn });

function collectTables(dir: string): Map<string, SeedTable> {
  const sources = readdirSync(dir)
    .filter((file) => file.endsWith('.json') && !NOT_TABLES.has(file.slice(0, -5)))
    .map((file) => readJson(join(dir, file)) as SourceTable);
  const classTree = readJson(join(dir, 'cmdb-class-tree.json')) as { class: string; parent: string | null; grade: string }[];
  const parents = new Map(classTree.map((entry) => [entry.class, entry.parent ?? undefined]));
  const known = new Map(sources.map((source) => [source.table, source]));
  for (const { class: name, parent } of classTree) {
    if (!known.has(name) && parent !== null && known.has(parent)) known.set(name, { table: name, columns: [] });
  }
  const parentOf = (name: string): string | undefined => {
    const stated = known.get(name)?.super_class ?? parents.get(name);
    if (stated !== undefined) return stated;
    return name.startsWith('cmdb_ci_') ? 'cmdb_ci' : undefined;
  };
  const collected = new Map<string, SeedTable>();
  for (const source of known.values()) collected.set(source.table, seedTable(source, parentOf(source.table), known, parentOf));
  for (const table of additions.tables) {
    const isRoot = table.extends === undefined;
    collected.set(table.name, { ...table, columns: [...(isRoot ? SYSTEM_COLUMNS : []), ...table.columns.map(asLabColumn)] });
  }
  return collected;
}

function seedTable(
  source: SourceTable,
  parent: string | undefined,
  known: Map<string, SourceTable>,
  parentOf: (name: string) => string | undefined,
): SeedTable {
  const inherited = new Set<string>();
  for (let ancestor = parent; ancestor !== undefined; ancestor = parentOf(ancestor)) {
    for (const column of known.get(ancestor)?.columns ?? []) inherited.add(column.name);
    for (const column of SYSTEM_COLUMNS) inherited.add(column.name);
    inherited.add('sys_class_name');
  }
  const columns = new Map<string, SeedColumn>();
  if (parent === undefined) for (const column of SYSTEM_COLUMNS) columns.set(column.name, column);
  if (ROOTS_WITH_CLASS.has(source.table)) columns.set(CLASS_COLUMN.name, CLASS_COLUMN);
  for (const column of source.columns) {
    if (inherited.has(column.name) || SYSTEM_COLUMNS.some(({ name }) => name === column.name)) continue;
    columns.set(column.name, seedColumn(source.table, column));
  }
  for (const column of additions.columns[source.table] ?? []) columns.set(column.name, asLabColumn(column));
  const display = additions.display[source.table] ?? source.display_column ?? displayOf(source, columns);
  const number = additions.numbers[source.table];
  const unique = additions.unique[source.table];
  return {
    name: source.table,
    label: source.label ?? labelOf(source.table),
    ...(parent === undefined ? {} : { extends: parent }),
    ...(display === undefined ? {} : { display }),
    ...(number === undefined ? {} : { number: { ...number, grade: number.grade ?? 'lab' } }),
    ...(unique === undefined ? {} : { unique }),
    columns: [...columns.values()],
  };
}

function seedColumn(table: string, column: SourceColumn): SeedColumn {
  const key = `${table}.${column.name}`;
  const type = typeOf(key, column, additions);
  const length = lengthOf(key, { ...column, type: type.value }, additions);
  const lab = [...(type.lab ? ['type'] : []), ...(length.lab ? ['maxLength'] : [])];
  const reference = type.reference ?? column.reference;
  const defaultValue = additions.defaults[key] ?? plainDefault(column.default);
  const dialect = additions.dialects[key];
  return {
    name: column.name,
    label: column.label ?? labelOf(column.name),
    type: type.value,
    maxLength: length.value,
    ...(reference === undefined ? {} : { reference }),
    ...(defaultValue === undefined ? {} : { default: defaultValue }),
    ...(column.mandatory === true ? { mandatory: true } : {}),
    ...(dialect === undefined ? {} : { dialect }),
    grade: column.grade,
    ...(lab.length === 0 ? {} : { lab }),
  };
}

/** Default values that are scripts, or that mean "none", are no values. */
function plainDefault(value: string | undefined): string | undefined {
  return value === undefined || value === '' || value === 'not-applicable' || /[(){}]/.test(value) ? undefined : value;
}

function asLabColumn(column: SeedColumn): SeedColumn {
  const type = column.type ?? 'string';
  return {
    ...column,
    type,
    maxLength: column.maxLength ?? lengthOf(column.name, { name: column.name, type }, additions).value,
    grade: column.grade ?? 'lab',
  };
}

function displayOf(source: SourceTable, columns: Map<string, SeedColumn>): string | undefined {
  const flagged = source.columns.find((column) => column.display === true)?.name;
  return flagged ?? ['name', 'number', 'short_description', 'id'].find((name) => columns.has(name));
}

function labelOf(name: string): string {
  const words = name.replace(/^(cmdb_ci_|sn_sec_cmn_|sn_vul_|sn_vulc_)/, '').replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function hasColumn(table: string, column: string): boolean {
  for (
    let current = tables.get(table);
    current !== undefined;
    current = current.extends === undefined ? undefined : tables.get(current.extends)
  ) {
    if (current.columns.some(({ name }) => name === column)) return true;
  }
  return false;
}

function writeTables(file: string, belongs: (name: string) => boolean): void {
  const chosen = [...tables.values()].filter(({ name }) => belongs(name)).sort((left, right) => left.name.localeCompare(right.name));
  const text = chosen.map((table) => {
    const { columns, ...head } = table;
    const lines = columns.map((column) => `      ${JSON.stringify(column)}`).join(',\n');
    return `    ${JSON.stringify(head).slice(0, -1)},"columns":[${lines === '' ? '' : `\n${lines}`}]}`;
  });
  writeFileSync(join(seedDir, file), `{\n  "tables": [\n${text.join(',\n')}\n  ]\n}\n`);
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}
