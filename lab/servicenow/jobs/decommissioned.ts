import { propertyOf } from '../query/evaluate.ts';
import { SUBSTATE } from '../rules/record-states.ts';
import type { Store } from '../store.ts';
import { CC_SYSTEM, DISCOVERED_ITEMS, RESULTS, SEC_COMMON_SYSTEM, closeFinding, isRetired } from './findings.ts';
import type { StockJob } from './scheduler.ts';

const DAY_MS = 86_400_000;
/** The label is printed, the value is the lab's (servicenow.md §11). */
const DECOMMISSIONED = 'ci_decommissioned';

/**
 * A discovered item becomes "CI decommissioned" by itself when its CI retires, and goes back with it; its test results are closed by
 * a daily job where a property says so (servicenow.md §2, §11).
 */
export function decommissionedJobs(store: Store): StockJob[] {
  const changed = new Set<string>();
  store.addRule({
    table: 'cmdb_ci',
    apply: (values, before) => {
      if (before !== undefined && isRetired(before) !== isRetired(values)) changed.add(values['sys_id'] ?? '');
    },
  });
  return [
    {
      name: 'mark-decommissioned-items',
      title: 'Discovered items of retired CIs become CI decommissioned',
      everyMs: 1_000,
      because: 'servicenow.md §11 (cc-working-with-retired-CIs)',
      run: () => {
        const marked = [...changed].reduce((sum, ci) => sum + markItems(store, ci), 0);
        changed.clear();
        return marked;
      },
    },
    {
      name: 'close-results-of-decommissioned-cis',
      title: 'Close Test Results for decommissioned CIs',
      everyMs: DAY_MS,
      because: 'servicenow.md §2: property sn_vulc.auto_close_test_results_linked_to_retired_CIs',
      run: () => {
        if (propertyOf(store, 'sn_vulc.auto_close_test_results_linked_to_retired_CIs') !== 'true') return 0;
        const items = store.equal(DISCOVERED_ITEMS, 'state', [DECOMMISSIONED]).map(({ sysId }) => sysId);
        return store.equal(RESULTS, 'src_ci', items).filter((row) => closeFinding(store, row, SUBSTATE.ciDecommissioned, CC_SYSTEM)).length;
      },
    },
  ];
}

function markItems(store: Store, ci: string): number {
  const retired = isRetired(store.find('cmdb_ci', ci)?.values);
  return store.equal(DISCOVERED_ITEMS, 'cmdb_ci', [ci]).filter((item) => {
    if (retired) return store.update(item, { state: DECOMMISSIONED }, SEC_COMMON_SYSTEM);
    return item.values['state'] === DECOMMISSIONED && store.update(item, { state: 'matched' }, SEC_COMMON_SYSTEM);
  }).length;
}
