import { createHash } from 'node:crypto';
import { AdminError, jsonArrayStream, type AdminHandlers, type AdminRequest } from '../kit/admin-api.ts';
import { parseFaultRule, type FaultBook } from '../kit/faults.ts';
import type { RequestLog } from '../kit/request-log.ts';
import type { Access, Operation } from './access.ts';
import { asList, asObject, raw, tableNamed, writtenValues } from './admin-input.ts';
import { instanceHandlers, type InstanceContext } from './admin-instance.ts';
import { playHandlers } from './play.ts';
import type { Row, Store } from './store.ts';
import type { AttachmentFiles } from './attachment-files.ts';

export interface AdminContext extends InstanceContext {
  access: Access;
  faults: FaultBook;
  log: RequestLog;
  attachments: AttachmentFiles;
}

/** What a table looked like at one moment; two equal summaries prove that nothing was touched in between. */
export interface TableSummary {
  rows: number;
  modCountSum: number;
  /** Independent of order; covers every value of every row, versions included. */
  digest: string;
  /** Write operations accepted since the start, those that changed nothing included. */
  writes: number;
}

/** The remote control of the ServiceNow lab, to be registered under `/servicenow`. */
export function adminHandlers(context: AdminContext): AdminHandlers {
  const { store, access, faults, log, attachments } = context;
  return {
    'GET /rows/:table': ({ params }) => jsonArrayStream('rows', rawRows(store, tableName(store, params))),
    'POST /rows/:table': ({ params, body }) => {
      const table = tableName(store, params);
      const inserted = asList(body).map((values) => store.insert(table, writtenValues(store, table, values), 'admin', idOption(values)));
      return { rows: inserted.map(raw) };
    },
    'PATCH /rows/:table/:sys_id': ({ params, body }) => {
      const row = record(store, params);
      store.update(row, writtenValues(store, row.table, asObject(body)), 'admin');
      return raw(row);
    },
    'DELETE /rows/:table/:sys_id': ({ params }) => {
      store.delete(record(store, params));
    },
    'GET /summary': () => ({ tables: summary(store) }),
    'GET /requests': () => ({ counters: log.counters() }),
    'GET /requests/recent': () => ({ requests: log.recent() }),
    'DELETE /requests': () => {
      log.clear();
    },
    'GET /faults': () => ({ faults: faults.list() }),
    'POST /faults': ({ body }) => ({ ids: asList(body).map((rule) => addFault(faults, rule)) }),
    'DELETE /faults': () => {
      faults.clear();
    },
    'POST /access': ({ body }) => {
      const { table, operation, roles, column } = asObject(body);
      if (typeof table !== 'string' || typeof operation !== 'string' || !Array.isArray(roles)) {
        throw new AdminError(400, 'Send {"table","operation":"read|create|write|delete","roles":[]}, for a field ACL with "column" too.');
      }
      if (typeof column === 'string') access.overrideField(table, operation as 'read' | 'write', column, roles as string[]);
      else access.override(table, operation as Operation, roles as string[]);
    },
    'POST /attachments/hidden': ({ body }) => {
      const { tables } = asObject(body);
      if (!Array.isArray(tables)) throw new AdminError(400, 'Send {"tables":["sys_data_source"]}; [] shows all attachments again.');
      attachments.hide(tables as string[]);
    },
    ...instanceHandlers(context),
    ...playHandlers(context),
  };
}

function addFault(faults: FaultBook, rule: unknown): number {
  try {
    return faults.add(parseFaultRule(rule));
  } catch (error) {
    throw new AdminError(400, Error.isError(error) ? error.message : String(error));
  }
}

function tableName(store: Store, params: AdminRequest['params']): string {
  return tableNamed(store, params['table'] ?? '');
}

function record(store: Store, params: AdminRequest['params']): Row {
  const row = store.find(tableName(store, params), params['sys_id'] ?? '');
  if (row === undefined) throw new AdminError(404, `No record ${params['sys_id'] ?? ''} in ${params['table'] ?? ''}.`);
  return row;
}

function* rawRows(store: Store, table: string): Generator<Record<string, string>> {
  for (const row of store.rows(table)) yield raw(row);
}

function idOption(values: Record<string, unknown>): { sysId?: string } {
  return typeof values['sys_id'] === 'string' ? { sysId: values['sys_id'] } : {};
}

/** One entry per class that has rows or was written to; a row counts in its own class only. */
export function summary(store: Store): Record<string, TableSummary> {
  const tables: Record<string, TableSummary & { sum: Buffer }> = {};
  const of = (name: string): TableSummary & { sum: Buffer } =>
    (tables[name] ??= { rows: 0, modCountSum: 0, digest: '', writes: store.writes.get(name) ?? 0, sum: Buffer.alloc(32) });
  for (const root of store.schema.tables.values()) {
    if (root.extends !== undefined) continue;
    for (const row of store.rows(root.name)) {
      const entry = of(row.table);
      entry.rows += 1;
      entry.modCountSum += Number(row.values['sys_mod_count'] ?? '0');
      const hash = createHash('sha256')
        .update(JSON.stringify(Object.entries(row.values).sort(([left], [right]) => (left < right ? -1 : 1))))
        .digest();
      for (let index = 0; index < hash.length; index += 1) entry.sum[index] = (entry.sum[index] ?? 0) ^ (hash[index] ?? 0);
    }
  }
  for (const name of store.writes.keys()) of(name);
  return Object.fromEntries(Object.entries(tables).map(([name, { sum, ...entry }]) => [name, { ...entry, digest: sum.toString('hex') }]));
}
