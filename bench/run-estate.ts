/**
 * Runs an estate once more and once again, and says where the time goes.
 *
 *   node bench/run-estate.ts [generated:7:20000] [--deployment <name>] [--profile <folder>]
 *
 * Prints for the first and the second run: wall seconds, events and the largest payload of the histories, the worker's CPU seconds and
 * peak memory, and the slowest statements and requests. With --profile the worker writes a CPU profile there.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { acquireEmbeddedPostgres } from '../src/ledger/server/index.ts';
import { connectTemporal } from '../src/temporal/connect.ts';
import { acquireTemporalDevServer } from '../src/temporal/dev-server.ts';
import { ensureSearchAttributes } from '../src/temporal/search-attributes.ts';
import { createEngine, endProcess, startLab } from '../test/e2e/harness.ts';
import { historiesOfRun, largestPayload } from '../test/e2e/histories.ts';

interface Total {
  readonly name: string;
  readonly n: number;
  readonly ms: number;
  readonly longestMs: number;
  readonly rows: number;
}

interface Measured {
  readonly peakRssBytes: number;
  readonly cpuSeconds: number;
  readonly statements: readonly Total[];
  readonly requests: readonly Total[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { deployment: { type: 'string' }, profile: { type: 'string' } },
});
const estate = positionals[0] ?? 'generated:7:20000';
const dir = mkdtempSync(join(tmpdir(), 'defender-sync-bench-'));
const releases: (() => Promise<unknown>)[] = [async () => rmSync(dir, { recursive: true, force: true })];
try {
  await measure();
} finally {
  for (const release of releases.reverse()) await release();
}

async function measure(): Promise<void> {
  const postgres = await acquireEmbeddedPostgres({ dir: join(dir, 'postgresql') });
  releases.push(postgres.release);
  const temporal = await acquireTemporalDevServer({
    dir: join(dir, 'temporal'),
    environment: process.env,
    preferredPorts: { frontend: 0, ui: 0 },
  });
  releases.push(temporal.release);
  const { client, connection } = await connectTemporal(temporal);
  releases.push(() => connection.close());
  await ensureSearchAttributes(connection, temporal.namespace);
  const lab = await startLab(estate);
  releases.push(() => lab.stop());
  const engine = await createEngine(lab, {
    ledgerUrl: postgres.url,
    temporalAddress: temporal.address,
    namespace: temporal.namespace,
    taskQueue: 'defender-sync',
  });
  releases.push(() => engine.remove());
  const deployments = values.deployment === undefined ? engine.deployments : [values.deployment];
  for (const round of ['first', 'second']) {
    const worker = await startMeasuredWorker(engine.configFile, round);
    const startedMs = performance.now();
    for (const deployment of deployments) {
      const { code, stdout, stderr } = await engine.cli('sync', deployment, '--json');
      if (code !== 0) throw new Error(`sync ended with ${code}:\n${stderr}\n${stdout}`);
    }
    const seconds = (performance.now() - startedMs) / 1000;
    const measured = await worker.stop();
    console.log(`\n# ${estate}, ${round} run of ${deployments.join(' and ')}: ${seconds.toFixed(1)} s`);
    console.log(`worker: ${measured.cpuSeconds.toFixed(1)} CPU seconds, ${(measured.peakRssBytes / 2 ** 20).toFixed(0)} MiB at most`);
    for (const deployment of deployments) {
      const histories = await historiesOfRun(client, deployment);
      const events = histories.map(({ workflowId, history }) => `${workflowId} ${history.events?.length ?? 0}`);
      const all = histories.reduce((sum, { history }) => sum + (history.events?.length ?? 0), 0);
      const largest = Math.max(...histories.map(({ history }) => largestPayload(history).sizeBytes));
      console.log(`${deployment}: ${all} events (${events.join(', ')}), largest payload ${largest} bytes`);
    }
    printTotals('statements', measured.statements);
    printTotals('requests', measured.requests);
  }
}

function printTotals(title: string, totals: readonly Total[]): void {
  const allMs = totals.reduce((sum, { ms }) => sum + ms, 0);
  console.log(`\n${title}: ${totals.reduce((sum, { n }) => sum + n, 0)}, ${(allMs / 1000).toFixed(1)} s in all`);
  for (const { name, n, ms, longestMs, rows } of totals.slice(0, 18)) {
    const columns = [`${(ms / 1000).toFixed(2)} s`, `${n} ×`, `max ${longestMs.toFixed(0)} ms`, `${rows} rows`];
    console.log(`  ${columns.join('  ').padEnd(46)}  ${name.slice(0, 150)}`);
  }
}

/** `defender-sync up`, with the measuring module loaded before it. */
async function startMeasuredWorker(configFile: string, round: string): Promise<{ stop(): Promise<Measured> }> {
  const output = join(dir, `measured-${round}.json`);
  const profile =
    values.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', values.profile, '--cpu-prof-name', `${round}.cpuprofile`];
  const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  const child = spawn(
    process.execPath,
    [...profile, '--import', here('./measure-worker.mjs'), here('../src/cli/main.ts'), '--config', configFile, 'up'],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, BENCH_MEASURE_OUTPUT: output } },
  );
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('Ready.')) resolve();
    });
    child.once('exit', () => reject(new Error(`The worker ended:\n${log}`)));
  });
  return {
    stop: async () => {
      const ended = once(child, 'exit');
      await endProcess(child, 'SIGTERM');
      await ended.catch(() => undefined);
      return JSON.parse(readFileSync(output, 'utf8')) as Measured;
    },
  };
}
