import type { Row } from '../store.ts';
import { messages } from './messages.ts';
import type { ClassChange } from './payload.ts';
import type { IreCall, ItemPlan, Operation } from './plan-types.ts';

/**
 * A matched record of another class moves to the payload's class. Settings, properties and restriction rules may keep the class and
 * let the update through (an `info`), or refuse the item (documentation of CI reclassification during IRE processing).
 */
export function planClassChange(plan: ItemPlan, row: Row, call: IreCall): Operation | undefined {
  const { className, settings } = plan.item;
  const { schema } = call.store;
  plan.className = row.table;
  if (row.table === className) return undefined;
  const change: ClassChange = schema.isA(className, row.table) ? 'UPGRADE' : schema.isA(row.table, className) ? 'DOWNGRADE' : 'SWITCH';
  const refusal = messages.reclassification(row.table, className);
  if (settings.updateWithout[change] || call.properties.updateWithout[change]) {
    plan.info.push({ code: `SKIPPED_CLASS_${change}`, message: `${refusal.message} by the settings of the payload item` });
    return undefined;
  }
  const rule = settings.skipRestrictionRules ? undefined : restrictionRule(row.table, className, change, call);
  if (rule !== undefined) {
    const message = `${refusal.message} by a reclassification restriction rule`;
    plan.info.push({ code: `SKIPPED_CLASS_${change}`, message, ruleSysId: rule.sysId });
    return undefined;
  }
  // Only between classes with the same identification rule (same page, note).
  const sameRule = call.rules.ruleFor(row.table)?.sysId === plan.rule?.sysId;
  if (!sameRule || !(settings.allowed[change] ?? call.properties.classChange[change])) {
    plan.errors.push(refusal);
    plan.refusedChange = { from: row.table, to: className };
    return undefined;
  }
  plan.className = className;
  return `UPDATE_WITH_${change}`;
}

/** Restriction rules speak of downgrades and switches only, in one direction, with or without child classes. */
function restrictionRule(from: string, to: string, change: ClassChange, { store, properties }: IreCall): Row | undefined {
  if (!properties.restrictionRules || change === 'UPGRADE') return undefined;
  const covers = (name: string, table: string, withChildren: string | undefined): boolean =>
    name === table || (withChildren === 'true' && store.schema.isA(name, table));
  for (const rule of store.rows('cmdb_ire_reclassification_restriction')) {
    const { active, type, source_table: source = '', target_table: target = '' } = rule.values;
    if (active !== 'true' || (type ?? '').toUpperCase() !== change) continue;
    if (covers(from, source, rule.values['source_inheritance']) && covers(to, target, rule.values['target_inheritance'])) return rule;
  }
  return undefined;
}
