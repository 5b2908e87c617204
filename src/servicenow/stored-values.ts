/**
 * What became of a written value: the answer to a write carries the record as it is afterwards, and a column that a field ACL
 * or a business rule dropped shows there as what it is (servicenow.md §5.2, §5.3). Pure.
 */
import type { DictionaryColumn } from './dictionary.ts';
import { plainValue } from './query.ts';
import type { Row, WriteValues } from './table.ts';

type Columns = Readonly<Record<string, DictionaryColumn>>;

/** A column whose value the instance did not keep. */
export interface NotKept {
  /** Real name. */
  readonly column: string;
  /** What was sent and what came back, short enough for a report. */
  readonly evidence: string;
  /** What came back, in words that are the same for many records. */
  readonly found: 'empty' | 'with another value';
}

/**
 * Columns of `values` that the record does not have afterwards. A column that the answer lacks (a read ACL) is no evidence.
 */
export function notKept(row: Row, values: WriteValues, columns: Columns): NotKept[] {
  return Object.entries(values).flatMap(([column, sent]) => {
    const found = plainValue(row[column]);
    if (found === undefined || isKept(found, sent, columnOf(columns, column))) return [];
    return [{ column, evidence: evidenceOf(sent, found), found: found.trim() === '' ? 'empty' : 'with another value' }];
  });
}

/**
 * Does a row, as read from the instance, already say what `values` would write? A column that the row lacks is not the same.
 */
export function sameOnInstance(row: Row, values: WriteValues, columns: Columns): boolean {
  return Object.entries(values).every(([name, wanted]) => {
    const present = plainValue(row[name]);
    return present !== undefined && isKept(present, wanted, columnOf(columns, name));
  });
}

function columnOf(columns: Columns, name: string): DictionaryColumn | undefined {
  return Object.hasOwn(columns, name) ? columns[name] : undefined;
}

function isKept(found: string, sent: string, column: DictionaryColumn | undefined): boolean {
  const type = column?.type ?? '';
  const [present, wanted] = [normalForm(found, type), normalForm(sent, type)];
  return present === wanted || isCut(present, wanted, type, column?.maxLength) || isRounded(present, wanted, type);
}

const numericTypes = new Set(['integer', 'decimal', 'float', 'longint', 'percent_complete', 'currency', 'numeric', 'double']);

/** Types matter: `1.10` and `1.1` are the same number, but not the same version. */
function normalForm(value: string, type: string): string {
  // The platform trims text and stores one kind of line break.
  const text = value.replace(/\r\n?/g, '\n').trim();
  if (text === '') return '';
  if (type === 'boolean') return text === '1' || text.toLowerCase() === 'true' ? 'true' : 'false';
  if (type === 'reference') return text.toLowerCase();
  // The order of a list says nothing.
  if (type === 'glide_list') return text.toLowerCase().split(',').sort().join();
  if (type === 'glide_date') return text.slice(0, 10);
  if (numericTypes.has(type)) {
    const number = Number(text.replaceAll(',', ''));
    return Number.isFinite(number) ? String(number) : text;
  }
  return text;
}

const textTypes = new Set(['', 'string', 'html', 'translated_text', 'translated_html', 'string_full_utf8', 'url', 'wide_text']);

/**
 * The beginning of what was sent, as far as the column goes: the dictionary counts characters, some databases bytes. An old value
 * that happens to be a beginning is shorter than the column and does not count.
 */
function isCut(present: string, wanted: string, type: string, maxLength: number | undefined): boolean {
  if (!textTypes.has(type) || present === '' || !wanted.startsWith(present)) return false;
  return maxLength === undefined || Buffer.byteLength(present) >= maxLength - 3;
}

/** A decimal column keeps so many places; what was sent rounds (or is cut) to what came back. */
function isRounded(present: string, wanted: string, type: string): boolean {
  if (!numericTypes.has(type) || type === 'integer' || type === 'longint' || present === '' || wanted === '') return false;
  const places = present.split('.')[1]?.length ?? 0;
  return Math.abs(Number(present) - Number(wanted)) < 10 ** -Math.max(1, places);
}

const shownCharacters = 40;

function evidenceOf(sent: string, found: string): string {
  const shown = (text: string): string =>
    text.trim() === ''
      ? 'empty'
      : text.length > shownCharacters
        ? `${text.length} characters`
        : JSON.stringify(text.replace(/[\u0000-\u001f\u007f]+/g, ' ').toWellFormed());
  return `sent ${shown(sent)}, came back ${shown(found)}`;
}
