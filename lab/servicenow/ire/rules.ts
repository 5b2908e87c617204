import type { Row, Store } from '../store.ts';

/** The identification rule that holds for a class: its own or the nearest ancestor's. */
export interface IdentifierRule {
  name: string;
  appliesTo: string;
  independent: boolean;
  entries: { sysId: string; table: string; attributes: string[]; allowNull: boolean }[];
  /** Tables that may come as related items, with the column that refers to the item. */
  related: Map<string, string>;
}

/** What a dependent class depends on: a hosting or a containment row. */
export interface Dependency {
  dependent: string;
  on: string;
  relType: string;
  relTypeName: string;
  /** Which end of the relation the dependent item is. */
  dependentEnd: 'parent' | 'child';
}

/** The identification rules as they are in the instance's own tables now: an administrator may change them. */
export function identifierRuleFor(store: Store, className: string): IdentifierRule | undefined {
  for (const name of store.schema.get(className)?.lineage ?? []) {
    const rule = store.equal('cmdb_identifier', 'applies_to', [name]).find((row) => row.values['active'] === 'true');
    if (rule === undefined) continue;
    const entries = store
      .equal('cmdb_identifier_entry', 'identifier', [rule.sysId])
      .filter((row) => row.values['active'] === 'true')
      .sort((left, right) => orderOf(left) - orderOf(right));
    if (entries.length === 0) continue;
    return {
      name: rule.values['name'] ?? '',
      appliesTo: name,
      independent: rule.values['independent'] === 'true',
      entries: entries.map((row) => ({
        sysId: row.sysId,
        table: row.values['table'] ?? name,
        attributes: (row.values['attributes'] ?? '').split(',').map((attribute) => attribute.trim()),
        allowNull: row.values['allow_null_attribute'] === 'true',
      })),
      related: new Map(
        store
          .equal('cmdb_related_entry', 'identifier', [rule.sysId])
          .map((row) => [row.values['table'] ?? '', row.values['referenced_field'] ?? '']),
      ),
    };
  }
  return undefined;
}

function orderOf(row: Row): number {
  return Number(row.values['order'] ?? '0');
}

/** Every hosting and containment row that speaks of a class or of one it extends. */
export function dependenciesOf(store: Store, className: string): Dependency[] {
  const lineage = new Set(store.schema.get(className)?.lineage ?? []);
  return allDependencies(store).filter(({ dependent }) => lineage.has(dependent));
}

function allDependencies(store: Store): Dependency[] {
  const dependencies: Dependency[] = [];
  const add = (row: Row, dependent: string, on: string, dependentEnd: 'parent' | 'child'): void => {
    const relType = row.values['rel_type'] ?? '';
    const relTypeName = store.find('cmdb_rel_type', relType)?.values['name'] ?? '';
    if (dependent !== '' && on !== '' && relTypeName !== '') dependencies.push({ dependent, on, relType, relTypeName, dependentEnd });
  };
  for (const row of store.rows('cmdb_metadata_hosting')) {
    const { parent_type: parent = '', child_type: child = '', is_reverse: reverse } = row.values;
    if (reverse === 'true') add(row, child, parent, 'child');
    else add(row, parent, child, 'parent');
  }
  for (const row of store.rows('cmdb_metadata_containment')) {
    const container = store.find('cmdb_metadata_containment', row.values['parent_id'] ?? '');
    if (container === undefined) continue;
    add(row, row.values['ci_type'] ?? '', container.values['ci_type'] ?? '', row.values['is_reverse'] === 'true' ? 'parent' : 'child');
  }
  return dependencies;
}

/** `Hosted on` of `Hosted on::Hosts`: how the engine's messages name a relation. */
export function shortRelation(name: string): string {
  return name.split('::', 1)[0] ?? name;
}
