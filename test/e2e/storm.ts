/**
 * Many deployments that see much of the same, started together, while requests fail in every way and workers are killed: what the
 * instance holds at the end is counted by the lab and held against the estate's own truth, without asking the engine.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { touchedDataTables } from './data-tables.ts';
import type { Lab, Row, WorkerProcess } from './harness.ts';
import { faultHits, openScenario, untilSucceeded, untilWritten, type Scenario, type Servers } from './scenario.ts';

export interface StormOptions {
  readonly seed: number;
  readonly deployments: number;
  readonly assessments: number;
  /** Workers killed while the first round runs, one after the other. */
  readonly kills: number;
  /** Workers paused after that, for longer than a heartbeat may be missed; they wake up when others have gone on with what they held. */
  readonly pauses?: number;
}

export interface StormResult {
  /** What is not as it must be, in words; empty when all is well. */
  readonly problems: readonly string[];
  /** One line for people. */
  readonly line: string;
}

interface Truth {
  readonly policies: { readonly inMappingScope: number };
  readonly policySets: { readonly inMappingScope: number };
  readonly metadata: { readonly keys: number; readonly dynamic: number };
  readonly assessments: { readonly results: number; readonly keysWithoutMetadata: number };
  readonly resources: { readonly withResult: number };
  readonly standards: { readonly triples: number; readonly customStandardPairs: number };
  readonly containers: { readonly imagesByDigest: number; readonly cves: number };
}

interface EstateTruth {
  readonly deployments: Readonly<Record<string, Truth>>;
  readonly union: Truth;
}

/** Numbers between 0 and 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A Batch request that creates records: its items name their method in clear text. */
const creates = { method: 'POST', pathPrefix: '/api/now/v1/batch', bodyIncludes: '"method":"POST","url":"/api/now/table/' };
const rateLimited = { message: 'Rate limit exceeded', detail: 'Rate limit of 100 requests per hour for Table API exceeded' };

/** Every way in which a write fails for now (servicenow.md §5.8); the share is of the requests that match. */
const writeFaults = [
  {
    match: { ...creates, probability: 0.15 },
    action: { status: 429, headers: { 'retry-after': '1' }, body: { error: rateLimited, status: 'failure' } },
    times: 4,
  },
  { match: { ...creates, probability: 0.15 }, action: { status: 429, body: '' }, times: 4 },
  { match: { ...creates, probability: 0.15 }, action: { status: 202, body: '' }, times: 4 },
  { match: { ...creates, probability: 0.15 }, action: { dropConnection: 'after' }, times: 6 },
  { match: { ...creates, probability: 0.15 }, action: { dropConnection: 'before' }, times: 4 },
  { match: { ...creates, probability: 0.15 }, action: { truncateBody: true }, times: 4 },
];
/** The identification engine's own: a parent's lock is held by somebody else, or a peer failed. */
const identificationFaults = [
  { match: { method: 'IRE', pathPrefix: 'ire:cmdb_ci_cmp_resource' }, action: { errorCode: 'ABANDONED' }, times: 3 },
  { match: { method: 'IRE', pathPrefix: 'ire:cmdb_ci_cloud_service_account' }, action: { errorCode: 'LOCK_TIMEOUT' }, times: 2 },
  {
    match: { method: 'POST', pathPrefix: '/api/now/v1/batch', bodyIncludes: '"url":"/api/now/identifyreconcile/' },
    action: { dropConnection: 'after' },
    times: 1,
  },
];

/** A whole storm: two workers, all deployments at once, then a quiet second round. */
export async function runStorm(servers: Servers, options: StormOptions): Promise<StormResult> {
  const startedMs = performance.now();
  const estate = `overlap:${options.seed}:${options.assessments}:${options.deployments}`;
  const scenario = await openScenario(servers, ['--per-write', '1'], { estate, pageSizes: {} });
  try {
    await scenario.lab.admin('POST', '/servicenow/faults', writeFaults);
    const { kills, pauses } = await firstRound(scenario, options);
    const problems = await differencesFromTruth(scenario.lab);
    const firstMs = performance.now();
    const hits = await faultHits(scenario.lab);
    if (hits.includes(0)) problems.push(`not every kind of fault was met: ${hits.join(', ')}`);
    const met = hits.reduce((sum, n) => sum + n, 0);
    problems.push(...(await secondRound(scenario)));
    const items = (await scenario.lab.rows('sn_sec_cmn_src_ci')).length;
    const seconds = (fromMs: number, toMs: number): string => ((toMs - fromMs) / 1000).toFixed(0);
    const line =
      `seed ${options.seed}: ${options.deployments} deployments, ${items} discovered items, ${kills} kills, ${pauses} pauses, ${met} faults, ` +
      `${seconds(startedMs, firstMs)} s + ${seconds(firstMs, performance.now())} s, ${problems.length === 0 ? 'as it must be' : `${problems.length} problems`}`;
    return { problems, line };
  } finally {
    await scenario.close();
  }
}

async function firstRound(scenario: Scenario, options: StormOptions): Promise<Disturbed> {
  const random = randomOf(options.seed);
  const other = await scenario.anotherEngine({});
  const start = [() => scenario.startWorker(), () => scenario.startWorker({ engine: other })] as const;
  const workers = await Promise.all(start.map((one) => one()));
  const runs = await scenario.startRuns();
  const done = untilSucceeded(runs);
  const over = new AbortController();
  const finished = done.finally(() => over.abort());
  finished.catch(() => undefined);
  const [disturbed] = await Promise.all([
    disturbWorkers(scenario, workers, start, options, random, over.signal),
    spellAnew(scenario.lab, over.signal),
    troubleIdentification(scenario, over.signal),
    finished,
  ]);
  return disturbed;
}

const pauseMs = 45_000;

/** The moments are those of the work: from the first records on, a few seconds apart. Returns how many died and how many stood still. */
async function disturbWorkers(
  scenario: Scenario,
  workers: WorkerProcess[],
  start: readonly (() => Promise<WorkerProcess>)[],
  { kills, pauses = 0 }: StormOptions,
  random: () => number,
  over: AbortSignal,
): Promise<Disturbed> {
  await untilWritten(scenario.lab, 'sn_vulc_policy');
  const done = { kills: 0, pauses: 0 };
  for (const deed of [
    ...Array.from({ length: kills }, () => 'kills' as const),
    ...Array.from({ length: pauses }, () => 'pauses' as const),
  ]) {
    await waitFor(500 + random() * 3_500, over);
    if (over.aborted) break;
    const victim = random() < 0.5 ? 0 : 1;
    if (deed === 'kills') {
      workers[victim]?.child.kill('SIGKILL');
      await workers[victim]?.ended;
      const again = start[victim];
      if (again) workers[victim] = await again();
    } else {
      workers[victim]?.child.kill('SIGSTOP');
      await waitFor(pauseMs, over);
      workers[victim]?.child.kill('SIGCONT');
    }
    done[deed] += 1;
  }
  return done;
}

interface Disturbed {
  readonly kills: number;
  readonly pauses: number;
}

async function spellAnew(lab: Lab, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await lab.admin('POST', '/azure/change', { respell: {} });
    await waitFor(400, over);
  }
}

/** Preflight asks the identification engine too, and a lock that is held is a verdict there: these faults wait until all are through. */
async function troubleIdentification(scenario: Scenario, over: AbortSignal): Promise<void> {
  const ledger = new pg.Client({ connectionString: scenario.settings.ledgerUrl });
  await ledger.connect();
  try {
    for (;;) {
      const { rows } = await ledger.query<{ n: string }>(
        "SELECT count(DISTINCT run_id) AS n FROM run_finding WHERE to_regclass('run_finding') IS NOT NULL",
      );
      if (Number(rows[0]?.n ?? 0) >= scenario.engine.deployments.length) break;
      if (over.aborted) return;
      await waitFor(200, over);
    }
  } finally {
    await ledger.end();
  }
  await scenario.lab.admin('POST', '/servicenow/faults', identificationFaults);
}

async function waitFor(ms: number, over: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: over }).catch(() => undefined);
}

/** Nothing has changed but the spelling of ids, so nothing may be written. */
async function secondRound(scenario: Scenario): Promise<string[]> {
  const { lab } = scenario;
  await lab.admin('DELETE', '/servicenow/faults');
  await lab.admin('POST', '/azure/change', { respell: {} });
  const before = await lab.summary();
  await untilSucceeded(await scenario.startRuns());
  const after = await lab.summary();
  return touchedDataTables(before, after).map(
    (table) => `the second round touched ${table}: ${JSON.stringify(before[table])} became ${JSON.stringify(after[table])}`,
  );
}

/** What the instance holds, held against the estate: no key twice, and as many as there are. */
async function differencesFromTruth(lab: Lab): Promise<string[]> {
  const { union, deployments } = (await lab.admin('GET', '/azure/estate')) as EstateTruth;
  const all = Object.values(deployments);
  const sum = (pick: (one: Truth) => number): number => all.reduce((total, one) => total + pick(one), 0);
  const problems: string[] = [];
  const distinct = async (table: string, columns: readonly string[], expected?: number): Promise<readonly Row[]> => {
    const rows = (await lab.rows(table)).filter((row) => row['sys_class_name'] === table && row['sys_created_by'] !== 'system');
    const keys = new Set(rows.map((row) => columns.map((column) => (row[column] ?? '').toLowerCase()).join('|')));
    if (keys.size !== rows.length) problems.push(`${table}: ${rows.length} rows, but ${keys.size} different keys`);
    if (expected !== undefined && rows.length !== expected) problems.push(`${table}: ${rows.length} rows instead of ${expected}`);
    return rows;
  };
  await distinct('sn_vulc_policy', ['source_id'], union.policies.inMappingScope + union.policySets.inMappingScope);
  const tests = union.metadata.keys - union.metadata.dynamic + union.assessments.keysWithoutMetadata;
  await distinct('sn_vulc_test', ['source_id'], tests);
  await distinct('sn_vulc_policy_test', ['policy', 'test']);
  await distinct('sn_vulc_auth_src', ['source_id']);
  await distinct('sn_vulc_citation', ['auth_src', 'control', 'section'], union.standards.triples + union.standards.customStandardPairs);
  const accounts = await distinct('cmdb_ci_cloud_service_account', ['object_id']);
  const resources = await distinct('cmdb_ci_cmp_resource', ['object_id']);
  await distinct('cmdb_ci_docker_image', ['image_id'], union.containers.imagesByDigest);
  await distinct('sn_vul_nvd_entry', ['id']);
  await distinct('cmdb_rel_ci', ['parent', 'type', 'child']);
  const items = await distinct(
    'sn_sec_cmn_src_ci',
    ['source', 'source_id'],
    sum((one) => one.resources.withResult),
  );
  await distinct(
    'sn_vulc_result',
    ['integration_instance', 'cmdb_ci', 'control'],
    sum((one) => one.assessments.results),
  );
  await distinct('sn_sec_cmn_host_tag', ['name']);
  await distinct('sn_sec_cmn_m2m_src_ci_tag', ['src_ci', 'host_tag']);
  for (const table of [
    'sn_sec_cmn_cloud_account',
    'sn_sec_cmn_region',
    'sn_sec_cmn_cloud_resource_type',
    'sn_sec_cmn_cloud_service_provider',
  ])
    await distinct(table, ['name']);
  const cis = new Set(items.map((row) => row['cmdb_ci']));
  if (cis.size !== union.resources.withResult) problems.push(`${cis.size} CIs for ${union.resources.withResult} resources`);
  const known = new Set([...accounts, ...resources].map((row) => row['sys_id']));
  const strangers = [...cis].filter((ci) => !known.has(ci));
  if (strangers.length > 0) problems.push(`${strangers.length} discovered items point at CIs of unexpected classes`);
  return problems;
}
