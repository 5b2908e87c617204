/** Real servers for integration tests: one PostgreSQL and one Temporal server for the whole run, a database of its own for each test file. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import type { Client, Connection } from '@temporalio/client';
import { acquireEmbeddedPostgres, createDatabase, dropDatabase, type EmbeddedPostgres } from '../../src/ledger/server/index.ts';
import { connectTemporal, type TemporalConnection } from '../../src/temporal/connect.ts';
import { acquireTemporalDevServer, type TemporalDevServer } from '../../src/temporal/dev-server.ts';
import { ensureSearchAttributes } from '../../src/temporal/search-attributes.ts';
import { postgresOptions, temporalOptions } from './server-folders.ts';

/** The first file of a run may have to fetch the Temporal CLI. */
const firstStartTimeoutMs = 300_000;

export interface PostgresForTests {
  /** URL of an empty database that only this test file uses; it is dropped at the end. */
  readonly url: string;
  /** Another empty one (or a copy of `template`, a database of this server); dropped at the end too. Returns its URL. */
  readonly freshDatabase: (options?: { readonly template?: string }) => Promise<string>;
}

/** Call it at the top of a test file or a `describe`; what it returns can be used from `beforeAll` on. */
export function withPostgres(): PostgresForTests {
  let server: EmbeddedPostgres | undefined;
  let url: string | undefined;
  const names: string[] = [];
  const freshDatabase: PostgresForTests['freshDatabase'] = async (options = {}) => {
    const name = `test_${randomBytes(6).toString('hex')}`;
    names.push(name);
    return createDatabase(started(server).url, name, options);
  };
  beforeAll(async () => {
    server = await acquireEmbeddedPostgres(postgresOptions());
    url = await freshDatabase();
  }, firstStartTimeoutMs);
  afterAll(async () => {
    if (server === undefined) return;
    for (const name of names) await dropDatabase(server.url, name);
    await server.release();
  });
  return {
    get url() {
      return started(url);
    },
    freshDatabase,
  };
}

/**
 * Roles are made by an administrator of the server: its own files say who that is.
 * @param url of any database of the server
 * @param database where to connect to instead; from `postgres` a test's own database can be dropped meanwhile
 */
export function superuserUrl(url: string, database?: 'postgres'): string {
  const { dir } = postgresOptions();
  const texts = readdirSync(dir)
    .filter((name) => name.endsWith('.json'))
    .map((name) => readFileSync(join(dir, name), 'utf8'));
  const password = texts.map((text) => /"superuserPassword":\s*"([^"]+)"/.exec(text)?.[1]).find((found) => found !== undefined);
  if (password === undefined) throw new Error('The server does not say who its administrator is.');
  const changed = new URL(url);
  changed.username = 'postgres';
  changed.password = encodeURIComponent(password);
  if (database !== undefined) changed.pathname = `/${database}`;
  return changed.href;
}

export interface TemporalForTests {
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly uiUrl: string;
  readonly namespace: string;
  readonly connection: Connection;
  readonly client: Client;
}

/** As {@link withPostgres}. The server and its namespace are shared by all files: use unique task queues and ids. The engine's search attributes are there. */
export function withTemporal(): TemporalForTests {
  let server: TemporalDevServer | undefined;
  let connected: TemporalConnection | undefined;
  beforeAll(async () => {
    server = await acquireTemporalDevServer(temporalOptions());
    connected = await connectTemporal(server);
    await ensureSearchAttributes(connected.connection, server.namespace);
  }, firstStartTimeoutMs);
  afterAll(async () => {
    await connected?.connection.close();
    await server?.release();
  });
  return {
    get address() {
      return started(server).address;
    },
    get uiUrl() {
      return started(server).uiUrl;
    },
    get namespace() {
      return started(server).namespace;
    },
    get connection() {
      return started(connected).connection;
    },
    get client() {
      return started(connected).client;
    },
  };
}

function started<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the server is not started yet: use it in beforeAll or later');
  return value;
}
