import type { InstanceRules } from '../rules/index.ts';
import type { Store } from '../store.ts';
import { ciChangeJob } from './ci-change.ts';
import { closeStaleJobs } from './close-stale.ts';
import { cancelWithoutImageJob, rollUpFindingsJob } from './container-items.ts';
import { decommissionedJobs } from './decommissioned.ts';
import { reapplyRulesJob } from './reapply-rules.ts';
import { recalculationJob } from './recalculate.ts';
import { rollupJobs } from './rollups.ts';
import type { StockJob } from './scheduler.ts';
import { tableCleanerJob } from './table-cleaner.ts';

/** The platform's own jobs, in the order they run in when several are due: what follows a write comes first, cleaning last. */
export function stockJobs(store: Store, rules: InstanceRules): StockJob[] {
  return [
    recalculationJob(store, () => rules.profile() === 'strict'),
    reapplyRulesJob(store),
    ciChangeJob(store),
    ...decommissionedJobs(store),
    rollUpFindingsJob(store),
    cancelWithoutImageJob(store),
    ...closeStaleJobs(store),
    ...rollupJobs(store),
    tableCleanerJob(store),
  ];
}

/** A job whose record an administrator switched off does not run by the clock (sysauto_script.active). */
export function isJobActive(store: Store, title: string): boolean {
  return store.equal('sysauto_script', 'name', [title]).every(({ values }) => values['active'] !== 'false');
}
