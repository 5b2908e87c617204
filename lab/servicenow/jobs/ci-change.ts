import { propertyOf } from '../query/evaluate.ts';
import { SUBSTATE } from '../rules/record-states.ts';
import type { Row, Store } from '../store.ts';
import { CC_SYSTEM, DISCOVERED_ITEMS, RESULTS, closeFinding } from './findings.ts';
import { recalculated } from './recalculate.ts';
import type { StockJob } from './scheduler.ts';

/**
 * When the CI of a discovered item changes, its test results move to the new CI. Where that CI already has a result for the test, the
 * one that would move is closed as invalidCI. With `sn_sec_cmn.update_on_ci_change` false nothing moves: the results are closed as
 * invalidCI and the next import makes new ones (servicenow.md §2, §11; SN reapply-discovered-items-ci-changes-cc).
 */
export function ciChangeJob(store: Store): StockJob {
  const changed = new Set<string>();
  store.addRule({
    table: DISCOVERED_ITEMS,
    apply: (values, before) => {
      const ci = before?.['cmdb_ci'] ?? '';
      if (ci !== '' && ci !== (values['cmdb_ci'] ?? '')) changed.add(values['sys_id'] ?? '');
    },
  });
  return {
    name: 'move-results-to-changed-ci',
    title: 'Test results follow the CI of their discovered item',
    everyMs: 1_000,
    because: 'servicenow.md §2, §11: property sn_sec_cmn.update_on_ci_change',
    run: () => {
      const items = [...changed];
      changed.clear();
      return items.reduce((sum, item) => sum + moveResults(store, item), 0);
    },
  };
}

function moveResults(store: Store, item: string): number {
  const ci = store.find(DISCOVERED_ITEMS, item)?.values['cmdb_ci'] ?? '';
  if (ci === '') return 0;
  const mayMove = propertyOf(store, 'sn_sec_cmn.update_on_ci_change') !== 'false';
  return store.equal(RESULTS, 'src_ci', [item]).filter((row) => {
    if (row.values['cmdb_ci'] === ci) return false;
    if (!mayMove || hasTwin(store, row, ci)) return closeFinding(store, row, SUBSTATE.invalidCi, CC_SYSTEM);
    const moved: Row = { ...row, values: { ...row.values, cmdb_ci: ci } };
    return store.update(row, { cmdb_ci: ci, ...recalculated(store, moved) }, CC_SYSTEM);
  }).length;
}

/** The page says "the same test and CI"; results are keyed by their integration instance, too (servicenow.md §0), so the lab asks for it. */
function hasTwin(store: Store, row: Row, ci: string): boolean {
  const same = (other: Row, column: string): boolean => (other.values[column] ?? '') === (row.values[column] ?? '');
  return store
    .equal(RESULTS, 'cmdb_ci', [ci])
    .some((other) => same(other, 'control') && same(other, 'integration_instance') && other.values['substate'] !== SUBSTATE.invalidCi);
}
