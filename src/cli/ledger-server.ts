/**
 * The ledger a command needs: that of the configuration, or the one that comes along, in the state folder. Apart from Temporal's server,
 * because commands that only read the ledger shall start fast.
 */
import { join } from 'node:path';
import type { Configuration } from '../config/index.ts';
import { openLedger, type DatabaseUrl, type Ledger } from '../ledger/index.ts';
import { acquireEmbeddedPostgres } from '../ledger/server/index.ts';
import type { Releases } from './releases.ts';

/** Opens the ledger, starting the embedded PostgreSQL if none is configured. */
export async function openLedgerOf(
  configuration: Configuration,
  releases: Releases,
): Promise<{ readonly ledger: Ledger; readonly url: DatabaseUrl }> {
  const url = await ledgerUrlOf(configuration, releases);
  const opened = await openLedger({ url, connections: 2, tables: [] });
  releases.defer(() => opened.database.close());
  return { ledger: opened, url };
}

/** The configured URL, read at each use, or that of the embedded server, which is started. */
export async function ledgerUrlOf({ ledger: { url }, stateDir }: Configuration, releases: Releases): Promise<DatabaseUrl> {
  return url === undefined ? startEmbeddedLedger(stateDir, releases) : url.follow();
}

async function startEmbeddedLedger(stateDir: string, releases: Releases): Promise<string> {
  const server = await acquireEmbeddedPostgres({ dir: join(stateDir, 'ledger') });
  releases.defer(server.release);
  return server.url;
}
