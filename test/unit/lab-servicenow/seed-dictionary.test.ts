/**
 * The lab's seed against the evidenced dictionary (examples/servicenow/dictionary), entry by entry: nothing is missing, nothing differs,
 * and the seed is nowhere surer than its source. The dictionary lies beside the project, not in it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readSeeds } from '../../../lab/servicenow/schema.ts';

const project = join(import.meta.dirname, '..', '..', '..');
const dictionary = join(project, '..', 'shared', 'examples', 'servicenow', 'dictionary');

interface SeedColumn {
  name: string;
  label: string;
  type: string;
  maxLength: number;
  reference?: string;
  grade: string;
  typeGrade?: string;
  lab?: string[];
  default?: string;
  mandatory?: boolean;
  readOnly?: boolean;
}

interface SeedTable {
  name: string;
  label: string;
  extends?: string;
  extendsGrade?: string;
  grade: string;
  columns: SeedColumn[];
  unique?: { columns: string[] };
}

interface Seeds {
  tables: SeedTable[];
  choices: { table: string; column: string; value: string; label: string; grade: string }[];
  roles: SeedRole[];
  extraRoles: SeedRole[];
  users: { userName: string; roles: string[] }[];
  rules: { table: string }[];
  relationTypes: { name: string; parent: string; child: string; grade: string }[];
  identifiers: { class: string; independent: boolean; entries: { attributes: string[] }[]; related?: object[]; grade: string }[];
  dependencies: { dependent: string; on: string; relation: string; dependentEnd: string; grade: string }[];
}

interface SeedRole {
  name: string;
  contains: string[];
  containedIn?: string[];
  grade: string;
}

interface SourceColumn {
  name: string;
  label?: string;
  type?: string;
  type_grade?: string;
  reference?: string;
  max_length?: number;
  default?: string;
  mandatory?: boolean;
  read_only?: boolean;
  unique?: boolean;
  choices?: Record<string, string>;
  grade: string;
}

interface Unknown {
  purpose: string;
  reference?: string;
}

interface SourceTable {
  table: string;
  label?: string;
  super_class?: string | null;
  super_class_grade?: string;
  columns: SourceColumn[];
  unknown_columns?: Unknown[];
}

interface Relation {
  parent: string;
  relation: string;
  child: string;
}

interface SourceRule {
  class: string;
  note?: string;
  independent?: boolean;
  entries: { attributes: string[] }[];
  related_entries?: { table: string; referenced_field: string }[];
  hosting?: Relation[];
  containment?: Relation[];
  other_dependency?: Relation[];
  grade: string;
}

type ClassTree = { class: string; parent: string | null; grade: string }[];

interface SourceRoles {
  roles: { role: string; contains: string[]; contained_in?: string[]; user?: string; grade: string }[];
  access: { table?: string }[];
}

interface RelationType {
  name: string;
  parent_descriptor: string;
  child_descriptor: string;
  grade: string;
}

const seeds = readSeeds([join(project, 'lab', 'servicenow', 'seed')]) as unknown as Seeds;
const tables = new Map<string, SeedTable>();
for (const table of seeds.tables) {
  const known = tables.get(table.name);
  // A second file may add columns to a table; what the first says of one stands.
  tables.set(table.name, known === undefined ? table : { ...table, ...known, columns: [...known.columns, ...table.columns] });
}

function read(file: string): unknown {
  return JSON.parse(readFileSync(join(dictionary, file), 'utf8'));
}

/** From unsure to sure. */
const GRADES = ['lab', 'inferred', 'seen-in-code', 'documented'];
const sureness = (grade: string): number => GRADES.indexOf(GRADES.findLast((word) => grade.startsWith(word)) ?? 'lab');

function tableNamed(name: string): SeedTable {
  const table = tables.get(name);
  if (table === undefined) throw new Error(`The seed has no table ${name}.`);
  return table;
}

/** A column where the table or the nearest of its parents has it. */
function seededColumn(table: string, name: string): (SeedColumn & { isOwn: boolean }) | undefined {
  for (let current = tables.get(table); current !== undefined; current = tables.get(current.extends ?? '')) {
    const column = current.columns.find((one) => one.name === name);
    if (column !== undefined) return { ...column, isOwn: current.name === table };
  }
  return undefined;
}

function expectNotSurer(seeded: { grade: string } | undefined, sourceGrade: string): void {
  expect(GRADES).toContain(seeded?.grade);
  expect(sureness(seeded?.grade ?? 'documented')).toBeLessThanOrEqual(sureness(sourceGrade));
}

if (existsSync(dictionary)) describe('the seed holds the dictionary', compare);
else it.skip(`the seed holds the dictionary: it is not here (${dictionary})`, () => undefined);

function compare(): void {
  const sources = readdirSync(dictionary)
    .filter((file) => file.endsWith('.json'))
    .map((file) => read(file) as Partial<SourceTable>);
  const tableSources = sources.filter((source): source is SourceTable => typeof source.table === 'string');

  it('is a dictionary of 85 tables', () => {
    expect(tableSources.length).toBeGreaterThanOrEqual(80);
  });

  it.each(tableSources.map((source) => [source.table, source] as const))('%s', (name, source) => {
    const table = tableNamed(name);
    if (typeof source.super_class === 'string') {
      expect(table.extends).toBe(source.super_class);
      expect(sureness(table.extendsGrade ?? 'documented')).toBeLessThanOrEqual(sureness(source.super_class_grade ?? 'lab'));
    }
    if (source.label !== undefined) expect(table.label).toBe(source.label);
    const inTree = (read('cmdb-class-tree.json') as ClassTree).find((entry) => entry.class === name)?.grade ?? 'lab';
    const printed = /ServiceNowDocs/.test(JSON.stringify(source)) ? 'documented' : 'lab';
    const best = Math.max(...[inTree, printed, ...source.columns.map((column) => column.grade)].map(sureness));
    expect(sureness(table.grade)).toBeLessThanOrEqual(best);
    for (const column of source.columns) expectColumn(name, column);
    for (const unknown of source.unknown_columns ?? []) expectStandIn(name, unknown);
  });

  it('class tree: every class under its parent', () => {
    for (const { class: name, parent, grade } of read('cmdb-class-tree.json') as ClassTree) {
      expect([name, tables.get(name)?.extends ?? null]).toEqual([name, parent]);
      if (parent !== null) expect(sureness(tableNamed(name).extendsGrade ?? 'documented')).toBeLessThanOrEqual(sureness(grade));
    }
  });

  it('choices: every value with its label, and a value for every label', () => {
    for (const [key, entry] of Object.entries(
      read('choices.json') as Record<string, { values?: Record<string, string>; labels?: string[]; grade: string }>,
    )) {
      const [table, column] = key.startsWith('severity') ? ['sn_vul_entry', 'normalized_severity'] : key.split('.');
      const seeded = seeds.choices.filter((choice) => choice.table === table && choice.column === column);
      for (const [value, label] of Object.entries(entry.values ?? {})) {
        const choice = seeded.find((one) => one.value === value);
        expect([key, value, choice?.label]).toEqual([key, value, expect.stringContaining(label.startsWith('(') ? value : label)]);
        if (!key.startsWith('severity')) expectNotSurer(choice, entry.grade);
      }
      for (const label of entry.labels ?? []) expect(seeded.map((choice) => choice.label)).toContain(label);
    }
  });

  it('roles: containment both ways, and the users that hold them', () => {
    const roles = new Map([...seeds.roles, ...seeds.extraRoles].map((role) => [role.name, role]));
    for (const source of (read('roles.json') as SourceRoles).roles) {
      const role = roles.get(source.role);
      expect(role).toMatchObject({
        contains: source.contains,
        ...(source.contained_in === undefined ? {} : { containedIn: source.contained_in }),
      });
      expectNotSurer(role, source.grade);
      if (source.user === undefined) continue;
      expect(seeds.users.find((user) => user.userName === source.user)?.roles).toContain(source.role);
    }
  });

  it('roles: every table whose access is printed has a rule of its own', () => {
    const ruled = new Set(seeds.rules.map((rule) => rule.table));
    for (const { table } of (read('roles.json') as SourceRoles).access) if (table !== undefined) expect(ruled).toContain(table);
  });

  it('relation types by both descriptors', () => {
    for (const { name, parent_descriptor: parent, child_descriptor: child, grade } of (
      read('relation-types.json') as { types: RelationType[] }
    ).types) {
      const type = seeds.relationTypes.find((one) => one.name === name);
      expect(type).toMatchObject({ parent, child });
      expectNotSurer(type, grade);
    }
  });

  it('identification rules: attributes, independence, hosting, containment and related entries', () => {
    for (const rule of (read('identifiers.json') as { rules: SourceRule[] }).rules) {
      // The Azure datacenter inherits the logical datacenter's rule.
      const owner = rule.note === 'inherited from the logical datacenter' ? 'cmdb_ci_logical_datacenter' : rule.class;
      const seeded = seeds.identifiers.find((one) => one.class === owner);
      if (rule.entries.length > 0) {
        expect(seeded?.entries.map((entry) => entry.attributes)).toEqual(rule.entries.map((entry) => entry.attributes));
        if (rule.independent !== undefined) expect(seeded?.independent).toBe(rule.independent);
        if (owner === rule.class) expectNotSurer(seeded, rule.grade);
      } else expect(seeded).toBeUndefined();
      for (const entry of rule.related_entries ?? []) {
        expect(seeded?.related).toContainEqual({ table: entry.table, referencedField: entry.referenced_field });
      }
      for (const relation of [...(rule.hosting ?? []), ...(rule.containment ?? []), ...(rule.other_dependency ?? [])]) {
        expectDependency(owner, rule.class, relation, rule.grade);
      }
    }
  });

  it('both ends of every dependency and every reference of a seeded table exist', () => {
    for (const { dependent, on } of seeds.dependencies) expect([tables.has(dependent), tables.has(on)]).toEqual([true, true]);
    for (const { class: name } of seeds.identifiers) expect([name, tables.has(name)]).toEqual([name, true]);
  });
}

function expectColumn(table: string, source: SourceColumn): void {
  const column = seededColumn(table, source.name);
  expect([table, source.name, column !== undefined]).toEqual([table, source.name, true]);
  // A column that a parent has is the parent's.
  if (column?.isOwn !== true || /^sys_(id|created|updated|mod|class)/.test(source.name)) return;
  if (source.label !== undefined) expect([source.name, column.label]).toEqual([source.name, source.label]);
  if (source.type !== undefined) expect([source.name, column.type]).toEqual([source.name, source.type]);
  else expect([source.name, column.lab]).toEqual([source.name, expect.arrayContaining(['type'])]);
  if (source.type_grade === 'inferred' && source.grade !== 'inferred')
    expect([source.name, column.typeGrade]).toEqual([source.name, 'inferred']);
  if (source.reference !== undefined) expect([source.name, column.reference]).toEqual([source.name, source.reference]);
  if (source.max_length !== undefined) expect([source.name, column.maxLength]).toEqual([source.name, source.max_length]);
  expect([source.name, column.mandatory, column.readOnly]).toEqual([source.name, source.mandatory, source.read_only]);
  // A default that is a script, or says that there is none, is no value.
  const isValue = !['', 'not-applicable'].includes(source.default ?? '') && !/[(){}]/.test(source.default ?? '');
  if (isValue) expect([source.name, column.default]).toEqual([source.name, source.default]);
  if (source.unique === true) expect(tableNamed(table).unique?.columns).toEqual([source.name]);
  for (const [value, label] of Object.entries(source.choices ?? {})) {
    const choice = seeds.choices.find((one) => one.table === table && one.column === source.name && one.value === value);
    expect([source.name, value, choice?.label]).toEqual([source.name, value, label]);
  }
  expectNotSurer(column, source.grade);
}

/** A column that must exist, but whose name nobody printed: the lab has one, and says that its name is the lab's. */
function expectStandIn(table: string, unknown: Unknown): void {
  const { columns } = tableNamed(table);
  const stands = columns.filter((column) =>
    unknown.reference === undefined
      ? column.label.toLowerCase() === unknown.purpose.toLowerCase() || column.name === unknown.purpose
      : column.reference === unknown.reference,
  );
  expect([unknown.purpose, stands.map((column) => column.grade)]).toEqual([unknown.purpose, expect.arrayContaining(['lab'])]);
}

function expectDependency(owner: string, dependent: string, relation: Relation, grade: string): void {
  const isParent = relation.parent === dependent;
  const on = isParent ? relation.child : relation.parent;
  const seeded = seeds.dependencies.find((one) => one.dependent === owner && one.on === on && one.relation === relation.relation);
  expect([dependent, on, seeded?.dependentEnd]).toEqual([dependent, on, isParent ? 'parent' : 'child']);
  if (owner === dependent) expectNotSurer(seeded, grade);
}
