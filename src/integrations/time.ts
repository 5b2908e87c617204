/** Times: from the spellings that Azure uses to UTC `YYYY-MM-DD HH:mm:ss`, which ServiceNow stores (servicenow.md §5.2). */

const iso = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/i;
const american = /^(\d{1,2})\/(\d{1,2})\/(\d{4})(?:\s.*)?$/;

/**
 * Reads ISO 8601 (any number of fraction digits; without a zone it is UTC) and `MM/DD/YYYY`. Dates of the year 1 mean
 * "never" (azure.md §1.4) and are absent, as is everything that is no date: a date is never worth losing a row.
 * @returns UTC `YYYY-MM-DD HH:mm:ss`
 */
export function serviceNowTimeOf(text: string | null | undefined): string | undefined {
  const ms = millisecondsOf(text?.trim() ?? '');
  // ServiceNow dates have four-digit years; anything before 1970 in this data is a placeholder.
  return ms === undefined || Number.isNaN(ms) || ms <= 0 || ms >= Date.UTC(10_000, 0) ? undefined : serviceNowTime(ms);
}

/** @param ms UTC milliseconds @returns UTC `YYYY-MM-DD HH:mm:ss` */
export function serviceNowTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

function millisecondsOf(text: string): number | undefined {
  const parts = iso.exec(text);
  if (parts) {
    const [, year, month, day, hour = '0', minute = '0', second = '0', zone = 'Z'] = parts;
    const ms = utc(Number(year), Number(month), Number(day), Number(hour), Number(minute), Number(second));
    return ms === undefined ? undefined : ms - offsetMs(zone);
  }
  const [, month, day, year] = american.exec(text) ?? [];
  return year === undefined ? undefined : utc(Number(year), Number(month), Number(day), 0, 0, 0);
}

/** Undefined for a day that no calendar has (`02/30/2021`). */
function utc(year: number, month: number, day: number, hour: number, minute: number, second: number): number | undefined {
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  const date = new Date(ms);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? ms : undefined;
}

function offsetMs(zone: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(zone) ?? [];
  if (sign === undefined) return 0;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}
