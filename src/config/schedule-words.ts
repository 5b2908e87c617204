/**
 * What can be said about a schedule's words before Temporal sees them (temporal.md §3.1). Of what Temporal takes, the five-field
 * form and the `@` shorthands are accepted: schedules here repeat by the day, not by the second or the year.
 */

const months = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const weekdays = 'sun mon tue wed thu fri sat'.split(' ');

interface Field {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly words: readonly string[];
}

const fields: readonly Field[] = [
  { name: 'minute', from: 0, to: 59, words: [] },
  { name: 'hour', from: 0, to: 23, words: [] },
  { name: 'day of the month', from: 1, to: 31, words: [] },
  { name: 'month', from: 1, to: 12, words: months },
  { name: 'day of the week', from: 0, to: 7, words: weekdays },
];

/** What is wrong with a cron expression and how to mend it (`… → fix`), or undefined when nothing is. */
export function cronProblem(cron: string): string | undefined {
  if (/^(CRON_)?TZ=/.test(cron)) return 'names a time zone → write the zone as timeZone, and the cron expression without it';
  if (cron.startsWith('@')) {
    return /^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$|^@every \d+[smhd]/.test(cron)
      ? undefined
      : 'is not a known shorthand → use @hourly, @daily, @weekly, @monthly, @every 6h, or five fields';
  }
  const parts = cron.trim().split(/\s+/);
  if (parts.length !== 5) {
    return `has ${parts.length} fields → write five: minute hour day month weekday, for example "30 2 * * *" for 02:30 every day`;
  }
  for (const [index, field] of fields.entries()) {
    const part = parts[index] ?? '';
    if (!part.split(',').every((item) => isCronItem(item, field))) {
      return `has ${JSON.stringify(part)} as ${field.name} → use ${field.from} to ${field.to}, *, lists (1,15), ranges (1-5) or steps (*/2)`;
    }
  }
  return undefined;
}

function isCronItem(item: string, field: Field): boolean {
  const [, range = '', step] = /^([^/]+)(?:\/([1-9]\d*))?$/.exec(item) ?? [];
  if (range === '') return false;
  if (step !== undefined && Number(step) > field.to) return false;
  if (range === '*' || range === '?') return true;
  const bounds = range.split('-').map((bound) => cronNumber(bound, field));
  const [first, last = first] = bounds;
  return bounds.length <= 2 && first !== undefined && last !== undefined && bounds.every((bound) => bound !== undefined) && first <= last;
}

function cronNumber(word: string, field: Field): number | undefined {
  const named = field.words.indexOf(word.toLowerCase());
  const value = named >= 0 ? named + field.from : /^\d{1,2}$/.test(word) ? Number(word) : undefined;
  return value !== undefined && value >= field.from && value <= field.to ? value : undefined;
}

/** Whether this machine's time zone data knows the name. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch (error) {
    if (Error.isError(error) && error.name === 'RangeError') return false;
    throw error;
  }
}
