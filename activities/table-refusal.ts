/**
 * One record that is refused is parked, and the rest goes on. A table that refuses everybody's records by its ACL is another matter:
 * a role was taken away, or was never given, and the run waits for a person instead of parking a million records one by one (design §4).
 */
import { SyncError } from '../src/errors.ts';
import { tryWrites } from '../src/preflight/index.ts';
import { rightTo, type WriteResult } from '../src/servicenow/index.ts';
import type { Answered, ClaimWork } from './claim-work.ts';

type Refused = Extract<WriteResult, { result: 'refused' }>;

const byRight: ReadonlySet<Refused['kind']> = new Set(['acl', 'oauth-scope']);

/** Fewer refused creates than this may be about the records: nothing else can be asked whether a table takes new ones. */
const fewestCreates = 2;

/**
 * The error that parks the run, where a whole request was refused for want of a right; undefined where anything speaks for the records
 * being the reason. Tables that the sync can do without never park it.
 */
export async function tableRefusal(work: ClaimWork, answered: readonly Answered[]): Promise<SyncError | undefined> {
  const { mapped, publisher, claim } = work;
  const { createsTaken } = publisher.context;
  const taken = `${publisher.run.runId}/${claim.table}`;
  if (answered.some(({ send, result }) => send.sysId === undefined && result.result === 'written')) createsTaken.add(taken);
  if (rightTo(claim.table)?.indispensable !== true) return undefined;
  const refusals = answered.flatMap(({ result }) => (result.result === 'refused' && byRight.has(result.kind) ? [result] : []));
  const [first] = refusals;
  if (first === undefined || refusals.length < answered.length) return undefined;
  const creates = answered.filter(({ send }) => send.sysId === undefined).length;
  const takesNone = creates >= fewestCreates && !createsTaken.has(taken);
  if (!takesNone && !(await refusesUpdates(work))) return undefined;
  const what = creates === 0 ? 'changes of records' : creates === answered.length ? 'new records' : 'new and changed records';
  return new SyncError({
    kind: 'forbidden',
    service: 'servicenow',
    status: first.status,
    code: first.kind,
    message: `${mapped.name} takes no ${what}: all ${answered.length} of a request were refused (${first.kind}: ${first.reason}).`,
    remedy: first.remedy,
  });
}

/** Of nobody's record: what refuses that is the table, not the record. */
async function refusesUpdates({ mapped, publisher: { client, step } }: ClaimWork): Promise<boolean> {
  const trials = await tryWrites(client, [mapped.name], step.signal);
  return trials.get(mapped.name)?.proof === 'denied';
}
