/**
 * Points in the code where a test lets the process be killed or paused, to prove that what follows recovers (design §2).
 * Without a setting each point costs one comparison.
 */
import { nearestWord } from '../config/suggest.ts';
import { SyncError } from '../errors.ts';

/** Every point that exists. The crash test goes through this list and fails if one was never hit. */
export const failpointNames = [
  'observe.after-claim',
  'observe.between-pages',
  'derive.before-commit',
  'derive.after-commit',
  'resolve.after-claim',
  'resolve.after-intent',
  'resolve.after-send',
  'resolve.after-outcome',
  'publish.after-claim',
  'publish.after-intent',
  'publish.after-send',
  'publish.after-outcome',
  'reconcile.after-claim',
  'reconcile.after-intent',
  'reconcile.after-send',
  'reconcile.after-outcome',
] as const;
export type FailpointName = (typeof failpointNames)[number];

/** Called where the process may be killed or paused. Returns at once unless this very point and hit is set. */
export type Failpoints = (name: FailpointName) => Promise<void>;

/**
 * @param setting `<name>` (its first hit) or `<name>#<n>` (its n-th hit, from 1) kills; with `:pause` behind it the process stands
 * still there until somebody sends it SIGCONT; undefined: no point does anything
 * @param signal what the process gets; replaced in tests of this function
 * Errors: {@link SyncError} `usage` when the setting names no point.
 */
export function createFailpoints(setting?: string, signal: (name: 'SIGKILL' | 'SIGSTOP') => void = signalThisProcess): Failpoints {
  if (setting === undefined) return () => Promise.resolve();
  const [, name = setting, hit = '1', pause] = /^([^#:]*)(?:#([1-9]\d*))?(:pause)?$/.exec(setting) ?? [];
  if (!failpointNames.some((known) => known === name)) {
    const nearest = nearestWord(name, failpointNames);
    throw new SyncError({
      kind: 'usage',
      message: `DEFENDER_SYNC_FAILPOINT is ${JSON.stringify(setting)}, which is not a failpoint${nearest === undefined ? '' : `; did you mean ${nearest}?`}.`,
      remedy: `Unset it, or use <name> or <name>#<hit> (with :pause to pause instead) with one of: ${failpointNames.join(', ')}.`,
    });
  }
  let left = Number(hit);
  return async (reached) => {
    if (reached !== name) return;
    left -= 1;
    if (left !== 0) return;
    signal(pause === undefined ? 'SIGKILL' : 'SIGSTOP');
    if (pause !== undefined) return;
    // The signal is already on its way; nothing after this point may happen.
    await new Promise<never>(() => undefined);
  };
}

function signalThisProcess(name: 'SIGKILL' | 'SIGSTOP'): void {
  process.kill(process.pid, name);
}
