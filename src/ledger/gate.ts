import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from './database.ts';
import type { RunHandle } from './runs.ts';
import type { CallKind, Gate } from '../model.ts';

export interface GateOptions {
  /** `servicenow:<url>` or `azure:<tenant>`: everybody with this key shares the slots. */
  readonly slotKey: string;
  /** How many requests may be under way at once, over all processes. */
  readonly slots: number;
  /** When a slot of a process that died becomes free; longer than the longest request time-out. */
  readonly holdMs: number;
}

const longestWaitMs = 1_000;

/**
 * The gate of one run to one instance or tenant (design §2 "Throttle", "Fences"): a slot in the ledger for every request,
 * shared over all worker processes; a 429 seen by any of them holds back all of them; a stale fence stops the sender.
 */
export async function createGate(database: Database, run: RunHandle, options: GateOptions): Promise<Gate> {
  await addSlots(database, options);
  return {
    async pass(kind, send, signal) {
      const holder = await takeSlot(database, run, options, signal);
      try {
        return await send(signal ?? new AbortController().signal);
      } finally {
        await freeSlot(database, run, options, holder, kind);
      }
    },
    holdBack: (forMs) => holdBack(database, options.slotKey, forMs),
  };
}

async function addSlots(database: Database, { slotKey, slots }: GateOptions): Promise<void> {
  await database.query(
    'INSERT INTO slot (slot_key, slot_no) SELECT $1, n FROM generate_series(1, $2::integer) AS n ON CONFLICT DO NOTHING',
    [slotKey, slots],
  );
}

async function holdBack(database: Database, slotKey: string, forMs: number): Promise<void> {
  await database.query(
    `INSERT INTO throttle AS t (slot_key, not_before) VALUES ($1, ledger_now() + $2 * interval '1 millisecond')
     ON CONFLICT (slot_key) DO UPDATE SET not_before = greatest(t.not_before, excluded.not_before)`,
    [slotKey, Math.max(0, Math.ceil(forMs))],
  );
}

async function takeSlot(database: Database, run: RunHandle, options: GateOptions, signal: AbortSignal | undefined): Promise<string> {
  const holder = randomUUID();
  await untilTaken(signal, async () => {
    const [row] = await database.query<{ wait_ms: number }>(
      `SELECT acquire_slot($1, $2, $3, $4 * interval '1 millisecond', $5, $6) AS wait_ms`,
      [options.slotKey, options.slots, holder, options.holdMs, run.deploymentId, run.fence],
    );
    return row?.wait_ms;
  });
  return holder;
}

/** @param ask answers how long to wait, in milliseconds; 0: taken */
async function untilTaken(signal: AbortSignal | undefined, ask: () => Promise<number | undefined>): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const waitMs = (await ask()) ?? longestWaitMs;
    if (waitMs === 0) return;
    // A little spread, so that waiters do not all ask again in the same millisecond.
    await sleep(Math.min(waitMs, longestWaitMs) * (0.75 + Math.random() * 0.5), undefined, signal ? { signal } : {});
  }
}

/** Frees the slot and counts the request in one statement. */
async function freeSlot(database: Database, run: RunHandle, options: GateOptions, holder: string, kind: CallKind): Promise<void> {
  // Writes are counted per record with their outcome, not per request.
  const counted = kind === 'azure' || kind === 'serviceNowReads';
  await database.query(
    `WITH freed AS (UPDATE slot SET holder = NULL, held_until = NULL WHERE slot_key = $1 AND holder = $2)
     SELECT CASE WHEN $3 THEN add_tally($4, '', $5, 1) END`,
    [options.slotKey, holder, counted, run.runId, kind],
  );
}

/**
 * The gate of a person's question, which belongs to no run: it shares the slots and the `not_before` of everybody else, and is counted
 * nowhere. @param options as for {@link createGate}
 */
export async function createReadingGate(database: Database, options: GateOptions): Promise<Gate> {
  await addSlots(database, options);
  return {
    async pass(_kind, send, signal) {
      const holder = randomUUID();
      await untilTaken(signal, async () => {
        const [row] = await database.query<{ wait_ms: number }>(
          `SELECT acquire_slot_for_reading($1, $2, $3, $4 * interval '1 millisecond') AS wait_ms`,
          [options.slotKey, options.slots, holder, options.holdMs],
        );
        return row?.wait_ms;
      });
      try {
        return await send(signal ?? new AbortController().signal);
      } finally {
        await database.query('UPDATE slot SET holder = NULL, held_until = NULL WHERE slot_key = $1 AND holder = $2', [
          options.slotKey,
          holder,
        ]);
      }
    },
    holdBack: (forMs) => holdBack(database, options.slotKey, forMs),
  };
}
