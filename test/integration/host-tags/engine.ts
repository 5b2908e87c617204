/** The engine's own activities over a real ledger and the lab's ServiceNow, without Temporal: what Azure says is given row by row. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { createContext } from '../../../activities/create-context.ts';
import { derive, deriveForCis } from '../../../activities/derive.ts';
import { familyOf } from '../../../activities/observe.ts';
import { publish } from '../../../activities/publish.ts';
import { prepareInstance } from '../../../activities/publish-engine-records.ts';
import { resolveCis } from '../../../activities/resolve-cis.ts';
import { beginRun, finishIntegration } from '../../../activities/run-lifecycle.ts';
import { loadConfiguration } from '../../../src/config/index.ts';
import { parseAssessment, parseResource } from '../../../src/integrations/assessments.ts';
import { claimScan, commitPage, endScan, openRun, openScans } from '../../../src/ledger/index.ts';
import type { RowOutcome } from '../../../src/model.ts';
import { systemClock } from '../../../src/observability/clock.ts';
import { createLogger } from '../../../src/observability/logger.ts';
import type { RunRef } from '../../../workflows/contract.ts';
import type { StartedLab } from '../lab-servicenow/start.ts';

export const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const test = '21300918-b2e3-0346-785f-c77ff57d243b';

export function vm(name: string): string {
  return `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/${name}`;
}

/** What one deployment sees: tags by the name of a machine; `undefined`: no list names the machine. */
export type Seen = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

export interface Engine {
  /** One run of the assessments of a deployment. Returns what the report says beside its counts. */
  sync(deployment: string, seen: Seen): Promise<readonly string[]>;
  close(): Promise<void>;
}

export async function openEngine(started: StartedLab, ledgerUrl: string, deployments: readonly string[]): Promise<Engine> {
  const dir = await mkdtemp(join(tmpdir(), 'defender-sync-host-tags-'));
  const secret = async (name: string, value: string): Promise<{ file: string }> => {
    await writeFile(join(dir, name), value, { mode: 0o600 });
    return { file: join(dir, name) };
  };
  const [oauthClient] = started.lab.oauthClients;
  if (!oauthClient) throw new Error('The lab names no OAuth client.');
  const configuration = {
    serviceNow: {
      url: started.lab.url,
      caFile: join(started.dir, 'ca.pem'),
      auth: {
        type: 'client-credentials',
        clientId: oauthClient.clientId,
        clientSecret: await secret('servicenow', oauthClient.clientSecret),
      },
      batchTransactionQuotaSeconds: 1,
      transactionQuotaSeconds: 1,
      settleSeconds: 1,
    },
    deployments: await Promise.all(
      deployments.map(async (name) => ({
        name,
        azure: { tenantId: randomUUID(), clientId: randomUUID(), credential: { clientSecret: await secret(name, 'unused') } },
        scope: { subscriptions: [subscription] },
      })),
    ),
  };
  await writeFile(join(dir, 'defender-sync.yaml'), stringify(configuration));
  const config = loadConfiguration(join(dir, 'defender-sync.yaml'));
  const opened = await createContext({
    config,
    ledgerUrl,
    clock: systemClock,
    log: createLogger({ level: 'silent' }),
    failpoint: () => Promise.resolve(),
  });
  const { context } = opened;
  const step = { at: () => undefined, signal: new AbortController().signal, timeIsUp: () => false };
  const untilNothingIsLeft = async (work: () => Promise<{ readonly left: number; readonly readyInMs: number }>): Promise<void> => {
    for (;;) {
      const { left, readyInMs } = await work();
      if (left === 0) return;
      await sleep(readyInMs + 20);
    }
  };
  return {
    sync: async (deployment, seen) => {
      const ref: RunRef = await beginRun(context, { deployment, mode: 'sync', workflowRunId: randomUUID() });
      const input = { run: ref, integration: 'assessments' } as const;
      await prepareInstance(context, ref, step);
      await observe(context, ref, seen);
      await untilNothingIsLeft(() => derive(context, input, step));
      await untilNothingIsLeft(() => resolveCis(context, input, step));
      await untilNothingIsLeft(() => deriveForCis(context, input, step));
      await untilNothingIsLeft(() => publish(context, input, step));
      await finishIntegration(context, { ...input, failedBecause: null }, step);
      const notes = await context.ledger.database.query<{ note: string }>('SELECT note FROM run_note WHERE run_id = $1 ORDER BY position', [
        ref.run,
      ]);
      return notes.map(({ note }) => note);
    },
    close: async () => {
      await opened.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

type Context = Awaited<ReturnType<typeof createContext>>['context'];

async function observe({ ledger: { database, words } }: Context, ref: RunRef, seen: Seen): Promise<void> {
  const run = await openRun(database, ref.run, ref.fence);
  const scope = { kind: 'subscription', id: subscription } as const;
  await openScans(database, run, 'assessments', [{ readName: 'assessments', stage: 1, scope }]);
  const claim = await claimScan(database, run, 'assessments', 60_000);
  if (!claim) throw new Error('The scan could not be claimed.');
  const outcomes = Object.entries(seen).flatMap(([name, tags]): RowOutcome[] => [
    parseAssessment({
      id: `${vm(name)}/providers/Microsoft.Security/assessments/${test}`,
      properties: { displayName: 'Encrypt disks', resourceDetails: { Source: 'Azure', Id: vm(name) }, status: { code: 'Unhealthy' } },
    }),
    ...(tags === undefined ? [] : [parseResource({ id: vm(name), location: 'eastus', tags })]),
  ]);
  await commitPage(database, words, run, claim, 1, { outcomes, nextCursor: undefined }, familyOf);
  await endScan(database, run, claim, 'complete', undefined);
}
