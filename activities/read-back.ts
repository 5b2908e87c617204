/** Reads the first record of a table again, a little after it was written: rules that run later may undo what the answer showed. */
import { closeReadBack, healColumns, learnColumns, openReadBacks, type OpenReadBack } from '../src/ledger/index.ts';
import { tableSpecOf } from '../src/integrations/tables.ts';
import { undoneRemedy, type NotKept } from '../src/servicenow/index.ts';
import { isIndispensable, requireTable, type InstanceTable } from './instance-model.ts';
import type { Publisher } from './publisher.ts';

/** Reads what is old enough; the rest waits for the next step of the run, or for the next run. */
export async function readBack(publisher: Publisher, tables: readonly string[]): Promise<void> {
  const { context, run, step } = publisher;
  for (const one of await openReadBacks(context.ledger.database, context.ledger.words, run, tables)) {
    if (step.signal.aborted) return;
    if (one.readyInMs === 0 || one.overtaken) await readOne(publisher, one);
  }
}

/** How many records are still too fresh to be read. */
export async function readBackLeft(
  { context, run }: Publisher,
  tables: readonly string[],
): Promise<{ readonly left: number; readonly readyInMs: number }> {
  const open = await openReadBacks(context.ledger.database, context.ledger.words, run, tables);
  return { left: open.length, readyInMs: Math.max(0, ...open.map(({ readyInMs }) => readyInMs)) };
}

async function readOne(publisher: Publisher, { table, sysId, sent, overtaken }: OpenReadBack): Promise<void> {
  const { context, run, client, step } = publisher;
  const { database, words } = context.ledger;
  const model = await context.instanceModelOf(run);
  const mapped = requireTable(model, tableSpecOf(table));
  const columns = Object.keys(sent).filter((column) => model.hasColumn(table, column));
  const row = mapped === undefined || overtaken ? undefined : await client.table.get(table, sysId, columns, step.signal);
  const forget = (): void => {
    // Another record of the table is to be noted instead.
    for (const noted of context.readBacksNoted) if (noted.startsWith(`${run.instanceId}/${table}/`)) context.readBacksNoted.delete(noted);
  };
  if (mapped === undefined || row === undefined) {
    forget();
    return closeReadBack(database, words, run, table, 'forget');
  }
  const changed = mapped.notKept(row, Object.fromEntries(columns.map((column) => [column, sent[column] ?? ''])));
  const optional = changed.filter(({ column }) => !isIndispensable(mapped, column));
  await learnColumns(
    database,
    words,
    run,
    table,
    optional.map(({ column, evidence }) => ({ column, behaviour: 'undone', evidence: `${evidence} a little later` })),
  );
  const stillThere = columns.filter((column) => !changed.some((one) => one.column === column));
  await healColumns(database, words, run, table, stillThere);
  const vital = changed.find(({ column }) => isIndispensable(mapped, column));
  if (vital !== undefined) forget();
  await closeReadBack(database, words, run, table, vital === undefined ? 'done' : { park: parkedBecause(mapped, vital) });
}

function parkedBecause({ name }: InstanceTable, { column, found }: NotKept): { readonly because: string; readonly remedy: string } {
  return {
    because: `${name}.${column} was kept, and is ${found === 'empty' ? 'empty' : 'another'} a little later`,
    remedy: undoneRemedy(name, column),
  };
}
