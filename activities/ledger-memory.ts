import { isOwnRun, readLedgerMemory, type Database } from '../src/ledger/index.ts';
import type { EngineProbes } from '../src/preflight/index.ts';

/** What preflight asks of a ledger whose tables are those of this version. */
export function memoryOf(database: Database, instanceUrl: string, deployment: string): NonNullable<EngineProbes['memory']> {
  return {
    read: () => readLedgerMemory(database, instanceUrl, deployment),
    isOwnRun: (runId) => isOwnRun(database, runId),
  };
}
