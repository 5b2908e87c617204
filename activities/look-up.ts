import {
  cutBatches,
  listRowsOf,
  query,
  splitByBytes,
  type BatchItem,
  type Query,
  type Row,
  type ServiceNowClient,
} from '../src/servicenow/index.ts';

/** One question to one table. */
export interface LookUp {
  readonly table: string;
  /** At most 6 KB: the instance refuses URLs above 8 KB, inside a Batch as well. */
  readonly query: Query;
  readonly fields: readonly string[];
}

/** Bytes of one query, for `splitByBytes`. */
export const queryBytes = 6_000;

/** The rows whose column has one of these values: as many questions as the length of the values asks for. */
export function lookUpsOf(
  table: string,
  column: string,
  values: readonly string[],
  fields: readonly string[],
  base: Query = query(),
): LookUp[] {
  return splitByBytes(base, column, values, queryBytes).map((asked) => ({ table, query: asked, fields }));
}

const rowsPerLookUp = 1_000;
const fewestPerBatch = 10;
const mostPerBatch = 300;
const firstPerBatch = 100;
/** A third of the Batch quota of 30 s: whoever shares the instance may slow the next one down. */
const batchTargetMs = 10_000;

/**
 * Asks many questions in few Batch requests, and gives the rows of each in the order of the questions. How many go into one is
 * measured: what the instance did not get to within its quota is asked again in a smaller one. A question whose answer fills its
 * page, or is refused, is asked alone. Reading twice does no harm, so nothing here needs an intent.
 * @throws SyncError as a single read does
 */
export async function lookUp(client: ServiceNowClient, lookUps: readonly LookUp[], signal: AbortSignal): Promise<Row[][]> {
  const answers: Row[][] = lookUps.map(() => []);
  const alone: number[] = [];
  let waiting = [...lookUps.keys()];
  let perBatch = firstPerBatch;
  while (waiting.length > 0) {
    const itemOf = (index: number): BatchItem => listItem(client, lookUps, index);
    // A question is a few kilobytes: what is cut off by size comes first in the next one.
    const asked = waiting.length === 1 ? [] : (cutBatches(waiting.slice(0, perBatch).map(itemOf), perBatch).batches[0] ?? []);
    if (asked.length === 0) {
      alone.push(...waiting);
      break;
    }
    const { unserviced, executionMs } = await askBatch(client, lookUps, asked, { answers, alone, signal });
    perBatch = nextSize(perBatch, asked.length, unserviced.length, executionMs);
    waiting = [...unserviced, ...waiting.slice(asked.length)];
    if (unserviced.length === asked.length && asked.length <= fewestPerBatch) {
      alone.push(...unserviced);
      waiting = waiting.slice(unserviced.length);
    }
  }
  for (const index of alone) answers[index] = await askAlone(client, lookUps[index], signal);
  return answers;
}

interface Asking {
  readonly answers: Row[][];
  readonly alone: number[];
  readonly signal: AbortSignal;
}

async function askBatch(
  client: ServiceNowClient,
  lookUps: readonly LookUp[],
  items: readonly BatchItem[],
  { answers, alone, signal }: Asking,
): Promise<{ readonly unserviced: number[]; readonly executionMs: number }> {
  const startedMs = performance.now();
  const outcomes = await client.batch.sendBatch(items, { kind: 'serviceNowReads', effect: 'read', signal });
  const unserviced: number[] = [];
  for (const [position, item] of items.entries()) {
    const index = Number(item.id);
    const one = lookUps[index];
    const outcome = outcomes[position];
    if (one === undefined) continue;
    if (outcome === undefined || outcome.outcome === 'unserviced') {
      unserviced.push(index);
      continue;
    }
    const rows = listRowsOf(outcome, one.table, { query: one.query, fields: one.fields, limit: rowsPerLookUp });
    if (rows === undefined) alone.push(index);
    else answers[index] = [...rows];
  }
  return { unserviced, executionMs: performance.now() - startedMs };
}

/** As many as take about a third of the quota; half when the quota was hit. */
function nextSize(size: number, asked: number, unserviced: number, executionMs: number): number {
  if (unserviced > 0) return Math.max(fewestPerBatch, Math.floor((asked - unserviced) / 2));
  const fitting = Math.floor((batchTargetMs / Math.max(1, executionMs)) * asked);
  return Math.min(mostPerBatch, size * 3, Math.max(fewestPerBatch, fitting));
}

function listItem(client: ServiceNowClient, lookUps: readonly LookUp[], index: number): BatchItem {
  const one = lookUps[index];
  if (one === undefined) throw new RangeError('a question that was not asked');
  return client.table.listItem(String(index), one.table, { query: one.query, fields: one.fields, limit: rowsPerLookUp });
}

async function askAlone(client: ServiceNowClient, one: LookUp | undefined, signal: AbortSignal): Promise<Row[]> {
  const rows: Row[] = [];
  if (one === undefined) return rows;
  for await (const row of client.table.listAll(one.table, { query: one.query, fields: one.fields, limit: rowsPerLookUp }, signal)) {
    rows.push(row);
  }
  return rows;
}
