/** Databases of their own on one server, for tests and benchmarks. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/**
 * Creates a database beside the one the URL names, and returns its URL.
 * With `template`, as a copy of that database (which nobody may be connected to): a migrated one in a few milliseconds.
 * Errors: PostgreSQL's own (`pg.DatabaseError`), for example 42P04 when it exists.
 */
export async function createDatabase(url: string, name: string, options: { readonly template?: string | undefined } = {}): Promise<string> {
  const template = options.template === undefined ? '' : ` TEMPLATE ${pg.escapeIdentifier(options.template)}`;
  await runStatement(url, `CREATE DATABASE ${pg.escapeIdentifier(name)}${template}`);
  const created = new URL(url);
  created.pathname = `/${encodeURIComponent(name)}`;
  return created.href;
}

const insufficientPrivilege = '42501';
const busyForMs = 10_000;

/**
 * Drops a database of that server, if it exists; connections to it are closed. The server's own cleaner (autovacuum) cannot be sent away by
 * the database's owner, and an administrator cannot either: they are waited for, ten seconds at most.
 */
export async function dropDatabase(url: string, name: string): Promise<void> {
  const untilMs = Date.now() + busyForMs;
  for (;;) {
    try {
      await runStatement(url, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
      return;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== insufficientPrivilege || Date.now() > untilMs) throw error;
      await sleep(100);
    }
  }
}

async function runStatement(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
