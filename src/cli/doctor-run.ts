/** The preflight outside a run: nothing is written, so it needs neither the lock nor a fence. */
import { authOf, credentialOf, openAzure } from '../../activities/create-context.ts';
import type { CheckFinding } from '../../workflows/contract.ts';
import { deploymentConfig } from '../config/index.ts';
import { tableSpecs } from '../integrations/tables.ts';
import { ledgerId } from '../ledger/index.ts';
import type { Gate } from '../model.ts';
import type { Clock } from '../observability/clock.ts';
import { runPreflight } from '../preflight/index.ts';
import { createServiceNowConnection } from '../servicenow/index.ts';
import type { DoctorOptions } from './context.ts';
import { withReleases } from './releases.ts';

/** Checks one deployment with the sign-ins of the configuration. Errors: SyncError for what no check could say. */
export function runDoctor(
  { configuration, deployment, ledger, signal, onCheck }: DoctorOptions,
  clock: Clock,
): Promise<readonly CheckFinding[]> {
  const settings = deploymentConfig(configuration, deployment);
  const { url, caFile } = configuration.serviceNow;
  const nowMs = (): number => clock.nowMs();
  return withReleases(async (releases) => {
    const azure = openAzure(settings.azure, credentialOf(settings.azure), clock);
    releases.defer(() => azure.close());
    const serviceNow = createServiceNowConnection({ url, auth: authOf(configuration.serviceNow), caFile, nowMs });
    releases.defer(() => serviceNow.close());
    const { findings } = await runPreflight({
      deployment: settings,
      serviceNow: configuration.serviceNow,
      clients: { azure: azure.through(openGate), serviceNow: serviceNow.through(openGate) },
      tokens: azure.tokens,
      tableSpecs,
      ledgerId: await ledgerId(ledger.database),
      nowMs,
      signal,
      onCheck,
    });
    return findings;
  });
}

/** One person's few requests, one after the other, wait for nobody. */
const openGate: Gate = {
  pass: (_kind, send, signal) => send(signal ?? new AbortController().signal),
  holdBack: () => Promise.resolve(),
};
