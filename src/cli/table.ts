/** Tables of text: columns aligned, numbers to the right. */
import { stripVTControlCharacters } from 'node:util';

export interface Column {
  readonly title: string;
  /** Default left. */
  readonly align?: 'left' | 'right';
}

/**
 * Lines of a table, the head first, two spaces between columns. Cells may hold colours; their width counts without them.
 */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const table = [columns.map((column) => column.title), ...rows];
  const widths = columns.map((_, index) => Math.max(...table.map((row) => visibleLength(row[index] ?? ''))));
  return table.map((row) =>
    columns
      .map((column, index) => {
        const cell = row[index] ?? '';
        const padding = ' '.repeat((widths[index] ?? 0) - visibleLength(cell));
        return column.align === 'right' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}

function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length;
}

const grouped = new Intl.NumberFormat('en-US');

/** `1234567` → `1,234,567`. */
export function formatCount(count: number): string {
  return grouped.format(count);
}

/** `0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${Math.round(seconds * 10) / 10} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** What services say may hold anything; a terminal gets no control characters but line breaks. */
export function plainText(text: string): string {
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
}

/** `1 record`, `2 records`. */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}
