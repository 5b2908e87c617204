import type { Column } from './schema.ts';

const DATE_TIME = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const INTEGER_TYPES = new Set(['integer', 'longint']);
const DECIMAL_TYPES = new Set(['decimal', 'float']);

/** How two values of a column compare: as numbers or as case-insensitive text. */
export function isNumeric(column: Column): boolean {
  return INTEGER_TYPES.has(column.type) || DECIMAL_TYPES.has(column.type);
}

/** `2026-11-22 09:15:00`, UTC: how the platform stores a date-time (servicenow.md §5.2). */
export function dateTime(moment: Date): string {
  return moment.toISOString().slice(0, 19).replace('T', ' ');
}

/**
 * What the platform stores when a client writes `value` into `column`.
 * Text longer than the column is cut without a word. The references leave open whether every type is cut; the lab cuts all text.
 * A value that does not parse as the column's type is stored empty: dates other than `YYYY-MM-DD HH:mm:ss`, words in numbers.
 */
export function storedValue(column: Column, value: unknown): string {
  const text = plainText(value).toWellFormed();
  if (text === '') return '';
  if (column.type === 'glide_date_time' || column.type === 'due_date')
    return DATE_TIME.test(text) ? text : DATE.test(text) ? `${text} 00:00:00` : '';
  if (column.type === 'glide_date') return DATE.test(text.slice(0, 10)) ? text.slice(0, 10) : '';
  if (column.type === 'boolean') return /^(true|1|yes|on)$/i.test(text) ? 'true' : 'false';
  if (INTEGER_TYPES.has(column.type)) return /^-?\d+(\.\d+)?$/.test(text.trim()) ? String(Math.trunc(Number(text))) : '';
  if (DECIMAL_TYPES.has(column.type)) return Number.isFinite(Number(text)) ? text.trim() : '';
  return cut(text, column.maxLength);
}

function plainText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'object' && 'value' in value) return plainText(value.value);
  return JSON.stringify(value);
}

/** Cuts by characters, never through a surrogate pair. */
function cut(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : text.slice(0, maxLength).replace(/[\uD800-\uDBFF]$/, '');
}

const zones = new Map<string, Intl.DateTimeFormat>();

/** A stored UTC date-time in the instance's time zone, as display values show it (examples: INDEX, "settles"). */
export function localDateTime(stored: string, timeZone: string): string {
  if (!DATE_TIME.test(stored)) return stored;
  const moment = new Date(`${stored.replace(' ', 'T')}Z`);
  if (Number.isNaN(moment.getTime())) return stored;
  let format = zones.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
    zones.set(timeZone, format);
  }
  return format.format(moment);
}

/** The other way round: a local date-time as it is stored. What is no date-time comes back as it is. */
export function utcDateTime(local: string, timeZone: string): string {
  if (!DATE_TIME.test(local)) return local;
  const asUtcMs = Date.parse(`${local.replace(' ', 'T')}Z`);
  if (Number.isNaN(asUtcMs)) return local;
  // The zone's offset at the moment itself: the first guess may lie on the other side of a clock change.
  let momentMs = asUtcMs;
  for (let round = 0; round < 2; round += 1) {
    const shown = localDateTime(dateTime(new Date(momentMs)), timeZone);
    momentMs += asUtcMs - Date.parse(`${shown.replace(' ', 'T')}Z`);
  }
  return dateTime(new Date(momentMs));
}
