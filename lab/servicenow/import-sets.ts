import type { Background } from './background.ts';
import type { Row, Store } from './store.ts';
import { newSysId } from './store.ts';
import { runTransform, type Transform, type TransformResult } from './transform.ts';

/** A record of sys_rest_insert_multiple: how insertMultiple treats a staging table (seed key `insertMultiple`). */
export interface InsertMultiple {
  staging: string;
  /** Default: asynchronous (c_ImportSetAPI). */
  synchronous?: boolean;
  /** What the keys of a record are; default: column labels. */
  columns?: 'label' | 'name';
}

/** Until an asynchronous import starts; the real one depends on the scheduler's load. */
const START_MS = 50;

export interface ImportSets {
  transformsOf(staging: string): Transform[];
  insertMultipleOf(staging: string): InsertMultiple;
  /** Opens an import set for a staging table. */
  open(staging: string, actor: string, multiImportSetId?: string): Row;
  /** Adds one staging row. */
  stage(importSet: Row, staging: string, values: Record<string, string>, actor: string): Row;
  /** Transforms one staging row now and keeps the outcome on it. */
  transform(row: Row, linkBase: string): TransformResult[];
  /** The kept outcome of a staging row; empty while it is pending. */
  resultsOf(row: Row): TransformResult[];
  /** Ends an import set. */
  complete(importSet: Row): void;
  /** Transforms the rows later, after another import set where one is named. */
  transformLater(importSet: Row, rows: Row[], linkBase: string, runAfter: string): void;
}

export function createImportSets(
  store: Store,
  background: Background,
  seeds: { transforms: Transform[]; insertMultiple: InsertMultiple[] },
): ImportSets {
  const waiting = new Map<string, (() => void)[]>();
  const transformsOf = (staging: string): Transform[] => seeds.transforms.filter((transform) => transform.staging === staging);
  const transform = (row: Row, linkBase: string): TransformResult[] => {
    const results = transformsOf(row.table).map((map) => runTransform(store, map, row.values, linkBase));
    const last = results.at(-1);
    store.update(
      row,
      {
        sys_import_state: last?.status ?? 'ignored',
        sys_target_table: last?.['table'] ?? '',
        sys_target_sys_id: last?.['sys_id'] ?? '',
        transform_result: JSON.stringify(results),
      },
      'system',
    );
    return results;
  };
  const complete = (importSet: Row): void => {
    store.update(importSet, { state: 'processed' }, 'system');
    const followers = waiting.get(importSet.sysId) ?? [];
    waiting.delete(importSet.sysId);
    for (const start of followers) start();
  };
  return {
    transformsOf,
    transform,
    complete,
    insertMultipleOf: (staging) => seeds.insertMultiple.find((entry) => entry.staging === staging) ?? { staging },
    open: (staging, actor, multiImportSetId) =>
      store.insert(
        'sys_import_set',
        { table_name: staging, state: 'loading', ...(multiImportSetId === undefined ? {} : { multi_import_set: multiImportSetId }) },
        actor,
      ),
    stage: (importSet, staging, values, actor) =>
      store.insert(staging, { ...values, sys_import_set: importSet.sysId, sys_import_state: 'pending' }, actor, { sysId: newSysId() }),
    resultsOf: (row) => {
      const kept = row.values['transform_result'] ?? '';
      return kept === '' ? [] : (JSON.parse(kept) as TransformResult[]);
    },
    transformLater: (importSet, rows, linkBase, runAfter) => {
      const start = (): void => {
        background.later(START_MS, () => {
          for (const row of rows) transform(row, linkBase);
          complete(importSet);
        });
      };
      const before = runAfter === '' ? undefined : store.find('sys_import_set', runAfter);
      if (before === undefined || before.values['state'] === 'processed') start();
      else waiting.set(before.sysId, [...(waiting.get(before.sysId) ?? []), start]);
    },
  };
}
