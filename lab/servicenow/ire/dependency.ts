import { messages, quoted, type IreMessage } from './messages.ts';
import { finalPlan, hostsOf, type HostLink, type IreCall, type ItemPlan, type PayloadPlan, type RelationPlan } from './plan-types.ts';
import { shortRelation, type Dependency } from './rules.ts';

/**
 * Finds what each dependent item hangs on: the relation must be in the payload, even if everything exists already (servicenow.md §5.1).
 * An item that is given by sys_id needs none: it is identified (not recorded; the lab follows from that).
 */
export function linkHosts(plan: PayloadPlan, call: IreCall): void {
  const byItem = relationsByItem(plan.relations);
  for (const item of plan.items) {
    if (item.rule === undefined || item.rule.independent) continue;
    const dependencies = call.rules.dependenciesOf(item.item.className);
    item.links = (byItem.get(item.item.index) ?? []).flatMap((relation) => linksOf(item, relation, dependencies, plan, call));
    item.host = item.links[0];
    if (item.host !== undefined || (item.item.values['sys_id'] ?? '') !== '') continue;
    const text = quoted(item.item, call.quoting);
    item.errors.push(
      dependencies.length === 0
        ? messages.metadataMissing(item.item.className, text)
        : messages.missingDependency(item.item.className, dependencies.map(ruleText).join(', '), text),
    );
  }
}

function relationsByItem(relations: RelationPlan[]): Map<number, RelationPlan[]> {
  const byItem = new Map<number, RelationPlan[]>();
  for (const relation of relations) {
    if (relation.errors.length > 0) continue;
    for (const end of new Set([relation.relation.parent?.item, relation.relation.child?.item])) {
      if (end === undefined) continue;
      const known = byItem.get(end);
      if (known === undefined) byItem.set(end, [relation]);
      else known.push(relation);
    }
  }
  return byItem;
}

/** A relation may satisfy several rows (one of a class, one of its ancestor); it counts once. */
function linksOf(item: ItemPlan, plan: RelationPlan, dependencies: Dependency[], payload: PayloadPlan, call: IreCall): HostLink[] {
  const { relation } = plan;
  for (const dependency of dependencies) {
    const isParent = dependency.dependentEnd === 'parent';
    const own = isParent ? relation.parent : relation.child;
    const other = isParent ? relation.child : relation.parent;
    if (own?.item !== item.item.index || own.sub !== undefined || other === undefined || other.sub !== undefined) continue;
    if (relation.type !== dependency.relTypeName) continue;
    const host = payload.items[other.item];
    if (host === undefined || !call.store.schema.isA(host.item.className, dependency.on)) continue;
    plan.isDependency = true;
    return [{ index: other.item, dependency, relation }];
  }
  return [];
}

/** A dependent item has exactly one host, reached by exactly one relation; judged after duplicates are merged. */
export function checkLinks(plan: PayloadPlan, call: IreCall): void {
  for (const item of plan.items) {
    const [first, ...others] = item.links;
    if (first === undefined || others.length === 0 || item.mergedInto !== undefined) continue;
    for (const other of others) {
      const error = conflictOf(plan, item, first, other, call);
      if (error === undefined) continue;
      item.errors.push(error);
      break;
    }
  }
}

function conflictOf(plan: PayloadPlan, item: ItemPlan, first: HostLink, other: HostLink, call: IreCall): IreMessage | undefined {
  const host = finalPlan(plan, first.index);
  const second = finalPlan(plan, other.index);
  if (host === undefined || second === undefined) return undefined;
  const text = (of: ItemPlan): string => quoted(of.item, call.quoting);
  if (host === second) {
    if (first.relation.type !== other.relation.type) return messages.typeConflict(text(item), text(host));
    // The enhanced endpoints merge what is said twice.
    return call.deduplicate ? undefined : messages.multipleRelations(text(item), text(host));
  }
  const chain = new Set([...hostsOf(plan, host), ...hostsOf(plan, second)]);
  const shared = chain.has(second) ? second : chain.has(host) ? host : undefined;
  return shared === undefined ? messages.multipleDependencies(text(host), text(second)) : messages.multiplePaths(text(item), text(shared));
}

/** `a >> Hosted on >> b`, from the parent of the relation to its child. */
function ruleText({ dependent, on, relTypeName, dependentEnd }: Dependency): string {
  const [parent, child] = dependentEnd === 'parent' ? [dependent, on] : [on, dependent];
  return `${parent} >> ${shortRelation(relTypeName)} >> ${child}`;
}
