/** A process that stands still in the middle of a transaction (a paused machine, a stopped container) does not hold up the others for ever. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connectDatabase, type Database } from '../../../src/ledger/database.ts';
import { withPostgres } from '../servers.ts';

const postgres = withPostgres();
const pauseLimitMs = 1_500;
let others: Database;
const frozen: ChildProcess[] = [];

beforeAll(async () => {
  others = connectDatabase({ url: postgres.url, connections: 2 });
  await others.query('CREATE TABLE thing (name text PRIMARY KEY, seen integer NOT NULL DEFAULT 0)');
});
afterAll(async () => {
  for (const child of frozen) child.kill('SIGKILL');
  await others.close();
});

interface LockHolder {
  readonly child: ChildProcess;
  /** The next line that it says; empty when it ends without one. */
  readonly nextLine: () => Promise<string>;
}

/** Locks a row in a transaction and then does what `next` says; its next line says how that ended. */
async function lockInAnotherProcess(name: string, next: string): Promise<LockHolder> {
  await others.query('INSERT INTO thing (name) VALUES ($1)', [name]);
  const script = `
    import { connectDatabase } from ${JSON.stringify(new URL('../../../src/ledger/database.ts', import.meta.url).href)};
    const ledger = connectDatabase({ url: ${JSON.stringify(postgres.url)}, connections: 1, pauseLimitMs: ${pauseLimitMs} });
    const locked = ledger.transaction(async (tx) => {
      await tx.query("UPDATE thing SET seen = 1 WHERE name = '${name}'");
      process.stdout.write('locked\\n');
      ${next}
    });
    await locked.then(() => console.log('committed'), (error) => console.log(error.kind ?? String(error)));
    await ledger.close();`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  frozen.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const line = await lines.next();
    return line.done === true ? '' : line.value;
  };
  expect(await nextLine()).toBe('locked');
  return { child, nextLine };
}

/** A large answer, more than the buffers between the two take. */
const largeAnswer = 'await tx.query("SELECT repeat(\'x\', 1000000) FROM generate_series(1, 300)");';
const nothing = 'await new Promise((resolve) => setTimeout(resolve, 200));';

test.each([
  ['between two statements', 'two-statements', nothing],
  ['while the server sends it a large answer', 'large-answer', largeAnswer],
])('%s: its rows are free after a while, and when it wakes up it is told so', async (_, name, next) => {
  const { child, nextLine } = await lockInAnotherProcess(name, next);
  child.kill('SIGSTOP');
  const [row] = await others.query<{ seen: number }>('UPDATE thing SET seen = seen + 2 WHERE name = $1 RETURNING seen', [name]);
  expect(row).toEqual({ seen: 2 });
  child.kill('SIGCONT');
  expect(await nextLine()).toBe('transient');
});

test('one that only takes its time keeps its transaction', async () => {
  const { nextLine } = await lockInAnotherProcess('slow', `${nothing} await tx.query('SELECT pg_sleep(2)');`);
  expect(await nextLine()).toBe('committed');
  await expect(others.query('SELECT seen FROM thing WHERE name = $1', ['slow'])).resolves.toEqual([{ seen: 1 }]);
});
