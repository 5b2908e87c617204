import type { Configuration } from '../src/config/index.ts';
import { placeholderClass } from '../src/inventory/index.ts';
import {
  addPairs,
  cisOfClass,
  closePairSet,
  countCisOfClass,
  createReadingGate,
  integrationInstances,
  openPairSet,
  type CiOfClass,
  type Ledger,
  type PairSet,
} from '../src/ledger/index.ts';
import type { CiKey } from '../src/model.ts';
import type { Clock } from '../src/observability/clock.ts';
import { createServiceNowConnection } from '../src/servicenow/index.ts';
import { readInstanceModel, slotHoldMs } from './create-context.ts';
import { deploymentOfInstanceKey } from './engine-records.ts';
import { platformMovesResults, readPairs } from './read-pairs.ts';
import { whenNotThrottled } from './when-not-throttled.ts';
import { authOf } from './sign-in.ts';

export interface FindPairsOptions {
  readonly configuration: Configuration;
  readonly ledger: Ledger;
  readonly signal: AbortSignal;
  /** Told after each step: how many of the placeholders have been looked at, and how many pairs there are so far. */
  readonly onProgress: (progress: { readonly looked: number; readonly of: number; readonly pairs: number }) => void;
}

/** Placeholders looked at in one go. */
const cisAtATime = 500;

/**
 * Finds every placeholder that has a CI of another class beside it, and keeps what it found in the ledger. Reads the instance and
 * writes nothing there; like the preflight of `doctor` it is put together like an activity, but needs no worker. Undefined: there is
 * no pair. Errors: SyncError for an instance that does not answer.
 */
export async function findPairs(
  { configuration, ledger, signal, onProgress }: FindPairsOptions,
  clock: Clock,
): Promise<{ readonly looked: number; readonly set: PairSet | undefined }> {
  const { database } = ledger;
  const { url, caFile, concurrentRequests, source } = configuration.serviceNow;
  const of = await countCisOfClass(database, url, placeholderClass);
  if (of === 0) return { looked: 0, set: undefined };
  const connection = createServiceNowConnection({ url, auth: authOf(configuration.serviceNow), caFile, nowMs: () => clock.nowMs() });
  try {
    const gate = await createReadingGate(database, {
      slotKey: `servicenow:${url}`,
      slots: concurrentRequests,
      holdMs: slotHoldMs(configuration.serviceNow),
    });
    const bare = connection.through(gate);
    const patiently = <Result>(work: () => Promise<Result>): Promise<Result> => whenNotThrottled(work, signal);
    const model = await patiently(() => readInstanceModel(bare, source, signal));
    const reader = {
      client: bare.withDictionary(model.dictionary),
      model,
      deploymentOf: deploymentsOf(await integrationInstances(database, url)),
    };
    const moves = await patiently(() => platformMovesResults(reader.client, signal));
    const setId = await openPairSet(database, url);
    let looked = 0;
    let pairs = 0;
    for await (const cis of placeholders(ledger, url)) {
      const found = await patiently(() => readPairs(reader, cis, signal));
      await addPairs(database, setId, found);
      looked += cis.length;
      pairs += found.length;
      onProgress({ looked, of, pairs });
    }
    return { looked, set: await closePairSet(database, setId, moves) };
  } finally {
    connection.close();
  }
}

/** sys_ids of integration instances → names of deployments. */
export function deploymentsOf(instances: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map(
    [...instances].flatMap(([sysId, key]) => {
      const deployment = deploymentOfInstanceKey(key);
      return deployment === undefined ? [] : [[sysId, deployment] as const];
    }),
  );
}

async function* placeholders({ database }: Ledger, url: string): AsyncGenerator<CiOfClass[], void> {
  let after: CiKey | undefined;
  for (;;) {
    const cis = await cisOfClass(database, url, placeholderClass, after, cisAtATime);
    if (cis.length === 0) return;
    yield cis;
    after = cis.at(-1)?.ciKey;
  }
}
