/** Intent → send → outcome per record (design §2), with a second step for columns that do not stick on insert (servicenow.md §5.3). */
import { isCertainlyNotDone, isSuperseded, isSyncError } from '../src/errors.ts';
import { intendRecords, type RecordOutcome } from '../src/ledger/index.ts';
import { classifyWrite, cutBatches, type BatchItem, type BatchOutcome } from '../src/servicenow/index.ts';
import type { Answered, ClaimWork, Send } from './claim-work.ts';
import { judgeWrites, type Step } from './judge-writes.ts';
import { learnFrom } from './learn-columns.ts';
import { tableRefusal } from './table-refusal.ts';

/** Sends a claim's records one request after the other, each as large as the table's pace, measured anew, and 5 MB allow. */
export async function sendRecords(work: ClaimWork, sends: readonly Send[]): Promise<void> {
  let waiting = sends;
  while (waiting.length > 0) {
    const { part, tooLarge, rest } = nextPart(work, waiting);
    await work.settle(tooLarge.map(({ record }) => tooLargeOutcome(record.key)));
    try {
      await sendPart(work, part);
    } catch (error) {
      // Those behind it were not even tried.
      if (!isSuperseded(error)) await work.settle(rest.map(({ record }) => released(record.key)));
      throw error;
    }
    waiting = rest;
  }
}

/** What goes into the next request; what fits into none is apart. */
function nextPart(
  work: ClaimWork,
  waiting: readonly Send[],
): { readonly part: readonly Send[]; readonly tooLarge: readonly Send[]; readonly rest: readonly Send[] } {
  const size = work.publisher.context.batchPaces.sizeOf(work.claim.table);
  const items = waiting.slice(0, size).map((send, index) => itemOf(work, send, String(index)));
  const { batches, tooLarge } = cutBatches(items, size);
  const sendsOf = (some: readonly BatchItem[]): Send[] => some.flatMap(({ id }) => waiting.slice(Number(id), Number(id) + 1));
  const part = sendsOf(batches[0] ?? []);
  const left = sendsOf(batches.slice(1).flat());
  return { part, tooLarge: sendsOf(tooLarge), rest: [...left, ...waiting.slice(size)] };
}

function itemOf({ publisher: { client }, mapped }: ClaimWork, { sysId, values }: Send, id: string): BatchItem {
  return sysId === undefined ? client.table.createItem(id, mapped.name, values) : client.table.updateItem(id, mapped.name, sysId, values);
}

function tooLargeOutcome(key: string): RecordOutcome {
  return {
    key,
    outcome: 'parked',
    because: 'the record is larger than the 5 MB that a request may have',
    remedy: 'Shorten the columns of the table in System Definition › Dictionary (Max length): texts are cut to them.',
  };
}

function released(key: string): RecordOutcome {
  return { key, outcome: 'released', afterMs: 0 };
}

/** Certainly not carried out: due again at once. */
function notDone({ record, sysId }: Send): RecordOutcome {
  return { key: record.key, outcome: 'released', afterMs: 0, notDone: true, sysId };
}

async function sendPart(work: ClaimWork, sends: readonly Send[]): Promise<void> {
  if (sends.length === 0) return;
  const secondStep = await sendStep(work, sends, 'first');
  if (secondStep.length > 0) await sendStep(work, secondStep, 'second');
}

/** Returns what has to be written once more. A kill before that leaves those records due, with their sys_id. */
async function sendStep(work: ClaimWork, sends: readonly Send[], step: Step): Promise<readonly Send[]> {
  const { context } = work.publisher;
  const answered = await sendBatch(work, sends);
  if (answered === undefined) return [];
  await context.failpoint('publish.after-send');
  const refusal = await tableRefusal(work, answered);
  if (refusal !== undefined) {
    await work.settle(answered.map(({ send }) => notDone(send)));
    throw refusal;
  }
  const judged = judgeWrites(work, answered, step);
  await work.settle(judged.outcomes);
  await context.failpoint('publish.after-outcome');
  await learnFrom(work, judged);
  return judged.secondStep;
}

/**
 * One request; undefined when its outcome is unknown. Nothing here is sent twice: an unknown outcome is looked up later. The
 * intent is committed with the slot in hand: whoever waited for one for longer than the platform needs to settle, and lost
 * the claim to another attempt meanwhile, learns it there and sends nothing.
 */
async function sendBatch(work: ClaimWork, sends: readonly Send[]): Promise<Answered[] | undefined> {
  const { publisher, claim, mapped } = work;
  const { context, run, client } = publisher;
  const { database, words } = context.ledger;
  let sentAtMs = 0;
  let answers: readonly BatchOutcome[];
  try {
    answers = await client.batch.sendBatch(
      sends.map((send, index) => itemOf(work, send, String(index))),
      {
        kind: mapped.spec.traffic === 'data' ? 'serviceNowWrites' : 'serviceNowBookkeeping',
        effect: 'write',
        beforeSend: async () => {
          await intendRecords(
            database,
            words,
            run,
            claim,
            sends.map(({ record }) => record.key),
          );
          await context.failpoint('publish.after-intent');
          sentAtMs = performance.now();
        },
        signal: publisher.step.signal,
      },
    );
  } catch (error) {
    await settleUnanswered(work, sends, error);
    if (isSyncError(error, 'outcome-unknown')) return undefined;
    throw error;
  }
  measure(work, answers, performance.now() - sentAtMs);
  return sends.map((send, index) => {
    const attempt = { table: mapped.name, operation: send.sysId === undefined ? 'create' : 'update' } as const;
    return { send, result: classifyWrite(answers[index] ?? { outcome: 'unserviced' }, attempt) };
  });
}

/** A refused or throttled batch was certainly not carried out; anything else, including our own cancellation, may have been. */
async function settleUnanswered({ publisher, claim, settle }: ClaimWork, sends: readonly Send[], error: unknown): Promise<void> {
  if (isSyncError(error, 'outcome-unknown') && (error.code === 'transaction-cancelled' || error.code === 'ETIMEDOUT')) {
    publisher.context.batchPaces.measured(claim.table, { sent: sends.length, answered: 0, executionMs: 0, cutShort: true });
  }
  if (isSuperseded(error)) return;
  const certainlyNot = isCertainlyNotDone(error);
  await settle(
    sends.map((send): RecordOutcome => (certainlyNot ? notDone(send) : { key: send.record.key, outcome: 'unknown', sysId: send.sysId })),
  );
}

/** What the platform itself measured, or where it does not say, the time that the request took. */
function measure({ publisher, claim }: ClaimWork, answers: readonly BatchOutcome[], tookMs: number): void {
  const served = answers.filter((answer) => answer.outcome === 'answered');
  const saidMs = served.reduce((sum, answer) => sum + (answer.executionMs ?? 0), 0);
  publisher.context.batchPaces.measured(claim.table, {
    sent: answers.length,
    answered: served.length,
    executionMs: saidMs > 0 ? saidMs : tookMs,
    cutShort: served.length < answers.length,
  });
}
