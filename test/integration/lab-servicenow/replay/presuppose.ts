import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSchema, readSeeds, type Schema } from '../../../../lab/servicenow/schema.ts';
import { startLab, type StartedLab } from '../start.ts';
import type { Exchange } from './payloads.ts';

interface ColumnNeed {
  name: string;
  type: string;
  reference?: string;
  default?: string;
  label?: string;
}

interface TableNeed {
  name: string;
  extends?: string;
  display?: string;
  number?: { prefix: string };
  columns: Map<string, ColumnNeed>;
}

interface RowNeed {
  table: string;
  sysId: string;
  values: Record<string, string>;
}

type Cell = string | null | { value?: string; display_value?: string | null; link?: string };

const DATE_TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;

let known: Schema | undefined;
let authorityDir: Promise<string> | undefined;

/** One certificate authority for all labs of a test file; making one takes longer than a replay. */
function sharedDir(): Promise<string> {
  authorityDir ??= mkdtemp(join(tmpdir(), 'lab-replay-'));
  return authorityDir;
}

/** Takes away what the labs of this file left behind. */
export async function removeSharedDir(): Promise<void> {
  if (authorityDir !== undefined) await rm(await authorityDir, { recursive: true, force: true });
}

/** The tables that the lab has by itself. */
function labSchema(): Schema {
  known ??= buildSchema(readSeeds([join(import.meta.dirname, '../../../../lab/servicenow/seed')]), 'singular');
  return known;
}

/**
 * The instance that recorded Table API answers presuppose: tables with exactly the columns that the answers show, where the lab does not
 * have the table itself, and the records behind them. References, choices and dates are told by how a value is shown.
 */
export class Presupposed {
  readonly tables = new Map<string, TableNeed>();
  readonly rows = new Map<string, RowNeed>();
  readonly choices: { table: string; column: string; value: string; label: string }[] = [];
  /** Further content of the seed folder, by key; `moreTables` are tables that are given whole. */
  readonly extra: Record<string, unknown[]> = {};

  table(name: string): TableNeed {
    const existing = this.tables.get(name);
    if (existing !== undefined) return existing;
    const table: TableNeed = { name, columns: new Map([['sys_id', { name: 'sys_id', type: 'GUID' }]]) };
    this.tables.set(name, table);
    return table;
  }

  /** A table without columns of its own below another one. */
  subclass(name: string, parent: string): void {
    this.tables.set(name, { name, extends: parent, columns: new Map() });
  }

  column(table: string, column: ColumnNeed): void {
    const { columns } = this.table(table);
    const existing = columns.get(column.name);
    columns.set(column.name, { ...existing, ...column, type: existing?.type === 'reference' ? 'reference' : column.type });
  }

  row(table: string, sysId = randomBytes(16).toString('hex')): RowNeed {
    this.table(table);
    const key = `${table}/${sysId}`;
    const row = this.rows.get(key) ?? { table, sysId, values: { sys_id: sysId } };
    this.rows.set(key, row);
    return row;
  }

  /** Puts what an answer shows under `key` into a record and whatever it refers to. */
  cell(row: RowNeed, key: string, cell: Cell): void {
    const [first = '', ...rest] = key.split('.');
    if (rest.length > 0) {
      const target = this.target(row, first);
      this.cell(target, rest.join('.'), cell);
      return;
    }
    const { value, display, link } = parsed(cell);
    const reference = link === undefined ? undefined : /\/table\/([^/?]+)/.exec(link)?.[1];
    if (reference !== undefined) this.reference(row, key, reference, value, display);
    else this.plain(row, key, value, display);
    if (key !== 'sys_id' && value !== '') row.values[key] = value;
  }

  private reference(row: RowNeed, key: string, table: string, value: string, display: string | null | undefined): void {
    this.column(row.table, { name: key, type: 'reference', reference: table });
    if (display !== undefined && display !== null) this.named(table, value, display);
  }

  private plain(row: RowNeed, key: string, value: string, display: string | null | undefined): void {
    if (display === 'UNKNOWN' && value === '') {
      this.column(row.table, { name: key, type: 'due_date' });
      return;
    }
    if (DATE_TIME.test(value)) this.column(row.table, { name: key, type: 'glide_date_time' });
    else if (display !== undefined && display !== value && /^[0-9a-f]{32}$/.test(value))
      this.reference(row, key, `ref_${key}`, value, display);
    else this.column(row.table, { name: key, type: key === 'sys_id' ? 'GUID' : 'string' });
    const isChoice = display === null || (display !== undefined && display !== value && !DATE_TIME.test(value));
    if (isChoice) this.choices.push({ table: row.table, column: key, value: value === '' ? '1' : value, label: display ?? 'One' });
  }

  /** The record that a dot-walk passes through. */
  private target(row: RowNeed, column: string): RowNeed {
    const own = labSchema().get(row.table)?.columns.get(column)?.reference;
    const table = own ?? this.tables.get(row.table)?.columns.get(column)?.reference ?? `ref_${column}`;
    this.column(row.table, { name: column, type: 'reference', reference: table });
    const sysId = (row.values[column] ??= randomBytes(16).toString('hex'));
    return this.row(table, sysId);
  }

  private named(table: string, sysId: string, display: string): void {
    const need = this.table(table);
    const name = labSchema().get(table)?.display ?? need.display ?? 'name';
    need.display = name;
    this.column(table, { name, type: 'string' });
    this.row(table, sysId).values[name] = display;
  }

  get isEmpty(): boolean {
    return this.tables.size === 0 && this.rows.size === 0 && Object.keys(this.extra).length === 0;
  }

  /** Writes the seed folder of what the lab lacks, starts a lab over it and loads the records. */
  async start(): Promise<StartedLab> {
    const folder = await mkdtemp(join(tmpdir(), 'lab-replay-'));
    try {
      await writeFile(join(folder, 'seed.json'), JSON.stringify(this.seed()));
      const started = await startLab({ seedFolders: [folder], dir: await sharedDir() });
      const { store } = started.lab;
      for (const row of this.rows.values()) {
        const columns = store.schema.get(row.table)?.columns;
        const values = Object.fromEntries(Object.entries(row.values).filter(([name]) => columns?.has(name) === true));
        store.load({ ...row, values: { ...values, sys_id: row.sysId } });
      }
      return started;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  private seed(): Record<string, unknown> {
    const missing = [...this.tables.values()].filter(({ name }) => labSchema().get(name) === undefined);
    const open = (table: string): object => ({ table, read: ['*'], create: ['*'], write: ['*'], delete: ['*'], unreadable: 'empty' });
    const rules = (this.extra['rules'] ?? []) as { table: string }[];
    const unruled = missing.filter(({ name }) => !rules.some(({ table }) => table === name));
    return {
      ...this.extra,
      tables: [...missing.map((table) => ({ ...table, columns: [...table.columns.values()] })), ...(this.extra['moreTables'] ?? [])],
      choices: this.choices.filter(({ table }) => labSchema().get(table) === undefined),
      rules: [...unruled.map(({ name }) => open(name)), ...rules],
    };
  }
}

function parsed(cell: Cell): { value: string; display: string | null | undefined; link: string | undefined } {
  if (typeof cell === 'string' || cell === null) return { value: cell ?? '', display: undefined, link: undefined };
  const fromLink = /\/table\/[^/?]+(?:\/|\?\w+=)(.+)$/.exec(cell.link ?? '')?.[1];
  return { value: cell.value ?? fromLink ?? '', display: cell.display_value, link: cell.link };
}

/** What the Table API answers of some exchanges presuppose. */
export function presuppose(exchanges: Exchange[]): Presupposed {
  const world = new Presupposed();
  for (const { request, response } of exchanges) {
    const path = /^\/api\/now(?:\/v\d)?\/(?:table|stats)\/([^/?]+)(?:\/([^?]+))?/.exec(request?.url ?? '');
    const result = (response.body as { result?: unknown } | undefined)?.result;
    const table = path?.[1];
    if (request === undefined || table === undefined || (response.status ?? 200) >= 400) continue;
    world.table(table);
    queryColumns(world, table, request.url);
    if (request.method === 'POST') addDefaults(world, table, result as Record<string, Cell>);
    else addRows(world, table, path?.[2], result, totalOf(response.headers['X-Total-Count']));
  }
  return world;
}

/** How many records there were; a total that is documented without a value goes beyond the page that is shown. */
function totalOf(header: string | undefined): number {
  return header === '' ? 3 : Number(header ?? 0);
}

/** Columns that a query names exist, even where no row shows them. */
function queryColumns(world: Presupposed, table: string, url: string): void {
  const query = new URLSearchParams(url.split('?', 2)[1] ?? '').get('sysparm_query') ?? '';
  for (const fragment of query.split('^')) {
    const field = /^(?:OR)?([a-z_][a-z0-9_.]*)(?==|LIKE|IN|ISEMPTY)/.exec(fragment)?.[1];
    if (field === undefined || field.includes('.') || labSchema().get(table) !== undefined) continue;
    world.column(table, { name: field, type: 'string' });
  }
}

function addRows(world: Presupposed, table: string, sysId: string | undefined, result: unknown, total: number): void {
  const rows = (Array.isArray(result) ? result : [result]).filter((row) => typeof row === 'object' && row !== null) as Record<
    string,
    Cell
  >[];
  // A record that is deleted shows nothing of itself.
  if (rows.length === 0 && sysId !== undefined) world.row(table, sysId);
  for (const shown of rows) {
    if ('groupby_fields' in shown) addGroupMember(world, table, shown as unknown as Group);
    else if (!('stats' in shown)) addRow(world, table, shown, sysId);
  }
  const [first] = rows;
  if (first !== undefined)
    for (let count = rows.length; count < total; count += 1) addRow(world, table, { ...first, sys_id: '' }, undefined);
}

interface Group {
  stats: Record<string, Record<string, string>>;
  groupby_fields: { field: string; value: string }[];
}

/** One record of a group, with the group's values. */
function addGroupMember(world: Presupposed, table: string, group: Group): void {
  const row = world.row(table);
  for (const { field, value } of group.groupby_fields) world.cell(row, field, value);
  for (const fields of Object.values(group.stats)) for (const [field, value] of Object.entries(fields)) world.cell(row, field, value);
}

function addRow(world: Presupposed, table: string, shown: Record<string, Cell>, sysId: string | undefined): void {
  const row = world.row(table, sysId ?? (parsed(shown['sys_id'] ?? '').value || undefined));
  // References first: dot-walked columns pass through them.
  for (const dotted of [false, true]) {
    for (const [key, cell] of Object.entries(shown)) if (key.includes('.') === dotted) world.cell(row, key, cell);
  }
}

/** What a created record shows beside what was sent came from defaults. */
function addDefaults(world: Presupposed, table: string, result: Record<string, Cell>): void {
  for (const [key, cell] of Object.entries(result)) {
    const { value, link } = parsed(cell);
    const reference = /\/table\/([^/?]+)/.exec(link ?? '')?.[1];
    const type = reference === undefined ? (DATE_TIME.test(value) ? 'glide_date_time' : 'string') : 'reference';
    const isGiven = ['sys_id', 'number', 'sys_class_name'].includes(key);
    world.column(table, { name: key, type, ...(reference === undefined ? {} : { reference }), ...(isGiven ? {} : { default: value }) });
  }
  const prefix = /^[A-Z]+/.exec(parsed(result['number'] ?? '').value)?.[0];
  if (prefix !== undefined) world.table(table).number = { prefix };
}
