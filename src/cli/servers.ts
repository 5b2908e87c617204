/**
 * The two servers a command needs: those of the configuration, or the ones that come along, in the state folder.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client, Connection } from '@temporalio/client';
import { z } from 'zod';
import type { Configuration, TemporalSettings, TlsSettings } from '../config/index.ts';
import { openLedger, type Ledger } from '../ledger/index.ts';
import { acquireEmbeddedPostgres } from '../ledger/server/index.ts';
import { connectTemporal, type TemporalAddress } from '../temporal/connect.ts';
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
  const address: TemporalAddress = {
    address: server?.address ?? settings.address ?? '',
    namespace: settings.namespace,
    tls: tlsOptions(settings),
    apiKey: settings.apiKey?.reveal(),
  };
  const { client, connection } = await connectTemporal(address);
  releases.defer(() => connection.close());
  if (server !== undefined) writeTemporalRecord(stateDir, { address: server.address, namespace: server.namespace, uiUrl: server.uiUrl });
  const attributes = await ensureSearchAttributes(connection, settings.namespace);
  for (const { name, reason, remedy } of attributes.refused)
    context.output.note(`The search attribute ${name} is missing (${reason}). ${remedy}`);
  return { address, client, connection, uiUrl: settings.uiUrl ?? server?.uiUrl, local };
}

async function startLocalTemporal(
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

/** Opens the ledger, starting the embedded PostgreSQL if none is configured. */
export async function openLedgerOf(
  { ledger, stateDir }: Configuration,
  releases: Releases,
): Promise<{ readonly ledger: Ledger; readonly url: string }> {
  const url = ledger.url?.reveal() ?? (await startEmbeddedLedger(stateDir, releases));
  const opened = await openLedger({ url, connections: 2, tables: [] });
  releases.defer(() => opened.database.close());
  return { ledger: opened, url };
}

async function startEmbeddedLedger(stateDir: string, releases: Releases): Promise<string> {
  const server = await acquireEmbeddedPostgres({ dir: join(stateDir, 'ledger') });
  releases.defer(server.release);
  return server.url;
}

function tlsOptions({ tls }: TemporalSettings): TemporalAddress['tls'] {
  if (tls === undefined) return undefined;
  const given = Object.values(tls satisfies TlsSettings).some((value) => value !== undefined);
  if (!given) return true;
  const { caFile, certificateFile, keyFile, serverName } = tls;
  return {
    ...(caFile === undefined ? {} : { serverRootCACertificate: readFileSync(caFile) }),
    ...(certificateFile === undefined || keyFile === undefined
      ? {}
      : { clientCertPair: { crt: readFileSync(certificateFile), key: readFileSync(keyFile) } }),
    ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
  };
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
