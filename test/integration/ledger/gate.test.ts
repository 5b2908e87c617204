/** The gate of an instance or tenant: slots over all processes, one `not_before` for all, fences (design §2, throttle). */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { countCalls, createGate, createReadingGate, type GateOptions, type RunHandle } from '../../../src/ledger/index.ts';
import type { CallKind, Gate } from '../../../src/model.ts';
import { failureOf, minuteMs, withLedger } from './open.ts';

const ledger = withLedger();
const options: GateOptions = { slotKey: 'servicenow:https://instance.example', slots: 3, holdMs: minuteMs };
const gateOf = (run: RunHandle, changed: Partial<GateOptions> = {}): Promise<Gate> =>
  createGate(ledger.database, run, { ...options, ...changed });

/** Counts how many are inside at once. */
function turnstile(): { enter(forMs: number): Promise<void>; most: number; passed: number } {
  let inside = 0;
  const counter = {
    most: 0,
    passed: 0,
    enter: async (forMs: number) => {
      inside += 1;
      counter.most = Math.max(counter.most, inside);
      await sleep(forMs);
      inside -= 1;
      counter.passed += 1;
    },
  };
  return counter;
}

async function heldSlots(): Promise<number> {
  const [row] = await ledger.database.query<{ n: number }>('SELECT count(*)::integer AS n FROM slot WHERE holder IS NOT NULL');
  return row?.n ?? 0;
}

describe('slots', () => {
  test('never more than there are, under fifty passes of two deployments in two processes', async () => {
    const other = await ledger.another();
    const gates = [await gateOf(await ledger.begin('a')), await createGate(other.database, await ledger.begin('b', 1), options)];
    const inside = turnstile();
    await Promise.all(Array.from({ length: 50 }, (_, index) => (gates[index % 2] as Gate).pass('azure', () => inside.enter(10))));
    expect(inside.passed).toBe(50);
    expect(inside.most).toBeLessThanOrEqual(3);
    expect(inside.most).toBeGreaterThan(1);
    expect(await heldSlots()).toBe(0);
  });

  test('are counted for each instance and tenant by itself', async () => {
    const run = await ledger.begin();
    const gates = [await gateOf(run, { slotKey: 'x', slots: 1 }), await gateOf(run, { slotKey: 'y', slots: 1 })];
    let done = false;
    await gates[0]?.pass('azure', async () => {
      await gates[1]?.pass('azure', () => Promise.resolve());
      done = true;
    });
    expect(done).toBe(true);
  });

  test('follow the configuration when it is changed', async () => {
    const run = await ledger.begin();
    await gateOf(run, { slots: 6 });
    const [fewer, more] = [turnstile(), turnstile()];
    const narrow = await gateOf(run, { slots: 1 });
    await Promise.all(Array.from({ length: 6 }, () => narrow.pass('azure', () => fewer.enter(5))));
    expect(fewer.most).toBe(1);
    const wide = await gateOf(run, { slots: 8 });
    await Promise.all(Array.from({ length: 24 }, () => wide.pass('azure', () => more.enter(100))));
    expect(more.most).toBe(8);
  });

  test('are given back when the request fails', async () => {
    const gate = await gateOf(await ledger.begin(), { slots: 1 });
    expect(await failureOf(gate.pass('azure', () => Promise.reject(new Error('no answer'))))).toMatchObject({ message: 'no answer' });
    await gate.pass('azure', () => Promise.resolve());
    expect(await heldSlots()).toBe(0);
  });

  test('of a holder that died become free by the clock of the database', async () => {
    const run = await ledger.begin();
    const gate = await gateOf(run, { slots: 1 });
    await ledger.database.query(`UPDATE slot SET holder = gen_random_uuid(), held_until = ledger_now() + interval '1 minute'`);
    let passed = false;
    const waiting = gate.pass('azure', () => {
      passed = true;
      return Promise.resolve();
    });
    await sleep(300);
    expect(passed).toBe(false);
    await ledger.advance(minuteMs + 1_000);
    await waiting;
    expect(passed).toBe(true);
  });

  test('a holder that was thought dead does not free the slot of the one who took it', async () => {
    const gate = await gateOf(await ledger.begin(), { slots: 1, holdMs: 50 });
    let finishFirst = (): void => undefined;
    const first = gate.pass('azure', () => new Promise<void>((resolve) => (finishFirst = resolve)));
    await sleep(150);
    let finishSecond = (): void => undefined;
    const taken = new Promise<void>((resolve) => {
      void gate.pass('azure', () => {
        resolve();
        return new Promise<void>((done) => (finishSecond = done));
      });
    });
    await taken;
    finishFirst();
    await first;
    expect(await heldSlots()).toBe(1);
    finishSecond();
  });

  test('are not waited for by one who was told to stop', async () => {
    const gate = await gateOf(await ledger.begin(), { slots: 1 });
    const stop = new AbortController();
    await gate.pass('azure', async () => {
      const waiting = failureOf(gate.pass('azure', () => Promise.resolve(), stop.signal));
      await sleep(50);
      stop.abort(new Error('stopped'));
      expect(await waiting).not.toBe('nothing');
    });
    expect(await heldSlots()).toBe(0);
  });
});

describe('a 429', () => {
  test('holds back everybody, in every process and deployment, for as long as it says', async () => {
    const other = await ledger.another();
    const seen = await gateOf(await ledger.begin('a'));
    const elsewhere = await createGate(other.database, await ledger.begin('b', 1), options);
    await seen.holdBack(700);
    const startedAtMs = performance.now();
    await Promise.all([seen, elsewhere].map((gate) => gate.pass('azure', () => Promise.resolve())));
    // The ledger's clock decides; ours may be a hair's breadth off.
    expect(performance.now() - startedAtMs).toBeGreaterThan(650);
  });

  test('never shortens what another one said', async () => {
    const gate = await gateOf(await ledger.begin());
    await gate.holdBack(60_000);
    await gate.holdBack(1);
    const [row] = await ledger.database.query<{ ms: number }>(
      'SELECT (extract(epoch FROM not_before - ledger_now()) * 1000)::integer AS ms FROM throttle',
    );
    expect(row?.ms).toBeGreaterThan(50_000);
  });

  test('of one instance does not hold back another', async () => {
    const run = await ledger.begin();
    await (await gateOf(run, { slotKey: 'x' })).holdBack(60_000);
    await (await gateOf(run, { slotKey: 'y' })).pass('azure', () => Promise.resolve());
    expect(await heldSlots()).toBe(0);
  });
});

describe('a run that is no longer the newest', () => {
  test('sends nothing more, also when it was waiting already; what is in flight ends in peace', async () => {
    const old = await ledger.begin();
    const gate = await gateOf(old, { slots: 1 });
    let finish = (): void => undefined;
    let sent = 0;
    const inFlight = gate.pass('azure', () => new Promise<string>((resolve) => (finish = () => resolve('answer'))));
    await sleep(50);
    const waiting = failureOf(
      gate.pass('azure', () => {
        sent += 1;
        return Promise.resolve();
      }),
    );
    await ledger.begin();
    expect(await waiting).toBe('fenced-out');
    finish();
    expect(await inFlight).toBe('answer');
    expect(sent).toBe(0);
    expect(await heldSlots()).toBe(0);
  });
});

test('requests are counted for the report; writes are not, because they count by record', async () => {
  const run = await ledger.begin();
  const gate = await gateOf(run);
  const kinds: CallKind[] = ['azure', 'azure', 'serviceNowReads', 'serviceNowWrites', 'serviceNowBookkeeping'];
  await Promise.all(kinds.map((kind) => gate.pass(kind, () => Promise.resolve())));
  expect(await countCalls(ledger.database, run)).toEqual({ azure: 2, serviceNowReads: 1, serviceNowWrites: 0, serviceNowBookkeeping: 0 });
});

describe('the gate of a question that belongs to no run', () => {
  test('shares the slots and the not_before of the runs, frees what it took, and is counted nowhere', async () => {
    const run = await ledger.begin();
    const gates = [await gateOf(run, { slots: 2 }), await createReadingGate(ledger.database, { ...options, slots: 2 })];
    const inside = turnstile();
    await Promise.all(Array.from({ length: 30 }, (_, index) => (gates[index % 2] as Gate).pass('serviceNowReads', () => inside.enter(5))));
    expect(inside).toMatchObject({ passed: 30, most: 2 });
    expect(await heldSlots()).toBe(0);
    expect((await countCalls(ledger.database, run)).serviceNowReads).toBe(15);
    await gates[0]?.holdBack(300);
    const startedMs = performance.now();
    await gates[1]?.pass('serviceNowReads', () => Promise.resolve());
    expect(performance.now() - startedMs).toBeGreaterThan(200);
  });

  test('holds back the runs when it is throttled', async () => {
    const run = await gateOf(await ledger.begin());
    await (await createReadingGate(ledger.database, options)).holdBack(300);
    const startedMs = performance.now();
    await run.pass('serviceNowReads', () => Promise.resolve());
    expect(performance.now() - startedMs).toBeGreaterThan(200);
  });
});
