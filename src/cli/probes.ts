/**
 * The two servers as `doctor` looks at them: whatever state they are in, there is something to ask, and what it answers is a finding.
 * Other commands open them (servers.ts) and end when that fails.
 */
import type { Configuration } from '../config/index.ts';
import { isSyncError, SyncError } from '../errors.ts';
import { openLedgerProbe, type Database, type LedgerProbe, type OpenLedgerProbe } from '../ledger/index.ts';
import { openTemporalProbe, type TemporalProbe } from '../temporal/probe.ts';
import { wantedScheduleOf } from '../temporal/schedules.ts';
import type { CliContext } from './context.ts';
import type { Releases } from './releases.ts';
import { ledgerUrlOf } from './ledger-server.ts';
import { addressOf, startLocalTemporal } from './servers.ts';

export interface ProbedLedger {
  readonly probe: LedgerProbe;
  /** Where the tables are those of this version; `empty`: there are none yet; undefined: it cannot be read. */
  readonly database: Database | 'empty' | undefined;
}

export async function probeLedger(configuration: Configuration, releases: Releases): Promise<ProbedLedger> {
  let probe: OpenLedgerProbe;
  try {
    probe = openLedgerProbe(await ledgerUrlOf(configuration, releases));
  } catch (error) {
    const failed = asAnswer(error);
    const fail = (): Promise<never> => Promise.reject(failed);
    return { probe: { place: 'the address of ledger.url', connect: fail, schema: fail, rights: fail }, database: undefined };
  }
  releases.defer(() => probe.database.close());
  return { probe, database: await usable(probe) };
}

/** Undefined for any trouble: the checks say what it is. */
async function usable(probe: OpenLedgerProbe): Promise<Database | 'empty' | undefined> {
  try {
    const { missing, unknown, isThere } = await probe.schema();
    if (!isThere) return 'empty';
    if (missing.length + unknown.length > 0) return undefined;
    // A ledger that may not even be read is no help; a table is tried that every question needs.
    await probe.database.query('SELECT ledger_id FROM ledger');
    return probe.database;
  } catch {
    return undefined;
  }
}

export async function probeTemporal(context: CliContext, configuration: Configuration, releases: Releases): Promise<TemporalProbe> {
  const { temporal: settings, deployments } = configuration;
  const isLocal = settings.address === undefined;
  try {
    const address = isLocal ? (await startLocalTemporal(context, configuration, releases)).address : settings.address;
    const probe = openTemporalProbe({
      to: addressOf(settings, address),
      isLocal,
      taskQueues: [settings.taskQueue],
      schedules: deployments.flatMap((deployment) => wantedScheduleOf(deployment, settings.taskQueue) ?? []),
      nowMs: () => context.clock.nowMs(),
    });
    releases.defer(() => probe.close());
    return probe;
  } catch (error) {
    const failed = asAnswer(error);
    const fail = (): Promise<never> => Promise.reject(failed);
    return {
      address: settings.address ?? 'the local server',
      namespace: settings.namespace,
      isLocal,
      ...{ connect: fail, requireNamespace: fail, searchAttributes: fail, pollers: fail, schedules: fail },
    };
  }
}

/** What keeps a server from starting is an answer; a file of it that cannot be read is one, too. */
function asAnswer(error: unknown): SyncError {
  if (isSyncError(error)) return error;
  if (!Error.isError(error) || !('code' in error)) throw error;
  return new SyncError({ kind: 'misconfigured', message: `${error.message}.`, cause: error });
}
