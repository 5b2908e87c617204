import { countKnown, findWritten, type Database } from '../src/ledger/index.ts';
import type { DeploymentName } from '../src/model.ts';
import type { KnownToLedger } from '../src/preflight/index.ts';

/** What preflight may ask the ledger about a deployment and its instance; nothing is asked before a check needs it. */
export function knownToLedger(database: Database, deployment: DeploymentName, instanceUrl: string): KnownToLedger {
  return {
    counts: () => countKnown(database, deployment),
    written: () => findWritten(database, instanceUrl),
  };
}
