/** A worker in this process. Apart from the other steps, because only what starts one has to load the SDK's native core. */
import { Runtime, makeTelemetryFilterString, type LogLevel, type LogMetadata, type Logger as TemporalLogger } from '@temporalio/worker';
import { createContext } from '../../activities/create-context.ts';
import { createActivities } from '../../activities/index.ts';
import type { Clock } from '../observability/clock.ts';
import { createFailpoints } from '../observability/failpoints.ts';
import type { Logger } from '../observability/logger.ts';
import { keepWorker } from '../temporal/keep-worker.ts';
import type { RunningWorker, WorkerOptions } from './context.ts';
import { withReleases } from './releases.ts';

export async function startWorker(options: WorkerOptions, clock: Clock): Promise<RunningWorker> {
  const { configuration, temporal, ledgerUrl, logger } = options;
  const failpoint = createFailpoints(options.failpoint);
  installRuntime(logger);
  const started = Promise.withResolvers<RunningWorker['stop']>();
  const ended = withReleases(async (releases) => {
    const opened = await createContext({ config: configuration, ledgerUrl, clock, log: logger, failpoint });
    releases.defer(() => opened.close());
    const worker = await keepWorker(temporal, {
      taskQueue: configuration.temporal.taskQueue,
      activities: createActivities(opened.context),
      onRefused: (error) => logger.warn({ error }, 'the changed files of temporal.tls cannot be used yet; the worker keeps its connection'),
    });
    started.resolve(async () => {
      worker.shutdown();
      await ended;
    });
    await worker.ended;
  });
  ended.catch((error: unknown) => started.reject(error));
  return { stop: await started.promise, ended };
}

let runtimeInstalled = false;

/** One runtime per process. Its signal handlers are off: this process ends in its own order. */
function installRuntime(logger: Logger): void {
  if (runtimeInstalled) return;
  runtimeInstalled = true;
  Runtime.install({
    logger: temporalLogger(logger),
    shutdownSignals: [],
    telemetryOptions: { logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) } },
  });
}

function temporalLogger(logger: Logger): TemporalLogger {
  const write = (level: LogLevel, message: string, fields: LogMetadata = {}): void => {
    const at = { TRACE: 'debug', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const;
    logger[at[level]](fields, message);
  };
  return {
    log: write,
    trace: (message, fields) => write('TRACE', message, fields),
    debug: (message, fields) => write('DEBUG', message, fields),
    info: (message, fields) => write('INFO', message, fields),
    warn: (message, fields) => write('WARN', message, fields),
    error: (message, fields) => write('ERROR', message, fields),
  };
}
