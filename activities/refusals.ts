/** What the instance does not take, with what to do about it: for the report of a run, and for `doctor`. */
import type { CheckFinding } from '../workflows/contract.ts';
import { leftOutColumns, parkedReasons, type Database, type LeftOutColumn, type Owner, type ParkedReason } from '../src/ledger/index.ts';
import type { Report } from '../src/model.ts';
import { notKeptRemedy, undoneRemedy } from '../src/servicenow/index.ts';

export type Refusals = Required<Pick<Report, 'parkedRecords' | 'skippedColumns'>>;

export async function readRefusals(database: Database, owner: Owner): Promise<Refusals> {
  const [parked, columns] = [await parkedReasons(database, owner), await leftOutColumns(database, owner)];
  return { parkedRecords: parked, skippedColumns: columns.map((column) => ({ ...column, remedy: remedyOf(column) })) };
}

function remedyOf({ table, column, behaviour }: LeftOutColumn): string | null {
  if (behaviour === 'some-records') return null;
  return behaviour === 'undone' ? undoneRemedy(table, column) : notKeptRemedy(table, column);
}

const findingsOfAKind = 10;
const administrator = 'A ServiceNow administrator';

/** The same as findings, the most frequent first. */
export function refusalFindings({ parkedRecords, skippedColumns }: Refusals): CheckFinding[] {
  return [
    ...parkedRecords.slice(0, findingsOfAKind).map(parkedFinding),
    ...skippedColumns
      .filter(({ remedy }) => remedy !== null)
      .slice(0, findingsOfAKind)
      .map(({ table, column, behaviour, evidence, records, remedy }): CheckFinding => ({
        check: `publish.column.${table}.${column}`,
        verdict: 'warning',
        cause: behaviour === 'undone' ? 'column-undone' : 'column-not-kept',
        follows: 'A run goes on, and writes the records without it.',
        fixedBy: administrator,
        evidence: `${table}.${column} is ${behaviour === 'undone' ? 'changed again by the instance' : 'not kept by the instance'} (${evidence}) and is left out; ${records} records were written without it.`,
        remedy,
      })),
  ];
}

function parkedFinding({ table, because, remedy, records, keys }: ParkedReason): CheckFinding {
  return {
    check: `publish.parked.${table}`,
    verdict: 'warning',
    cause: 'records-parked',
    follows: 'A run goes on without them, and tries each of them once.',
    fixedBy: remedy === null ? null : administrator,
    evidence: `${records} ${records === 1 ? 'record' : 'records'} of ${table} parked: ${because} (${keys.join(', ')}${records > keys.length ? ', …' : ''}). Each run tries them once.`,
    remedy,
  };
}
