import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Worker, type NativeConnection, type WorkflowBundleOption } from '@temporalio/worker';
import type { Activities } from '../../activities/index.ts';

export interface WorkerOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly activities: Activities;
  /** A bundle made before; bundling takes about a second. */
  readonly workflowBundle?: WorkflowBundleOption | undefined;
  /** What the Web UI shows as the worker's name. */
  readonly identity?: string | undefined;
}

/**
 * Activities at a time in one process. Requests are bounded by the ledger's slots over all processes, not by this: it only
 * bounds memory and ledger connections.
 */
const activitiesAtATime = 8;

/** Bundles the workflow code once; several workers of a process, and replay tests, can share it. */
export function bundleWorkflows(): Promise<WorkflowBundleOption> {
  return bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    // The bundler lists what it packed, which is of no interest to anybody who runs a worker.
    logger: new DefaultLogger('WARN'),
  });
}

/** Makes a worker; `run()` polls until `shutdown()` is called. */
export async function createWorker(options: WorkerOptions): Promise<Worker> {
  return Worker.create({
    connection: options.connection,
    namespace: options.namespace,
    taskQueue: options.taskQueue,
    workflowBundle: options.workflowBundle ?? (await bundleWorkflows()),
    activities: { ...options.activities },
    maxConcurrentActivityTaskExecutions: activitiesAtATime,
    // Heartbeats are sent every 5 s (activities/run-step.ts); the default would hold most of them back.
    maxHeartbeatThrottleInterval: '5 seconds',
    defaultHeartbeatThrottleInterval: '5 seconds',
    // A step that is told to stop finishes the request in hand and commits its outcome: that needs a little time.
    shutdownGraceTime: '20 seconds',
    shutdownForceTime: '60 seconds',
    ...(options.identity === undefined ? {} : { identity: options.identity }),
  });
}
