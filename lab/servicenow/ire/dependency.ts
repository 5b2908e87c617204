import type { Store } from '../store.ts';
import { messages, quoted, type IreMessage } from './messages.ts';
import type { PayloadItem, PayloadRelation } from './payload.ts';
import { dependenciesOf, shortRelation, type Dependency } from './rules.ts';

/** The item of the payload that another one depends on. */
export interface Host {
  index: number;
  dependency: Dependency;
  relation: PayloadRelation;
}

/** Finds the item a dependent item hangs on: its relation must be in the payload, even if everything exists already (servicenow.md §5.1). */
export function findHost(
  item: PayloadItem,
  relations: { relation: PayloadRelation }[],
  items: PayloadItem[],
  store: Store,
  dataSource: string,
): Host | IreMessage {
  const dependencies = dependenciesOf(store, item.className);
  if (dependencies.length === 0) return messages.metadataMissing(item.className, quoted(item, dataSource));
  const hosts = new Map<number, Host>();
  for (const { relation } of relations) {
    if (relation.parent !== item.index && relation.child !== item.index) continue;
    for (const dependency of dependencies) {
      const isParent = dependency.dependentEnd === 'parent';
      const own = isParent ? relation.parent : relation.child;
      const other = isParent ? relation.child : relation.parent;
      if (own !== item.index || other === undefined || relation.type !== dependency.relTypeName) continue;
      const host = items[other];
      if (host !== undefined && store.schema.isA(host.className, dependency.on)) hosts.set(other, { index: other, dependency, relation });
    }
  }
  const [host, second] = [...hosts.values()];
  if (host === undefined) {
    const rules = dependencies.map(ruleText).join(', ');
    return messages.missingDependency(item.className, rules, quoted(item, dataSource));
  }
  if (second === undefined) return host;
  const text = (index: number): string => {
    const named = items[index];
    return named === undefined ? '' : quoted(named, dataSource);
  };
  return messages.multipleDependencies(text(host.index), text(second.index));
}

/** `a >> Hosted on >> b`, from the parent of the relation to its child. */
function ruleText({ dependent, on, relTypeName, dependentEnd }: Dependency): string {
  const [parent, child] = dependentEnd === 'parent' ? [dependent, on] : [on, dependent];
  return `${parent} >> ${shortRelation(relTypeName)} >> ${child}`;
}
