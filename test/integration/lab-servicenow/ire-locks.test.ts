import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { item, runBatch } from './batch-helper.ts';
import { chain, codes, ENGINE_PROPERTY, errorsOf, HOSTED, itemsOf, operations, resource, rows, setProperty } from './ire-payloads.ts';
import { ENGINE_SOURCE, startLab, type Answer, type StartedLab } from './start.ts';

/** A payload of 14 resources writes 31 records and so keeps its locks for 1.2 s: time enough for others to come. */
const PER_WRITE_MS = 40;
const MANY = 14;
const MUTEX_MS = 100;
const resources = (name: string, count = 2): ReturnType<typeof resource>[] =>
  Array.from({ length: count }, (_, index) => resource(`/${name}/${String(index)}`));

let started: StartedLab;

beforeAll(async () => {
  started = await startLab({ latency: { perWriteMs: PER_WRITE_MS }, batchQuotaMs: 300 });
});
afterAll(() => started.stop());

type Call = () => ReturnType<StartedLab['ire']>;

/** Sends a large payload, and then the others in this order once it holds the locks: a commit is seen before its time is spent. */
async function behind(accountId: string, name: string, calls: Record<string, Call>): Promise<{ others: Answer[]; finished: string[] }> {
  const finished: string[] = [];
  const track = async (label: string, answer: Promise<Answer>): Promise<Answer> => {
    const received = await answer;
    finished.push(label);
    return received;
  };
  const first = track(name, started.ire(chain(accountId, resources(name, MANY))));
  const isSeen = (): boolean => started.lab.store.equal('cmdb_ci_cmp_resource', 'object_id', [`/${name}/0`]).length > 0;
  while (!isSeen()) await sleep(5);
  const running: Promise<Answer>[] = [];
  for (const [label, call] of Object.entries(calls)) {
    running.push(track(label, call()));
    await sleep(100);
  }
  await first;
  return { others: await Promise.all(running), finished };
}

describe('IRE locks (servicenow.md §5.1: LOCK_TIMEOUT, ABANDONED, best practice)', () => {
  it('payloads with a common account work one after the other, in the order they come; others beside them', async () => {
    const send = (name: string, accountId: string) => () => started.ire(chain(accountId, resources(name)));
    const calls = { b: send('b', 'lock-1'), beside: send('beside', 'lock-2'), c: send('c', 'LOCK-1') };
    const { others, finished } = await behind('lock-1', 'a', calls);
    expect(finished).toEqual(['beside', 'a', 'b', 'c']);
    // Another spelling is the same lock and the same record, with a value to update.
    expect(others.map(operations)).toEqual([
      ['NO_CHANGE', 'NO_CHANGE', 'INSERT', 'INSERT'],
      ['INSERT', 'INSERT', 'INSERT', 'INSERT'],
      ['UPDATE', 'NO_CHANGE', 'INSERT', 'INSERT'],
    ]);
    await expect(rows(started, 'cmdb_ci_cloud_service_account', 'object_id=lock-1')).resolves.toHaveLength(1);
  });

  it('a longer wait than the mutex time-out: LOCK_TIMEOUT for the host, ABANDONED for what hangs on it, and a retry works', async () => {
    const undo = await setProperty(started, `${ENGINE_PROPERTY}.mutex_expiration_time`, String(MUTEX_MS));
    const payload = chain('lock-3', resources('late'));
    const { others } = await behind('lock-3', 'early', { late: () => started.ire(payload) });
    const [late] = others;
    expect(errorsOf(late!)).toEqual([['LOCK_TIMEOUT'], ['ABANDONED'], ['ABANDONED'], ['ABANDONED']]);
    const [host, onHost] = itemsOf(late!);
    expect(host?.errors?.[0]?.message).toMatch(/^Failed to acquire synchronization lock for \{"className":"cmdb_ci_cloud_service_account"/);
    expect(onHost?.errors?.[0]?.message).toMatch(/^Abandoning processing payload item '\{"className":"cmdb_ci_azure_datacenter"/);
    await expect(rows(started, 'cmdb_ci_cmp_resource', 'object_idSTARTSWITH/late')).resolves.toEqual([]);
    expect(operations(await started.ire(payload))).toEqual(['NO_CHANGE', 'NO_CHANGE', 'INSERT', 'INSERT']);
    await undo();
  });

  it('on the enhanced endpoint the other chains of the payload go on', async () => {
    const undo = await setProperty(started, `${ENGINE_PROPERTY}.mutex_expiration_time`, String(MUTEX_MS));
    const [one, other] = [chain('lock-4', resources('held', 1)), chain('lock-5', resources('free', 1))];
    const relations = [0, 3].flatMap((from) => [
      { parent: from + 1, child: from, type: HOSTED },
      { parent: from + 2, child: from + 1, type: HOSTED },
    ]);
    const both = { items: [...one.items, ...other.items], relations };
    const { others } = await behind('lock-4', 'first', { both: () => started.ire(both, '/enhanced') });
    expect(itemsOf(others[0]!).map(codes)).toEqual([['LOCK_TIMEOUT'], ['ABANDONED'], ['ABANDONED'], [], [], []]);
    expect(operations(others[0]!).slice(3)).toEqual(['INSERT', 'INSERT', 'INSERT']);
    await undo();
  });

  it('a simulation takes no lock', async () => {
    const query = (): Promise<Answer> => started.ire(chain('lock-6', resources('six')), '/query');
    const { others, finished } = await behind('lock-6', 'commit', { query });
    expect(finished).toEqual(['query', 'commit']);
    expect(operations(others[0]!)).toEqual(['NO_CHANGE', 'NO_CHANGE', 'INSERT', 'INSERT']);
  });

  it('one global lock where granular locking is off', async () => {
    const undo = await setProperty(started, `${ENGINE_PROPERTY}.granular_insert_locking`, 'false');
    const undoMutex = await setProperty(started, `${ENGINE_PROPERTY}.mutex_expiration_time`, String(MUTEX_MS));
    const { others } = await behind('lock-7', 'seven', { eight: () => started.ire(chain('lock-8', resources('eight'))) });
    expect(errorsOf(others[0]!)[0]).toEqual(['LOCK_TIMEOUT']);
    await undo();
    await undoMutex();
  });

  it('a Batch counts the wait for a lock by its quota; the item that was running is done all the same (servicenow.md §5.4)', async () => {
    const url = `/api/now/identifyreconcile?sysparm_data_source=${encodeURIComponent(ENGINE_SOURCE)}`;
    const batch = [
      item('1', 'POST', url, chain('lock-9', resources('waits'))),
      item('2', 'POST', url, chain('lock-9', resources('never'))),
    ];
    const { others } = await behind('lock-9', 'before', { batch: () => runBatch(started, batch) });
    expect(others[0]?.json).toMatchObject({ serviced_requests: [], unserviced_requests: ['1', '2'] });
    await expect(rows(started, 'cmdb_ci_cmp_resource', 'object_idSTARTSWITH/waits')).resolves.toHaveLength(2);
    await expect(rows(started, 'cmdb_ci_cmp_resource', 'object_idSTARTSWITH/never')).resolves.toEqual([]);
  });
});
