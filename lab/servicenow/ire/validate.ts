import type { Store } from '../store.ts';
import { messages, type IreMessage } from './messages.ts';
import type { PayloadRelation } from './payload.ts';
import type { IreCall, ItemPlan } from './plan-types.ts';
import type { IdentifierRule, RuleBook } from './rules.ts';

/** The data source is a choice of cmdb_ci.discovery_source in its exact spelling (servicenow.md §5.1, pitfalls). */
export function dataSourceError(store: Store, dataSource: string): IreMessage | undefined {
  if (dataSource === '') return messages.noSource();
  const isKnown = store
    .equal('sys_choice', 'name', ['cmdb_ci'])
    .some(({ values }) => values['element'] === 'discovery_source' && values['value'] === dataSource && values['inactive'] !== 'true');
  return isKnown ? undefined : messages.unknownSource(dataSource);
}

/** What is wrong with a relation by itself: its ends and its type. */
export function relationErrors(relation: PayloadRelation, rules: RuleBook): IreMessage[] {
  const errors: IreMessage[] = [];
  const text = JSON.stringify(relation.raw);
  if (relation.parent === undefined) errors.push(messages.badIndex(text, 'parent', indexText(relation.raw, 'parent')));
  if (relation.child === undefined) errors.push(messages.badIndex(text, 'child', indexText(relation.raw, 'child')));
  const types = rules.relationTypes(relation.type);
  if (types.length === 0) errors.push(messages.unknownRelationType(relation.type));
  if (types.length > 1) errors.push(messages.doubledRelationType(relation.type, types));
  return errors;
}

function indexText(raw: Record<string, unknown>, end: 'parent' | 'child'): string {
  return JSON.stringify(raw[`${end}_id`] ?? raw[end] ?? null).replaceAll('"', '');
}

/** What is wrong with the rules that an item needs, before anything is looked for. */
export function ruleErrors(plan: ItemPlan, chain: IdentifierRule[]): IreMessage[] {
  const { item, rule } = plan;
  if (rule === undefined) return [messages.ruleMissing(item.className)];
  const errors: IreMessage[] = [];
  for (const { appliesTo, independent, entries } of chain) {
    if (independent && entries.some(({ attributes, ciAttributes }) => [...attributes, ...ciAttributes].includes('sys_class_name'))) {
      errors.push(messages.classNameInIndependent(appliesTo));
    }
    if (!independent && entries.some(({ kind }) => kind !== 'regular')) errors.push(messages.lookupInDependent(appliesTo));
  }
  for (const table of new Set(item.lookup.map(({ className }) => className))) {
    if (!rule.entries.some((entry) => entry.table === table && entry.kind !== 'regular')) {
      errors.push(messages.lookupRuleMissing(rule.appliesTo, table));
    }
  }
  for (const table of new Set(item.related.map(({ className }) => className))) {
    if (!rule.related.has(table)) errors.push(messages.relatedRuleMissing(item.className, table));
  }
  return errors;
}

/** An IRE data source rule may keep a source from inserting into a class; the nearest class that has one decides. */
export function insertIsBlocked({ store, dataSource }: IreCall, className: string): boolean {
  for (const name of store.schema.get(className)?.lineage ?? []) {
    const rule = store
      .equal('cmdb_ire_data_source_rule', 'applies_to', [name])
      .find(({ values }) => values['active'] === 'true' && values['data_source'] === dataSource);
    if (rule !== undefined) return rule.values['insert_not_allowed'] === 'true';
  }
  return false;
}
