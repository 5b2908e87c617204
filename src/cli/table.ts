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

/** `0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** `1 record`, `2 records`. */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}
