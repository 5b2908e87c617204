/** Placeholder and specific CI side by side, as `cis pairs` found and showed them. What is reconciled later is this, or nothing. */
import { createHash, randomBytes } from 'node:crypto';
import type { Database } from './database.ts';
import { canonicalJson, digest } from './digest.ts';
import { ciKeyDigest } from './groups.ts';
import type { CiIdentity, CiKey, JsonObject, SysId } from '../model.ts';

/** A CI as the instance has it. */
export interface PairCi {
  readonly sysId: SysId;
  readonly className: string;
  readonly objectId: string;
  readonly createdBy: string;
  /** UTC, `YYYY-MM-DD HH:mm:ss`, as the instance says it. */
  readonly createdOn: string;
  readonly discoverySource: string;
  /** The instance calls it retired or absent. */
  readonly retired: boolean;
}

/** A discovered item that points at one of the two. */
export interface PairItem {
  readonly sysId: SysId;
  /** Whose it is; null: not of this engine. */
  readonly deployment: string | null;
  readonly sourceId: string;
  readonly cmdbCi: SysId;
}

/** A test result that points at one of the two. */
export interface PairResult {
  readonly sysId: SysId;
  readonly deployment: string | null;
  /** sys_id of its integration instance. */
  readonly instance: string;
  /** sys_id of its test. */
  readonly control: string;
  readonly cmdbCi: SysId;
}

export interface CiPair {
  readonly ciKey: CiKey;
  readonly resourceId: string;
  readonly placeholder: PairCi;
  readonly createdByEngine: boolean;
  /** More than one: nobody can say which is meant. */
  readonly specific: readonly PairCi[];
  /** In sys_id order. */
  readonly items: readonly PairItem[];
  readonly results: readonly PairResult[];
  /** Why it cannot be reconciled as it is; null: it can. */
  readonly obstacle: string | null;
}

export interface PairSet {
  readonly id: string;
  readonly hash: string;
  readonly foundAt: string;
  readonly instanceUrl: string;
  readonly platformMovesResults: boolean | null;
  readonly pairs: number;
  /** Of those, how many nothing stands in the way of. */
  readonly reconcilable: number;
}

/** A resource whose CI is one of a class, as far as the ledger knows. */
export interface CiOfClass {
  readonly ciKey: CiKey;
  readonly identity: Extract<CiIdentity, { type: 'resource' }>;
  readonly sysId: SysId;
  readonly createdByEngine: boolean;
  /** How many other resources are matched to the same CI. */
  readonly others: number;
}

/** Resources matched to a CI of this class, in key order from after a key on; how many there are in all with {@link countCisOfClass}. */
export async function cisOfClass(
  database: Database,
  instanceUrl: string,
  className: string,
  after: CiKey | undefined,
  limit: number,
): Promise<CiOfClass[]> {
  const rows = await database.query<{
    key_text: CiKey;
    identity: CiOfClass['identity'];
    sys_id: SysId;
    created_by_engine: boolean;
    others: string;
  }>(
    `SELECT c.key_text, c.identity, c.sys_id, c.created_by_engine,
       (SELECT count(*) - 1 FROM ci o WHERE o.instance_id = c.instance_id AND o.sys_id = c.sys_id) AS others FROM ci c
     WHERE c.instance_id = (SELECT instance_id FROM instance WHERE url = $1) AND c.state = 'resolved' AND c.class_name = $2 AND c.sys_id IS NOT NULL
       AND c.identity->>'type' = 'resource' AND ($3::bytea IS NULL OR c.ci_key > $3)
     ORDER BY c.ci_key LIMIT $4`,
    [instanceUrl, className, after === undefined ? null : ciKeyDigest(after), limit],
  );
  return rows.map((row) => ({
    ciKey: row.key_text,
    identity: row.identity,
    sysId: row.sys_id,
    createdByEngine: row.created_by_engine,
    others: Number(row.others),
  }));
}

export async function countCisOfClass(database: Database, instanceUrl: string, className: string): Promise<number> {
  const [row] = await database.query<{ n: string }>(
    `SELECT count(*) AS n FROM ci c JOIN instance i USING (instance_id) WHERE i.url = $1 AND c.state = 'resolved' AND c.class_name = $2`,
    [instanceUrl, className],
  );
  return Number(row?.n ?? 0);
}

/** sys_id of each integration instance that the engine keeps → its natural key. */
export async function integrationInstances(database: Database, instanceUrl: string): Promise<Map<string, string>> {
  const rows = await database.query<{ sys_id: string; key_text: string }>(
    `SELECT r.sys_id, r.key_text FROM instance i JOIN record r USING (instance_id) JOIN word w ON w.word_id = r.table_id
     WHERE i.url = $1 AND w.word = 'sn_sec_int_impl' AND r.sys_id IS NOT NULL`,
    [instanceUrl],
  );
  return new Map(rows.map((row) => [row.sys_id, row.key_text]));
}

/** One record whose CI is to be changed, or was. */
export interface ReconcileStep {
  readonly deployment: string;
  readonly table: string;
  readonly sysId: SysId;
  readonly from: SysId;
  readonly to: SysId;
  /** Who re-points it: the platform moves results with their item where its property says so. */
  readonly by: 'engine' | 'platform';
}

/**
 * What re-pointing this pair means, shown and done alike: discovered items of this engine's deployments, and their results where the
 * platform does not move them. A result whose test the specific CI has already for the same deployment stays where it is, because two
 * results of one key would close each other; so does what belongs to somebody else.
 */
export function stepsOf(
  { placeholder, specific, items, results }: CiPair,
  platformMoves: boolean | null,
): { readonly steps: readonly ReconcileStep[]; readonly doubled: readonly PairResult[]; readonly foreign: number } {
  const to = specific[0]?.sysId;
  if (to === undefined) return { steps: [], doubled: [], foreign: 0 };
  const here = <Pointing extends PairItem | PairResult>(list: readonly Pointing[]): Pointing[] =>
    list.filter(({ cmdbCi }) => cmdbCi === placeholder.sysId);
  const taken = new Set(results.filter(({ cmdbCi }) => cmdbCi === to).map(({ instance, control }) => `${instance} ${control}`));
  const isDoubled = ({ instance, control }: PairResult): boolean => taken.has(`${instance} ${control}`);
  const own = here(results).filter(({ deployment }) => deployment !== null);
  const step = (table: string, { sysId, deployment }: PairItem | PairResult, by: ReconcileStep['by']): ReconcileStep => ({
    deployment: deployment ?? '',
    table,
    sysId,
    from: placeholder.sysId,
    to,
    by,
  });
  return {
    steps: [
      ...here(items)
        .filter(({ deployment }) => deployment !== null)
        .map((item) => step('sn_sec_cmn_src_ci', item, 'engine')),
      ...own
        .filter((result) => !isDoubled(result))
        .map((result) => step('sn_vulc_result', result, platformMoves === true ? 'platform' : 'engine')),
    ],
    doubled: own.filter(isDoubled),
    foreign: [...here(items), ...here(results)].filter(({ deployment }) => deployment === null).length,
  };
}

export function pairDigest(pair: CiPair): Buffer {
  return digest(`pair\n${canonicalJson(pair as unknown as JsonObject)}`);
}

/** Begins a set; it cannot be reconciled before {@link closePairSet}. Returns its id. */
export async function openPairSet(database: Database, instanceUrl: string): Promise<string> {
  const id = randomBytes(5).toString('hex');
  await database.query(
    'INSERT INTO ci_pair_set (set_id, instance_id, found_at) SELECT $1, instance_id, ledger_now() FROM instance WHERE url = $2',
    [id, instanceUrl],
  );
  return id;
}

export async function addPairs(database: Database, setId: string, pairs: readonly CiPair[]): Promise<void> {
  if (pairs.length === 0) return;
  await database.query(
    'INSERT INTO ci_pair (set_id, ci_key, pair, digest) SELECT $1, t.* FROM unnest($2::bytea[], $3::jsonb[], $4::bytea[]) AS t',
    [setId, pairs.map((pair) => ciKeyDigest(pair.ciKey)), pairs.map((pair) => JSON.stringify(pair)), pairs.map(pairDigest)],
  );
}

/** Completes a set: from here on its hash says what was shown. An empty one is forgotten. */
export async function closePairSet(database: Database, setId: string, platformMovesResults: boolean | null): Promise<PairSet | undefined> {
  const hash = await hashOfPairs(database, setId, platformMovesResults);
  if (hash === undefined) {
    await database.query('DELETE FROM ci_pair_set WHERE set_id = $1', [setId]);
    return undefined;
  }
  await database.query('UPDATE ci_pair_set SET hash = $2, platform_moves_results = $3 WHERE set_id = $1', [
    setId,
    hash,
    platformMovesResults,
  ]);
  return readPairSet(database, setId);
}

/** SHA-256 over the digests of all pairs in key order; undefined when there is none. */
export async function hashOfPairs(database: Database, setId: string, platformMovesResults: boolean | null): Promise<string | undefined> {
  const [row] = await database.query<{ digests: Buffer | null }>(
    `SELECT string_agg(digest, ''::bytea ORDER BY ci_key) AS digests FROM ci_pair WHERE set_id = $1`,
    [setId],
  );
  if (!row?.digests) return undefined;
  return createHash('sha256')
    .update(`${String(platformMovesResults)}\n`)
    .update(row.digests)
    .digest('hex');
}

/** A complete set; undefined when there is none of that id. */
export async function readPairSet(database: Database, setId: string): Promise<PairSet | undefined> {
  const [row] = await database.query<{
    set_id: string;
    hash: string;
    found_at: Date;
    url: string;
    platform_moves_results: boolean | null;
    n: string;
    reconcilable: string;
  }>(
    `SELECT s.set_id, s.hash, s.found_at, i.url, s.platform_moves_results, (SELECT count(*) FROM ci_pair p WHERE p.set_id = s.set_id) AS n,
       (SELECT count(*) FROM ci_pair p WHERE p.set_id = s.set_id AND p.pair->>'obstacle' IS NULL) AS reconcilable
     FROM ci_pair_set s JOIN instance i USING (instance_id) WHERE s.set_id = $1 AND s.hash IS NOT NULL`,
    [setId],
  );
  if (!row) return undefined;
  return {
    id: row.set_id,
    hash: row.hash,
    foundAt: row.found_at.toISOString(),
    instanceUrl: row.url,
    platformMovesResults: row.platform_moves_results,
    pairs: Number(row.n),
    reconcilable: Number(row.reconcilable),
  };
}

/** The first pairs of a set, in the order of their resource ids. */
export async function readPairs(database: Database, setId: string, limit: number): Promise<CiPair[]> {
  const rows = await database.query<{ pair: CiPair }>(
    `SELECT pair FROM ci_pair WHERE set_id = $1 ORDER BY pair->>'resourceId' COLLATE "C" LIMIT $2`,
    [setId, limit],
  );
  return rows.map((row) => row.pair);
}

const pairsAtATime = 1_000;

/** All pairs of a set, or the one of a CI, a thousand in memory at a time. */
export async function* eachPair(database: Database, setId: string, only: CiKey | null): AsyncGenerator<CiPair, void> {
  let after: Buffer | null = null;
  for (;;) {
    const rows: { pair: CiPair; ci_key: Buffer }[] = await database.query<{ pair: CiPair; ci_key: Buffer }>(
      `SELECT pair, ci_key FROM ci_pair WHERE set_id = $1 AND ($2::bytea IS NULL OR ci_key = $2) AND ($3::bytea IS NULL OR ci_key > $3)
       ORDER BY ci_key LIMIT $4`,
      [setId, only === null ? null : ciKeyDigest(only), after, pairsAtATime],
    );
    for (const { pair } of rows) yield pair;
    after = rows.at(-1)?.ci_key ?? null;
    if (rows.length < pairsAtATime) return;
  }
}

/** Forgets sets that nothing was done about and that are older than the history. */
export async function forgetPairSets(database: Database, keepDays: number): Promise<void> {
  await database.query(
    `DELETE FROM ci_pair_set s WHERE s.found_at < ledger_now() - $1 * interval '1 day'
       AND NOT EXISTS (SELECT 1 FROM reconcile r WHERE r.set_id = s.set_id)`,
    [keepDays],
  );
}
