import type { Database } from './database.ts';

/** The tables that grow with the estate. */
const growing = ['observed', 'observed_group', 'ci', 'record', 'record_owner'];
/** Changes that are not worth a look at a small table. */
const smallChange = 500;

/**
 * Tells PostgreSQL what its tables hold when a fifth of one has changed since it last looked. Autovacuum does the same, but a
 * minute late: a first load fills a table with a hundred thousand rows while the planner still thinks that it has one, and joins
 * row by row what it should look up by key. Costs one small query where nothing has changed.
 */
export async function refreshStatistics(database: Database): Promise<void> {
  const stale = await database.query<{ relname: string }>(
    `SELECT relname FROM pg_stat_user_tables
     WHERE schemaname = current_schema() AND relname = ANY($1::text[]) AND n_mod_since_analyze > $2::bigint + n_live_tup / 5`,
    [growing, smallChange],
  );
  // Somebody else may be at it; then it is being done.
  for (const { relname } of stale) await database.query(`ANALYZE (SKIP_LOCKED) ${relname}`);
}
