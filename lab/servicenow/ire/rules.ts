import type { Row, Store } from '../store.ts';

/** One way to find a record. Regular: by its own columns. Look-up: by a record that refers to it. Hybrid: by both. */
export interface IdentifierEntry {
  kind: 'regular' | 'lookup' | 'hybrid';
  sysId: string;
  table: string;
  attributes: string[];
  /** Columns of the CI itself, for a hybrid entry. */
  ciAttributes: string[];
  allowNull: boolean;
  /** Where this entry finds nothing, the rule of the parent class may be tried (dependent rules only). */
  fallback: boolean;
  /** Every look-up item of the payload must refer to the CI. */
  exactCount: boolean;
  /** The column of the look-up table that refers to the CI; '' for a regular entry. */
  reference: string;
}

/** How records of a related table hang on the CI, and what tells them apart. */
export interface RelatedRule {
  reference: string;
  /** Empty where the entry names none: the lab then takes the first column of the payload. */
  attributes: string[];
}

/** The identification rule that holds for a class: its own or the nearest ancestor's. */
export interface IdentifierRule {
  sysId: string;
  name: string;
  appliesTo: string;
  independent: boolean;
  entries: IdentifierEntry[];
  related: Map<string, RelatedRule>;
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

/** The rules as they are in the instance's own tables now: an administrator may change them between two payloads. */
export interface RuleBook {
  ruleFor(className: string): IdentifierRule | undefined;
  /** The rule of a class, then those of its ancestors as far as fallback is allowed (dependent_ci_parent_rule_fallback.json). */
  chainFor(className: string): IdentifierRule[];
  /** Every hosting and containment row that speaks of a class or of one it extends. */
  dependenciesOf(className: string): Dependency[];
  /** The sys_ids of the relation types with this name. */
  relationTypes(name: string): string[];
}

/** A rule book for one payload: every rule is read once. */
export function createRuleBook(store: Store): RuleBook {
  const rules = remembered((className: string) => readRule(store, store.schema.get(className)?.lineage ?? []));
  let dependencies: Dependency[] | undefined;
  return {
    ruleFor: rules,
    chainFor: remembered((className: string) => {
      const chain: IdentifierRule[] = [];
      for (let rule = rules(className); rule !== undefined;) {
        chain.push(rule);
        if (rule.independent || !rule.entries.some(({ fallback }) => fallback)) break;
        const { appliesTo } = rule;
        rule = readRule(store, store.schema.get(appliesTo)?.lineage.slice(1) ?? []);
      }
      return chain;
    }),
    dependenciesOf: remembered((className: string) => {
      const lineage = new Set(store.schema.get(className)?.lineage ?? []);
      dependencies ??= allDependencies(store);
      return dependencies.filter(({ dependent }) => lineage.has(dependent));
    }),
    relationTypes: remembered((name: string) => store.equal('cmdb_rel_type', 'name', [name]).map(({ sysId }) => sysId)),
  };
}

function remembered<K extends string, V>(read: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    if (!known.has(key)) known.set(key, read(key));
    return known.get(key) as V;
  };
}

function readRule(store: Store, lineage: string[]): IdentifierRule | undefined {
  for (const name of lineage) {
    const rule = store.equal('cmdb_identifier', 'applies_to', [name]).find((row) => row.values['active'] === 'true');
    if (rule === undefined) continue;
    const entries = store
      .equal('cmdb_identifier_entry', 'identifier', [rule.sysId])
      .filter((row) => row.values['active'] === 'true')
      .sort((left, right) => orderOf(left) - orderOf(right));
    // A rule without an active entry does not apply (dictionary/identifiers.json, engine facts).
    if (entries.length === 0) continue;
    return {
      sysId: rule.sysId,
      name: rule.values['name'] ?? '',
      appliesTo: name,
      independent: rule.values['independent'] === 'true',
      entries: entries.map((row) => entryOf(store, name, row)),
      related: relatedRules(store, rule.sysId),
    };
  }
  return undefined;
}

function entryOf(store: Store, appliesTo: string, row: Row): IdentifierEntry {
  const table = row.values['table'] ?? appliesTo;
  const ciAttributes = columnList(row.values['hybrid_entry_ci_criterion_attributes']);
  const isOwn = store.schema.isA(appliesTo, table);
  const kind = isOwn ? 'regular' : ciAttributes.length > 0 ? 'hybrid' : 'lookup';
  return {
    kind,
    sysId: row.sysId,
    table,
    attributes: columnList(row.values['attributes']).sort(),
    ciAttributes: kind === 'hybrid' ? ciAttributes.sort() : [],
    allowNull: row.values['allow_null_attribute'] === 'true',
    fallback: row.values['allow_fallback'] === 'true',
    exactCount: row.values['exact_count_match'] === 'true',
    reference: isOwn ? '' : referenceToCi(store, table),
  };
}

/** A look-up table must have a reference to a CI; its own columns count, one called cmdb_ci first. */
function referenceToCi(store: Store, table: string): string {
  const definition = store.schema.get(table);
  const own = definition?.ownColumns.filter(({ reference }) => reference !== undefined && store.schema.isA(reference, 'cmdb_ci')) ?? [];
  return own.find(({ name }) => name === 'cmdb_ci')?.name ?? own[0]?.name ?? '';
}

function relatedRules(store: Store, identifier: string): Map<string, RelatedRule> {
  const rows = store
    .equal('cmdb_related_entry', 'identifier', [identifier])
    .filter((row) => row.values['active'] !== 'false')
    .sort((left, right) => orderOf(right) - orderOf(left));
  // The entry with the lowest number comes last and so wins.
  return new Map(
    rows.map((row) => [
      row.values['table'] ?? '',
      { reference: row.values['referenced_field'] ?? '', attributes: columnList(row.values['attributes']) },
    ]),
  );
}

function columnList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function orderOf(row: Row): number {
  return Number(row.values['order'] ?? '0');
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
