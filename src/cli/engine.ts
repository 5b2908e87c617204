/** Puts the engine together: the one place of the command line that knows the activities. */
import { Runtime, makeTelemetryFilterString, type LogLevel, type LogMetadata, type Logger as TemporalLogger } from '@temporalio/worker';
import { createContext } from '../../activities/create-context.ts';
import { runDoctor } from '../../activities/doctor.ts';
import { findPairs } from '../../activities/find-pairs.ts';
import { createActivities } from '../../activities/index.ts';
import { createFailpoints } from '../observability/failpoints.ts';
import type { Clock } from '../observability/clock.ts';
import type { Logger } from '../observability/logger.ts';
import { connectWorker } from '../temporal/connect.ts';
import { createWorker } from '../temporal/worker.ts';
import type { Engine, RunningWorker, WorkerOptions } from './context.ts';
import { withReleases } from './releases.ts';

export function createEngine(clock: Clock): Engine {
  return {
    startWorker: (options) => startWorker(options, clock),
    runDoctor: (options) => runDoctor(options, clock),
    findPairs: (options) => findPairs(options, clock),
  };
}

async function startWorker(options: WorkerOptions, clock: Clock): Promise<RunningWorker> {
  const { configuration, temporal, ledgerUrl, logger } = options;
  const failpoint = createFailpoints(options.failpoint);
  installRuntime(logger);
  const started = Promise.withResolvers<RunningWorker['stop']>();
  const ended = withReleases(async (releases) => {
    const opened = await createContext({ config: configuration, ledgerUrl, clock, log: logger, failpoint });
    releases.defer(() => opened.close());
    const connection = await connectWorker(temporal);
    releases.defer(() => connection.close());
    const worker = await createWorker({
      connection,
      namespace: temporal.namespace,
      taskQueue: configuration.temporal.taskQueue,
      activities: createActivities(opened.context),
    });
    started.resolve(async () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await ended;
    });
    await worker.run();
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
