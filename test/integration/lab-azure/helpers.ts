import { request as httpsRequest } from 'node:https';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAzureLab, type AzureLab, type AzureLabInput, type LabTenant } from '../../../lab/azure/index.ts';
import { createAdminApi } from '../../../lab/kit/admin-api.ts';
import { createClock, type LabClock } from '../../../lab/kit/clock.ts';
import { loadOrCreateAuthority, type LabAuthority } from '../../../lab/kit/tls.ts';

/** Parsed JSON as it came: tests look into answers whose shape is what they test. */
export type Wire = ReturnType<typeof JSON.parse>;

/** An answer as it came over the wire; `body` is its JSON. */
export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Wire;
}

/** A running local Azure with what raw HTTPS needs to talk to it. */
export interface TestLab {
  lab: AzureLab;
  authority: LabAuthority;
  clock: LabClock;
  adminUrl: string;
  /** A deployment by name. */
  tenant(name: string): LabTenant;
  close(): Promise<void>;
}

export interface CallOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Starts a local Azure on free ports, in a folder of its own. */
export async function startTestLab(options: Pick<AzureLabInput, 'estate' | 'options'> = {}): Promise<TestLab> {
  const dir = await mkdtemp(join(tmpdir(), 'lab-azure-'));
  const authority = await loadOrCreateAuthority(dir);
  const admin = createAdminApi();
  const clock = createClock();
  const lab = await createAzureLab({ authority, dir, clock, admin, ...options });
  const { url: adminUrl } = await admin.listen({});
  return {
    lab,
    authority,
    clock,
    adminUrl,
    tenant: (name) => {
      const found = lab.tenants.find((tenant) => tenant.name === name);
      if (found === undefined) throw new Error(`No deployment is called ${name}.`);
      return found;
    },
    close: async () => {
      await lab.close();
      await admin.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** One HTTPS request that trusts the lab's authority and nothing else. */
export function call(test: TestLab, url: string, { method = 'GET', headers = {}, body }: CallOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { method, headers, ca: test.authority.caPem }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text === '' ? null : JSON.parse(text) });
      });
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Fields of a token request; undefined leaves one out. */
export type TokenForm = Partial<
  Record<'client_id' | 'client_secret' | 'client_assertion' | 'client_assertion_type' | 'grant_type' | 'scope', string | undefined>
>;

/** `POST /{tenant}/oauth2/v2.0/token` as deployment A unless the form says otherwise. */
export function requestToken(test: TestLab, form: TokenForm = {}, tenantId?: string): Promise<Answer> {
  const a = test.tenant('A');
  const fields = {
    client_id: a.clientId,
    client_secret: a.clientSecret,
    grant_type: 'client_credentials',
    scope: 'https://management.azure.com/.default',
    ...form,
  };
  return call(test, `${test.lab.urls.authority}/${tenantId ?? a.tenantId}/oauth2/v2.0/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined)).toString(),
  });
}

/** The same with a signed assertion in place of the secret. */
export function requestTokenWithAssertion(test: TestLab, assertion: string, form: TokenForm = {}): Promise<Answer> {
  return requestToken(test, {
    client_secret: undefined,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    ...form,
  });
}

/** What an administrator of Entra does to deployment A: `POST /azure/change` (lab/azure/admin-entra.ts). */
export async function changeEntra(test: TestLab, changes: Record<string, object>): Promise<void> {
  const { clientId } = test.tenant('A');
  const body = Object.fromEntries(Object.entries(changes).map(([name, change]) => [name, { clientId, ...change }]));
  const answer = await admin(test, 'POST', '/azure/change', body);
  if (answer.status !== 200) throw new Error(`${String(answer.status)} ${JSON.stringify(answer.body)}`);
}

/** Deployment A as the directory holds it. */
export async function registrationOf(test: TestLab): Promise<Wire> {
  const { body } = await admin(test, 'GET', '/azure/directory');
  return (body.applications as Wire[]).find(({ deployment }) => deployment === 'A');
}

/** A bearer header of a deployment for ARM or Graph. */
export async function bearer(test: TestLab, name = 'A', scope = 'https://management.azure.com/.default'): Promise<Record<string, string>> {
  const { clientId, clientSecret } = test.tenant(name);
  const answer = await requestToken(test, { client_id: clientId, client_secret: clientSecret, scope });
  if (answer.status !== 200) throw new Error(`No token: ${JSON.stringify(answer.body)}`);
  return { authorization: `Bearer ${answer.body.access_token as string}` };
}

/** `GET` of an ARM path with its query. */
export async function arm(test: TestLab, path: string, name = 'A'): Promise<Answer> {
  return call(test, `${test.lab.urls.arm}${path}`, { headers: await bearer(test, name) });
}

/** All items of an ARM list, page by page. Fails on a link that repeats. */
export async function armList(test: TestLab, path: string, name = 'A'): Promise<Wire[]> {
  const headers = await bearer(test, name);
  const items: Wire[] = [];
  const seen = new Set<string>();
  let url: string | undefined = `${test.lab.urls.arm}${path}`;
  while (url !== undefined) {
    if (seen.has(url)) throw new Error(`The list points to itself: ${url}`);
    seen.add(url);
    const answer: Answer = await call(test, url, { headers });
    if (answer.status !== 200) throw new Error(`${String(answer.status)} ${JSON.stringify(answer.body)}`);
    items.push(...answer.body.value);
    const link = answer.body.nextLink ?? answer.body['@nextLink'];
    url = typeof link === 'string' && link !== '' ? link : undefined;
  }
  return items;
}

export interface GraphQuery {
  query: string;
  subscriptions?: string[];
  managementGroups?: string[];
  options?: Record<string, unknown>;
}

/** One page of Resource Graph. */
export async function graphPage(test: TestLab, body: GraphQuery, name = 'A', apiVersion = '2022-10-01'): Promise<Answer> {
  return call(test, `${test.lab.urls.arm}/providers/Microsoft.ResourceGraph/resources?api-version=${apiVersion}`, {
    method: 'POST',
    headers: { ...(await bearer(test, name)), 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** All rows of a query, page by page. */
export async function graphRows(test: TestLab, body: GraphQuery, name = 'A'): Promise<Wire[]> {
  const rows: Wire[] = [];
  let token: string | undefined;
  do {
    const options = { $top: 1000, ...body.options, ...(token === undefined ? {} : { $skipToken: token }) };
    const answer = await graphPage(test, { ...body, options }, name);
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    rows.push(...answer.body.data);
    token = answer.body.$skipToken as string | undefined;
  } while (token !== undefined);
  return rows;
}

/** The claims of a JWT, without checking it. */
export function claimsOf(token: string): Record<string, Wire> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, Wire>;
}

/** The lab's admin API. */
export async function admin(test: TestLab, method: string, path: string, body?: unknown): Promise<{ status: number; body: Wire }> {
  const response = await fetch(`${test.adminUrl}${path}`, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

/** `POST /azure/change`; fails where the admin API refuses it. */
export async function change(test: TestLab, body: unknown): Promise<void> {
  const answer = await admin(test, 'POST', '/azure/change', body);
  if (answer.status !== 200) throw new Error(`${String(answer.status)} ${JSON.stringify(answer.body)}`);
}
