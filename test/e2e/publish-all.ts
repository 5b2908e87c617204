import { setTimeout as sleep } from 'node:timers/promises';
import { createContext } from '../../activities/create-context.ts';
import { publishTables } from '../../activities/publish.ts';
import type { Configuration } from '../../src/config/index.ts';
import { openRun } from '../../src/ledger/index.ts';
import { systemClock } from '../../src/observability/clock.ts';
import type { FailpointName } from '../../src/observability/failpoints.ts';
import { createLogger } from '../../src/observability/logger.ts';

/** Publishes the policies of a run until nothing is left, attempt after attempt, as the workflow has it done. */
export async function publishAll(
  config: Configuration,
  ledgerUrl: string,
  run: { readonly runId: string; readonly fence: number },
  onFailpoint: (name: FailpointName) => void = () => undefined,
): Promise<void> {
  const failpoint = (name: FailpointName): Promise<void> => {
    onFailpoint(name);
    return Promise.resolve();
  };
  const opened = await createContext({
    config,
    ledgerUrl,
    clock: systemClock,
    log: createLogger({ level: 'silent' }),
    failpoint,
  });
  const { context } = opened;
  try {
    const handle = await openRun(context.ledger.database, run.runId, run.fence);
    const { serviceNow } = await context.clientsOf(handle);
    const step = { at: () => undefined, signal: new AbortController().signal, timeIsUp: () => false };
    for (;;) {
      const publisher = { context, run: handle, integration: 'policies', client: serviceNow, step } as const;
      const { left, readyInMs } = await publishTables(publisher, ['sn_vulc_policy']);
      if (left === 0) return;
      await sleep(readyInMs + 20);
    }
  } finally {
    await opened.close();
  }
}
