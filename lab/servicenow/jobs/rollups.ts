import { CLOSED, SUBSTATE } from '../rules/record-states.ts';
import type { Row, Store } from '../store.ts';
import { CC_SYSTEM, RESULTS, closeFinding } from './findings.ts';
import type { StockJob } from './scheduler.ts';

const MINUTE_MS = 60_000;
const TEST_MANIFEST = 'sn_vulc_test_manifest';

/** The two jobs that carry test results up to their remediation tasks and tests (SN installed-with-config-compliance). */
export function rollupJobs(store: Store): StockJob[] {
  return [
    {
      name: 'reassess-remediation-tasks',
      title: 'Reassess the state of the test result groups',
      everyMs: 15 * MINUTE_MS,
      because: 'servicenow.md §11: every 15 minutes, tasks whose assess_state is false',
      run: () => {
        const tasks = store.equal('sn_vulc_result_group', 'assess_state', ['false', '']);
        return tasks.filter((task) => reassess(store, task)).length;
      },
    },
    {
      name: 'roll-up-risk',
      title: 'Rollup test result risk score to test result group and configuration test',
      everyMs: 60 * MINUTE_MS,
      because: 'servicenow.md §11: hourly, the tests in sn_vulc_test_manifest',
      run: () => {
        const entries = [...store.rows(TEST_MANIFEST)];
        const changed = entries.filter((entry) => rollUp(store, entry.values['test'] ?? '')).length;
        for (const entry of entries) store.delete(entry);
        return changed;
      },
    },
  ];
}

/** Notes that the score of a test is to be calculated again. */
export function noteChangedTest(store: Store, test: string): void {
  if (store.find('sn_vulc_test', test) === undefined || store.equal(TEST_MANIFEST, 'test', [test]).length > 0) return;
  store.insert(TEST_MANIFEST, { test }, 'system');
}

/** The highest score of what is not closed: which roll-up calculator ships is not recorded. */
function rollUp(store: Store, testId: string): boolean {
  const test = store.find('sn_vulc_test', testId);
  if (test === undefined) return false;
  const scores = store
    .equal(RESULTS, 'control', [testId])
    .filter(({ values }) => values['state'] !== CLOSED)
    .map(({ values }) => Number(values['risk_score'] ?? '0'));
  return store.update(test, { risk_score: String(scores.reduce((highest, score) => Math.max(highest, score), 0)) }, CC_SYSTEM);
}

/** Open results leave a task alone; fixed ones close it as Fixed, stale or decommissioned ones alone as Canceled. */
function reassess(store: Store, task: Row): boolean {
  const members = store
    .equal('sn_vulc_m2m_result_result_group', 'group', [task.sysId])
    .flatMap(({ values }) => store.find(RESULTS, values['result'] ?? '') ?? []);
  store.update(task, { assess_state: 'true' }, CC_SYSTEM);
  if (members.length === 0 || members.some(({ values }) => values['state'] !== CLOSED)) return false;
  const isFixed = members.some(({ values }) => values['substate'] === SUBSTATE.fixed);
  return closeFinding(store, task, isFixed ? SUBSTATE.fixed : SUBSTATE.canceled, CC_SYSTEM);
}
