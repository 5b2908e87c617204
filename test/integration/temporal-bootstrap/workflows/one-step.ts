import { proxyActivities } from '@temporalio/workflow';

const { step } = proxyActivities<{ step(): Promise<string> }>({ startToCloseTimeout: '1 minute' });

/** One activity, and what it says. */
export async function oneStep(): Promise<string> {
  return step();
}
