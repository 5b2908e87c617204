/** The Temporal server a command needs: that of the configuration, or the one that comes along, in the state folder. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client, Connection } from '@temporalio/client';
import { z } from 'zod';
import type { Configuration, TemporalSettings, TlsSettings } from '../config/index.ts';
import { SyncError } from '../errors.ts';
import { connectTemporal, type TemporalAddress, type TlsOptions } from '../temporal/connect.ts';
import { acquireTemporalDevServer } from '../temporal/dev-server.ts';
import { ensureSearchAttributes } from '../temporal/search-attributes.ts';
import type { CliContext } from './context.ts';
import type { Releases } from './releases.ts';

export interface OpenTemporal {
  /** How to connect again, for a worker. */
  readonly address: TemporalAddress;
  readonly client: Client;
  readonly connection: Connection;
  /** Of the Web UI, without a trailing slash. */
  readonly uiUrl: string | undefined;
  /** Whether the server is the one that comes along. */
  readonly local: boolean;
}

/** Where to find the Temporal server that a command of this folder started; `<stateDir>/temporal.json`. */
const recordShape = z.object({ address: z.string().min(1), namespace: z.string().min(1), uiUrl: z.string().optional() });
export type TemporalRecord = z.infer<typeof recordShape>;

/** Connects to Temporal, starting the server that comes along if none is configured. Search attributes are made if they are missing. */
export async function openTemporal(context: CliContext, configuration: Configuration, releases: Releases): Promise<OpenTemporal> {
  const { temporal: settings, stateDir } = configuration;
  const local = settings.address === undefined;
  const server = local ? await startLocalTemporal(context, configuration, releases) : undefined;
  const address = addressOf(settings, server?.address ?? settings.address ?? '');
  const { client, connection } = await connectTemporal(address);
  releases.defer(() => connection.close());
  if (server !== undefined) writeTemporalRecord(stateDir, { address: server.address, namespace: server.namespace, uiUrl: server.uiUrl });
  const attributes = await ensureSearchAttributes(connection, settings.namespace);
  for (const { name, reason, remedy } of attributes.refused)
    context.output.note(`The search attribute ${name} is missing (${reason}). ${remedy}`);
  return { address, client, connection, uiUrl: settings.uiUrl ?? server?.uiUrl, local };
}

/** How to connect, and where to ask for certificates and key. @throws SyncError `usage` when a certificate is not there */
export function addressOf(settings: TemporalSettings, address: string): TemporalAddress {
  const tls = (): TlsOptions => tlsOptions(settings);
  tls();
  return { address, namespace: settings.namespace, tls, apiKey: settings.apiKey?.follow() };
}

/** Starts the server that comes along, or attaches to it. */
export async function startLocalTemporal(
  { environment, output, verbose }: CliContext,
  { temporal, stateDir }: Configuration,
  releases: Releases,
): Promise<Awaited<ReturnType<typeof acquireTemporalDevServer>>> {
  const server = await acquireTemporalDevServer({
    dir: join(stateDir, 'temporal'),
    namespace: temporal.namespace,
    environment: environment.variables,
    // What is found on the machine is of interest only when asked for; a download takes time and is always said.
    log: (sentence) => {
      if (verbose || sentence.startsWith('Fetching')) output.note(sentence);
    },
  });
  releases.defer(server.release);
  return server;
}

function tlsOptions({ tls }: TemporalSettings): TlsOptions {
  if (tls === undefined) return undefined;
  const given = Object.values(tls satisfies TlsSettings).some((value) => value !== undefined);
  if (!given) return true;
  const { caFile, certificateFile, keyFile, serverName } = tls;
  return {
    ...(caFile === undefined ? {} : { serverRootCACertificate: readTlsFile('caFile', caFile) }),
    ...(certificateFile === undefined || keyFile === undefined
      ? {}
      : { clientCertPair: { crt: readTlsFile('certificateFile', certificateFile), key: readTlsFile('keyFile', keyFile) } }),
    ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
  };
}

function readTlsFile(key: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new SyncError({
      kind: 'usage',
      service: 'temporal',
      code: 'tls-file-unreadable',
      message: `${file}, the file of temporal.tls.${key}, cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'}).`,
      remedy: `Put it there, readable for the user that runs this, or correct temporal.tls.${key}.`,
      cause: error,
    });
  }
}

function temporalRecordFile(stateDir: string): string {
  return join(stateDir, 'temporal.json');
}

/** Leaves word for `defender-sync temporal` and for scripts where the server is. */
export function writeTemporalRecord(stateDir: string, record: TemporalRecord): void {
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(temporalRecordFile(stateDir), `${JSON.stringify(record, null, 2)}\n`);
}

export function removeTemporalRecord(stateDir: string): void {
  rmSync(temporalRecordFile(stateDir), { force: true });
}

/** What the last command of this folder that had a local server wrote; the server may be gone by now. */
export function readTemporalRecord(stateDir: string): TemporalRecord | undefined {
  try {
    return recordShape.safeParse(JSON.parse(readFileSync(temporalRecordFile(stateDir), 'utf8'))).data;
  } catch (error) {
    // No file, or half of one: nobody has told where a server is.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (Error.isError(error) && error.name === 'SyntaxError')) return undefined;
    throw error;
  }
}

/** The page of a run in the Web UI. */
export function runPage(
  { uiUrl, address }: Pick<OpenTemporal, 'uiUrl' | 'address'>,
  workflowId: string,
  workflowRunId: string,
): string | undefined {
  if (uiUrl === undefined) return undefined;
  return `${uiUrl}/namespaces/${encodeURIComponent(address.namespace)}/workflows/${encodeURIComponent(workflowId)}/${workflowRunId}/history`;
}
