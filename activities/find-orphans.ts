import type { Orphaned } from '../src/ledger/index.ts';
import type { SysId } from '../src/model.ts';
import {
  cutBatches,
  isQueryable,
  query,
  valueOf,
  type BatchItem,
  type Query,
  type Row,
  type ServiceNowClient,
} from '../src/servicenow/index.ts';
import type { InstanceTable } from './instance-model.ts';
import type { PreparedRecord } from './prepare-records.ts';

const lookUpsPerBatch = 100;
/** More records alike in everything than this are a mess that no machine should pair. */
const candidatesPerLookUp = 1_000;

/**
 * Records of the instance that could be one of ours although a column of their key is empty: the rest of the key is ours, and what
 * else we would have written is there or empty, too.
 */
export async function findOrphans(
  client: ServiceNowClient,
  mapped: InstanceTable,
  records: readonly PreparedRecord[],
  signal: AbortSignal,
): Promise<Orphaned[]> {
  const lookUps = new Map<string, Query>();
  const asking = records.map((record) => ({ record, texts: queriesFor(record).map((one) => (lookUps.set(one.text, one), one.text)) }));
  const fields = [...new Set(records.flatMap(({ naturalKey, comparedValues }) => [naturalKey, comparedValues].flatMap(Object.keys)))];
  const found = await lookUp(client, mapped, [...lookUps.values()], fields, signal);
  return asking.map(({ record, texts }) => ({
    key: record.key,
    candidates: texts.flatMap((text) =>
      (found.get(text) ?? []).filter((row) => isLike(row, record, mapped)).map((row) => valueOf(row, 'sys_id') as SysId),
    ),
  }));
}

/** For each column of a composite key: the others are ours and this one is empty. */
function queriesFor({ naturalKey }: PreparedRecord): Query[] {
  const columns = Object.keys(naturalKey).filter((column) => naturalKey[column] !== '');
  if (columns.length < 2 || !columns.every((column) => isQueryable(naturalKey[column] ?? ''))) return [];
  return columns.map((dropped) =>
    columns
      .filter((column) => column !== dropped)
      .reduce((asked, column) => asked.equals(column, naturalKey[column] ?? ''), query().isEmpty(dropped)),
  );
}

function isLike(row: Row, { comparedValues }: PreparedRecord, mapped: InstanceTable): boolean {
  return mapped.notKept(row, comparedValues).every(({ column }) => valueOf(row, column) === '');
}

async function lookUp(
  client: ServiceNowClient,
  { name }: InstanceTable,
  queries: readonly Query[],
  fields: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Row[]>> {
  const found = new Map<string, readonly Row[]>();
  const items = queries.map((asked, index): BatchItem =>
    client.table.listItem(String(index), name, { query: asked.orderBy('sys_created_on'), fields, limit: candidatesPerLookUp }),
  );
  for (const batch of cutBatches(items, lookUpsPerBatch).batches) {
    const outcomes = await client.batch.sendBatch(batch, { kind: 'serviceNowReads', effect: 'read', signal });
    for (const [index, outcome] of outcomes.entries()) {
      const asked = queries[Number(batch[index]?.id)];
      if (!asked) continue;
      const answered = outcome.outcome === 'answered' && outcome.status === 200 ? (outcome.body as { result?: Row[] }).result : undefined;
      found.set(asked.text, answered ?? (await client.table.list(name, { query: asked, fields, limit: candidatesPerLookUp }, signal)));
    }
  }
  return found;
}
