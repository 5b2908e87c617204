import { CLOSED } from '../rules/record-states.ts';
import { isPlatform } from '../rules/platform-users.ts';
import type { Row, Store } from '../store.ts';
import { dateTime } from '../values.ts';
import { CONTAINER_ITEMS, RESULTS, existing } from './findings.ts';
import { noteChangedTest } from './rollups.ts';
import type { StockJob } from './scheduler.ts';

/** Who a recalculation is written by. */
const ACTOR = 'system';
const DAY_MS = 86_400_000;
/** Not recorded; the lab: a few seconds after the write. */
const DELAY_MS = 3_000;
/** Days to the remediation target and risk score by criticality 1 (critical) to 5 (minor): the lab's figures, no page prints any. */
const TARGET_DAYS = [7, 30, 60, 90, 180];
const RISK_SCORES = [95, 80, 55, 20, 0];

const TABLES = [RESULTS, CONTAINER_ITEMS];

/**
 * What the platform does some seconds after a finding was created or updated: assignment, short description, target date and risk are
 * calculated again and overwrite what was sent (servicenow.md §5.3), with a new sys_mod_count and sys_updated_by `system`.
 * While `isOn` is false nothing is noted, and a run by hand goes through every finding.
 */
export function recalculationJob(store: Store, isOn: () => boolean): StockJob {
  const dueMs = new Map<string, { table: string; atMs: number }>();
  store.onChange((change) => {
    if (!isOn() || change.op === 'delete') return;
    const { row } = change;
    const table = TABLES.find((name) => store.schema.isA(row.table, name));
    if (table === undefined || isPlatform(row.values['sys_updated_by'] ?? '')) return;
    dueMs.delete(row.sysId);
    dueMs.set(row.sysId, { table, atMs: store.clock.nowMs() + DELAY_MS });
  });
  return {
    name: 'recalculate-findings',
    title: 'Recalculation after a write: assignment, short description, remediation target, risk',
    everyMs: 1_000,
    because: 'servicenow.md §5.3',
    run: () =>
      (isOn() ? takeDue(store, dueMs) : [...TABLES.flatMap((table) => [...store.rows(table)])]).filter((row) => recalculate(store, row))
        .length,
  };
}

/** Oldest first: the first that is not due ends it. An entry from before a clock that was set back counts as due. */
function takeDue(store: Store, dueMs: Map<string, { table: string; atMs: number }>): Row[] {
  const rows: Row[] = [];
  const nowMs = store.clock.nowMs();
  for (const [sysId, { table, atMs }] of dueMs) {
    if (atMs > nowMs && atMs - nowMs <= DELAY_MS) break;
    dueMs.delete(sysId);
    const row = store.find(table, sysId);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

/** The score of the test follows within the hour (servicenow.md §11). */
function recalculate(store: Store, row: Row): boolean {
  const score = row.values['risk_score'];
  if (!store.update(row, recalculated(store, row), ACTOR)) return false;
  if (row.values['risk_score'] !== score) noteChangedTest(store, row.values['control'] ?? '');
  return true;
}

/** The columns the platform owns, as it would fill them now; a closed finding keeps what it had. */
export function recalculated(store: Store, row: Row): Record<string, string> {
  if (row.values['state'] === CLOSED) return {};
  const { subject, criticality, since } = row.table === RESULTS ? ofResult(store, row) : ofContainerItem(store, row);
  const rank = Math.min(Math.max(criticality, 1), 5) - 1;
  const values: Record<string, string> = {
    ...(subject === '' ? {} : { short_description: subject }),
    ...assignment(store, row),
    ...riskOf(RISK_SCORES[rank] ?? 0),
    ttr_target_date: dateTime(new Date(Date.parse(`${since.replace(' ', 'T')}Z`) + (TARGET_DAYS[rank] ?? 0) * DAY_MS)),
  };
  return existing(store, row, values);
}

interface Basis {
  subject: string;
  /** 1 critical … 5 minor; 3 where nothing says. */
  criticality: number;
  since: string;
}

function ofResult(store: Store, row: Row): Basis {
  const test = store.find('sn_vulc_test', row.values['control'] ?? '');
  return {
    subject: test?.values['short_description'] ?? '',
    criticality: Number(test?.values['criticality'] ?? '3'),
    since: row.values['first_seen'] ?? row.values['sys_created_on'] ?? '',
  };
}

function ofContainerItem(store: Store, row: Row): Basis {
  const vulnerability = store.find('sn_vul_entry', row.values['vulnerability'] ?? '');
  const image = store.find('sn_vul_container_image', row.values['discovered_container_image'] ?? '');
  const subject = [vulnerability?.values['id'], image?.values['image_name']].filter((part) => part !== undefined).join(' on ');
  return {
    subject,
    criticality: Number(vulnerability?.values['normalized_severity'] ?? '3'),
    since: row.values['first_found_dt_tm'] ?? row.values['sys_created_on'] ?? '',
  };
}

/** The first active assignment rule of the table; classic instances keep theirs in another table (servicenow.md §1.8). */
function assignment(store: Store, row: Row): Record<string, string> {
  const ruleTable = ['sn_sec_wf_assign_rule', 'sn_vulc_assignment_rule'].find((name) => store.schema.get(name) !== undefined);
  if (ruleTable === undefined) return {};
  const rules = store.equal(ruleTable, 'table', [row.table]).filter((rule) => rule.values['active'] === 'true');
  const [rule] = rules.sort((left, right) => Number(left.values['order'] ?? 0) - Number(right.values['order'] ?? 0));
  const group = rule?.values['assignment_group'];
  return group === undefined ? {} : { assignment_group: group };
}

/** Bands of the risk rating: 1 = 90–100, 2 = 70–89, 3 = 40–69, 4 = 1–39, 5 = 0 (servicenow.md §2). */
export function riskOf(score: number): Record<string, string> {
  const rating = score >= 90 ? 1 : score >= 70 ? 2 : score >= 40 ? 3 : score >= 1 ? 4 : 5;
  return { risk_score: String(score), risk_rating: String(rating) };
}
