/**
 * Turns the evidenced dictionary (one JSON file per table) and the lab's additions into the committed seed files.
 *
 *   node lab/servicenow/tools/make-seed.ts <folder with the dictionary files>
 *
 * The seeds are what runs; this script only documents where they come from. See seed/README.md.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  columnChoices,
  gradeWord,
  namedClasses,
  readJson,
  tableGrade,
  tableSources,
  uniqueOf,
  type ClassTreeEntry,
  type SourceColumn,
  type SourceTable,
} from './dictionary-source.ts';
import { typeOf, lengthOf, type LabTypes } from './guess-columns.ts';
import { writeRuleSeeds } from './rule-seeds.ts';

interface SeedColumn {
  name: string;
  label?: string;
  type?: string;
  maxLength?: number;
  reference?: string;
  default?: string;
  mandatory?: boolean;
  readOnly?: boolean;
  dialect?: string;
  edition?: string;
  grade?: string;
  /** How sure the type is, where that differs from the column itself. */
  typeGrade?: string;
  lab?: string[];
}

interface SeedTable {
  name: string;
  label: string;
  extends?: string;
  extendsGrade?: string;
  display?: string;
  edition?: string;
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

interface Parent {
  name: string;
  grade: string;
}

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
writeRuleSeeds({ dictionaryDir, seedDir, choices: additions.choices, columnChoices: columnChoices(dictionaryDir), hasColumn });

function collectTables(dir: string): Map<string, SeedTable> {
  const sources = tableSources(dir);
  const classTree = readJson(join(dir, 'cmdb-class-tree.json')) as ClassTreeEntry[];
  const treeEntries = new Map(classTree.map((entry) => [entry.class, entry]));
  const known = new Map(sources.map((source) => [source.table, source]));
  const added = new Set(additions.tables.map(({ name }) => name));
  // Classes that only the tree or an identification rule names are tables of an instance, too.
  for (const name of namedClasses(dir, classTree)) if (!known.has(name) && !added.has(name)) known.set(name, { table: name, columns: [] });
  const parentOf = (name: string): Parent | undefined => {
    const source = known.get(name);
    if (typeof source?.super_class === 'string') return { name: source.super_class, grade: gradeWord(source.super_class_grade) };
    const entry = treeEntries.get(name);
    if (typeof entry?.parent === 'string') return { name: entry.parent, grade: entry.grade };
    return name.startsWith('cmdb_ci_') ? { name: 'cmdb_ci', grade: 'lab' } : undefined;
  };
  const collected = new Map<string, SeedTable>();
  for (const source of known.values()) {
    const table = seedTable(source, parentOf(source.table), known, parentOf);
    collected.set(source.table, { ...table, grade: tableGrade(source, treeEntries.get(source.table)?.grade) });
  }
  for (const table of additions.tables) {
    const isRoot = table.extends === undefined;
    collected.set(table.name, { ...table, columns: [...(isRoot ? SYSTEM_COLUMNS : []), ...table.columns.map(asLabColumn)] });
  }
  return collected;
}

function seedTable(
  source: SourceTable,
  parent: Parent | undefined,
  known: Map<string, SourceTable>,
  parentOf: (name: string) => Parent | undefined,
): SeedTable {
  const inherited = new Set<string>();
  for (let ancestor = parent?.name; ancestor !== undefined; ancestor = parentOf(ancestor)?.name) {
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
  const unique = additions.unique[source.table] ?? uniqueOf(source);
  return {
    name: source.table,
    label: source.label ?? labelOf(source.table),
    ...(parent === undefined ? {} : { extends: parent.name, extendsGrade: parent.grade }),
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
  const edition = isUsemColumn(table, column) ? 'usem' : undefined;
  return {
    name: column.name,
    label: column.label ?? labelOf(column.name),
    type: type.value,
    maxLength: length.value,
    ...(reference === undefined ? {} : { reference }),
    ...(defaultValue === undefined ? {} : { default: defaultValue }),
    ...(column.mandatory === true ? { mandatory: true } : {}),
    ...(column.read_only === true ? { readOnly: true } : {}),
    ...(dialect === undefined ? {} : { dialect }),
    ...(edition === undefined ? {} : { edition }),
    grade: column.grade,
    ...(column.type_grade === undefined || column.type_grade === column.grade || type.lab ? {} : { typeGrade: column.type_grade }),
    ...(lab.length === 0 ? {} : { lab }),
  };
}

/** Columns of findings that only the migration page of USEM prints (servicenow.md §1.8): a classic instance lacks them. */
function isUsemColumn(table: string, column: SourceColumn): boolean {
  const pages = (column.source ?? '').split('; ');
  return table.startsWith('sn_vul') && pages.every((page) => page.endsWith('sem-migration-prereq-reference-data.md'));
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
