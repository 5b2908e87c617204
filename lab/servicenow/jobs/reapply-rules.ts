import { propertyOf, recordMatcher } from '../query/evaluate.ts';
import type { Row, Store } from '../store.ts';
import { dateTime } from '../values.ts';
import { DISCOVERED_ITEMS, SEC_COMMON_SYSTEM, isRetired } from './findings.ts';
import type { StockJob } from './scheduler.ts';

const DAY_MS = 86_400_000;
/** Only what was scanned lately is looked up again (servicenow.md §4). */
const SCANNED_WITHIN_DAYS = 90;
const RULES = 'sn_sec_cmn_ci_lookup_rule';

/**
 * Looks up the CI of discovered items again: of unmatched ones, and of those that a rule marked `reapply` had matched
 * (servicenow.md §4). Nothing happens while an import runs. A CI that changed takes its test results along, by the job for that.
 */
export function reapplyRulesJob(store: Store): StockJob {
  return {
    name: 'reapply-lookup-rules',
    title: 'Reapply Look up Rules',
    // On the platform an administrator schedules it; the lab: daily.
    everyMs: DAY_MS,
    because: 'servicenow.md §4',
    run: () => {
      if (store.equal('sn_vul_integration_run', 'state', ['running']).length > 0) return 0;
      const rules = [...store.rows(RULES)].filter(({ values }) => values['active'] === 'true');
      rules.sort((left, right) => Number(left.values['order'] ?? 0) - Number(right.values['order'] ?? 0));
      const reapplied = rules.filter(({ values }) => values['reapply'] === 'true').map(({ sysId }) => sysId);
      const items = new Set([
        ...store.equal(DISCOVERED_ITEMS, 'state', ['unmatched']),
        ...store.equal(DISCOVERED_ITEMS, 'ci_lookup_rule', reapplied),
      ]);
      const changed = [...items].filter((item) => isRecent(store, item) && match(store, item, rules)).length;
      for (const rule of rules) if (rule.values['reapply'] === 'true') store.update(rule, { reapply: 'false' }, SEC_COMMON_SYSTEM);
      return changed;
    },
  };
}

function isRecent(store: Store, { values }: Row): boolean {
  const limit = dateTime(new Date(store.clock.nowMs() - SCANNED_WITHIN_DAYS * DAY_MS));
  const scanned = ['last_scan_date', 'last_comp_scan_date', 'non_infra_last_scan_date'].map((name) => values[name] ?? '');
  return scanned.some((date) => date >= limit);
}

/** The first rule by order that finds a CI wins, and of several CIs the first (servicenow.md §1.5). */
function match(store: Store, item: Row, rules: Row[]): boolean {
  const integration = store.find('sn_sec_int_impl', item.values['source'] ?? '')?.values['integration'] ?? '';
  for (const rule of rules) {
    const source = rule.values['source'] ?? '';
    if (source !== '' && source !== integration) continue;
    const ci = find(store, item, rule);
    if (ci === undefined) continue;
    const values = {
      cmdb_ci: ci.sysId,
      cmdb_ci_class: ci.table,
      state: 'matched',
      matching_type: 'matched_by_cilookup',
      ci_lookup_rule: rule.sysId,
    };
    return store.update(item, values, SEC_COMMON_SYSTEM);
  }
  return false;
}

/**
 * The three shipped rules are scripts; the lab knows what they do: a value of the item looked up in `object_id` of the class that its
 * resource type is mapped to, a bucket by its ARN. Rules that match fields name their table themselves.
 */
function find(store: Store, item: Row, { values: rule }: Row): Row | undefined {
  const items = store.schema.get(DISCOVERED_ITEMS);
  const condition = rule['condition'] ?? '';
  if (items === undefined || (condition !== '' && !recordMatcher(store, items, condition)(item))) return undefined;
  const value = item.values[rule['source_field'] ?? ''] ?? '';
  const tableName = (rule['target_table'] ?? '') === '' ? mappedClass(store, item) : (rule['target_table'] ?? '');
  const field = rule['target_field'] ?? '';
  const table = store.schema.get(tableName);
  if (value === '' || table?.columns.has(field) !== true) return undefined;
  const wanted = tableName === 'cmdb_ci_cloud_object_storage' ? `arn:aws:s3:::${value}` : value;
  const leaveOutRetired = propertyOf(store, 'sn_sec_cmn.filterOutDecommissionedCI') === 'true';
  const ignored = new Set(propertyOf(store, 'sn_sec_cmn.ignoreCIClass').split(','));
  return store.equal(tableName, field, [wanted]).find((ci) => !(leaveOutRetired && isRetired(ci.values)) && !ignored.has(ci.table));
}

function mappedClass(store: Store, item: Row): string {
  const type = store.find('sn_sec_cmn_cloud_resource_type', item.values['cloud_resource_type'] ?? '')?.values['name'] ?? '';
  return type === '' ? '' : (store.equal('sn_capi_resource_type', 'name', [type])[0]?.values['ci_class'] ?? '');
}
