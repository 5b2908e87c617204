/**
 * The activities, grouped by what happens when one is tried again. Every one is time-boxed (it returns after about four
 * minutes with what is left), because a long activity that dies loses more and hides more than several short ones.
 */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

/** A person has to act, or the code does: trying again changes nothing. The rest is retried by Temporal, nowhere else. */
const nonRetryableErrorTypes = [
  'unauthenticated',
  'forbidden',
  'untrusted',
  'not-found',
  'rejected',
  'misconfigured',
  'fenced-out',
  'usage',
  'bug',
];

/** The report of a cancelled run is written when nothing of it is at work any more. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/**
 * Work on the ledger and the two services. The start-to-close time is the time box plus the longest request plus slack;
 * the heartbeat (sent by a timer every few seconds, whatever a request takes) finds a dead worker within half a minute; the
 * total lets a service be away for a night.
 */
export const work = proxyActivities<Activities>({
  startToCloseTimeout: '7 minutes',
  heartbeatTimeout: '30 seconds',
  scheduleToCloseTimeout: '8 hours',
  cancellationType,
  retry: { initialInterval: '2 seconds', backoffCoefficient: 2, maximumInterval: '2 minutes', nonRetryableErrorTypes },
});

/** Short bookkeeping in the ledger: the database is near, so a short time-out finds a dead worker early. */
export const bookkeeping = proxyActivities<Activities>({
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '8 hours',
  cancellationType,
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute', nonRetryableErrorTypes },
});
