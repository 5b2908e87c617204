/**
 * The refusal table (refusals.ts), row by row through the engine's own publishing: a real ledger, a local instance over TLS. The rows
 * are played one after the other before the tests, because they share one instance; each test looks at one of them.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isSyncError } from '../../../src/errors.ts';
import type { RunHandle } from '../../../src/ledger/index.ts';
import { startLab, type StartedLab } from '../lab-servicenow/start.ts';
import { withPostgres } from '../servers.ts';
import { openEngine, type Engine, type LedgerRecord } from './engine.ts';
import { refusals, type Act, type Fault, type Row } from './refusals.ts';
import { insertFixtures, wanted, type Fixtures } from './wanted.ts';

const postgres = withPostgres();
let lab: StartedLab;
let engine: Engine;
let fixtures: Fixtures;

interface Played {
  /** Of the record, and of its mate in the same request. */
  readonly outcome: string;
  readonly mate: string;
  /** All that the report, the ledger or the failure say about it. */
  readonly said: string;
  /** Rows of the table that came about, for two records. */
  readonly newRows: number;
  /** After it was put right and the next run has gone by. */
  readonly followed: string | undefined;
}
const played = new Map<Row, Played>();

beforeAll(async () => {
  lab = await startLab({ batchQuotaMs: 400 });
  engine = await openEngine({ ledgerUrl: postgres.url, lab });
  fixtures = insertFixtures(lab);
  for (const [index, row] of refusals.entries()) played.set(row, await play(row, `row-${index}`));
}, 120_000);

afterAll(async () => {
  await engine.close();
  await lab.stop();
});

async function play(row: Row, key: string): Promise<Played> {
  let keys = [key, `${key}-mate`];
  const tables = [row.table];
  const want = async (run: RunHandle, version: number): Promise<void> =>
    engine.want(
      run,
      keys.map((one) => wanted(lab, fixtures, row.table, one, version)),
    );
  await engine.reset();
  await lab.admin('POST', '/servicenow/profile', { profile: 'plain' });
  const before = lab.lab.store.count(row.table);
  if (row.write === 'update') {
    const first = await engine.begin();
    await want(first, 1);
    await engine.publish(first, tables);
  }
  await lab.admin('POST', '/servicenow/profile', { profile: row.profile });
  const version = row.write === 'update' ? 2 : 1;
  const run = await engine.begin();
  await want(run, version);
  if (row.act !== undefined && !('undoes' in row.act)) await act(row, row.act, key);
  lab.lab.log.clear();
  const stopped = await publish(run, tables);
  if (row.act !== undefined && 'undoes' in row.act) {
    const undone = await undo(run, row, row.act.undoes);
    keys = [undone, ...keys.filter((one) => one !== undone)];
  }
  const report = await engine.refusals(run);
  const [record, mate] = await Promise.all(keys.map((one) => engine.record(row.table, one)));
  const behaviours = await engine.behaviours(row.table);
  const isUndone = behaviours.some(({ behaviour }) => behaviour === 'undone');
  const outcomeOf = (one: LedgerRecord | undefined): string =>
    stopped !== undefined ? 'stopped' : isUndone ? 'left-out' : judge(row, one);
  const said = JSON.stringify([record?.reason, record?.remedy, report, stopped ?? '', behaviours]).replaceAll('\\"', '"');
  const result = { outcome: outcomeOf(record), mate: outcomeOf(mate), said, newRows: lab.lab.store.count(row.table) - before };
  await putRight(row, key);
  return { ...result, followed: await follow(row, keys[0] ?? key) };
}

/** As Temporal does: what may pass is tried again. Returns what ends the integration. */
async function publish(run: RunHandle, tables: readonly string[]): Promise<string | undefined> {
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    try {
      await engine.publish(run, tables);
      return undefined;
    } catch (error) {
      if (!isSyncError(error)) throw error;
      const passes = ['throttled', 'transient', 'outcome-unknown', 'malformed-answer'].includes(error.kind);
      if (!passes) return `${error.message} ${error.remedy ?? ''}`;
    }
  }
  return 'tried for ever';
}

/** What became of a record, by the ledger and by what is on the instance. */
function judge(row: Row, record: LedgerRecord | undefined): string {
  if (record === undefined) return 'unknown to the ledger';
  if (record.parked) return 'parked';
  const stored = record.sysId === null ? undefined : lab.lab.store.find(row.table, record.sysId);
  if (!record.isPublished || stored === undefined) return 'neither published nor parked';
  if (record.without !== null) return 'left-out';
  const patches = lab.lab.log
    .recent()
    .filter(({ method, url, status }) => method === 'PATCH' && status === 200 && url.includes(stored.sysId));
  if (row.write === 'create' && patches.length > 0) return 'patched';
  return row.outcome === 'retried' ? 'retried' : 'written';
}

async function act(row: Row, what: Act, key: string): Promise<void> {
  const { table } = row;
  const filled = (text: string): string => text.replaceAll('{key}', key);
  if ('revoke' in what) await lab.admin('POST', '/servicenow/access', { table, operation: what.revoke, roles: ['nobody'] });
  else if ('guard' in what) {
    const { guard: columns, effect, on = ['create', 'write'] } = what;
    await lab.admin('POST', '/servicenow/field-restrictions', { table, columns, effect, on });
  } else if ('rule' in what) {
    await lab.admin('POST', '/servicenow/policies', { kind: 'business-rule', table, name: what.rule, condition: filled(what.condition) });
  } else if ('dataPolicy' in what) {
    const condition = filled(what.condition ?? '');
    await lab.admin('POST', '/servicenow/policies', { kind: 'data-policy', table, mandatory: what.dataPolicy, condition });
  } else if ('has' in what) {
    await lab.admin(
      'POST',
      `/servicenow/rows/${table}`,
      Object.fromEntries(Object.entries(what.has).map(([name, value]) => [name, filled(value)])),
    );
  } else if ('deleted' in what) {
    await lab.admin('DELETE', `/servicenow/rows/${table}/${(await engine.record(table, key))?.sysId ?? ''}`);
  } else if ('batch' in what) {
    const method = row.write === 'create' ? 'POST' : 'PATCH';
    addFault(
      { method: 'POST', pathPrefix: '/api/now/v1/batch', bodyIncludes: `"method":"${method}","url":"/api/now/table/${table}` },
      what.batch,
      what.times,
    );
  } else if ('item' in what) {
    const method = row.write === 'create' ? 'POST' : 'PATCH';
    addFault({ method, pathPrefix: `/api/now/table/${table}`, bodyIncludes: `"${key}"` }, what.item, what.times);
  }
}

function addFault(match: Parameters<StartedLab['lab']['faults']['add']>[0]['match'], action: Fault, times: number | undefined): void {
  lab.lab.faults.add({ match, action, ...(times === undefined ? {} : { times }) });
}

/** Something on the instance changes the column of the record that will be read again: whichever was answered first. Returns its key. */
async function undo(run: RunHandle, { table }: Row, column: string): Promise<string> {
  const [noted] = await engine.context.ledger.database.query<{ sys_id: string }>('SELECT sys_id FROM read_back');
  const stored = lab.lab.store.find(table, noted?.sys_id ?? '');
  if (stored === undefined) throw new Error('No record is noted to be read again.');
  lab.lab.store.update(stored, { [column]: 'changed by the platform' }, 'system');
  await engine.publish(run, [table], { waitForReadBacks: true });
  return stored.values['source_id'] ?? '';
}

async function putRight(row: Row, key: string): Promise<void> {
  lab.lab.faults.clear();
  await lab.admin('DELETE', '/servicenow/field-restrictions');
  await lab.admin('DELETE', '/servicenow/policies');
  // A role that the integration user has.
  if (row.act !== undefined && 'revoke' in row.act) {
    await lab.admin('POST', '/servicenow/access', { table: row.table, operation: row.act.revoke, roles: ['itil'] });
  }
  if (row.putRightBy !== undefined) {
    await act(row, row.putRightBy, key);
    await act(row, row.putRightBy, `${key}-mate`);
  }
}

/** The next run of a record that was parked, or whose integration was stopped. */
async function follow(row: Row, key: string): Promise<string | undefined> {
  if (row.outcome !== 'parked' && row.outcome !== 'stopped') return undefined;
  if (row.followsNot === true) return undefined;
  const next = await engine.begin();
  await publish(next, [row.table]);
  const record = await engine.record(row.table, key);
  return judge({ ...row, write: 'update', outcome: 'written' }, record);
}

const title = ({ profile, table, write, act: what, outcome }: Row): string =>
  `${profile}: ${write} ${table}${what === undefined ? '' : `, ${JSON.stringify(what).slice(0, 110)}`} → ${outcome}`;

describe('the refusal table', () => {
  test('has enough rows of every outcome, and none twice', () => {
    expect(refusals.length).toBeGreaterThanOrEqual(40);
    expect(new Set(refusals.map((row) => JSON.stringify(row))).size).toBe(refusals.length);
    expect(new Set(refusals.map(({ outcome }) => outcome)).size).toBe(6);
  });

  test.each(refusals.map((row) => [title(row), row] as const))('%s', (_, row) => {
    const { outcome, mate, said, newRows, followed } = played.get(row)!;
    expect({ outcome, mate }).toEqual({ outcome: row.outcome, mate: row.mate ?? row.outcome });
    for (const words of row.says ?? []) expect(said).toContain(words);
    // Nothing is ever doubled.
    expect(newRows).toBeLessThanOrEqual(2);
    if (row.outcome === 'parked' && row.followsNot !== true) expect(followed).toMatch(/^(written|left-out)$/);
    if (row.outcome === 'stopped') expect(followed).toBe('written');
  });
});
