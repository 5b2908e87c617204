import type { Lab } from './harness.ts';

type Summary = Awaited<ReturnType<Lab['summary']>>;

/** The engine's own records, and what signing in leaves: a handful a run is what an unchanged estate may cost. */
const bookkeepingTables = new Set([
  'sn_sec_int_integration',
  'sn_sec_int_impl',
  'sn_vul_integration',
  'sn_vul_integration_run',
  'oauth_credential',
  'sys_user',
]);

/** Data tables whose rows or versions differ between two moments: none where nothing was touched. */
export function touchedDataTables(before: Summary, after: Summary): string[] {
  return Object.keys({ ...before, ...after }).filter(
    (table) => !bookkeepingTables.has(table) && JSON.stringify(before[table]) !== JSON.stringify(after[table]),
  );
}
