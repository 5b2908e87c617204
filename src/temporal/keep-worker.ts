/**
 * A worker whose connection keeps to the certificates of now. A native connection keeps those it was made with, so when their files
 * change, a worker on a new connection takes over, and the old one finishes what it has in hand.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { connectWorker } from './connect-worker.ts';
import type { TemporalAddress, TlsOptions } from './connect.ts';
import { createWorker, type WorkerOptions } from './worker.ts';

export interface KeptWorker {
  /** Lets what is running finish or give up in order. May be called more than once. */
  readonly shutdown: () => void;
  /** Settles when all is closed: resolves after `shutdown`, rejects when the worker failed. */
  readonly ended: Promise<void>;
}

export interface KeepOptions extends Omit<WorkerOptions, 'connection' | 'namespace'> {
  /** Told why changed certificates could not be used; the worker goes on with the old ones, and tries again. */
  readonly onRefused: (error: unknown) => void;
  /** Default 30,000. */
  readonly lookEveryMs?: number;
}

/** One worker with its connection. */
interface Generation {
  /** What it was connected with. */
  readonly tls: TlsOptions;
  readonly shutdown: () => void;
  readonly ended: Promise<void>;
}

/** Connects, and works until it is stopped. Errors: as {@link connectWorker}. */
export async function keepWorker(to: TemporalAddress, options: KeepOptions): Promise<KeptWorker> {
  const over = new AbortController();
  const ended = succeedOneAnother(await startGeneration(to, options), to, options, over);
  return { shutdown: () => over.abort(), ended };
}

async function startGeneration(to: TemporalAddress, options: KeepOptions): Promise<Generation> {
  const tls = to.tls?.();
  const connected = await connectWorker({ ...to, tls: () => tls });
  try {
    const worker = await createWorker({ ...options, connection: connected.connection, namespace: to.namespace });
    return {
      tls,
      shutdown: () => {
        if (worker.getState() === 'RUNNING') worker.shutdown();
      },
      ended: worker.run().finally(() => connected.close()),
    };
  } catch (error) {
    await connected.close();
    throw error;
  }
}

/** @param over aborted by `shutdown`, and when the newest worker fails */
async function succeedOneAnother(first: Generation, to: TemporalAddress, options: KeepOptions, over: AbortController): Promise<void> {
  const former: Promise<void>[] = [];
  let current = first;
  for (;;) {
    // Only the newest ends the whole; what becomes of a former one is told, and no reason to stop.
    const mine = current;
    mine.ended.catch(() => {
      if (mine === current) over.abort();
    });
    const next = await successorOf(current, to, options, over.signal);
    if (next === undefined) break;
    // Its server may not know its certificate any more: that it cannot take leave is no trouble of the new one.
    former.push(current.ended.catch(options.onRefused));
    current.shutdown();
    current = next;
  }
  current.shutdown();
  await Promise.all([current.ended, ...former]);
}

/** Undefined once it is over. */
async function successorOf(
  { tls }: Generation,
  to: TemporalAddress,
  options: KeepOptions,
  over: AbortSignal,
): Promise<Generation | undefined> {
  for (;;) {
    await sleep(options.lookEveryMs ?? 30_000, undefined, { ref: false, signal: over }).catch(() => undefined);
    if (over.aborted) return undefined;
    try {
      if (!isDeepStrictEqual(to.tls?.(), tls)) return await startGeneration(to, options);
    } catch (error) {
      options.onRefused(error);
    }
  }
}
