import type { Answer, StartedLab } from './start.ts';

/** What an admin route answers. */
export type AdminAnswer = any; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into bodies of many shapes

/** A call of the admin API under `/servicenow` whose answer a test looks into. */
export async function ask(started: StartedLab, method: string, path: string, body?: unknown): Promise<AdminAnswer> {
  return started.admin(method, `/servicenow${path}`, body);
}

/** The one row of a table whose column has this value. */
export async function rowOf(started: StartedLab, table: string, column: string, value: string): Promise<Record<string, string>> {
  const { rows } = await started.admin('GET', `/servicenow/rows/${table}`);
  const found = rows.filter((row) => row[column] === value);
  if (found.length !== 1) throw new Error(`${String(found.length)} rows of ${table} have ${column} "${value}".`);
  return found[0]!;
}

/** Adds a row as an administrator would and returns it. */
export async function add(started: StartedLab, table: string, values: Record<string, string>): Promise<Record<string, string>> {
  const { rows } = await started.admin('POST', `/servicenow/rows/${table}`, values);
  return rows[0]!;
}

export async function change(started: StartedLab, table: string, sysId: string, values: Record<string, string>): Promise<void> {
  await started.admin('PATCH', `/servicenow/rows/${table}/${sysId}`, values);
}

export async function setProperty(started: StartedLab, name: string, value: string): Promise<void> {
  await ask(started, 'POST', '/play/administrator/property', { name, value });
}

/** POST /oauth_token.do as a form. */
export async function token(started: StartedLab, form: Record<string, string>): Promise<Answer> {
  return started.call('/oauth_token.do', {
    method: 'POST',
    body: new URLSearchParams(form).toString(),
    as: null,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
}

/** The lab's own client of a user, as token parameters. */
export function clientOf(started: StartedLab, userName: string): { client_id: string; client_secret: string } {
  const found = started.lab.oauthClients.find((candidate) => candidate.userName === userName)!;
  return { client_id: found.clientId, client_secret: found.clientSecret };
}

/** Registers a client with a user of its own choice; returns the row and its token parameters. */
export async function register(
  started: StartedLab,
  values: Record<string, string>,
  table = 'oauth_entity',
): Promise<{ row: Record<string, string>; client: { client_id: string; client_secret: string } }> {
  const row = await add(started, table, values);
  return { row, client: { client_id: row['client_id']!, client_secret: row['client_secret']! } };
}

export function bearer(answer: Answer): { headers: { authorization: string } } {
  return { headers: { authorization: `Bearer ${String(answer.json.access_token)}` } };
}

export const denied = { status: 401, json: { error_description: 'access_denied', error: 'server_error' } };

/** A record as an administrator sees it, references as sys_ids. */
export async function read(started: StartedLab, table: string, sysId: string): Promise<Record<string, string>> {
  const answer = await started.get(`/api/now/table/${table}/${sysId}?sysparm_exclude_reference_link=true`, { as: 'admin' });
  return answer.json.result as Record<string, string>;
}

/** Runs a stock job now; how many records it changed. */
export async function runJob(started: StartedLab, job: string): Promise<number> {
  const answer = (await ask(started, 'POST', `/jobs/${job}/run`)) as { changed: number };
  return answer.changed;
}
