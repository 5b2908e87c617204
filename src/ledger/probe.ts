/** Looks at a ledger from outside, changing nothing: for people who ask what is wrong with it, whether or not it answers. */
import { isSyncError, SyncError } from '../errors.ts';
import { castDatabaseError, connectDatabase, migratedTables, migrationFiles, type Database, type DatabaseUrl } from './database.ts';

export interface LedgerSchema {
  /** Migrations of this version that were not applied. */
  readonly missing: readonly string[];
  /** Applied ones that this version does not know. */
  readonly unknown: readonly string[];
  /** False: nothing was ever applied. */
  readonly isThere: boolean;
}

export interface LedgerRights {
  readonly user: string;
  readonly schema: string;
  /** The server is a standby: it takes no writes from anybody. */
  readonly isStandby: boolean;
  /** Transactions of this user are read-only unless they say otherwise. */
  readonly isReadOnly: boolean;
  /** What is missing, as `GRANT` names it: `INSERT ON record`. */
  readonly missing: readonly string[];
}

export interface LedgerProbe {
  /** Host and database; never the user's password. */
  readonly place: string;
  /** The server's version. @throws SyncError with the SQLSTATE, or the network's or TLS's code, as `code` */
  connect(): Promise<string>;
  schema(): Promise<LedgerSchema>;
  rights(): Promise<LedgerRights>;
}

export interface OpenLedgerProbe extends LedgerProbe {
  /** For what is read of a ledger whose tables are those of this version. */
  readonly database: Database;
}

const connectTimeoutMs = 5_000;
const malformed = 'url-malformed';

/** @param url `postgresql://…` @throws SyncError `usage` for what is no such URL; the URL is not repeated, for it holds the password */
export function openLedgerProbe(given: DatabaseUrl): OpenLedgerProbe {
  const url = typeof given === 'string' ? given : given();
  const parsed = URL.parse(url);
  if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol)) {
    throw new SyncError({
      kind: 'usage',
      service: 'ledger',
      code: malformed,
      message: 'What ledger.url leads to is not the URL of a PostgreSQL database.',
      remedy:
        'Write it as postgresql://user:password@host:5432/database; signs like @ : / % in the password are percent-encoded (@ is %40).',
    });
  }
  const database = connectDatabase({ url, connections: 2, connectTimeoutMs });
  return {
    place: `${parsed.host}${parsed.pathname}`,
    database,
    connect: () => asSyncError(() => versionOf(database)),
    schema: () => asSyncError(() => readSchema(database)),
    rights: () => asSyncError(() => readRights(database)),
  };
}

async function versionOf(database: Database): Promise<string> {
  const [row] = await database.query<{ server_version: string }>('SHOW server_version');
  return row?.server_version ?? '';
}

async function readSchema(database: Database): Promise<LedgerSchema> {
  const files = await migrationFiles();
  const [found] = await database.query<{ there: boolean }>(`SELECT to_regclass('migration') IS NOT NULL AS there`);
  if (found?.there !== true) return { missing: files, unknown: [], isThere: false };
  const applied = (await database.query<{ name: string }>('SELECT name FROM migration ORDER BY name')).map(({ name }) => name);
  return {
    missing: files.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !files.includes(name)),
    isThere: applied.length > 0,
  };
}

async function readRights(database: Database): Promise<LedgerRights> {
  const [session] = await database.query<{ user: string; schema: string | null; standby: boolean; read_only: string; creates: boolean }>(
    `SELECT current_user AS user, current_schema() AS schema, pg_is_in_recovery() AS standby, current_setting('transaction_read_only') AS read_only,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates`,
  );
  if (session === undefined) throw new SyncError({ kind: 'bug', service: 'ledger', message: 'A SELECT without FROM gave no row.' });
  const { missing: unapplied } = await readSchema(database);
  const lacking = await database.query<{ right: string }>(
    `SELECT t.name || ': ' || string_agg(p.privilege, ', ' ORDER BY p.privilege) AS right
     FROM unnest($1::text[]) AS t(name), unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p(privilege)
     WHERE to_regclass(t.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(t.name), p.privilege)
     GROUP BY t.name ORDER BY t.name`,
    [await migratedTables()],
  );
  const alien = await database.query<{ name: string }>(
    `SELECT c.relname AS name FROM unnest($1::text[]) AS t(name) JOIN pg_class c ON c.oid = to_regclass(t.name)
     WHERE NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1`,
    [await migratedTables()],
  );
  const schema = session.schema ?? '(none)';
  return {
    user: session.user,
    schema,
    isStandby: session.standby,
    isReadOnly: session.read_only === 'on',
    missing: [
      ...lacking.map(({ right }) => right),
      // Only who brings the tables up to date needs more than to use them.
      ...(unapplied.length > 0 && !session.creates ? [`schema ${schema}: CREATE`] : []),
      ...(unapplied.length > 0 && alien.length > 0 ? [`ownership of ${alien.length} tables (${alien[0]?.name ?? ''}, …)`] : []),
    ],
  };
}

/** What the driver throws for an address, a handshake or a log-in is no SyncError yet: a running worker never meets it. */
async function asSyncError<Value>(ask: () => Promise<Value>): Promise<Value> {
  try {
    return await ask();
  } catch (raw) {
    const error = castDatabaseError(raw);
    if (isSyncError(error)) throw error;
    const { code, message } = error as { code?: unknown; message?: unknown };
    throw new SyncError({
      kind: 'misconfigured',
      service: 'ledger',
      message: `The ledger's database refuses us: ${typeof message === 'string' ? message : 'no reason given'}.`,
      ...(typeof code === 'string' ? { code } : {}),
      cause: raw,
    });
  }
}

export interface LedgerMemory {
  readonly ledgerId: string;
  /** Where this deployment was synced to so far; undefined: never. */
  readonly deploymentUrl: string | undefined;
  /** Highest sequence of a run to this instance; 0: never. */
  readonly sequence: number;
  /** Whether anything was published to this instance. */
  readonly hasPublished: boolean;
}

/** What a ledger of this version remembers of an instance and a deployment. */
export async function readLedgerMemory(database: Database, instanceUrl: string, deployment: string): Promise<LedgerMemory> {
  const [row] = await database.query<{ ledger_id: string; deployment_url: string | null; sequence: string | null; published: boolean }>(
    `SELECT l.ledger_id, (SELECT i.url FROM deployment d JOIN instance i USING (instance_id) WHERE d.name = $2) AS deployment_url, o.sequence,
       EXISTS (SELECT 1 FROM record r WHERE r.instance_id = o.instance_id AND r.published IS NOT NULL) AS published
     FROM ledger l LEFT JOIN instance o ON o.url = $1`,
    [instanceUrl, deployment],
  );
  return {
    ledgerId: row?.ledger_id ?? '',
    deploymentUrl: row?.deployment_url ?? undefined,
    sequence: Number(row?.sequence ?? 0),
    hasPublished: row?.published ?? false,
  };
}

/** Whether a run is one of this ledger. @param runId a UUID */
export async function isOwnRun(database: Database, runId: string): Promise<boolean> {
  return (await database.query('SELECT 1 FROM run WHERE run_id = $1', [runId])).length > 0;
}
