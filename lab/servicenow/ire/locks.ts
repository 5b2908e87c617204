import { messages, quoted } from './messages.ts';
import { finalPlan, hostsFirst, hostsOf, type IreCall, type ItemPlan, type PayloadPlan } from './plan-types.ts';

/** The engine's mutexes. Whoever comes first holds one, the others wait in the order they came. */
export interface Locks {
  /** Resolves with the function that gives the lock back, or with undefined after `timeoutMs` in the queue. */
  acquire(key: string, timeoutMs: number): Promise<(() => void) | undefined>;
}

export function createLocks(): Locks {
  const queues = new Map<string, (() => void)[]>();
  const release = (key: string): void => {
    const next = queues.get(key)?.shift();
    if (next === undefined) queues.delete(key);
    else next();
  };
  return {
    acquire: (key, timeoutMs) => {
      const queue = queues.get(key);
      if (queue === undefined) {
        queues.set(key, []);
        return Promise.resolve(() => release(key));
      }
      return new Promise((resolve) => {
        const granted = (): void => {
          clearTimeout(timer);
          resolve(() => release(key));
        };
        const timer = setTimeout(() => {
          queue.splice(queue.indexOf(granted), 1);
          resolve(undefined);
        }, timeoutMs);
        timer.unref();
        queue.push(granted);
      });
    },
  };
}

/**
 * Takes the locks of a payload's hosts (accounts, datacenters), account before datacenter, else in the payload's order, and keeps them
 * until the payload is done. So payloads with a common host work one after the other (servicenow.md §5.1: run calls one after another
 * when many items depend on the same CI). A wait beyond the mutex time-out is LOCK_TIMEOUT for that host.
 */
export async function lockHosts(plan: PayloadPlan, call: IreCall, locks: Locks): Promise<() => void> {
  const held: (() => void)[] = [];
  if (!call.properties.granularLocks) {
    // One lock for everybody (glide.identification_engine.granular_insert_locking = false).
    const release = await locks.acquire('all', call.properties.mutexMs);
    if (release !== undefined) return release;
    for (const item of plan.items) item.errors.push(messages.lockTimeout(quoted(item.item, call.quoting)));
    return () => undefined;
  }
  const hosts = new Set(plan.items.map((item) => (item.host === undefined ? undefined : finalPlan(plan, item.host.index))));
  for (const host of hostsFirst(plan)) {
    const isPointless = host.errors.length > 0 || [...hostsOf(plan, host)].some(({ errors }) => errors.length > 0);
    if (!hosts.has(host) || isPointless) continue;
    const release = await locks.acquire(lockKey(plan, host), call.properties.mutexMs);
    if (release !== undefined) {
      held.push(release);
      continue;
    }
    host.errors.push(messages.lockTimeout(quoted(host.item, call.quoting)));
    // All or nothing: no need to wait for the others.
    if (!call.partialCommits) break;
  }
  return () => {
    for (const release of held) release();
  };
}

/** What the record is, in the payload's words: its first complete criterion values and those of its hosts. */
function lockKey(plan: PayloadPlan, item: ItemPlan): string {
  return JSON.stringify([item, ...hostsOf(plan, item)].map(ownKey));
}

function ownKey({ item, rule }: ItemPlan): unknown {
  const sysId = item.values['sys_id'] ?? '';
  if (sysId !== '') return sysId;
  const entry = rule?.entries.find(({ attributes }) => attributes.every((name) => (item.values[name] ?? '') !== ''));
  return [rule?.appliesTo, entry?.attributes.map((name) => (item.values[name] ?? '').toLowerCase())];
}
