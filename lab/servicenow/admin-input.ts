import { AdminError } from '../kit/admin-api.ts';
import type { Row, Store } from './store.ts';
import { storedValue } from './values.ts';

/** What comes in by the admin API, checked: every error says what to send. */
export function asObject(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new AdminError(400, 'Send a JSON object.');
  return body as Record<string, unknown>;
}

export function asList(body: unknown): Record<string, unknown>[] {
  return Array.isArray(body) ? (body as unknown[]).map(asObject) : [asObject(body)];
}

/** A field that must be a text. */
export function textIn(body: Record<string, unknown>, name: string): string {
  const value = body[name];
  if (typeof value !== 'string' || value === '') throw new AdminError(400, `"${name}" is missing: a text.`);
  return value;
}

/** A field that may be missing, and is a text where it is not. */
export function optionalText(body: Record<string, unknown>, name: string): string | undefined {
  return body[name] === undefined ? undefined : textIn(body, name);
}

/** A field that may be missing, and is true or false where it is not. */
export function flagIn(body: Record<string, unknown>, name: string, fallback: boolean): boolean {
  const value = body[name] ?? fallback;
  if (typeof value !== 'boolean') throw new AdminError(400, `"${name}" is true or false.`);
  return value;
}

/** A field that may be missing, and is a number of at least 0 where it is not. */
export function optionalNumber(body: Record<string, unknown>, name: string): number | undefined {
  const value = body[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw new AdminError(400, `"${name}" is a number of at least 0.`);
  return value;
}

export function tableNamed(store: Store, name: string): string {
  if (store.schema.get(name) === undefined) throw new AdminError(404, `The lab has no table "${name}".`);
  return name;
}

/** The record of `{"table","sys_id"}`. */
export function recordIn(store: Store, fields: Record<string, unknown>): Row {
  const table = tableNamed(store, textIn(fields, 'table'));
  const sysId = textIn(fields, 'sys_id');
  const row = store.find(table, sysId);
  if (row === undefined) throw new AdminError(404, `No record ${sysId} in ${table}.`);
  return row;
}

/** The one record whose column has this value, or whose sys_id it is. */
export function recordNamed(store: Store, table: string, column: string, value: string): Row {
  const [row, ...others] = store.equal(table, column, [value]);
  const found = store.find(table, value) ?? row;
  if (found === undefined) throw new AdminError(404, `No record of ${table} with ${column} "${value}".`);
  if (others.length > 0 && found === row)
    throw new AdminError(409, `${String(others.length + 1)} records of ${table} have ${column} "${value}".`);
  return found;
}

/** An administrator may write every column but the system's own; the domain is not one of those. */
export function writtenValues(store: Store, table: string, values: Record<string, unknown>): Record<string, string> {
  const columns = store.schema.get(table)?.columns;
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    const column = columns?.get(name);
    if (column === undefined) throw new AdminError(400, `${table} has no column "${name}".`);
    if (!name.startsWith('sys_') || name === 'sys_domain' || isOwnReference(name, column.reference))
      result[name] = storedValue(column, value);
  }
  return result;
}

/** `sys_certificate` of jwt_verifier_map: a column that only sounds like the system's own. */
function isOwnReference(name: string, reference: string | undefined): boolean {
  return name === reference;
}

/** A record as the admin API shows it. */
export function raw(row: Row): Record<string, string> {
  return { sys_class_name: row.table, ...row.values };
}
