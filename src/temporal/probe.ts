/** Looks at a Temporal server for people who ask what is wrong with it, whether or not it answers. */
import { Client, type Connection } from '@temporalio/client';
import { isSyncError, SyncError } from '../errors.ts';
import { openConnection, requireNamespace, type TemporalAddress } from './connect.ts';
import { diagnoseNoAnswer, type Diagnosis, type TlsOfAddress } from './diagnose.ts';
import { livingPollers } from './pollers.ts';
import type { WantedSchedule } from './schedule-diff.ts';
import { compareSchedules, type ScheduleState } from './schedules.ts';
import { ensureSearchAttributes, type SearchAttributesResult } from './search-attributes.ts';

export interface TaskQueuePollers {
  readonly taskQueue: string;
  /** Workers that asked for such tasks lately. */
  readonly workflows: number;
  readonly activities: number;
}

export interface TemporalProbe {
  readonly address: string;
  readonly namespace: string;
  /** Whether the server is the one that comes along: every command starts a worker of its own there when there is none. */
  readonly isLocal: boolean;
  /** Undefined when it answers, else why not. @throws SyncError `unauthenticated` */
  connect(): Promise<Diagnosis | undefined>;
  /** @throws SyncError `misconfigured` when the namespace is missing, `unauthenticated` when it is refused */
  requireNamespace(): Promise<void>;
  /** Makes what is missing, as every command that connects does. */
  searchAttributes(): Promise<SearchAttributesResult>;
  pollers(): Promise<readonly TaskQueuePollers[]>;
  schedules(): Promise<readonly ScheduleState[]>;
}

export interface TemporalProbeOptions {
  readonly to: TemporalAddress;
  readonly isLocal: boolean;
  readonly taskQueues: readonly string[];
  readonly schedules: readonly WantedSchedule[];
  readonly nowMs: () => number;
}

/** Connects when it is first asked, and stays connected until it is closed. */
export function openTemporalProbe(options: TemporalProbeOptions): TemporalProbe & { close(): Promise<void> } {
  const { to, taskQueues, nowMs } = options;
  let opening: Promise<Connection> | undefined;
  const open = (): Promise<Connection> => (opening ??= openConnection(to));
  return {
    address: to.address,
    namespace: to.namespace,
    isLocal: options.isLocal,
    connect: async () => {
      try {
        await open();
        return undefined;
      } catch (error) {
        if (!isSyncError(error, 'transient')) throw error;
        return diagnoseNoAnswer(to.address, tlsOf(to));
      }
    },
    requireNamespace: async () => requireNamespace(await open(), to),
    searchAttributes: async () => ensureSearchAttributes(await open(), to.namespace),
    pollers: async () => {
      const connection = await open();
      return Promise.all(taskQueues.map((taskQueue) => pollersOf(connection, to.namespace, taskQueue, nowMs())));
    },
    schedules: async () => compareSchedules(new Client({ connection: await open(), namespace: to.namespace }), options.schedules),
    close: async () => {
      // One that was never opened has nothing to give back.
      const connection = await opening?.catch(() => undefined);
      await connection?.close();
    },
  };
}

async function pollersOf(connection: Connection, namespace: string, taskQueue: string, nowMs: number): Promise<TaskQueuePollers> {
  const count = async (kind: 'workflow' | 'activity'): Promise<number> => {
    try {
      return (await livingPollers(connection, { namespace, taskQueue, kind }, nowMs)).length;
    } catch (error) {
      throw new SyncError({
        kind: 'transient',
        service: 'temporal',
        message: `The Temporal server did not say who works on the task queue ${taskQueue} (${Error.isError(error) ? error.message : String(error)}).`,
        cause: error,
      });
    }
  };
  return { taskQueue, workflows: await count('workflow'), activities: await count('activity') };
}

/** An API key switches TLS on, as the client library does. */
function tlsOf({ tls: tlsNow, apiKey }: TemporalAddress): TlsOfAddress | undefined {
  const tls = tlsNow?.();
  if (tls === undefined || tls === null || tls === false)
    return apiKey === undefined ? undefined : { ca: undefined, serverName: undefined };
  if (tls === true) return { ca: undefined, serverName: undefined };
  return {
    ca: tls.serverRootCACertificate === undefined ? undefined : Buffer.from(tls.serverRootCACertificate),
    serverName: tls.serverNameOverride ?? undefined,
  };
}
