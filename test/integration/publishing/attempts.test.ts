/**
 * Two attempts of one step at work at once: a worker stood still, was given up, and woke up. Temporal hears only the newer one, so
 * whatever the older one does to it may cost a try, and never the run.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import { castToFailure } from '../../../activities/run-step.ts';
import { takeOverClaims, type RunHandle } from '../../../src/ledger/index.ts';
import type { FailpointName } from '../../../src/observability/failpoints.ts';
import { startLab, type StartedLab } from '../lab-servicenow/start.ts';
import { withPostgres } from '../servers.ts';
import { openEngine, type Engine } from './engine.ts';

const postgres = withPostgres();
const table = 'sn_vulc_policy';
let lab: StartedLab;
let engine: Engine;
/** What the older attempt does while the newer one is at that point; once. */
let meanwhile: { readonly at: FailpointName; readonly act: () => Promise<void> } | undefined;

beforeAll(async () => {
  lab = await startLab({ batchQuotaMs: 400 });
  const failpoint = async (reached: FailpointName): Promise<void> => {
    if (reached !== meanwhile?.at) return;
    const { act } = meanwhile;
    meanwhile = undefined;
    await act();
  };
  engine = await openEngine({ ledgerUrl: postgres.url, lab, failpoint });
});
beforeEach(() => engine.reset());
afterAll(async () => {
  await engine.close();
  await lab.stop();
});

async function begin(name: string): Promise<RunHandle> {
  const run = await engine.begin();
  const records = Array.from({ length: 20 }, (_, index) => `${name}-${index}`).map((key) => ({
    table,
    key,
    fields: { source: 'test', source_id: key, short_description: key },
  }));
  await engine.want(run, records);
  return run;
}

const onInstance = (name: string): string[] =>
  [...lab.lab.store.rows(table)].map((row) => row.values['source_id'] ?? '').filter((id) => id.startsWith(`${name}-`));

test.each(['publish.after-claim', 'publish.after-intent', 'publish.after-send'] as const)(
  'the older one takes the claims of the newer one at %s: that one is tried again, and every record is there once',
  async (at) => {
    const run = await begin(at);
    meanwhile = { at, act: () => takeOverClaims(engine.context.ledger.database, run) };
    const failure = await engine.publish(run, [table]).then(
      () => undefined,
      (error: unknown) => castToFailure(error),
    );
    expect(meanwhile).toBeUndefined();
    // Its outcome is not written down where the request was out already, and then the record is looked up: no failure at all.
    if (failure !== undefined) {
      expect(failure).toBeInstanceOf(ApplicationFailure);
      expect(failure).toMatchObject({ type: 'overtaken', nonRetryable: false });
    }
    expect(failure === undefined).toBe(at !== 'publish.after-claim');
    expect(await engine.publish(run, [table])).toBe(0);
    const there = onInstance(at);
    expect(there).toHaveLength(20);
    expect(new Set(there).size).toBe(20);
  },
);
