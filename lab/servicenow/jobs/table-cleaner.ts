import { recordMatcher } from '../query/evaluate.ts';
import type { Row, Store } from '../store.ts';
import { dateTime } from '../values.ts';
import type { StockJob } from './scheduler.ts';

const DAY_MS = 86_400_000;

/**
 * Deletes what the records of sys_auto_flush describe: closed findings after a time (servicenow.md §11: table cleaners ship on
 * results). Their age is not recorded; the seed says one year.
 */
export function tableCleanerJob(store: Store): StockJob {
  return {
    name: 'clean-tables',
    title: 'Table Cleaner',
    everyMs: DAY_MS,
    because: 'servicenow.md §11',
    run: () => [...store.rows('sys_auto_flush')].reduce((sum, rule) => sum + clean(store, rule), 0),
  };
}

function clean(store: Store, { values }: Row): number {
  const table = store.schema.get(values['tablename'] ?? '');
  const field = values['matchfield'] ?? '';
  const ageSeconds = Number(values['age']);
  if (values['active'] !== 'true' || table?.columns.has(field) !== true || !(ageSeconds > 0)) return 0;
  const limit = dateTime(new Date(store.clock.nowMs() - ageSeconds * 1000));
  const matches = recordMatcher(store, table, values['conditions'] ?? '');
  const old = [...store.rows(table.name)].filter(
    (row) => (row.values[field] ?? '') !== '' && (row.values[field] ?? '') < limit && matches(row),
  );
  for (const row of old) store.delete(row);
  return old.length;
}
