/** What becomes of the engine's own servers → what `doctor` says of them, with real servers; and nothing that is not so. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, type Connection } from '@temporalio/client';
import { runDoctor } from '../../../activities/doctor.ts';
import { loadOrCreateAuthority } from '../../../lab/kit/tls.ts';
import { probeLedger, probeTemporal } from '../../../src/cli/probes.ts';
import type { CliContext } from '../../../src/cli/context.ts';
import { withReleases } from '../../../src/cli/releases.ts';
import { Secret } from '../../../src/config/secret.ts';
import type { Configuration } from '../../../src/config/index.ts';
import { connectDatabase, openDatabase } from '../../../src/ledger/database.ts';
import type { Finding } from '../../../src/preflight/index.ts';
import { acquireTemporalDevServer } from '../../../src/temporal/dev-server.ts';
import { withOwnNamespace } from '../../e2e/own-namespace.ts';
import { startKeyGate } from '../key-gate.ts';
import { temporalOptions } from '../server-folders.ts';
import { superuserUrl, withPostgres } from '../servers.ts';
import { startLabs, type Labs } from './labs.ts';
import { engineStates, type EngineState, type EngineWorld } from './states/engine.ts';
import { expectFindings } from './states/state.ts';
import { startStandby } from './standby.ts';
import { startTlsFront } from './tls-front.ts';

const postgres = withPostgres();
const temporal = withOwnNamespace('engine-states');
const taskQueue = 'engine-states';
let labs: Labs;
const stopPolling = new AbortController();

beforeAll(async () => {
  labs = await startLabs({ estate: 'generated:11:60' });
  // Somebody who asks for work is all that these checks see of a worker.
  const { connection, namespace } = temporal;
  const poll = { namespace, taskQueue: { name: taskQueue }, identity: 'a worker' };
  const { workflowService } = connection;
  keepAsking(connection, () => workflowService.pollWorkflowTaskQueue(poll));
  keepAsking(connection, () => workflowService.pollActivityTaskQueue(poll));
}, 120_000);

function keepAsking(connection: Connection, ask: () => Promise<unknown>): void {
  const longPollMs = 70_000;
  const once = (): Promise<unknown> => connection.withDeadline(Date.now() + longPollMs, ask);
  void (async () => {
    while (!stopPolling.signal.aborted) await connection.withAbortSignal(stopPolling.signal, once);
  })().catch(() => undefined);
}

afterAll(async () => {
  stopPolling.abort();
  await labs.stop();
});

function configured(ledgerUrl: string): Configuration {
  const { deployment, serviceNow } = labs.inputFor();
  return {
    file: '/etc/defender-sync.yaml',
    stateDir: tmpdir(),
    temporal: { address: temporal.address, namespace: temporal.namespace, taskQueue, tls: undefined, apiKey: undefined, uiUrl: undefined },
    ledger: { url: new Secret('the environment variable LEDGER_URL', () => ledgerUrl), historyDays: 400 },
    serviceNow,
    park: { recheckEveryMs: 300_000, giveUpAfterMs: 3_600_000 },
    deployments: [deployment],
  };
}

/** As the command does it, to the findings. */
function doctor(configuration: Configuration): Promise<readonly Finding[]> {
  const clock = { nowMs: () => Date.now() };
  const context = { clock } as unknown as CliContext;
  return withReleases(async (releases) => {
    const { probe, database } = await probeLedger(configuration, releases);
    const temporalProbe = await probeTemporal(context, configuration, releases);
    const findings = await runDoctor(
      {
        configuration,
        deployment: 'contoso',
        ledger: database,
        probes: { ledger: probe, temporal: temporalProbe },
        signal: new AbortController().signal,
        onCheck: () => undefined,
      },
      clock,
    );
    return findings as readonly Finding[];
  });
}

/** The server reads its rules again in its own time. */
async function untilRefused(ledgerUrl: string): Promise<void> {
  for (;;) {
    const visitor = connectDatabase({ url: ledgerUrl, connections: 1 });
    try {
      await visitor.query('SELECT 1');
    } catch {
      return;
    } finally {
      await visitor.close();
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function findingsIn(state: EngineState): Promise<readonly Finding[]> {
  return withReleases(async (releases) => {
    const ledgerUrl = await postgres.freshDatabase();
    const database = await openDatabase(ledgerUrl, 1);
    releases.defer(() => database.close());
    const administrator = connectDatabase({ url: superuserUrl(ledgerUrl), connections: 1 });
    releases.defer(async () => {
      const user = `user_${new URL(ledgerUrl).pathname.slice(1)}`;
      const made = await administrator.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [user]);
      for (const statement of made.length > 0 ? [`DROP OWNED BY ${user}`, `DROP ROLE ${user}`] : []) await administrator.query(statement);
      await administrator.close();
    });
    const authority = await loadOrCreateAuthority(labs.caFile.replace(/\/ca\.pem$/, ''));
    const certificate = await authority.issue({ hostNames: ['localhost', '127.0.0.1'] });
    const world: EngineWorld = {
      labs,
      configuration: configured(ledgerUrl),
      ledgerUrl,
      database,
      administrator,
      authority,
      connection: temporal.connection,
      temporalAddress: temporal.address,
      webUiAddress: new URL(temporal.uiUrl).host,
      prependHostRule: async (line) => {
        const [file] = await administrator.query<{ path: string }>(`SELECT current_setting('hba_file') AS path`);
        const path = file?.path ?? '';
        const before = await readFile(path, 'utf8');
        const put = async (text: string): Promise<void> => {
          await writeFile(path, text);
          await administrator.query('SELECT pg_reload_conf()');
        };
        releases.defer(() => put(before));
        await put(`${line}\n${before}`);
        await untilRefused(ledgerUrl);
      },
      emptyDatabase: () => postgres.freshDatabase(),
      standby: async (options) => {
        const standby = await startStandby(options);
        releases.defer(standby.stop);
        return standby.url;
      },
      newNamespace: async () => {
        const namespace = `engine-${randomBytes(4).toString('hex')}`;
        await (await acquireTemporalDevServer({ ...temporalOptions(), namespace })).release();
        return { namespace, client: new Client({ connection: temporal.connection, namespace }) };
      },
      gate: async (to, key) => {
        const gate = await startKeyGate(to, certificate, key);
        releases.defer(() => gate.close());
        return gate;
      },
      front: async (to, options) => {
        const [host = '', port = ''] = to.split(':');
        const front = await startTlsFront({ host, port: Number(port) }, certificate, options);
        releases.defer(() => front.close());
        return front;
      },
    };
    return doctor({ ...world.configuration, ...(await state.given(world)) });
  });
}

const isOurs = ({ check }: Finding): boolean => /^(ledger|temporal)\./.test(check);

describe.each([
  ['ledger', engineStates('ledger')],
  ['Temporal', engineStates('Temporal')],
])('%s', (_area, states) => {
  test.each(states.map((state) => [state.state, state] as const))(
    '%s',
    async (_state, state) => {
      const findings = await findingsIn(state);
      expectFindings(findings.filter(isOurs), state.finds, state.notChecked ?? []);
      // Whatever is the matter with our own servers, everything else was looked at.
      const others = findings.filter((one) => !isOurs(one));
      expect(others.length).toBeGreaterThan(15);
      const unasked = others.filter(({ verdict }) => verdict === 'not-checked').map(({ check }) => check);
      expect(unasked.filter((check) => check !== 'servicenow.second-ledger')).toEqual([]);
      // Passwords stand in the URL of a ledger.
      expect(JSON.stringify(findings)).not.toMatch(/its\/own@password|its%2Fown|Password=canary/);
    },
    60_000,
  );
});
