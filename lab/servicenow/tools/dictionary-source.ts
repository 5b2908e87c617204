import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ColumnChoices, IdentifierRule } from './rule-seeds.ts';

export interface SourceColumn {
  name: string;
  label?: string;
  type?: string;
  max_length?: number;
  reference?: string;
  default?: string;
  mandatory?: boolean;
  grade: string;
  type_grade?: string;
  source?: string;
  display?: boolean;
  read_only?: boolean;
  unique?: boolean;
  choices?: Record<string, string>;
  choices_grade?: string;
}

export interface SourceTable {
  table: string;
  label?: string;
  super_class?: string | null;
  super_class_grade?: string;
  display_column?: string;
  columns: SourceColumn[];
  sources?: string[];
  note?: string;
}

export interface ClassTreeEntry {
  class: string;
  parent: string | null;
  grade: string;
}

/** From sure to unsure; `lab` is what nobody printed. */
const GRADES = ['documented', 'seen-in-code', 'inferred', 'lab'];
const NOT_TABLES = new Set(['choices', 'cmdb-class-tree', 'identifiers', 'relation-types', 'roles']);

export function tableSources(dir: string): SourceTable[] {
  return readdirSync(dir)
    .filter((file) => file.endsWith('.json') && !NOT_TABLES.has(file.slice(0, -5)))
    .map((file) => readJson(join(dir, file)) as SourceTable);
}

/** Every class of the tree with its parents, and both ends of every relation of an identification rule. */
export function namedClasses(dir: string, classTree: ClassTreeEntry[]): Set<string> {
  const { rules } = readJson(join(dir, 'identifiers.json')) as { rules: IdentifierRule[] };
  const fromRules = rules.flatMap((rule) => [
    rule.class,
    ...[...(rule.hosting ?? []), ...(rule.containment ?? []), ...(rule.other_dependency ?? [])].flatMap(({ parent, child }) => [
      parent,
      child,
    ]),
  ]);
  return new Set([...classTree.flatMap((entry) => [entry.class, ...(entry.parent === null ? [] : [entry.parent])]), ...fromRules]);
}

/** `inferred (records carry …)` → `inferred`; where nothing is said, nothing is claimed. */
export function gradeWord(text: string | undefined): string {
  return /^(documented|seen-in-code|inferred)/.exec(text ?? '')?.[1] ?? 'lab';
}

/** How sure the table itself is: as sure as its best column; a table without columns where a page or the class tree prints it. */
export function tableGrade(source: SourceTable, treeGrade: string | undefined): string {
  const best = GRADES.find((grade) => source.columns.some((column) => column.grade === grade));
  const printed = /ServiceNowDocs/.test(JSON.stringify([source.sources, source.note])) ? 'documented' : undefined;
  return best ?? printed ?? treeGrade ?? 'lab';
}

/** The column that the dictionary marks unique. */
export function uniqueOf(source: SourceTable): { columns: string[]; grade: string } | undefined {
  const column = source.columns.find(({ unique }) => unique === true);
  return column === undefined ? undefined : { columns: [column.name], grade: column.grade };
}

/** Choices that a table's own file prints, beside those of choices.json. */
export function columnChoices(dir: string): ColumnChoices[] {
  const choices = tableSources(dir).flatMap(({ table, columns }) =>
    columns.map(({ name, choices: values = {}, choices_grade: choicesGrade, grade }) => ({
      key: `${table}.${name}`,
      values,
      grade: choicesGrade ?? grade,
    })),
  );
  return choices.filter(({ values }) => Object.keys(values).length > 0);
}

export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}
