import type { CheckFinding } from '../workflows/contract.ts';
import { deploymentConfig, type Configuration } from '../src/config/index.ts';
import { tableSpecs } from '../src/integrations/tables.ts';
import { ledgerId, ownerOf, type Ledger } from '../src/ledger/index.ts';
import type { Gate } from '../src/model.ts';
import type { Clock } from '../src/observability/clock.ts';
import { runPreflight } from '../src/preflight/index.ts';
import { createServiceNowConnection } from '../src/servicenow/index.ts';
import { authOf, credentialOf, openAzure } from './create-context.ts';
import { readRefusals, refusalFindings } from './refusals.ts';

export interface DoctorOptions {
  readonly configuration: Configuration;
  readonly deployment: string;
  readonly ledger: Ledger;
  readonly signal: AbortSignal;
  /** Told the id of each check as it begins. */
  readonly onCheck: (check: string) => void;
}

/**
 * The preflight outside a run, and what the instance did not take in the last one: nothing is written, so it needs neither the lock nor a fence. Not an activity, but it is put
 * together like one. Errors: SyncError for what no check could say.
 */
export async function runDoctor(
  { configuration, deployment, ledger, signal, onCheck }: DoctorOptions,
  clock: Clock,
): Promise<readonly CheckFinding[]> {
  const settings = deploymentConfig(configuration, deployment);
  const { url, caFile } = configuration.serviceNow;
  const nowMs = (): number => clock.nowMs();
  const azure = openAzure(settings.azure, credentialOf(settings.azure), clock);
  const serviceNow = createServiceNowConnection({ url, auth: authOf(configuration.serviceNow), caFile, nowMs });
  try {
    const clients = azure.through(openGate);
    const { findings } = await runPreflight({
      deployment: settings,
      serviceNow: configuration.serviceNow,
      clients: { azure: clients, serviceNow: serviceNow.through(openGate) },
      tokens: azure.tokens,
      directory: clients.directory,
      tableSpecs,
      ledgerId: await ledgerId(ledger.database),
      nowMs,
      signal,
      onCheck,
    });
    const owner = await ownerOf(ledger.database, settings.name);
    return owner === undefined ? findings : [...findings, ...refusalFindings(await readRefusals(ledger.database, owner))];
  } finally {
    serviceNow.close();
    azure.close();
  }
}

/** One person's few requests, one after the other, wait for nobody. */
const openGate: Gate = {
  pass: (_kind, send, signal) => send(signal ?? new AbortController().signal),
  holdBack: () => Promise.resolve(),
};
