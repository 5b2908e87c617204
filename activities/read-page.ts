import { guardPage, isTruncated, splitSubscriptions, startOfPaging, type AzureClients, type PagingState } from '../src/azure/index.ts';
import { SyncError } from '../src/errors.ts';
import type { JsonObject, ObservedKind, Read, ReadSource } from '../src/model.ts';

/** Where a read goes on. Small and JSON: it is kept in the ledger with every page. */
export interface ReadCursor {
  readonly paging: PagingState;
  /** nextLink or skip token of the list in hand; undefined = its first page. */
  readonly next?: string;
  /** Paths of lists that are still to be read (trees), the next one last. */
  readonly stack?: readonly string[];
  /** Last key asked for (reads by keys). */
  readonly afterKey?: string;
  /** Which group of subscriptions is being asked (Resource Graph takes 300 at a time). */
  readonly part?: number;
}

export interface ReadPage {
  readonly rows: readonly unknown[];
  readonly next: ReadCursor | undefined;
  /** The list cannot be complete, and why. Nothing more is read. */
  readonly partial?: string | undefined;
  readonly totalRecords?: number | undefined;
  /** A read by keys had no key to ask for: its emptiness says nothing. */
  readonly nothingAsked?: true;
  readonly absentKeys?: { readonly kind: ObservedKind; readonly ids: readonly string[] } | undefined;
}

/** The next keys of a read by keys, from the ledger. */
export type NextKeys = (afterKey: string, limit: number) => Promise<readonly string[]>;

const resourceGraphPageRows = 1_000;
const singleGetsPerPage = 25;

/** Reads one page of a list, wherever it comes from. Errors are the clients'. */
export async function readPage(
  clients: AzureClients,
  read: Read,
  cursor: ReadCursor | undefined,
  nextKeys: NextKeys,
  signal: AbortSignal,
): Promise<ReadPage> {
  const { source } = read;
  switch (source.type) {
    case 'arm-list':
      return readArmList(clients, source, cursor, signal);
    case 'arm-tree':
      return readArmTree(clients, source, cursor, signal);
    case 'arm-keys':
      return readArmKeys(clients, source, cursor, nextKeys, signal);
    case 'resource-graph':
      return readResourceGraph(clients, source, cursor, signal);
    case 'resource-graph-keys':
      return readResourceGraphKeys(clients, source, cursor, nextKeys, signal);
  }
}

async function readArmList(
  clients: AzureClients,
  source: Extract<ReadSource, { type: 'arm-list' }>,
  cursor: ReadCursor | undefined,
  signal: AbortSignal,
): Promise<ReadPage> {
  const page = await clients.arm.getPage(cursor?.next === undefined ? source : { nextLink: cursor.next }, signal);
  return { rows: page.items, ...goOn(cursor?.paging, page.items.length, page.nextLink) };
}

async function readArmTree(
  clients: AzureClients,
  source: Extract<ReadSource, { type: 'arm-tree' }>,
  cursor: ReadCursor | undefined,
  signal: AbortSignal,
): Promise<ReadPage> {
  const stack = cursor?.stack ?? [source.path];
  const path = stack.at(-1);
  if (path === undefined) return { rows: [], next: undefined };
  const page = await clients.arm.getPage(
    cursor?.next === undefined ? { path, apiVersion: source.apiVersion } : { nextLink: cursor.next },
    signal,
  );
  const { next, partial } = goOn(cursor?.paging, page.items.length, page.nextLink);
  if (partial !== undefined) return { rows: page.items, next: undefined, partial };
  // Rows keep the path of their list beside them: a control does not say which standard it belongs to.
  const rows = page.items.map((item) => ({ path, item }));
  const children = page.items.flatMap((item) => source.childPaths(item, path)).reverse();
  if (next) return { rows, next: { ...next, stack: [...children, ...stack] } };
  const rest = [...stack.slice(0, -1), ...children];
  return { rows, next: rest.length === 0 ? undefined : { paging: { ...startOfPaging }, stack: rest } };
}

async function readArmKeys(
  clients: AzureClients,
  source: Extract<ReadSource, { type: 'arm-keys' }>,
  cursor: ReadCursor | undefined,
  nextKeys: NextKeys,
  signal: AbortSignal,
): Promise<ReadPage> {
  const keys = await nextKeys(cursor?.afterKey ?? '', singleGetsPerPage);
  const rows: unknown[] = [];
  const absent: string[] = [];
  for (const key of keys) {
    const row = await clients.arm.getOne(source.pathOfKey(key), source.apiVersion, {}, signal);
    if (row === undefined) absent.push(key);
    else rows.push(row);
  }
  return {
    rows,
    next: keys.length < singleGetsPerPage ? undefined : { paging: startOfPaging, afterKey: keys.at(-1) ?? '' },
    absentKeys: { kind: source.keys.kind, ids: absent },
  };
}

async function readResourceGraph(
  clients: AzureClients,
  source: Extract<ReadSource, { type: 'resource-graph' }>,
  cursor: ReadCursor | undefined,
  signal: AbortSignal,
): Promise<ReadPage> {
  const parts = source.subscriptions ? splitSubscriptions(source.subscriptions) : [undefined];
  const part = cursor?.part ?? 0;
  if (source.subscriptions?.length === 0) return { rows: [], next: undefined };
  const page = await queryResourceGraph(
    clients,
    {
      query: source.query,
      ...(parts[part] ? { subscriptions: parts[part] } : {}),
      ...(source.managementGroups ? { managementGroups: source.managementGroups } : {}),
      ...(cursor?.next === undefined ? {} : { skipToken: cursor.next }),
    },
    signal,
  );
  if ('partial' in page) return page;
  const { next, partial } = goOn(cursor?.paging, page.rows.length, page.skipToken);
  if (partial !== undefined) return { rows: page.rows, next: undefined, partial };
  // Totals of different parts differ by nature: only one part's can be compared with itself.
  const totalRecords = parts.length === 1 ? page.totalRecords : undefined;
  if (next) return { rows: page.rows, next: { ...next, part }, totalRecords };
  return { rows: page.rows, next: part + 1 < parts.length ? { paging: startOfPaging, part: part + 1 } : undefined, totalRecords };
}

async function readResourceGraphKeys(
  clients: AzureClients,
  source: Extract<ReadSource, { type: 'resource-graph-keys' }>,
  cursor: ReadCursor | undefined,
  nextKeys: NextKeys,
  signal: AbortSignal,
): Promise<ReadPage> {
  const keys = await nextKeys(cursor?.afterKey ?? '', source.keysPerQuery);
  if (keys.length === 0) return { rows: [], next: undefined, nothingAsked: true };
  const page = await queryResourceGraph(
    clients,
    {
      query: source.queryOfKeys(keys),
      ...(source.managementGroups ? { managementGroups: source.managementGroups } : {}),
      ...(cursor?.next === undefined ? {} : { skipToken: cursor.next }),
    },
    signal,
  );
  if ('partial' in page) return page;
  if (page.skipToken !== undefined) {
    return {
      rows: page.rows,
      next: { paging: startOfPaging, next: page.skipToken, ...(cursor?.afterKey === undefined ? {} : { afterKey: cursor.afterKey }) },
    };
  }
  return { rows: page.rows, next: keys.length < source.keysPerQuery ? undefined : { paging: startOfPaging, afterKey: keys.at(-1) ?? '' } };
}

async function queryResourceGraph(
  clients: AzureClients,
  query: Omit<Parameters<AzureClients['resourceGraph']['queryPage']>[0], 'top'>,
  signal: AbortSignal,
): Promise<
  Awaited<ReturnType<AzureClients['resourceGraph']['queryPage']>> | { rows: readonly unknown[]; next: undefined; partial: string }
> {
  try {
    return await clients.resourceGraph.queryPage({ ...query, top: resourceGraphPageRows }, signal);
  } catch (error) {
    if (isTruncated(error)) return { rows: [], next: undefined, partial: error.message };
    throw error;
  }
}

function goOn(
  paging: PagingState | undefined,
  itemCount: number,
  link: string | undefined,
): { next: ReadCursor | undefined; partial?: string } {
  const step = guardPage(paging ?? startOfPaging, { itemCount, next: link });
  if ('next' in step) return { next: { paging: step.state, next: step.next } };
  return step.stop === 'partial' ? { next: undefined, partial: step.because } : { next: undefined };
}

/** A stored cursor, read back. The ledger wrote it, so a wrong shape is a defect. */
export function cursorFromLedger(cursor: JsonObject | undefined): ReadCursor | undefined {
  if (cursor === undefined) return undefined;
  if (typeof cursor['paging'] !== 'object')
    throw new SyncError({ kind: 'bug', service: 'ledger', message: 'A stored cursor has no paging state.' });
  return cursor as unknown as ReadCursor;
}
