import { recordMatcher } from '../query/evaluate.ts';
import { SUBSTATE } from '../rules/record-states.ts';
import type { Row, Store } from '../store.ts';
import { CC_SYSTEM, CONTAINER_ITEMS, RESULTS, VR_SYSTEM, closeFinding } from './findings.ts';
import type { StockJob } from './scheduler.ts';

const DAY_MS = 86_400_000;
/** USEM keeps the conditions in one table, a classic instance in one per product (servicenow.md §1.8). */
const RULE_TABLES = ['sn_vul_cmn_auto_close_rule', 'sn_vulc_auto_close_stale_config', 'sn_vul_container_image_auto_close_config'];

/** Both close what the instance's rule records describe; a date that is empty is not old. */
export function closeStaleJobs(store: Store): StockJob[] {
  return [
    {
      name: 'close-stale-results',
      title: 'Auto-Close Stale Test Results',
      everyMs: DAY_MS,
      because: 'servicenow.md §2, §11: by the compliance scan date of the discovered item',
      run: () => closeStale(store, RESULTS, CC_SYSTEM),
    },
    {
      name: 'close-stale-container-items',
      title: 'Auto-Close CVITs',
      everyMs: DAY_MS,
      because: 'servicenow.md §3, §11: last found 90 days ago',
      run: () => closeStale(store, CONTAINER_ITEMS, VR_SYSTEM),
    },
  ];
}

function closeStale(store: Store, table: string, actor: string): number {
  const matchers = conditions(store, table);
  if (matchers.length === 0) return 0;
  let closed = 0;
  for (const row of store.rows(table)) {
    if (matchers.some((matches) => matches(row)) && closeFinding(store, row, SUBSTATE.stale, actor)) closed += 1;
  }
  return closed;
}

/** The active rules' conditions. One without a condition closes nothing: a rule half made must not close everything. */
function conditions(store: Store, name: string): ((row: Row) => boolean)[] {
  const table = store.schema.get(name);
  if (table === undefined) return [];
  return RULE_TABLES.filter((rules) => store.schema.get(rules) !== undefined)
    .flatMap((rules) => store.equal(rules, 'table', [name]))
    .filter(({ values }) => values['active'] === 'true' && (values['condition'] ?? '') !== '')
    .map(({ values }) => recordMatcher(store, table, values['condition'] ?? ''));
}
