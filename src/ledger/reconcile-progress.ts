/** How far a reconcile is, and what became of its pairs. */
import { firstFreeInMs, wholeMs } from './claims.ts';
import type { Database } from './database.ts';
import type { KeyedStep, LedgerCi, PairOutcome } from './reconciles.ts';

export interface ReconcileProgress {
  readonly open: number;
  readonly readyInMs: number;
  readonly counts: Readonly<Record<PairOutcome, number>>;
  /** Records re-pointed, by the engine and by the platform. */
  readonly items: number;
  readonly results: number;
  readonly leftToPlatform: number;
}

export async function reconcileProgress(database: Database, reconcileId: string, settleMs: number): Promise<ReconcileProgress> {
  const [row] = await database.query<Record<string, string | null>>(
    `SELECT count(*) FILTER (WHERE p.state IN ('due', 'sent')) AS open, count(*) FILTER (WHERE p.state = 'moved') AS moved,
       count(*) FILTER (WHERE p.state = 'unchanged') AS unchanged, count(*) FILTER (WHERE p.state = 'refused') AS refused,
       count(*) FILTER (WHERE p.state = 'parked') AS parked,
       ${firstFreeInMs('p', '$2', "p.state IN ('due', 'sent')")} AS ready_in_ms,
       sum((SELECT count(*) FROM jsonb_array_elements(p.steps) AS s WHERE s->>'by' = 'engine' AND s->>'table' = 'sn_sec_cmn_src_ci'))
         FILTER (WHERE p.state = 'moved') AS items,
       sum((SELECT count(*) FROM jsonb_array_elements(p.steps) AS s WHERE s->>'by' = 'engine' AND s->>'table' = 'sn_vulc_result'))
         FILTER (WHERE p.state = 'moved') AS results,
       sum((SELECT count(*) FROM jsonb_array_elements(p.steps) AS s WHERE s->>'by' = 'platform')) FILTER (WHERE p.state = 'moved') AS left_to_platform
     FROM reconcile_pair p WHERE p.reconcile_id = $1`,
    [reconcileId, settleMs],
  );
  const count = (name: string): number => Number(row?.[name] ?? 0);
  return {
    open: count('open'),
    readyInMs: wholeMs(row?.['ready_in_ms']),
    counts: { moved: count('moved'), unchanged: count('unchanged'), refused: count('refused'), parked: count('parked') },
    items: count('items'),
    results: count('results'),
    leftToPlatform: count('left_to_platform'),
  };
}

export interface ReconciledPair {
  readonly resourceId: string;
  readonly state: PairOutcome | 'due' | 'sent';
  readonly because: string | null;
  readonly from: LedgerCi;
  readonly to: LedgerCi;
  readonly steps: readonly KeyedStep[];
}

export async function readReconciledPairs(database: Database, reconcileId: string): Promise<ReconciledPair[]> {
  const rows = await database.query<{
    resource_id: string;
    state: ReconciledPair['state'];
    because: string | null;
    from_ci: LedgerCi;
    to_ci: LedgerCi;
    steps: KeyedStep[] | null;
  }>('SELECT resource_id, state, because, from_ci, to_ci, steps FROM reconcile_pair WHERE reconcile_id = $1 ORDER BY resource_id', [
    reconcileId,
  ]);
  return rows.map((row) => ({
    resourceId: row.resource_id,
    state: row.state,
    because: row.because,
    from: row.from_ci,
    to: row.to_ci,
    steps: row.steps ?? [],
  }));
}

/** What was shown about the instance as a whole. */
export async function readReconcileFacts(
  database: Database,
  reconcileId: string,
): Promise<{ readonly platformMovesResults: boolean | null }> {
  const [row] = await database.query<{ platform_moves_results: boolean | null }>(
    'SELECT s.platform_moves_results FROM reconcile r JOIN ci_pair_set s USING (set_id) WHERE r.reconcile_id = $1',
    [reconcileId],
  );
  return { platformMovesResults: row?.platform_moves_results ?? null };
}

/** How far an open reconcile is: pairs by what became of them. Empty while it has not begun. */
export async function readReconcileCounts(database: Database, workflowRunId: string): Promise<Readonly<Record<string, number>>> {
  const rows = await database.query<{ state: string; n: string }>(
    `SELECT p.state, count(*) AS n FROM reconcile r JOIN reconcile_pair p USING (reconcile_id) WHERE r.workflow_run_id = $1 GROUP BY p.state`,
    [workflowRunId],
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, Number(n)]));
}
