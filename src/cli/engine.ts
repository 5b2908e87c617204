/** Puts the engine together: the one place of the command line that knows the activities. */
import { deleteAttachments, listAttachments } from '../../activities/attachments.ts';
import { runDoctor } from '../../activities/doctor.ts';
import { findPairs } from '../../activities/find-pairs.ts';
import { requireMayChange } from '../../activities/require-may-change.ts';
import type { Clock } from '../observability/clock.ts';
import type { Engine } from './context.ts';

export function createEngine(clock: Clock): Engine {
  return {
    startWorker: async (options) => (await import('./start-worker.ts')).startWorker(options, clock),
    runDoctor: (options) => runDoctor(options, clock),
    requireMayChange: (options) => requireMayChange(options, clock),
    findPairs: (options) => findPairs(options, clock),
    listAttachments: (options) => listAttachments(options, clock),
    deleteAttachments: (options) => deleteAttachments(options, clock),
  };
}
