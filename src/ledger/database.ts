import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { SyncError } from '../errors.ts';

/** SQLSTATE that `assert_fence` and `acquire_slot` raise (migrations/0001_ledger.sql). */
const staleFence = 'DS001';
/** Connection lost, server starting or stopping, serialization, deadlock: the same transaction may succeed later. */
const transientStates = /^(08|40|53|57)/;
const migrationsFolder = new URL('./migrations/', import.meta.url);
/** Any number that nothing else in the database uses. */
const migrationLock = 7_263_514;

export type Transaction = pg.PoolClient;

export interface Database {
  /** Runs statements in one transaction; rolls back when the body throws. */
  transaction<Result>(body: (tx: Transaction) => Promise<Result>): Promise<Result>;
  /** One statement outside any transaction. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/**
 * Opens a pool to the ledger's PostgreSQL and brings its tables up to date.
 * @param url `postgresql://…`
 * @param connections how many connections the pool may hold (one per concurrent transaction)
 */
export async function openDatabase(url: string, connections: number): Promise<Database> {
  const pool = new pg.Pool({ connectionString: url, max: connections, application_name: 'defender-sync', keepAlive: true });
  // Without a listener an idle connection that the server closes would end the process.
  pool.on('error', () => undefined);
  const database: Database = {
    transaction: (body) => inTransaction(pool, body),
    query: (sql, values) => castErrors(async () => (await pool.query(sql, values as unknown[] | undefined)).rows as never),
    close: () => pool.end(),
  };
  try {
    await migrate(database);
  } catch (error) {
    await pool.end();
    throw error;
  }
  return database;
}

async function inTransaction<Result>(pool: pg.Pool, body: (tx: Transaction) => Promise<Result>): Promise<Result> {
  return castErrors(async () => {
    const tx = await pool.connect();
    let broken: Error | undefined;
    try {
      await tx.query('BEGIN');
      const result = await body(tx);
      await tx.query('COMMIT');
      return result;
    } catch (error) {
      await tx.query('ROLLBACK').catch((rollbackError: unknown) => {
        broken = rollbackError as Error;
      });
      throw error;
    } finally {
      tx.release(broken);
    }
  });
}

async function castErrors<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw castDatabaseError(error);
  }
}

/** The one place where PostgreSQL's errors become ours. */
export function castDatabaseError(error: unknown): unknown {
  if (error instanceof SyncError) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const state = typeof code === 'string' ? code : undefined;
  const text = typeof message === 'string' ? message : String(error);
  if (state === staleFence) {
    return new SyncError({ kind: 'fenced-out', service: 'ledger', message: `Another run took over: ${text}.`, code: state, cause: error });
  }
  if (state !== undefined && (transientStates.test(state) || /^E[A-Z]+$/.test(state))) {
    return new SyncError({
      kind: 'transient',
      service: 'ledger',
      message: `The ledger's database did not answer (${state}: ${text}).`,
      remedy: 'Check that PostgreSQL runs and accepts connections; the step is tried again.',
      code: state,
      cause: error,
    });
  }
  if (/Connection terminated|timeout exceeded when trying to connect/.test(text)) {
    return new SyncError({
      kind: 'transient',
      service: 'ledger',
      message: `The connection to the ledger was lost (${text}).`,
      cause: error,
    });
  }
  return error;
}

/** Applies the numbered SQL files that have not been applied, in one transaction, one process at a time. */
async function migrate(database: Database): Promise<void> {
  const files = (await readdir(migrationsFolder)).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort();
  await database.transaction(async (tx) => {
    await tx.query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
    await tx.query('CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())');
    const applied = new Set((await tx.query<{ name: string }>('SELECT name FROM migration')).rows.map((row) => row.name));
    const newer = [...applied].filter((name) => !files.includes(name));
    if (newer.length > 0) {
      throw new SyncError({
        kind: 'misconfigured',
        service: 'ledger',
        message: `The ledger was migrated by a newer version of defender-sync (${newer.join(', ')}).`,
        remedy: 'Run that version or a newer one; an older one would misread the tables.',
      });
    }
    for (const name of files) {
      if (applied.has(name)) continue;
      await tx.query(await readFile(new URL(name, migrationsFolder), 'utf8'));
      await tx.query('INSERT INTO migration (name) VALUES ($1)', [name]);
    }
  });
}
