import { SyncError } from '../src/errors.ts';
import type { TableSpec } from '../src/model.ts';
import {
  isFeatureAbsent,
  mapTable,
  type DictionaryTable,
  type InstanceDictionary,
  type MappedTable,
  type PlainValue,
} from '../src/servicenow/index.ts';
import type { CiRules } from './lookup-rules.ts';

/** A table of the instance together with what the engine wants of it. */
export type InstanceTable = MappedTable & {
  readonly spec: TableSpec;
  /** Its columns as the dictionary describes them: another text is another definition. */
  readonly definition: string;
};

/** What the instance has, as far as the engine uses it. */
export interface InstanceModel {
  /** Value of `source` of all records. */
  readonly source: string;
  readonly dictionary: InstanceDictionary;
  readonly tables: ReadonlyMap<string, InstanceTable>;
  /** Tables that are not written although the instance may have them, with the reason. */
  readonly leftOut: ReadonlyMap<string, string>;
  /** Tags may come along with CIs that the engine creates. */
  readonly takesTags: boolean;
  /** Whether a class (or any table) has a column, its super classes' included. */
  readonly hasColumn: (table: string, column: string) => boolean;
  /** How CIs are found and made. */
  readonly ciRules: CiRules;
}

export function createInstanceModel(
  dictionary: InstanceDictionary,
  specs: readonly TableSpec[],
  source: string,
  ciRules: CiRules,
): InstanceModel {
  return {
    source,
    dictionary,
    tables: new Map(
      specs.map((spec) => [spec.name, { ...mapTable(spec, dictionary), spec, definition: definitionOf(dictionary.tables[spec.name]) }]),
    ),
    leftOut: new Map(),
    takesTags: false,
    hasColumn: (table, column) => {
      const found = dictionary.tables[table];
      return found?.state === 'present' && Object.hasOwn(found.columns, column);
    },
    ciRules,
  };
}

/** Whether a column is readable is left out: nobody knows before a table has its first record. */
function definitionOf(table: DictionaryTable | undefined): string {
  const columns = Object.values(table?.columns ?? {}).sort((left, right) => (left.name < right.name ? -1 : 1));
  return JSON.stringify(columns.map(({ name, type, maxLength, reference, readOnly }) => [name, type, maxLength, reference, readOnly]));
}

/** Whether a record is meaningless, or cannot be found again, without this (real) column. */
export function isIndispensable(table: InstanceTable, column: string): boolean {
  const { columns, naturalKey } = table.spec;
  return Object.entries(columns).some(
    ([logical, { required }]) => (required === true || naturalKey.includes(logical)) && table.column(logical) === column,
  );
}

/** Tables that a run can do without, and that the instance lacks or hides, keep nothing back that points into them. */
export function withoutUnusable(model: InstanceModel): InstanceModel {
  const unusable = [...model.tables.values()]
    .filter((table) => table.spec.ifMissing === 'skip' && !isUsable(table))
    .map(({ name }) => name);
  return withoutTables(model, unusable, 'it is not on the instance, or not readable');
}

function isUsable(table: InstanceTable): boolean {
  return table.state === 'present' && table.missingRequired.length === 0;
}

/** The model without some tables, and without the optional columns that point into them. */
export function withoutTables(model: InstanceModel, names: readonly string[], because: string): InstanceModel {
  const left = [...model.tables.values()].filter(({ name }) => !names.includes(name));
  const withoutColumns = ({ spec, ...table }: InstanceTable): InstanceTable => {
    const pointsThere = (logical: string): boolean => {
      const column = spec.columns[logical];
      return column?.required !== true && column?.references !== undefined && names.includes(column.references);
    };
    if (!Object.keys(spec.columns).some(pointsThere)) return { spec, ...table };
    const kept = (fields: Readonly<Record<string, PlainValue>>) =>
      Object.fromEntries(Object.entries(fields).filter(([logical]) => !pointsThere(logical)));
    return {
      ...table,
      spec,
      column: (logical) => (pointsThere(logical) ? undefined : table.column(logical)),
      shape: (fields, options) => table.shape(kept(fields), options),
    };
  };
  return {
    ...model,
    tables: new Map(left.map((table) => [table.name, withoutColumns(table)])),
    leftOut: new Map([...model.leftOut, ...names.map((name) => [name, because] as const)]),
  };
}

/** Why an integration has nowhere to write to, although nothing is wrong; undefined: it has. */
export function reasonWithoutFeature({ dictionary }: InstanceModel, specs: readonly TableSpec[]): string | undefined {
  const absent = specs.find((spec) => isFeatureAbsent(spec, dictionary));
  return absent === undefined
    ? undefined
    : `the instance has no ${absent.onlyWith ?? absent.name}: the application that brings it is not installed`;
}

/**
 * The table, or undefined where the instance lacks it and the feature can do without.
 * @throws SyncError `misconfigured` with the remedy where it cannot
 */
export function requireTable(model: InstanceModel, spec: TableSpec): InstanceTable | undefined {
  const table = model.tables.get(spec.name);
  if (table !== undefined && isUsable(table)) return table;
  if (spec.ifMissing === 'skip' || isFeatureAbsent(spec, model.dictionary)) return undefined;
  const because =
    table === undefined || table.state !== 'present'
      ? `the table ${spec.name} is ${table?.state ?? 'absent'}`
      : `${spec.name}: ${table.missingRequired.map((missing) => missing.because).join('; ')}`;
  throw new SyncError({
    kind: 'misconfigured',
    service: 'servicenow',
    message: `The instance is not set up for this integration: ${because}.`,
    remedy:
      'Install or activate the plugin that brings the table (Configuration Compliance, Vulnerability Response, Container Vulnerability Response), and give the integration user the right to read its definition (personalize_read_dictionary).',
  });
}
