/** From logical columns and values to those of one instance (model.ts `TableSpec`, mapping.md). Pure. */
import { createHash } from 'node:crypto';
import { SyncError } from '../errors.ts';
import type { ColumnSpec, TableSpec } from '../model.ts';
import type { DictionaryColumn, DictionaryTable, InstanceDictionary } from './dictionary.ts';
import { notKept, sameOnInstance, type NotKept } from './stored-values.ts';
import type { Row, WriteValues } from './table.ts';

/** A value whose references are already sys_ids. Times: UTC milliseconds or an ISO text. `null` empties the column. */
export type PlainValue = string | number | boolean | null;

export interface MissingColumn {
  readonly column: string;
  /** One sentence: which names were tried, or which reference was not found or not unique. */
  readonly because: string;
}

export interface Dropped {
  readonly column: string;
  readonly because: string;
}

export interface Shaped {
  /** By real column name, ready to be sent. */
  readonly values: WriteValues;
  /** Values that were left out because the instance cannot take them. */
  readonly dropped: readonly Dropped[];
}

/** Whether the feature that a table belongs to is not installed on the instance (model.ts, `onlyWith`). */
export function isFeatureAbsent({ onlyWith }: TableSpec, { tables }: Pick<InstanceDictionary, 'tables'>): boolean {
  return onlyWith !== undefined && tables[onlyWith]?.state === 'absent';
}

export interface MappedTable {
  readonly name: string;
  readonly state: DictionaryTable['state'];
  /** Real name of a logical column; undefined when the instance has none. */
  column(logical: string): string | undefined;
  readonly missingRequired: readonly MissingColumn[];
  readonly missingOptional: readonly MissingColumn[];
  /**
   * Values as this instance wants them. Columns it lacks are left out silently (they are in `missingOptional`).
   * @throws SyncError `bug` for a logical column that the table's specification does not have
   */
  shape(fields: Readonly<Record<string, PlainValue>>, options: { readonly create: boolean }): Shaped;
  /** Whether a row read from the instance already says what we would write. */
  sameOnInstance(row: Row, values: WriteValues): boolean;
  /** Columns whose values the record does not have after they were written. */
  notKept(row: Row, values: WriteValues): NotKept[];
}

/** Finds the real column of every logical one. An absent or hidden table maps to one without columns. */
export function mapTable(spec: TableSpec, dictionary: InstanceDictionary): MappedTable {
  const table = dictionary.tables[spec.name] ?? { name: spec.name, state: 'hidden', superClasses: [], columns: {} };
  const found = new Map<string, DictionaryColumn>();
  const missing: (MissingColumn & { readonly required: boolean })[] = [];
  for (const [logical, column] of Object.entries(spec.columns)) {
    const real = findColumn(column, table, dictionary);
    if (typeof real === 'string') missing.push({ column: logical, because: real, required: column.required === true });
    else found.set(logical, real);
  }
  const strip = ({ column, because }: MissingColumn): MissingColumn => ({ column, because });
  return {
    name: spec.name,
    state: table.state,
    column: (logical) => found.get(logical)?.name,
    missingRequired: missing.filter(({ required }) => required).map(strip),
    missingOptional: missing.filter(({ required }) => !required).map(strip),
    shape: (fields, { create }) => shapeAll(spec, found, fields, create),
    sameOnInstance: (row, values) => sameOnInstance(row, values, table.columns),
    notKept: (row, values) => notKept(row, values, table.columns),
  };
}

/** The column, or why there is none. */
function findColumn(spec: ColumnSpec, table: DictionaryTable, dictionary: InstanceDictionary): DictionaryColumn | string {
  for (const name of spec.names) {
    const column = Object.hasOwn(table.columns, name) ? table.columns[name] : undefined;
    if (column !== undefined) return spec.type === 'list' ? listColumn(column, spec.references) : column;
  }
  const tried = spec.names.length === 0 ? '' : `no column is named ${spec.names.join(' or ')}`;
  if (spec.references === undefined) return tried === '' ? 'neither a name nor a reference is known' : tried;
  const target = spec.references;
  const pointing = Object.values(table.columns).filter(({ reference }) => reference === target);
  const lineage = dictionary.tables[target]?.superClasses ?? [];
  const candidates =
    pointing.length > 0
      ? pointing
      : Object.values(table.columns).filter(({ reference }) => reference !== undefined && lineage.includes(reference));
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) return only;
  const because =
    candidates.length === 0
      ? `no column refers to ${target}`
      : `${candidates.length} columns refer to ${target}: ${candidates.map(({ name }) => name).join(', ')}`;
  return tried === '' ? because : `${tried}, and ${because}`;
}

/** The platform's type of a list of references: sys_ids, separated by commas. */
const listType = 'glide_list';

/** sys_ids belong into a list of that table alone; in a column of text they would be noise. */
function listColumn(column: DictionaryColumn, references: string | undefined): DictionaryColumn | string {
  if (column.type !== listType || column.reference !== references) return `${column.name} is not a list of ${references ?? 'references'}`;
  return column.readOnly ? `${column.name} is read-only` : column;
}

function shapeAll(
  spec: TableSpec,
  found: ReadonlyMap<string, DictionaryColumn>,
  fields: Readonly<Record<string, PlainValue>>,
  create: boolean,
): Shaped {
  const values: Record<string, string> = {};
  const dropped: Dropped[] = [];
  for (const [logical, value] of Object.entries(fields)) {
    const columnSpec = Object.hasOwn(spec.columns, logical) ? spec.columns[logical] : undefined;
    if (columnSpec === undefined) {
      throw new SyncError({ kind: 'bug', service: 'servicenow', message: `${spec.name} has no logical column ${logical}.` });
    }
    const column = found.get(logical);
    if (column === undefined || (columnSpec.onCreateOnly === true && !create)) continue;
    const shaped = shapeValue(value, columnSpec.type, column);
    if (typeof shaped === 'string') values[column.name] = shaped;
    else dropped.push({ column: logical, because: shaped.because });
  }
  return { values, dropped };
}

type ShapedValue = string | { readonly because: string };

function shapeValue(value: PlainValue, type: ColumnSpec['type'], column: DictionaryColumn): ShapedValue {
  if (value === null || value === '') return '';
  switch (type) {
    case 'text':
      return cutText(clean(String(value)), column.maxLength);
    case 'key':
      return cutKey(clean(String(value)), column.maxLength);
    case 'reference':
      return String(value);
    case 'list':
      return shapeList(String(value), column.maxLength);
    case 'boolean':
      return shapeBoolean(value);
    case 'time':
      return shapeTime(value);
    case 'integer':
    case 'decimal':
      return shapeNumber(value, type);
    case 'choice':
      return shapeChoice(String(value), column);
    case 'label':
      return shapeLabel(String(value), column);
  }
}

/** Databases refuse NUL, and half characters do not survive UTF-8. */
function clean(text: string): string {
  return text.replaceAll('\u0000', '').toWellFormed();
}

/** Cuts to `maxLength` characters, the last of them `…`; never through a character. */
export function cutText(text: string, maxLength: number | undefined): string {
  if (maxLength === undefined || text.length <= maxLength) return text;
  return `${prefix(text, maxLength - 1)}…`;
}

/** Cuts a key so that different keys stay different: the beginning, `~`, and 16 hex digits of the whole key's SHA-256. */
export function cutKey(key: string, maxLength: number | undefined): string {
  if (maxLength === undefined || key.length <= maxLength) return key;
  const digest = createHash('sha256').update(key, 'utf8').digest('hex').slice(0, 16);
  return maxLength <= digest.length ? digest.slice(0, maxLength) : `${prefix(key, maxLength - digest.length - 1)}~${digest}`;
}

/** At most `length` UTF-16 units, without the first half of a pair at the end. */
function prefix(text: string, length: number): string {
  const cut = text.slice(0, Math.max(0, length));
  return /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut;
}

function shapeBoolean(value: string | number | boolean): ShapedValue {
  const text = String(value).toLowerCase();
  if (text === 'true' || text === '1') return 'true';
  return text === 'false' || text === '0' ? 'false' : { because: 'it is not a boolean' };
}

/** UTC `YYYY-MM-DD HH:mm:ss`. A text of that form is taken as UTC already. */
function shapeTime(value: string | number | boolean): ShapedValue {
  const text = typeof value === 'string' && /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/.test(value) ? `${value.replace(' ', 'T')}Z` : value;
  const at = new Date(typeof text === 'boolean' ? Number.NaN : text);
  const year = at.getUTCFullYear();
  if (Number.isNaN(year) || year < 1 || year > 9999) return { because: 'it is not a time' };
  return at.toISOString().slice(0, 19).replace('T', ' ');
}

function shapeNumber(value: string | number | boolean, type: 'integer' | 'decimal'): ShapedValue {
  const number = typeof value === 'boolean' || (typeof value === 'string' && value.trim() === '') ? Number.NaN : Number(value);
  if (!Number.isFinite(number)) return { because: 'it is not a number' };
  // Never an exponent: the platform would read 1e21 as 1.
  if (type === 'integer' || Math.abs(number) >= 1e21) return String(BigInt(Math.trunc(number)));
  const text = String(number);
  return text.includes('e') ? number.toFixed(10).replace(/\.?0+$/, '') : text;
}

/** As many sys_ids as the column has room for: half of one would point at nothing. */
function shapeList(sysIds: string, maxLength: number | undefined): string {
  if (maxLength === undefined || sysIds.length <= maxLength) return sysIds;
  return sysIds.slice(0, maxLength + 1).replace(/,?[^,]*$/, '');
}

/** Without a list of choices (a free column, or choices we may not read) any value is taken as it is. */
function shapeChoice(value: string, column: DictionaryColumn): ShapedValue {
  if (column.choices === undefined || column.choices.some((choice) => choice.value === value)) return value;
  return { because: `${column.name} does not offer the choice ${cutText(clean(value), 60)}` };
}

function shapeLabel(label: string, column: DictionaryColumn): ShapedValue {
  if (column.choices === undefined) return cutText(clean(label), column.maxLength);
  const wanted = label.trim().toLowerCase();
  const choice =
    column.choices.find((candidate) => candidate.label.trim().toLowerCase() === wanted) ??
    column.choices.find((candidate) => candidate.value.toLowerCase() === wanted);
  return choice === undefined ? { because: `${column.name} offers no choice labelled ${cutText(clean(label), 60)}` } : choice.value;
}
