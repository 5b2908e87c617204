/** What an instance has, read from it and never assumed: tables, columns, choices (design §5, servicenow.md §9, §11). */
import { isSyncError } from '../errors.ts';
import type { BatchApi, BatchItem, BatchOutcome } from './batch.ts';
import { readFailure } from './errors.ts';
import { plainValue, query, splitByBytes, type Query } from './query.ts';
import { everything, valueOf, type ListOptions, type Row, type TableApi } from './table.ts';
import { isObject } from '../transport.ts';

export interface Choice {
  readonly value: string;
  readonly label: string;
}

export interface DictionaryColumn {
  readonly name: string;
  /** The platform's type: `string`, `reference`, `glide_date_time`, `boolean`, `integer`, `decimal`, … */
  readonly type: string;
  /** In characters; undefined where the dictionary does not say. */
  readonly maxLength: number | undefined;
  /** Table that a reference points at. */
  readonly reference: string | undefined;
  /** False when a field ACL hides it from us; undefined when the table has no record to see it by. */
  readonly readable: boolean | undefined;
  readonly readOnly: boolean;
  /** Values that the instance offers, in no order; undefined when it is a free column or choices are not readable. */
  readonly choices: readonly Choice[] | undefined;
}

export interface DictionaryTable {
  readonly name: string;
  /** `hidden`: it exists, but its definition or its records are not readable for us. */
  readonly state: 'present' | 'absent' | 'hidden';
  /** From the parent upwards. */
  readonly superClasses: readonly string[];
  /** Its own columns and its super classes'. */
  readonly columns: Readonly<Record<string, DictionaryColumn>>;
}

/** JSON: it can be kept. */
export interface InstanceDictionary {
  /**
   * Whether the definitions can be read at all. A hidden dictionary reads as empty, not as an error: then nothing follows
   * from a table or column that is not in it.
   */
  readonly readable: { readonly tables: boolean; readonly columns: boolean; readonly choices: boolean };
  readonly tables: Readonly<Record<string, DictionaryTable>>;
}

export interface ProbeDependencies {
  readonly table: TableApi;
  readonly batch: BatchApi;
}

/**
 * Reads the dictionary of the given tables and their super classes in about ten requests.
 * @throws SyncError as reads do; a dictionary that is hidden is an answer, not an error
 */
export async function probeDictionary(
  tables: readonly string[],
  { table, batch }: ProbeDependencies,
  signal?: AbortSignal,
): Promise<InstanceDictionary> {
  const definitions = await readDefinitions(table, tables, signal);
  const samples = await readSamples(batch, table, tables, signal);
  const all = [...new Set([...tables, ...definitions.parentOf.keys()])];
  const columnRows = await readColumns(table, all, signal);
  const choices = await readChoices(table, all, signal);
  const assembled = tables.map((name) => assemble(name, definitions, columnRows, choices, samples.get(name)));
  return {
    readable: { tables: definitions.readable, columns: columnRows.readable, choices: choices.readable },
    tables: Object.fromEntries(assembled.map((entry) => [entry.name, entry])),
  };
}

/** A table that every instance has: if it is not there, the definitions are hidden from us. */
const knownTable = 'sys_user';
const knownColumn = 'user_name';

interface Definitions {
  readonly readable: boolean;
  /** Every table that was found, with its parent ('' at the top). */
  readonly parentOf: ReadonlyMap<string, string>;
}

/** Goes up the class tree level by level: the depth is not known beforehand. */
async function readDefinitions(table: TableApi, names: readonly string[], signal: AbortSignal | undefined): Promise<Definitions> {
  const parentOf = new Map<string, string>();
  let wanted = [...new Set([knownTable, ...names])];
  while (wanted.length > 0) {
    const rows = await readHidden(table, 'sys_db_object', 'name', wanted, ['name', 'super_class', 'super_class.name'], signal);
    if (rows === undefined) return { readable: false, parentOf: new Map() };
    for (const row of rows) parentOf.set(valueOf(row, 'name'), parentName(row));
    wanted = [...new Set(rows.map(parentName))].filter((name) => name !== '' && !parentOf.has(name));
  }
  return { readable: parentOf.has(knownTable), parentOf };
}

/** References to a table can be keyed by its name or by a sys_id (examples/servicenow/schema). */
function parentName(row: Row): string {
  const byName = valueOf(row, 'super_class.name');
  if (byName !== '') return byName;
  const value = valueOf(row, 'super_class');
  return /^[0-9a-f]{32}$/.test(value) ? '' : value;
}

/** Rows of a definition table; undefined when it refuses us. */
async function readHidden(
  table: TableApi,
  from: string,
  column: string,
  values: readonly string[],
  fields: readonly string[],
  signal: AbortSignal | undefined,
  base: Query = everything,
): Promise<Row[] | undefined> {
  const rows: Row[] = [];
  try {
    for (const part of splitByBytes(base, column, values)) {
      const options: ListOptions = { query: part, fields, limit: 5_000 };
      for await (const row of table.listAll(from, options, signal)) rows.push(row);
    }
  } catch (error) {
    if (isSyncError(error, 'forbidden')) return undefined;
    throw error;
  }
  return rows;
}

interface ColumnRows {
  readonly readable: boolean;
  readonly byTable: ReadonlyMap<string, readonly Row[]>;
}

async function readColumns(table: TableApi, names: readonly string[], signal: AbortSignal | undefined): Promise<ColumnRows> {
  const fields = ['name', 'element', 'internal_type', 'max_length', 'reference', 'read_only', 'active'];
  // The known row is asked for first: an empty answer for our tables alone would prove nothing.
  const known = await readHidden(table, 'sys_dictionary', 'name', [knownTable], fields, signal, query().equals('element', knownColumn));
  if (known === undefined || known.length === 0) return { readable: false, byTable: new Map() };
  const rows = (await readHidden(table, 'sys_dictionary', 'name', names, fields, signal)) ?? [];
  const usable = rows.filter((row) => valueOf(row, 'element') !== '' && valueOf(row, 'active') !== 'false');
  return { readable: true, byTable: Map.groupBy(usable, (row) => valueOf(row, 'name')) };
}

interface Choices {
  readonly readable: boolean;
  /** By `table.column`. */
  readonly byColumn: ReadonlyMap<string, readonly Choice[]>;
}

async function readChoices(table: TableApi, names: readonly string[], signal: AbortSignal | undefined): Promise<Choices> {
  const fields = ['name', 'element', 'value', 'label', 'language', 'inactive'];
  const rows = await readHidden(table, 'sys_choice', 'name', names, fields, signal);
  // Accounts without rights are refused, or see labels alone (examples/servicenow/schema/role_visibility_matrix).
  if (rows === undefined || rows.some((row) => plainValue(row['element']) === undefined)) return { readable: false, byColumn: new Map() };
  const byColumn = new Map<string, Map<string, { choice: Choice; language: string }>>();
  for (const row of rows) {
    if (valueOf(row, 'inactive') === 'true') continue;
    const key = `${valueOf(row, 'name')}.${valueOf(row, 'element')}`;
    const values = byColumn.get(key) ?? new Map<string, { choice: Choice; language: string }>();
    byColumn.set(key, values);
    const choice = { value: valueOf(row, 'value'), label: valueOf(row, 'label') };
    const known = values.get(choice.value);
    // One value has a label per language; English ones are what labels are looked up by.
    if (known === undefined || (known.language !== 'en' && valueOf(row, 'language') === 'en')) {
      values.set(choice.value, { choice, language: valueOf(row, 'language') });
    }
  }
  const plain = [...byColumn].map(([key, values]) => [key, [...values.values()].map(({ choice }) => choice)] as const);
  return { readable: true, byColumn: new Map(plain) };
}

/** What one readable record (if any) shows of a table. */
type Sample = { readonly state: 'absent' | 'hidden' } | { readonly state: 'present'; readonly row: Row | undefined };

/** One batch asks every table for one record with all its columns: it tells absent, hidden and field ACLs apart. */
async function readSamples(
  batch: BatchApi,
  table: TableApi,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Sample>> {
  const samples = new Map<string, Sample>();
  let waiting: readonly string[] = names;
  // A batch is cut after 30 s; what it did not reach is asked again, as long as it gets anywhere.
  while (waiting.length > 0) {
    const items: BatchItem[] = waiting.map((name) => table.sampleItem(name, name));
    const outcomes = await batch.sendBatch(items, { kind: 'serviceNowReads', effect: 'read', signal });
    outcomes.forEach((outcome, index) => {
      const sample = readSample(outcome);
      const name = waiting[index];
      if (name !== undefined && sample !== undefined) samples.set(name, sample);
    });
    const left = waiting.filter((name) => !samples.has(name));
    if (left.length === waiting.length) for (const name of left) samples.set(name, { state: 'hidden' });
    waiting = left.filter((name) => !samples.has(name));
  }
  return samples;
}

function readSample(outcome: BatchOutcome): Sample | undefined {
  if (outcome.outcome === 'unserviced' || outcome.status === 429 || outcome.status >= 500) return undefined;
  if (outcome.status !== 200) {
    const { message, detail } = readFailure(outcome.body);
    return { state: /invalid table/i.test(`${message} ${detail}`) ? 'absent' : 'hidden' };
  }
  const rows = isObject(outcome.body) ? outcome.body['result'] : undefined;
  const row: unknown = Array.isArray(rows) ? rows[0] : undefined;
  return { state: 'present', row: isObject(row) ? row : undefined };
}

function assemble(
  name: string,
  definitions: Definitions,
  columnRows: ColumnRows,
  choices: Choices,
  sample: Sample | undefined,
): DictionaryTable {
  const superClasses = ancestors(name, definitions.parentOf);
  const row = sample?.state === 'present' ? sample.row : undefined;
  const columns: Record<string, DictionaryColumn> = {};
  // From the top down, so that a table's own definition replaces an inherited one.
  for (const owner of [name, ...superClasses].reverse()) {
    for (const definition of columnRows.byTable.get(owner) ?? []) {
      const column = valueOf(definition, 'element');
      columns[column] = readColumn(definition, column, row, choicesOf(column, [name, ...superClasses], choices));
    }
  }
  return { name, state: stateOf(name, definitions, columnRows, sample, columns), superClasses, columns };
}

function stateOf(
  name: string,
  definitions: Definitions,
  columnRows: ColumnRows,
  sample: Sample | undefined,
  columns: Readonly<Record<string, DictionaryColumn>>,
): DictionaryTable['state'] {
  if (sample?.state === 'absent') return 'absent';
  const defined = !definitions.readable || definitions.parentOf.has(name);
  const described = columnRows.readable && Object.keys(columns).length > 0;
  return sample?.state === 'present' && defined && described ? 'present' : 'hidden';
}

function ancestors(name: string, parentOf: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (let parent = parentOf.get(name) ?? ''; parent !== '' && !found.includes(parent); parent = parentOf.get(parent) ?? '') {
    found.push(parent);
  }
  return found;
}

function choicesOf(column: string, lineage: readonly string[], { byColumn }: Choices): readonly Choice[] | undefined {
  for (const owner of lineage) {
    const found = byColumn.get(`${owner}.${column}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function readColumn(definition: Row, name: string, sample: Row | undefined, choices: readonly Choice[] | undefined): DictionaryColumn {
  const maxLength = Number(valueOf(definition, 'max_length'));
  const reference = valueOf(definition, 'reference');
  return {
    name,
    type: valueOf(definition, 'internal_type'),
    maxLength: Number.isInteger(maxLength) && maxLength > 0 ? maxLength : undefined,
    reference: reference === '' ? undefined : reference,
    readable: sample === undefined ? undefined : Object.hasOwn(sample, name),
    readOnly: valueOf(definition, 'read_only') === 'true',
    choices,
  };
}
