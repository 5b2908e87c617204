import type { CheckFinding } from '../workflows/contract.ts';
import { deploymentConfig, type Configuration } from '../src/config/index.ts';
import { tableSpecs } from '../src/integrations/tables.ts';
import { attachmentCounts, ledgerId, ownerOf, type Database } from '../src/ledger/index.ts';
import type { Clock } from '../src/observability/clock.ts';
import { runPreflight, type EngineProbes } from '../src/preflight/index.ts';
import { createServiceNowConnection } from '../src/servicenow/index.ts';
import { openAzure } from './create-context.ts';
import { knownToLedger } from './known-to-ledger.ts';
import { memoryOf } from './ledger-memory.ts';
import { openGate } from './open-gate.ts';
import { readRefusals, refusalFindings } from './refusals.ts';
import { authOf, credentialOf } from './sign-in.ts';

export interface DoctorOptions {
  readonly configuration: Configuration;
  readonly deployment: string;
  /** The ledger's, where its tables are those of this version; `empty`: it has none yet; undefined: it cannot be read. */
  readonly ledger: Database | 'empty' | undefined;
  /** The engine's own servers, whatever state they are in. */
  readonly probes: Pick<EngineProbes, 'ledger' | 'temporal'>;
  readonly signal: AbortSignal;
  /** Told the id of each check as it begins. */
  readonly onCheck: (check: string) => void;
}

/**
 * The preflight outside a run, and what the instance did not take in the last one: nothing is written, so it needs neither the lock nor a fence. Not an activity, but it is put
 * together like one. Errors: SyncError for what no check could say.
 */
export async function runDoctor(
  { configuration, deployment, ledger, probes, signal, onCheck }: DoctorOptions,
  clock: Clock,
): Promise<readonly CheckFinding[]> {
  const settings = deploymentConfig(configuration, deployment);
  const { url, caFile } = configuration.serviceNow;
  const database = ledger === 'empty' ? undefined : ledger;
  const nowMs = (): number => clock.nowMs();
  const azure = openAzure(settings.azure, credentialOf(settings.azure), clock);
  const serviceNow = createServiceNowConnection({ url, auth: authOf(configuration.serviceNow), caFile, nowMs });
  try {
    const clients = azure.through(openGate);
    const owner = database === undefined ? undefined : await ownerOf(database, settings.name);
    const { findings } = await runPreflight({
      deployment: settings,
      serviceNow: configuration.serviceNow,
      clients: { azure: clients, serviceNow: serviceNow.through(openGate) },
      tokens: azure.tokens,
      directory: clients.directory,
      passing: 'report',
      tableSpecs,
      ledgerId: database === undefined ? (ledger === 'empty' ? 'new, and has no tables yet' : undefined) : await ledgerId(database),
      engine: { ...probes, memory: memoryIn(ledger, url, settings.name) },
      ...(database === undefined ? {} : { known: knownToLedger(database, settings.name, url) }),
      ...(database === undefined
        ? {}
        : {
            attachmentLog: {
              earlier: async () => (owner === undefined ? new Map() : attachmentCounts(database, owner)),
              // Only runs are compared: how often somebody asks says nothing of the plugin.
              remember: () => Promise.resolve(),
            },
          }),
      nowMs,
      signal,
      onCheck,
    });
    if (database === undefined || owner === undefined) return findings;
    return [...findings, ...refusalFindings(await readRefusals(database, owner))];
  } finally {
    serviceNow.close();
    azure.close();
  }
}

function memoryIn(ledger: DoctorOptions['ledger'], instanceUrl: string, deployment: string): EngineProbes['memory'] {
  if (ledger === undefined) return undefined;
  if (ledger === 'empty') return { read: () => Promise.resolve(undefined), isOwnRun: () => Promise.resolve(false) };
  return memoryOf(ledger, instanceUrl, deployment);
}
