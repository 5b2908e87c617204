import { integrationNames, observedKinds } from '../model.ts';
import { openDatabase, type Database, type DatabaseUrl } from './database.ts';
import { historyOutcomes } from './history.ts';
import { createWords, type Words } from './words.ts';

export * from './adoption.ts';
export * from './attachments.ts';
export * from './ci-checks.ts';
export * from './cis.ts';
export * from './columns.ts';
export { castDatabaseError, certificateCodes, type Database, type DatabaseUrl } from './database.ts';
export * from './desired.ts';
export { canonicalJson, digest } from './digest.ts';
export { findBySysId, idsOfCi, nearMisses, type FoundBySysId } from './find-resource.ts';
export * from './gate.ts';
export * from './groups.ts';
export * from './known.ts';
export { pruneHistory } from './history.ts';
export * from './pages.ts';
export * from './pairs.ts';
export * from './probe.ts';
export { recordsOnCis, settlePairs, type RecordOnCi, type SettledPair } from './reconcile-settle.ts';
export * from './reconcile-progress.ts';
export * from './reconciles.ts';
export * from './read-backs.ts';
export * from './records.ts';
export * from './references.ts';
export * from './refusals.ts';
export * from './removals.ts';
export * from './report.ts';
export * from './runs.ts';
export * from './statistics.ts';
export * from './tags.ts';
export {
  claimScan,
  endScan,
  forbiddenEverywhere,
  openScans,
  postponeScan,
  releaseScan,
  reopenFailedScans,
  restartScan,
  scanProgress,
  takeOverScans,
  type ClaimedScan,
  type ScanPlan,
  type ScanProgress,
} from './scans.ts';
export { readStory, type CiStory, type MatchEvent, type ResourceName, type ResourceStory } from './story.ts';
export type { RecordStory, WriteStory } from './story-records.ts';
export type { ObservedAs, Quarantined, ScanStory, Sighting } from './story-sightings.ts';
export type { Words } from './words.ts';

/** The open ledger: what every other call of this room is handed. */
export interface Ledger {
  readonly database: Database;
  readonly words: Words;
}

/**
 * Opens the ledger and brings its tables up to date.
 * @param options.tables names of the ServiceNow tables that will be written: numbered now, so that no transaction has to wait for a number
 */
export async function openLedger(options: {
  readonly url: DatabaseUrl;
  readonly connections: number;
  readonly tables: readonly string[];
}): Promise<Ledger> {
  const database = await openDatabase(options.url, options.connections);
  const words = createWords(database);
  for (const word of [...integrationNames, ...observedKinds, ...historyOutcomes, ...options.tables]) await words.idOf(word);
  return { database, words };
}
