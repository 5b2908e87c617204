/** A ledger in a database of its own, and short words for what the tests of its boundary say again and again. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach } from '@jest/globals';
import {
  beginRun,
  claimScan,
  commitPage,
  openLedger,
  openScans,
  type ClaimedScan,
  type Ledger,
  type PageResult,
  type PageToCommit,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type {
  CiKey,
  DeploymentName,
  DesiredRecord,
  IntegrationName,
  JsonObject,
  ObservedId,
  ObservedKind,
  RowOutcome,
} from '../../../src/model.ts';
import { withPostgres } from '../servers.ts';

export const instanceUrl = 'https://instance.example';
export const minuteMs = 60_000;

export interface TestLedger extends Ledger {
  readonly url: string;
  /** URL of a database in which nothing is. */
  emptyDatabase(): Promise<string>;
  /** A run of a deployment; every call is another workflow execution unless it is named. */
  begin(deployment?: string, position?: number, workflowRunId?: string): Promise<RunHandle & { readonly closedDangling: number }>;
  /** Moves the ledger's clock forward. */
  advance(byMs: number): Promise<void>;
  /** Another process: a ledger of its own on the same database. Closed after the test. */
  another(): Promise<Ledger>;
}

/** Gives every test of a file an empty ledger. Use it in tests only, not in `beforeAll`. */
export function withLedger(): TestLedger {
  const postgres = withPostgres();
  let opened: Ledger[] = [];
  const open = async (): Promise<Ledger> => {
    const ledger = await openLedger({ url: postgres.url, connections: 12, tables: ['sn_vulc_policy', 'sn_vulc_test', 'sn_vulc_result'] });
    opened.push(ledger);
    return ledger;
  };
  beforeEach(async () => {
    const { database } = await open();
    // Emptying a migrated database is ten times faster than migrating an empty one.
    await database.query('TRUNCATE instance, deployment, run, slot, throttle, record, ci, derived_with, write_event, ci_event CASCADE');
    await database.query(`UPDATE ledger SET clock_shift = '0'`);
  });
  afterEach(async () => {
    for (const { database } of opened) await database.close();
    opened = [];
  });
  const first = (): Ledger => {
    const [ledger] = opened;
    if (!ledger) throw new Error('the ledger is not open yet');
    return ledger;
  };
  return {
    get url() {
      return postgres.url;
    },
    emptyDatabase: () => postgres.freshDatabase(),
    get database() {
      return first().database;
    },
    get words() {
      return first().words;
    },
    begin: (deployment = 'a', position = 0, workflowRunId = randomUUID()) =>
      beginRun(first().database, { name: deployment as DeploymentName, instanceUrl, position }, workflowRunId, 'sync'),
    advance: async (byMs) => {
      await first().database.query(`UPDATE ledger SET clock_shift = clock_shift + $1 * interval '1 millisecond'`, [byMs]);
    },
    another: open,
  };
}

export const leaseMs = 10 * minuteMs;

/** Opens one scan of one list and claims it. */
export async function openScan(
  { database }: Ledger,
  run: RunHandle,
  integration: IntegrationName = 'policies',
  readName = 'policy-definitions',
): Promise<ClaimedScan> {
  await openScans(database, run, integration, [{ readName, stage: 1, scope: { kind: 'tenant', id: 'tenant' } }]);
  const claim = await claimScan(database, run, integration, leaseMs);
  if (!claim) throw new Error('the scan could not be claimed');
  return claim;
}

/** Every kind of these tests is derived by the integration of its name. */
export function familyOf(kind: ObservedKind): IntegrationName {
  if (kind === 'assessment') return 'assessments';
  if (kind === 'image-assessment' || kind === 'cve') return 'container-images';
  return kind === 'metadata' ? 'metadata' : 'policies';
}

export function commit(
  { database, words }: Ledger,
  run: RunHandle,
  claim: ClaimedScan,
  pageNo: number,
  page: Partial<PageToCommit>,
): Promise<PageResult> {
  return commitPage(database, words, run, claim, pageNo, { outcomes: [], nextCursor: undefined, ...page }, familyOf);
}

export function observed(
  kind: ObservedKind,
  id: string,
  body: JsonObject = {},
  more: { readonly group?: string; readonly links?: readonly [ObservedKind, string][] } = {},
): RowOutcome {
  const links = (more.links ?? []).map(([linkKind, linkId]) => ({ kind: linkKind, id: linkId as ObservedId }));
  return {
    outcome: 'observed',
    record: { kind, id: id as ObservedId, body, group: more.group ?? '', ...(links.length === 0 ? {} : { links }) },
  };
}

export const moreToCome: JsonObject = { paging: { pages: 1 } };

export function policy(key: string, fields: DesiredRecord['fields'] = { name: key }): DesiredRecord {
  return { table: 'sn_vulc_policy', key, fields };
}

export function ciRequest(key: string): {
  readonly key: CiKey;
  readonly identity: { readonly type: 'image'; readonly digest: string; readonly name: string };
} {
  return { key: `image:${key}` as CiKey, identity: { type: 'image', digest: `sha256:${key}`, name: key } };
}

/** The kind of the SyncError that a call rejects with; `nothing` when it does not. */
export async function failureOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
    return 'nothing';
  } catch (error) {
    return (error as { kind?: unknown }).kind ?? error;
  }
}
