import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdminApi } from '../../../lab/kit/admin-api.ts';
import { createClock, type LabClock } from '../../../lab/kit/clock.ts';
import { loadOrCreateAuthority } from '../../../lab/kit/tls.ts';
import type { TableSummary } from '../../../lab/servicenow/admin.ts';
import { createServiceNowLab, type ServiceNowLab, type ServiceNowLabOptions } from '../../../lab/servicenow/index.ts';

export interface Answer {
  status: number;
  headers: Record<string, string | undefined>;
  text: string;
  /** The parsed body; undefined where it is no JSON. */
  json: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into bodies of many shapes
}

export interface CallOptions {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Default: defender.sync. null: no Authorization header. */
  as?: string | null;
}

export interface AdminBody {
  rows: Record<string, string>[];
  counters: unknown[];
  tables: Record<string, TableSummary>;
}

/** A running lab and raw HTTPS calls to it, CA verified. */
export interface StartedLab {
  lab: ServiceNowLab;
  clock: LabClock;
  adminUrl: string;
  dir: string;
  call(path: string, options?: CallOptions): Promise<Answer>;
  get(path: string, options?: CallOptions): Promise<Answer>;
  post(path: string, body: unknown, options?: CallOptions): Promise<Answer>;
  patch(path: string, body: unknown, options?: CallOptions): Promise<Answer>;
  /** An identification call with the engine's data source. */
  ire(payload: unknown, mode?: string, dataSource?: string): Promise<Answer>;
  /** A call of the admin API; each route fills its own part. */
  admin(method: string, path: string, body?: unknown): Promise<AdminBody>;
  stop(): Promise<void>;
}

export const ENGINE_SOURCE = 'Microsoft Defender for Cloud';

/** Starts a lab with its admin API in a folder of its own. */
export async function startLab(options: Partial<ServiceNowLabOptions> = {}): Promise<StartedLab> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'lab-servicenow-')));
  const authority = await loadOrCreateAuthority(dir);
  const clock = options.clock ?? createClock();
  const lab = await createServiceNowLab({ ...options, authority, dir, clock });
  const admin = createAdminApi();
  admin.register('/servicenow', lab.adminHandlers);
  const { url: adminUrl } = await admin.listen({});
  const basic = (userName: string): string => {
    const password = lab.users.find((user) => user.userName === userName)?.password ?? 'unknown';
    return `Basic ${Buffer.from(`${userName}:${password}`).toString('base64')}`;
  };
  const call = (path: string, { method = 'GET', body, headers = {}, as = 'defender.sync' }: CallOptions = {}): Promise<Answer> => {
    const sent: Record<string, string> = { accept: 'application/json', ...headers };
    if (as !== null && sent['authorization'] === undefined) sent['authorization'] = basic(as);
    const isText = typeof body === 'string' || Buffer.isBuffer(body);
    if (body !== undefined && !isText) sent['content-type'] ??= 'application/json';
    const omitted = Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== ''));
    return send(
      `${lab.url}${path}`,
      authority.caPem,
      method,
      omitted,
      isText ? body : body === undefined ? undefined : JSON.stringify(body),
    );
  };
  return {
    lab,
    clock,
    adminUrl,
    dir,
    call,
    get: (path, callOptions) => call(path, callOptions),
    post: (path, body, callOptions) => call(path, { ...callOptions, method: 'POST', body }),
    patch: (path, body, callOptions) => call(path, { ...callOptions, method: 'PATCH', body }),
    ire: (payload, mode = '', dataSource = ENGINE_SOURCE) => {
      const separator = mode.includes('?') ? '&' : '?';
      const path = `/api/now/identifyreconcile${mode}${separator}sysparm_data_source=${encodeURIComponent(dataSource)}`;
      return call(path, { method: 'POST', body: payload });
    },
    admin: async (method, path, body) => {
      const response = await fetch(`${adminUrl}${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${String(response.status)} ${text}`);
      return (text === '' ? {} : JSON.parse(text)) as AdminBody;
    },
    stop: async () => {
      await Promise.all([lab.close(), admin.close()]);
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
    },
  };
}

function send(
  url: string,
  ca: string,
  method: string,
  headers: Record<string, string>,
  body: string | Buffer | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, ca, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const received = Object.entries(incoming.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : value]);
        resolve({ status: incoming.statusCode ?? 0, headers: Object.fromEntries(received), text, json: parse(text) });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Gives a property of the instance another value, whether it has a row already or not. */
export async function setProperty(started: Pick<StartedLab, 'admin'>, name: string, value: string): Promise<void> {
  const { rows } = (await started.admin('GET', '/servicenow/rows/sys_properties')) as { rows: Record<string, string>[] };
  const existing = rows.find((row) => row['name'] === name)?.['sys_id'];
  if (existing === undefined) await started.admin('POST', '/servicenow/rows/sys_properties', { name, value });
  else await started.admin('PATCH', `/servicenow/rows/sys_properties/${existing}`, { value });
}
