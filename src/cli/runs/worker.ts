/** Whether somebody works on runs, and a worker of our own if nobody does. */
import type { Configuration } from '../../config/index.ts';
import { livingPollers } from '../../temporal/pollers.ts';
import type { CliContext, RunningWorker } from '../context.ts';
import type { Releases } from '../releases.ts';
import type { OpenTemporal } from '../servers.ts';
import type { DatabaseUrl } from '../../ledger/index.ts';

export interface OwnWorker {
  /** Starts it unless it runs. */
  readonly start: () => Promise<void>;
  readonly isRunning: () => boolean;
  /** Rejects when it fails; pending as long as it runs, and when it was never started. */
  readonly failed: Promise<never>;
}

/** A worker in this process that is started when it is needed, and stopped with everything else. */
export function createOwnWorker(
  { engine, environment, logger }: CliContext,
  configuration: Configuration,
  { temporal, ledgerUrl }: { readonly temporal: OpenTemporal; readonly ledgerUrl: DatabaseUrl },
  releases: Releases,
): OwnWorker {
  const failure = Promise.withResolvers<never>();
  // Whoever waits for runs hears of it; without a listener it would end the process in the wrong place.
  failure.promise.catch(() => undefined);
  let running: Promise<RunningWorker> | undefined;
  const start = async (): Promise<void> => {
    if (running !== undefined) {
      await running;
      return;
    }
    running = engine.startWorker({ configuration, temporal: temporal.address, ledgerUrl, logger, failpoint: environment.failpoint });
    const worker = await running;
    releases.defer(worker.stop);
    worker.ended.catch((error: unknown) => failure.reject(error));
  };
  return { start, isRunning: () => running !== undefined, failed: failure.promise };
}

/** Whether a worker has asked for workflow tasks lately. One that was killed just now still counts. */
export async function hasWorker({ connection, address }: OpenTemporal, taskQueue: string, nowMs: number): Promise<boolean> {
  return (await livingPollers(connection, { namespace: address.namespace, taskQueue, kind: 'workflow' }, nowMs)).length > 0;
}

/** The server that comes along is ours alone, so its worker is too. A server of your own has its own workers. */
export async function startWorkerIfAlone(
  context: CliContext,
  configuration: Configuration,
  temporal: OpenTemporal,
  worker: OwnWorker,
): Promise<void> {
  if (!temporal.local || (await hasWorker(temporal, configuration.temporal.taskQueue, context.clock.nowMs()))) return;
  await worker.start();
}

/** What to tell a person whose run nobody takes; a worker of our own is started where the server is ours. */
export function answerNoWorker(context: CliContext, temporal: OpenTemporal, worker: OwnWorker): string {
  if (!temporal.local) return 'no worker answers; start one: defender-sync up';
  if (worker.isRunning()) return 'the worker is busy';
  worker.start().catch((error: unknown) => context.logger.error(error));
  return 'no worker answers; starting one here';
}
