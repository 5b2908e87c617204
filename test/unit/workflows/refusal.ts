import { castToFailure } from '../../../activities/run-step.ts';
import { SyncError } from '../../../src/errors.ts';

/** What an activity fails with when a person has to grant something first. */
export function refusal(kind: 'forbidden' | 'unauthenticated'): Error {
  return castToFailure(
    new SyncError({ kind, service: 'servicenow', message: 'The instance refuses to write.', remedy: 'Grant the role.' }),
  );
}
