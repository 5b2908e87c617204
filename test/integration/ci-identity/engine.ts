/**
 * The engine's own steps over a real ledger and the lab over TLS, without workflows around them: what is observed is given, all that
 * follows is done by the activities themselves.
 */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll } from '@jest/globals';
import type { ActivityContext } from '../../../activities/context.ts';
import { createContext } from '../../../activities/create-context.ts';
import { derive, deriveForCis } from '../../../activities/derive.ts';
import type { Left } from '../../../activities/observe.ts';
import { prepareInstance } from '../../../activities/publish-engine-records.ts';
import { publish, publishTables } from '../../../activities/publish.ts';
import { resolveCis } from '../../../activities/resolve-cis.ts';
import { beginRun } from '../../../activities/run-lifecycle.ts';
import type { StepScope } from '../../../activities/run-step.ts';
import { loadConfiguration } from '../../../src/config/index.ts';
import { parseAssessment } from '../../../src/integrations/assessments.ts';
import { claimScan, commitPage, openRun, openScans } from '../../../src/ledger/index.ts';
import type { JsonObject } from '../../../src/model.ts';
import { createLogger } from '../../../src/observability/logger.ts';
import type { CheckFinding, RunRef } from '../../../workflows/contract.ts';
import { startLab, type StartedLab } from '../lab-servicenow/start.ts';
import { withPostgres } from '../servers.ts';

export type Row = Readonly<Record<string, string>>;

export const deployments = ['one', 'two'] as const;
export type Deployment = (typeof deployments)[number];

export interface TestEngine {
  readonly lab: StartedLab;
  readonly context: ActivityContext;
  /** Rows of the lab, a table's whole content. */
  rows(table: string): Promise<Row[]>;
  /** Adds a row; a `sys_id` may be chosen. */
  insert(table: string, values: Row): Promise<Row>;
  change(table: string, sysId: string, values: Row): Promise<void>;
  remove(table: string, sysId: string): Promise<void>;
  /** One run: these assessments are observed, then everything up to the published results. */
  run(deployment: Deployment, assessments: readonly JsonObject[]): Promise<RunRef>;
  /** The first half of a run: observed and derived. */
  observe(deployment: Deployment, assessments: readonly JsonObject[]): Promise<RunRef>;
  resolve(run: RunRef): Promise<void>;
  publish(run: RunRef): Promise<void>;
  /** Derives what hangs on CIs, without publishing it. */
  deriveForCis(run: RunRef): Promise<void>;
  /** Publishes some tables only. */
  publishTables(run: RunRef, tables: readonly string[]): Promise<void>;
  /** What the last run said about the instance before it began. */
  readonly findings: readonly CheckFinding[];
  /** Moves both clocks. */
  advance(byMs: number): Promise<void>;
}

const step: StepScope = { at: () => undefined, signal: new AbortController().signal, timeIsUp: () => false };

/** One lab and one ledger for a test file. */
export function withEngine(options: Parameters<typeof startLab>[0] = {}): TestEngine {
  const postgres = withPostgres();
  let lab: StartedLab | undefined;
  let opened: Awaited<ReturnType<typeof createContext>> | undefined;
  beforeAll(async () => {
    lab = await startLab(options);
    opened = await open(lab, postgres.url);
  }, 120_000);
  afterAll(async () => {
    await opened?.close();
    await lab?.stop();
  });
  const started = (): StartedLab => must(lab);
  const context = (): ActivityContext => must(opened).context;
  const inputOf = (run: RunRef) => ({ run, integration: 'assessments' }) as const;
  let findings: readonly CheckFinding[] = [];
  const engine: TestEngine = {
    get findings() {
      return findings;
    },
    get lab() {
      return started();
    },
    get context() {
      return context();
    },
    rows: async (table) => (await started().admin('GET', `/servicenow/rows/${table}`)).rows,
    insert: async (table, values) => must((await started().admin('POST', `/servicenow/rows/${table}`, values)).rows[0]),
    change: async (table, sysId, values) => {
      await started().admin('PATCH', `/servicenow/rows/${table}/${sysId}`, values);
    },
    remove: async (table, sysId) => {
      await started().admin('DELETE', `/servicenow/rows/${table}/${sysId}`);
    },
    run: async (deployment, assessments) => {
      const run = await engine.observe(deployment, assessments);
      await engine.resolve(run);
      await engine.publish(run);
      return run;
    },
    observe: async (deployment, assessments) => {
      const run = await beginRun(context(), { deployment, mode: 'sync', workflowRunId: randomUUID() });
      findings = await prepareInstance(context(), run, step);
      await commitAssessments(context(), run, assessments);
      await untilDone(engine, () => derive(context(), inputOf(run), step));
      return run;
    },
    resolve: (run) => untilDone(engine, () => resolveCis(context(), inputOf(run), step)),
    publish: async (run) => {
      await engine.deriveForCis(run);
      await untilDone(engine, () => publish(context(), inputOf(run), step));
    },
    deriveForCis: (run) => untilDone(engine, () => deriveForCis(context(), inputOf(run), step)),
    publishTables: async (ref, tables) => {
      const run = await openRun(context().ledger.database, ref.run, ref.fence);
      const { serviceNow: client } = await context().clientsOf(run);
      const publisher = { context: context(), run, integration: 'assessments', client, step } as const;
      await untilDone(engine, () => publishTables(publisher, tables));
    },
    advance: async (byMs) => {
      started().clock.advance(byMs);
      await context().ledger.database.query(`UPDATE ledger SET clock_shift = clock_shift + $1 * interval '1 millisecond'`, [byMs]);
    },
  };
  return engine;
}

/** Waits are slept through by the clocks. */
async function untilDone(engine: TestEngine, work: () => Promise<Left>): Promise<void> {
  for (let round = 0; round < 50; round += 1) {
    const { left, readyInMs } = await work();
    if (left === 0) return;
    if (readyInMs > 0) await engine.advance(readyInMs + 1);
  }
  throw new Error('the step does not come to an end');
}

async function open(lab: StartedLab, ledgerUrl: string): ReturnType<typeof createContext> {
  const secret = async (name: string, text: string): Promise<{ file: string }> => {
    const file = join(lab.dir, `secret-${name}`);
    await writeFile(file, text, { mode: 0o600 });
    return { file };
  };
  const user = must(lab.lab.users.find(({ userName }) => userName === 'defender.sync'));
  const unused = 'https://127.0.0.1:9';
  const configuration = {
    stateDir: join(lab.dir, 'state'),
    ledger: { url: await secret('ledger', ledgerUrl) },
    serviceNow: {
      url: lab.lab.url,
      caFile: join(lab.dir, 'ca.pem'),
      auth: { type: 'basic', userName: user.userName, password: await secret('servicenow', user.password) },
    },
    deployments: await Promise.all(
      deployments.map(async (name, index) => ({
        name,
        azure: {
          cloud: 'custom',
          authorityHost: unused,
          resourceManager: unused,
          graph: unused,
          tenantId: `00000000-0000-4000-8000-00000000000${index}`,
          clientId: '00000000-0000-4000-8000-00000000000a',
          credential: { clientSecret: await secret(`azure-${index}`, 'never used') },
        },
        scope: { subscriptions: ['00000000-0000-4000-8000-00000000000b'] },
      })),
    ),
  };
  const file = join(lab.dir, 'defender-sync.yaml');
  await writeFile(file, stringify(configuration));
  return createContext({
    config: loadConfiguration(file),
    ledgerUrl,
    clock: { nowMs: () => lab.clock.nowMs() },
    log: createLogger({ level: 'silent' }),
    failpoint: () => Promise.resolve(),
  });
}

const rowsPerPage = 1_000;

async function commitAssessments(context: ActivityContext, ref: RunRef, rows: readonly JsonObject[]): Promise<void> {
  const { database, words } = context.ledger;
  const run = await openRun(database, ref.run, ref.fence);
  const scope = { kind: 'tenant', id: 'given' } as const;
  await openScans(database, run, 'assessments', [{ readName: 'assessments', stage: 1, scope }]);
  const claim = must(await claimScan(database, run, 'assessments', 600_000));
  for (let page = 0; page * rowsPerPage < rows.length || page === 0; page += 1) {
    const outcomes = rows.slice(page * rowsPerPage, (page + 1) * rowsPerPage).map(parseAssessment);
    const isLast = (page + 1) * rowsPerPage >= rows.length;
    const nextCursor = isLast ? undefined : ({ paging: { pages: page + 1 } } as const);
    await commitPage(database, words, run, claim, page + 1, { outcomes, nextCursor }, () => 'assessments');
  }
}

export function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('something that must be there is not');
  return value;
}

const testKey = '00000000-0000-4000-8000-0000000000ff';

/** An unhealthy assessment of a resource, by the id it is given with. */
export function assessmentOf(id: string, details: JsonObject = { Source: 'Azure', Id: id }, key = testKey): JsonObject {
  return {
    id: `${id}/providers/Microsoft.Security/assessments/${key}`,
    properties: { displayName: 'Something is not right', status: { code: 'Unhealthy' }, resourceDetails: details },
  };
}
