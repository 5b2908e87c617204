import type { ScheduleDescription, ScheduleHandle } from '@temporalio/client';

/** The server takes a change of a schedule before it carries it out: resolves once it describes the schedule so. */
export async function untilDescribed(handle: ScheduleHandle, isSo: (described: ScheduleDescription) => boolean): Promise<void> {
  while (!isSo(await handle.describe())) await new Promise((resolve) => setTimeout(resolve, 20));
}
