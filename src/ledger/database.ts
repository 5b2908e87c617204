import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { SyncError } from '../errors.ts';

/** SQLSTATE that `assert_fence` and `acquire_slot` raise (migrations/0001_ledger.sql). */
const staleFence = 'DS001';
/**
 * Connection lost, server starting or stopping, serialization, deadlock, idle for too long, and 25006: a server that was the primary until
 * a failover, or is not yet. The same transaction may succeed later.
 */
const transientStates = /^(08|40|53|57|25006|25P0[34])/;
/**
 * A sign-in that is refused (a password that is being changed), or a database that is not there (while it is restored). What waits is kept
 * in the ledger itself, so that all there is to do is to try again.
 */
const refusedStates = /^(28|3D)/;
/** Node's codes for a certificate that does not hold: expired, of another authority, for another name. Put right at the server, so tried again. */
export const certificateCodes = /^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|CERT_|ERR_TLS_)/;
/**
 * A process that is paused in the middle of a transaction keeps its rows locked, and all others wait for it. A living one is never
 * idle there for longer than it computes; after this the server takes the transaction back, of a process that vanished, too.
 */
const defaultPauseLimitMs = 15_000;
const migrationsFolder = new URL('./migrations/', import.meta.url);
/** Any number that nothing else in the database uses. */
const migrationLock = 7_263_514;

export type Transaction = pg.PoolClient;

/** `postgresql://…`, or where to ask for it: every new connection uses what it is by now, a changed password too. */
export type DatabaseUrl = string | (() => string);

export interface Database {
  /** Runs statements in one transaction; rolls back when the body throws. */
  transaction<Result>(body: (tx: Transaction) => Promise<Result>): Promise<Result>;
  /** One statement outside any transaction. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/**
 * Opens a pool to the ledger's PostgreSQL and brings its tables up to date.
 * @param connections how many connections the pool may hold (one per concurrent transaction)
 */
export async function openDatabase(url: DatabaseUrl, connections: number): Promise<Database> {
  const database = connectDatabase({ url, connections });
  try {
    await migrate(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

/**
 * A pool as it is, whatever tables are there; connects at the first statement.
 * @param options.connectTimeoutMs default: none
 * @param options.pauseLimitMs how long a transaction may stand still before the server ends it; default: {@link defaultPauseLimitMs}
 */
export function connectDatabase(options: {
  readonly url: DatabaseUrl;
  readonly connections: number;
  readonly connectTimeoutMs?: number;
  readonly pauseLimitMs?: number;
}): Database {
  const pool = new pg.Pool({
    ...(typeof options.url === 'string' ? { connectionString: options.url } : { Client: clientsAt(options.url) }),
    max: options.connections,
    application_name: 'defender-sync',
    keepAlive: true,
    // A server that vanished (a failover, a firewall) says nothing: asked after 10 s of silence, and given up 10 s later.
    keepAliveInitialDelayMillis: 10_000,
    ...(options.connectTimeoutMs === undefined ? {} : { connectionTimeoutMillis: options.connectTimeoutMs }),
  });
  // Without a listener an idle connection that the server closes would end the process.
  pool.on('error', () => undefined);
  const begin = beginWithLimit(options.pauseLimitMs ?? defaultPauseLimitMs);
  return {
    transaction: (body) => inTransaction(pool, begin, body),
    query: (sql, values) => castErrors(async () => (await pool.query(sql, values as unknown[] | undefined)).rows as never),
    close: () => pool.end(),
  };
}

function clientsAt(url: () => string): new () => pg.Client {
  return class extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super({ ...config, connectionString: url() });
    }
  };
}

/**
 * Said per transaction, because poolers refuse it as a parameter of the connection, and in one message, so that it costs no round trip.
 * `tcp_user_timeout` is for answers that nobody takes in: until they are sent, a transaction does not count as idle.
 */
function beginWithLimit(pauseLimitMs: number): string {
  return `BEGIN; SET LOCAL idle_in_transaction_session_timeout = ${pauseLimitMs}; SET LOCAL tcp_user_timeout = ${pauseLimitMs}`;
}

async function inTransaction<Result>(pool: pg.Pool, begin: string, body: (tx: Transaction) => Promise<Result>): Promise<Result> {
  return castErrors(async () => {
    const tx = await pool.connect();
    let broken: Error | undefined;
    // One in use that the server closes says so to the statement; without a listener it would end the process as well.
    const noteBreak = (error: Error): void => {
      broken = error;
    };
    tx.on('error', noteBreak);
    try {
      await tx.query(begin);
      const result = await body(tx);
      await tx.query('COMMIT');
      return result;
    } catch (error) {
      await tx.query('ROLLBACK').catch((rollbackError: unknown) => {
        broken = rollbackError as Error;
      });
      throw error;
    } finally {
      tx.off('error', noteBreak);
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
  if (state !== undefined && refusedStates.test(state)) {
    return new SyncError({
      kind: 'transient',
      service: 'ledger',
      message: `The ledger's database does not let us in (${state}: ${text}).`,
      remedy: 'Put the right URL into what ledger.url leads to (defender-sync doctor says more); nothing has to be restarted.',
      code: state,
      cause: error,
    });
  }
  if (state !== undefined && certificateCodes.test(state)) {
    return new SyncError({
      kind: 'transient',
      service: 'ledger',
      message: `The certificate of the ledger's database is not trusted (${state}: ${text}).`,
      remedy: 'Put it right at the server, or the authority in what ledger.url leads to; nothing has to be restarted.',
      code: state,
      cause: error,
    });
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
  if (/Connection terminated|is not queryable|timeout exceeded when trying to connect/.test(text)) {
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
  const files = await migrationFiles();
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

/** Names of the migrations of this version, in order. */
export async function migrationFiles(): Promise<string[]> {
  return (await readdir(migrationsFolder)).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort();
}

/** Tables that the migrations of this version make. */
export async function migratedTables(): Promise<string[]> {
  const texts = await Promise.all((await migrationFiles()).map((name) => readFile(new URL(name, migrationsFolder), 'utf8')));
  return ['migration', ...texts.flatMap((text) => [...text.matchAll(/^CREATE TABLE (\w+)/gm)].map((found) => found[1] ?? ''))];
}
