/** What the tests of pairs and reconciles have in common: an instance with placeholders, Discovery, and who points at what. */
import { randomBytes } from 'node:crypto';
import type { PostgresForTests, TemporalForTests } from '../integration/servers.ts';
import { startCli } from './cli-process.ts';
import { createEngine, startLab, type Engine, type Lab, type Row, type WorkerProcess } from './harness.ts';

export interface Pairs {
  readonly id: string | null;
  readonly hash: string | null;
  readonly platformMovesResults: boolean | null;
  readonly pairs: readonly {
    readonly resourceId: string;
    readonly placeholder: { readonly sysId: string; readonly className: string; readonly createdOn: string };
    readonly createdByEngine: boolean;
    readonly specific: readonly { readonly sysId: string; readonly className: string; readonly discoverySource: string }[];
    readonly items: readonly { readonly sysId: string; readonly deployment: string; readonly cmdbCi: string }[];
    readonly results: readonly { readonly sysId: string; readonly deployment: string }[];
    readonly obstacle: string | null;
    readonly effect: { readonly items: number; readonly results: number; readonly leftToPlatform: number };
  }[];
}

export interface Reconciled {
  readonly reconcile: string;
  readonly outcome: string;
  readonly because: string | null;
  readonly counts: Readonly<Record<'moved' | 'unchanged' | 'refused' | 'parked' | 'items' | 'results' | 'leftToPlatform', number>>;
  readonly pairs: readonly { readonly resourceId: string; readonly state: string; readonly because: string | null }[];
}

/** A resource of the lab as its instance has it. */
export interface Resource {
  readonly id: string;
  readonly placeholder: string;
  readonly objectId: string;
}

export const itemTable = 'sn_sec_cmn_src_ci';
export const resultTable = 'sn_vulc_result';
export const specificClass = 'cmdb_ci_vm_instance';

export interface PairsScenario {
  readonly lab: Lab;
  readonly engine: Engine;
  /** Seen by both deployments, each with results. */
  readonly resources: readonly Resource[];
  /** Ends the worker that runs and starts another one. */
  readonly startWorker: (options?: { readonly failpoint?: string }) => Promise<WorkerProcess>;
  /** Runs a command with --json and returns what it prints. */
  readonly json: <Answer>(expectedCode: number, ...args: string[]) => Promise<Answer>;
  readonly resource: (index: number) => Resource;
  /** Makes what Discovery would have made: the same resource in another class, its id spelled in another way. Returns its sys_id. */
  readonly discover: (of: Resource) => Promise<string>;
  readonly undiscover: (sysId: string) => Promise<void>;
  /** sys_ids of the rows of a table that point at a CI. */
  readonly pointingAt: (table: string, ci: string) => Promise<string[]>;
  readonly close: () => Promise<void>;
}

/** A lab on which both deployments have run once, and a worker. */
export async function openPairsScenario(servers: {
  readonly postgres: PostgresForTests;
  readonly temporal: TemporalForTests;
}): Promise<PairsScenario> {
  const { postgres, temporal } = servers;
  const prefix = `pairs${randomBytes(3).toString('hex')}-`;
  const lab = await startLab('generated:7:360', ['--batch-quota-ms', '1000']);
  const engine = await createEngine(
    lab,
    { ledgerUrl: postgres.url, temporalAddress: temporal.address, namespace: temporal.namespace, taskQueue: `${prefix}queue` },
    { transactionQuotaSeconds: 1, settleSeconds: 1, deploymentPrefix: prefix },
  );
  let worker: WorkerProcess | undefined = await engine.startWorker();
  const json: PairsScenario['json'] = async <Answer>(expectedCode: number, ...args: string[]) => {
    const { code, stdout, stderr } = await engine.cli(...args, '--json');
    if (code !== expectedCode) throw new Error(`${args.join(' ')} ended with ${String(code)}:\n${stderr}\n${stdout}`);
    return JSON.parse(stdout) as Answer;
  };
  await json(0, 'sync');
  const resources = await sharedResources(lab);
  return {
    lab,
    engine,
    resources,
    json,
    startWorker: async (options) => {
      await worker?.stop();
      worker = await engine.startWorker(options);
      return worker;
    },
    resource: (index) => {
      const found = resources[index];
      if (!found) throw new Error(`The lab has only ${resources.length} resources that both deployments see.`);
      return found;
    },
    discover: async (of) => {
      const values = {
        object_id: of.objectId.toUpperCase(),
        name: of.id.slice(of.id.lastIndexOf('/') + 1),
        discovery_source: 'ServiceNow',
      };
      const { rows } = (await lab.admin('POST', `/servicenow/rows/${specificClass}`, values)) as { rows: Row[] };
      return rows[0]?.['sys_id'] ?? '';
    },
    undiscover: async (sysId) => {
      await lab.admin('DELETE', `/servicenow/rows/${specificClass}/${sysId}`);
    },
    pointingAt: async (table, ci) => {
      const rows = (await lab.rows(table)).filter((row) => row['cmdb_ci'] === ci);
      return rows.map((row) => row['sys_id'] ?? '').sort();
    },
    close: async () => {
      await worker?.stop();
      await engine.remove();
      await lab.stop();
    },
  };
}

async function sharedResources(lab: Lab): Promise<Resource[]> {
  const items = await lab.rows(itemTable);
  const results = await lab.rows(resultTable);
  const placeholders = (await lab.rows('cmdb_ci_cmp_resource')).filter((row) => (row['object_id'] ?? '').includes('/providers/'));
  return placeholders.flatMap((ci) => {
    const own = items.filter((item) => item['cmdb_ci'] === ci['sys_id']);
    const sources = new Set(results.filter((row) => row['cmdb_ci'] === ci['sys_id']).map((row) => row['integration_instance']));
    if (own.length < 2 || sources.size < 2) return [];
    return [{ id: own[0]?.['source_id'] ?? '', placeholder: ci['sys_id'] ?? '', objectId: ci['object_id'] ?? '' }];
  });
}

/** What became of a pair whose worker was killed at a failpoint while it was re-pointed, and another one went on. */
export interface AfterDeath {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | NodeJS.Signals | null;
  readonly counts: Reconciled['counts'];
  readonly before: { readonly items: readonly string[]; readonly results: readonly string[] };
  readonly after: { readonly items: readonly string[]; readonly results: readonly string[] };
  /** Items at the placeholder after the undo. */
  readonly undone: readonly string[];
}

/** Half a minute passes before Temporal misses the dead worker's heartbeats. */
export async function reconcileThroughDeath(scenario: PairsScenario, one: Resource, failpoint: string): Promise<AfterDeath> {
  const { engine, json, pointingAt } = scenario;
  const specific = await scenario.discover(one);
  const at = async (ci: string): Promise<AfterDeath['before']> => ({
    items: await pointingAt(itemTable, ci),
    results: await pointingAt(resultTable, ci),
  });
  const before = await at(one.placeholder);
  const shown = await json<Pairs>(0, 'cis', 'pairs');
  const killed = await scenario.startWorker({ failpoint });
  const reconciling = startCli(['--config', engine.configFile, 'cis', 'reconcile', shown.id ?? '', '--yes', '--json']);
  await killed.ended;
  const signal = killed.child.signalCode;
  await scenario.startWorker();
  const code = await reconciling.ended;
  const { reconcile, counts } = JSON.parse(reconciling.stdout()) as Reconciled;
  const after = await at(specific);
  await json(0, 'cis', 'reconcile', '--undo', reconcile, '--yes');
  const undone = await pointingAt(itemTable, one.placeholder);
  await scenario.undiscover(specific);
  return { signal, code, counts, before, after, undone };
}
