import { Worker, type NativeConnection, type WorkflowBundleOption } from '@temporalio/worker';
import type { Activities } from '../../activities/index.ts';
import { workflowBundle } from './workflow-bundle.ts';

export interface WorkerOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly activities: Activities;
  /** Default: that of this version. */
  readonly workflowBundle?: WorkflowBundleOption | undefined;
  /** What the Web UI shows as the worker's name. */
  readonly identity?: string | undefined;
  /** How long a worker that cannot take leave of its server is waited for; default 80,000: the grace, and the longest Batch request. */
  readonly shutdownForceMs?: number | undefined;
}

/**
 * Activities at a time in one process. Requests are bounded by the ledger's slots over all processes, not by this: it only
 * bounds memory and ledger connections.
 */
const activitiesAtATime = 8;

/** Makes a worker; `run()` polls until `shutdown()` is called. */
export async function createWorker(options: WorkerOptions): Promise<Worker> {
  return Worker.create({
    connection: options.connection,
    namespace: options.namespace,
    taskQueue: options.taskQueue,
    workflowBundle: options.workflowBundle ?? (await workflowBundle()),
    activities: { ...options.activities },
    maxConcurrentActivityTaskExecutions: activitiesAtATime,
    // Heartbeats are sent every 5 s (activities/run-step.ts); the default would hold most of them back.
    maxHeartbeatThrottleInterval: '5 seconds',
    defaultHeartbeatThrottleInterval: '5 seconds',
    // A step that is told to stop finishes the request in hand and commits its outcome: that needs a little time.
    shutdownGraceTime: '20 seconds',
    shutdownForceTime: options.shutdownForceMs ?? 80_000,
    ...(options.identity === undefined ? {} : { identity: options.identity }),
  });
}
