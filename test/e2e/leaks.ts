/** Looks for secrets in what an engine leaves behind: histories, logs, rows, files, and what processes were started with. */
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import pg from 'pg';
import type { Lab } from './harness.ts';

export interface Secret {
  /** What it is, for the message; never the secret itself. */
  readonly name: string;
  readonly value: string;
}

/** What no text may hold whatever its value is. */
const patterns: readonly (readonly [string, RegExp])[] = [
  ['a JSON Web Token', /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/],
  ['a bearer token', /\bBearer\s+(?=[A-Za-z0-9._~+/=-]*\d)[A-Za-z0-9._~+/=-]{8,}/i],
  ['basic credentials', /authorization\W{1,4}Basic\s+[A-Za-z0-9+/=]{8,}/i],
];

/** Names of the secrets in a text, in whatever way one may be written: as it is, escaped for a URL or JSON, or in base64. */
export function leaksIn(text: string, secrets: readonly Secret[]): string[] {
  const known = secrets.filter(({ value }) => spellings(value).some((spelling) => text.includes(spelling))).map(({ name }) => name);
  return [...known, ...patterns.filter(([, pattern]) => pattern.test(text)).map(([name]) => name)];
}

function spellings(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8');
  // In base64 the letters depend on where in a group of three bytes the secret begins; its middle is found either way.
  const inBase64 = [0, 1, 2].map((offset) =>
    Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .slice(offset === 0 ? 0 : 4, -4),
  );
  return [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), bytes.toString('hex'), ...inBase64];
}

/**
 * The secrets of this lab, and the access tokens that the instance gave for them.
 * @param user also what a password grant of theirs gives
 */
export async function secretsOf(lab: Lab, user?: { readonly userName: string; readonly password: string }): Promise<Secret[]> {
  const { azure, serviceNow } = lab.file;
  const [client] = serviceNow.oauthClients;
  if (client === undefined) throw new Error('The lab names no OAuth client.');
  const ofUser =
    user === undefined
      ? []
      : [
          { name: `password of ${user.userName}`, value: user.password },
          {
            name: `access token of ${user.userName}`,
            value: await accessToken(lab, client, { grant_type: 'password', username: user.userName, password: user.password }),
          },
        ];
  return [
    ...ofUser,
    ...azure.tenants.map(({ clientId, clientSecret }) => ({ name: `client secret of ${clientId}`, value: clientSecret })),
    { name: 'client secret for ServiceNow', value: client.clientSecret },
    { name: 'access token of ServiceNow', value: await accessToken(lab, client, { grant_type: 'client_credentials' }) },
  ];
}

/** What the URL of a ledger holds. */
export function ledgerSecret(url: string): Secret {
  return { name: 'password of the ledger', value: decodeURIComponent(new URL(url).password) };
}

/** What every process of this machine was started with: its arguments and, where it is ours, its environment. */
export async function processStarts(): Promise<string> {
  const texts: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    // Gone meanwhile, or somebody else's.
    for (const file of ['cmdline', 'environ']) texts.push(await readFile(join('/proc', pid, file), 'utf8').catch(() => ''));
  }
  return texts.join('\n').replaceAll('\0', '\n');
}

/** Every file below a folder, as text. */
export async function filesBelow(folder: string): Promise<readonly { readonly file: string; readonly text: string }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (file) => ({ file, text: await readFile(file, 'latin1') })));
}

/** As long as a token is valid the instance hands out the same one, so this is the one that the engine used. */
async function accessToken(
  lab: Lab,
  client: { readonly clientId: string; readonly clientSecret: string },
  grant: Readonly<Record<string, string>>,
): Promise<string> {
  const { url, caFile } = lab.file.serviceNow;
  const form = new URLSearchParams({ ...grant, client_id: client.clientId, client_secret: client.clientSecret });
  const ca = await readFile(caFile);
  const body = await new Promise<string>((resolve, reject) => {
    const call = request(
      new URL('/oauth_token.do', url),
      { method: 'POST', ca, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        answer.once('end', () => resolve(text)).once('error', reject);
      },
    );
    call.once('error', reject).end(form.toString());
  });
  const { access_token: token } = JSON.parse(body) as { access_token?: string };
  if (token === undefined) throw new Error(`The instance gives no token: ${body.slice(0, 200)}`);
  return token;
}

export interface DumpedTable {
  readonly table: string;
  readonly rows: number;
  /** Its rows as PostgreSQL prints them, one a line. */
  readonly text: string;
}

/** Every row of every table of a database as text. */
export async function dumpTables(url: string): Promise<DumpedTable[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const tables = await client.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
    );
    const dumped: DumpedTable[] = [];
    for (const { name } of tables.rows) {
      const { rows } = await client.query<{ line: string }>(`SELECT t::text AS line FROM ${name} AS t`);
      dumped.push({ table: name, rows: rows.length, text: rows.map(({ line }) => line).join('\n') });
    }
    return dumped;
  } finally {
    await client.end();
  }
}
