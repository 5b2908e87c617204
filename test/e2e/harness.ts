/**
 * The whole engine against the labs: lab and worker are processes of their own, PostgreSQL and Temporal are the real ones
 * that the test run shares. Proofs read the labs' admin API, never the engine's own report.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const projectDir = fileURLToPath(new URL('../../', import.meta.url));

export interface LabFile {
  readonly azure: {
    readonly authority: string;
    readonly arm: string;
    readonly graph: string;
    readonly caFile: string;
    readonly tenants: readonly {
      readonly name?: string;
      readonly tenantId: string;
      readonly clientId: string;
      readonly clientSecret: string;
      readonly managementGroups: readonly string[];
      readonly subscriptions: readonly string[];
    }[];
  };
  readonly serviceNow: {
    readonly url: string;
    readonly caFile: string;
    readonly users: readonly { readonly userName: string; readonly password: string; readonly roles: readonly string[] }[];
    readonly oauthClients: readonly { readonly clientId: string; readonly clientSecret: string; readonly userName: string }[];
  };
  readonly admin: { readonly url: string };
}

export type Row = Readonly<Record<string, string>>;

export interface TableSummary {
  readonly rows: number;
  readonly modCountSum: number;
  readonly digest: string;
  /** Write operations since the lab started, those that changed nothing included. */
  readonly writes: number;
}

export interface Lab {
  /** Of its process. */
  readonly pid: number;
  readonly dir: string;
  readonly file: LabFile;
  /** Calls the admin API and returns its JSON. */
  admin(method: string, path: string, body?: unknown): Promise<unknown>;
  rows(table: string): Promise<readonly Row[]>;
  /** Rows and versions of every table: equal before and after means that nothing was touched. */
  summary(): Promise<Readonly<Record<string, TableSummary>>>;
  stop(): Promise<void>;
}

/** Starts `lab/main.ts` in a folder of its own. */
export async function startLab(estate: string, extraArguments: readonly string[] = []): Promise<Lab> {
  const dir = await mkdtemp(join(tmpdir(), 'defender-sync-lab-'));
  const child = spawn(process.execPath, [join(projectDir, 'lab/main.ts'), '--dir', dir, '--estate', estate, ...extraArguments], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const labFile = await readyLine(child, /^lab ready (.+)$/);
  const file = JSON.parse(await readFile(labFile, 'utf8')) as LabFile;
  const admin: Lab['admin'] = async (method, path, body) => {
    const answer = await fetch(`${file.admin.url}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 300)}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  };
  return {
    pid: child.pid ?? 0,
    dir,
    file,
    admin,
    rows: async (table) => {
      const answer = (await admin('GET', `/servicenow/rows/${table}`)) as { rows?: Row[] } | Row[];
      return Array.isArray(answer) ? answer : (answer.rows ?? []);
    },
    summary: async () => ((await admin('GET', '/servicenow/summary')) as { tables: Awaited<ReturnType<Lab['summary']>> }).tables,
    stop: async () => {
      await endProcess(child, 'SIGTERM');
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function readyLine(child: ChildProcess, pattern: RegExp): Promise<string> {
  if (!child.stdout) throw new Error('The process has no stdout.');
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const found = pattern.exec(line)?.[1];
    if (found !== undefined) {
      child.stdout.resume();
      return found;
    }
  }
  throw new Error(`The process ended (${child.exitCode ?? child.signalCode ?? 'running'}) without saying that it is ready.`);
}

export async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

export interface EngineSettings {
  readonly ledgerUrl: string;
  readonly temporalAddress: string;
  readonly namespace: string;
  readonly taskQueue: string;
}

export interface Engine {
  readonly dir: string;
  readonly configFile: string;
  readonly deployments: readonly string[];
  /** Runs one command of the CLI to its end. */
  cli(...commandArguments: string[]): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
  /** Starts `defender-sync up`; resolves once it is ready. */
  startWorker(options?: { readonly failpoint?: string }): Promise<WorkerProcess>;
  remove(): Promise<void>;
}

export interface WorkerProcess {
  readonly child: ChildProcess;
  /** What it wrote to stderr so far. */
  readonly log: () => string;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** Writes a configuration with one deployment per app registration of the lab; time-outs are the lab's, so that tests do not wait minutes. */
export async function createEngine(
  lab: Lab,
  settings: EngineSettings,
  options: {
    readonly transactionQuotaSeconds?: number;
    readonly settleSeconds?: number;
    readonly incidents?: boolean;
    /** The section `park`. */
    readonly park?: { readonly recheckSeconds?: number; readonly giveUpHours?: number };
    /** Workflow ids are made of deployment names, and all test files share one namespace: something of this file's own. */
    readonly deploymentPrefix?: string;
    /** Laid over the section `serviceNow`; secrets as `{ file }`. */
    readonly serviceNow?: Readonly<Record<string, unknown>>;
  } = {},
): Promise<Engine> {
  const dir = await mkdtemp(join(tmpdir(), 'defender-sync-engine-'));
  const secret = async (name: string, value: string): Promise<{ file: string }> => {
    const file = join(dir, name);
    await writeFile(file, value, { mode: 0o600 });
    return { file };
  };
  const { azure, serviceNow } = lab.file;
  /** Copies, so that a test may replace them. */
  const authority = async (name: string, caFile: string): Promise<string> => {
    const file = join(dir, name);
    await copyFile(caFile, file);
    return file;
  };
  const azureCaFile = await authority('azure-ca.pem', azure.caFile);
  const oauthClient = serviceNow.oauthClients[0];
  if (!oauthClient) throw new Error('The lab names no OAuth client.');
  const deployments = await Promise.all(
    azure.tenants.map(async (tenant, index) => ({
      name: `${options.deploymentPrefix ?? ''}${deploymentName(tenant.name, index)}`,
      azure: {
        cloud: 'custom',
        authorityHost: azure.authority,
        resourceManager: azure.arm,
        graph: azure.graph,
        caFile: azureCaFile,
        tenantId: tenant.tenantId,
        clientId: tenant.clientId,
        credential: { clientSecret: await secret(`azure-${index}`, tenant.clientSecret) },
      },
      scope: tenant.managementGroups.length > 0 ? { managementGroups: tenant.managementGroups } : { subscriptions: tenant.subscriptions },
      ...(options.incidents === undefined ? {} : { incidents: options.incidents }),
    })),
  );
  const configuration = {
    stateDir: join(dir, 'state'),
    temporal: { address: settings.temporalAddress, namespace: settings.namespace, taskQueue: settings.taskQueue },
    ledger: { url: await secret('ledger', settings.ledgerUrl) },
    serviceNow: {
      url: serviceNow.url,
      caFile: await authority('servicenow-ca.pem', serviceNow.caFile),
      auth: {
        type: 'client-credentials',
        clientId: oauthClient.clientId,
        clientSecret: await secret('servicenow', oauthClient.clientSecret),
      },
      batchTransactionQuotaSeconds: options.transactionQuotaSeconds ?? 30,
      transactionQuotaSeconds: options.transactionQuotaSeconds ?? 60,
      settleSeconds: options.settleSeconds ?? 30,
      ...options.serviceNow,
    },
    ...(options.park && { park: options.park }),
    deployments,
  };
  const configFile = join(dir, 'defender-sync.yaml');
  await writeFile(configFile, stringify(configuration));
  const main = join(projectDir, 'src/cli/main.ts');
  return {
    dir,
    configFile,
    deployments: deployments.map((deployment) => deployment.name),
    cli: (...commandArguments) => runToEnd([main, '--config', configFile, ...commandArguments]),
    startWorker: async ({ failpoint } = {}) => {
      const child = spawn(process.execPath, [main, '--config', configFile, 'up'], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, ...(failpoint === undefined ? {} : { DEFENDER_SYNC_FAILPOINT: failpoint }) },
      });
      const log = collect(child);
      const ended = once(child, 'exit').then(() => undefined);
      await Promise.race([
        untilText(log, /Ready\./, 60_000),
        ended.then(() => {
          // A failpoint may be hit in the first moment, before the process has said that it is ready.
          if (failpoint !== undefined && child.signalCode === 'SIGKILL') return;
          throw new Error(`The worker ended before it was ready:\n${log()}`);
        }),
      ]);
      return { child, log, ended, stop: () => endProcess(child, 'SIGTERM') };
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}

/** Names in the configuration are lower case; the lab's may be anything. */
export function deploymentName(name: string | undefined, index: number): string {
  const fromLab = (name ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+/, '');
  return fromLab === '' ? String.fromCharCode(97 + index) : fromLab;
}

function collect(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

async function untilText(log: () => string, pattern: RegExp, timeoutMs: number): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (!pattern.test(log())) {
    if (performance.now() > until) throw new Error(`Waited ${timeoutMs} ms for ${String(pattern)}:\n${log()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function runToEnd(nodeArguments: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [...nodeArguments], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  const stderr = collect(child);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr: stderr() };
}
