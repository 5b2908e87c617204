import type { Connection } from '@temporalio/client';

/** Temporal remembers a worker for some minutes after its last question; a living one asks at least once a minute. */
const pollerIsAliveForMs = 65_000;
/** Numbers of `temporal.api.enums.v1.TaskQueueType`. */
const taskQueueTypes: Readonly<Record<'workflow' | 'activity', number>> = { workflow: 1, activity: 2 };

export interface PolledQueue {
  readonly namespace: string;
  readonly taskQueue: string;
  readonly kind: 'workflow' | 'activity';
}

/** Identities of workers that have asked for tasks lately. One that was killed just now still counts. */
export async function livingPollers(
  connection: Connection,
  { namespace, taskQueue, kind }: PolledQueue,
  nowMs: number,
): Promise<readonly string[]> {
  const asked: Record<string, unknown> = { namespace, taskQueue: { name: taskQueue }, taskQueueType: taskQueueTypes[kind] };
  const { pollers } = await connection.workflowService.describeTaskQueue(asked);
  return pollers
    .filter(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1000 > nowMs - pollerIsAliveForMs)
    .map(({ identity }) => identity ?? '');
}
