import type { Configuration } from '../src/config/index.ts';
import type { Clock } from '../src/observability/clock.ts';
import { requireMayChange as requireOf } from '../src/preflight/index.ts';
import { createServiceNowConnection } from '../src/servicenow/index.ts';
import { openGate } from './open-gate.ts';
import { authOf } from './sign-in.ts';

export interface MayChangeOptions {
  readonly configuration: Configuration;
  /** As the person typed it: `defender-sync sync`. */
  readonly command: string;
  readonly signal: AbortSignal;
}

/** An instance that does not answer says nothing about rights, and a command does not wait long to hear it. */
const patienceMs = 15_000;

/**
 * Asks the instance whether its user may change anything, before a command that does begins (docs/decisions/0004-who-may-change.md).
 * Errors: SyncError `forbidden` when the instance says no; none when it cannot be asked.
 */
export async function requireMayChange({ configuration, command, signal }: MayChangeOptions, clock: Clock): Promise<void> {
  const { url, caFile } = configuration.serviceNow;
  const connection = createServiceNowConnection({ url, auth: authOf(configuration.serviceNow), caFile, nowMs: () => clock.nowMs() });
  const patience = AbortSignal.timeout(patienceMs);
  try {
    await requireOf(connection.through(openGate), command, AbortSignal.any([signal, patience]));
  } catch (error) {
    if (!patience.aborted || signal.aborted || error !== patience.reason) throw error;
  } finally {
    connection.close();
  }
}
