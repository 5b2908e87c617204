import type { Client, Connection } from '@temporalio/client';
import type { LabAuthority } from '../../../../lab/kit/tls.ts';
import type { Configuration } from '../../../../src/config/index.ts';
import { Secret, secretFrom } from '../../../../src/config/secret.ts';
import type { Database } from '../../../../src/ledger/database.ts';
import { applySchedules, wantedScheduleOf } from '../../../../src/temporal/schedules.ts';
import type { KeyGate } from '../../key-gate.ts';
import { untilDescribed } from '../../until-described.ts';
import { closedPort } from '../closed-port.ts';
import type { Labs } from '../labs.ts';
import type { TlsFront } from '../tls-front.ts';
import type { Expected } from './state.ts';

/** What a state may change: servers of its own, beside the labs that all of them share. */
export interface EngineWorld {
  readonly labs: Labs;
  /** As an operator wrote it, with everything right; a state returns what is different. */
  readonly configuration: Configuration;
  /** The ledger's URL, of a database that only this state uses; its tables are made. */
  readonly ledgerUrl: string;
  /** Of the ledger's own user, to that database. */
  readonly database: Database;
  /** Of the superuser, to that database. */
  readonly administrator: Database;
  /** Puts a line before all others of pg_hba.conf; it is taken out again after the state. */
  readonly prependHostRule: (line: string) => Promise<void>;
  readonly emptyDatabase: () => Promise<string>;
  /** URL of the ledger on a server that follows another one; `answers: false`: it lets nobody in while it does. */
  readonly standby: (options: { readonly answers: boolean }) => Promise<string>;
  /** A namespace that only this state uses, without search attributes. */
  readonly newNamespace: () => Promise<{ readonly namespace: string; readonly client: Client }>;
  readonly connection: Connection;
  readonly temporalAddress: string;
  readonly webUiAddress: string;
  readonly authority: LabAuthority;
  /** A front that lets only calls with this API key through. */
  readonly gate: (to: string, key: string) => Promise<KeyGate>;
  readonly front: (to: string, options?: { readonly postgres?: boolean }) => Promise<TlsFront>;
}

export interface EngineState {
  readonly state: string;
  readonly given: (world: EngineWorld) => Promise<Partial<Configuration>> | Partial<Configuration>;
  /** Everything of the area that is not ok. */
  readonly finds: readonly Expected[];
  readonly notChecked?: readonly string[];
}

const withoutLedger = ['ledger.migrated', 'ledger.writable'];
const withoutNamespace = ['temporal.search-attributes', 'temporal.workers', 'temporal.schedules'];
const withoutTemporal = ['temporal.namespace', ...withoutNamespace];

const ledgerAt = (url: string): Pick<Configuration, 'ledger'> => ({
  ledger: { url: new Secret('the environment variable LEDGER_URL', () => url), historyDays: 400 },
});

function changed(url: string, change: (parsed: URL) => void): Pick<Configuration, 'ledger'> {
  const parsed = new URL(url);
  change(parsed);
  return ledgerAt(parsed.href);
}

const unreachable = (cause: string, more: Omit<Expected, 'check' | 'verdict' | 'cause'>): Expected => ({
  check: 'ledger.reachable',
  verdict: 'blocking',
  cause,
  ...more,
});

const away = (cause: string, more: Omit<Expected, 'check' | 'verdict' | 'cause'>): Expected => ({
  check: 'temporal.reachable',
  verdict: 'blocking',
  cause,
  ...more,
});

/** A user that may do what the statements say, and no more. */
async function userWith({ administrator, ledgerUrl }: EngineWorld, ...statements: string[]): Promise<Pick<Configuration, 'ledger'>> {
  const name = `user_${new URL(ledgerUrl).pathname.slice(1)}`;
  await administrator.query(`CREATE ROLE ${name} LOGIN PASSWORD 'its/own@password'`);
  for (const statement of statements) await administrator.query(statement.replaceAll('<user>', name));
  return changed(ledgerUrl, (url) => {
    url.username = name;
    url.password = encodeURIComponent('its/own@password');
  });
}

const temporalWith = ({ configuration }: EngineWorld, more: Partial<Configuration['temporal']>): Pick<Configuration, 'temporal'> => ({
  temporal: { ...configuration.temporal, ...more },
});

/** Behind a gate that asks for a key. */
async function keyed({ gate, temporalAddress, authority }: EngineWorld, key: string): Promise<Partial<Configuration['temporal']>> {
  const { port } = await gate(temporalAddress, 'right-key');
  return {
    address: `127.0.0.1:${port}`,
    tls: { ...noTls, caFile: authority.caFile, serverName: 'localhost' },
    apiKey: new Secret('the environment variable TEMPORAL_API_KEY', () => key),
  };
}

const noTls = { caFile: undefined, certificateFile: undefined, keyFile: undefined, serverName: undefined };

/** The ledger has written to this instance before, in runs up to this sequence. */
async function published({ database, configuration }: EngineWorld, sequence: number, url = configuration.serviceNow.url): Promise<void> {
  await database.query('INSERT INTO instance (url, sequence) VALUES ($1, $2)', [url, sequence]);
  await database.query(
    `INSERT INTO record (instance_id, table_id, key, key_text, published) SELECT instance_id, 1, '\\x01', 'one', '\\x02' FROM instance WHERE url = $1`,
    [url],
  );
  await database.query(
    `INSERT INTO deployment (instance_id, name, position) SELECT instance_id, 'contoso', 0 FROM instance WHERE url = $1`,
    [url],
  );
}

/** The instance carries the record of a run that this ledger does not know. */
async function toldOfRun({ labs }: EngineWorld, sequence: number): Promise<void> {
  const notes = `defender-sync run ${otherRun}, integration assessments, ledger sequence ${sequence}. read 1.`;
  await labs.serviceNow.admin('POST', '/servicenow/rows/sn_vul_integration_run', { notes });
}

const otherRun = '99999999-9999-4999-8999-999999999999';

async function scheduled(world: EngineWorld, name = 'contoso'): Promise<Configuration['deployments']> {
  const [deployment] = world.configuration.deployments;
  if (deployment === undefined) throw new Error('There is no deployment.');
  return [
    {
      ...deployment,
      name: name as typeof deployment.name,
      schedule: { cron: ['30 2 * * *'], timeZone: 'UTC', jitterMs: 0, catchUpMs: undefined, paused: false },
    },
  ];
}

async function applied(world: EngineWorld, deployments: Configuration['deployments'], client: Client): Promise<void> {
  await applySchedules(
    client,
    deployments.flatMap((deployment) => wantedScheduleOf(deployment, world.configuration.temporal.taskQueue) ?? []),
  );
}

/** Numbers of `temporal.api.enums.v1.IndexedValueType`: 3 is Int, 7 a KeywordList. */
const numbered = (types: Record<string, number>): Record<string, number> => types;

const scheduleWarning = (cause: string, evidence: string, remedy: string): Expected => ({
  check: 'temporal.schedules',
  verdict: 'warning',
  cause,
  evidence: [evidence],
  fixedBy: 'Whoever runs defender-sync',
  remedy: [remedy],
});
const noWorker: Expected = {
  check: 'temporal.workers',
  verdict: 'warning',
  cause: 'no-worker',
  evidence: ['task queue'],
  remedy: ['defender-sync up', 'temporal.taskQueue'],
};

const ledgerStates: readonly EngineState[] = [
  { state: 'everything is set up well', given: () => ({}), finds: [] },
  { state: 'a new ledger: the database is empty', given: async ({ emptyDatabase }) => ledgerAt(await emptyDatabase()), finds: [] },
  {
    state: 'nobody listens there',
    given: async ({ ledgerUrl }) => {
      const port = await closedPort();
      return changed(ledgerUrl, (url) => (url.port = String(port)));
    },
    finds: [unreachable('not-reachable', { evidence: ['ECONNREFUSED'], remedy: ['ledger.url'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'the host is not known',
    given: ({ ledgerUrl }) => changed(ledgerUrl, (url) => (url.hostname = 'ledger.invalid')),
    finds: [unreachable('not-reachable', { evidence: ['ledger.invalid'], remedy: ['name resolution'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'wrong password',
    given: async (world) => {
      const { ledger } = await userWith(world);
      return changed(ledger.url?.reveal() ?? '', (url) => (url.password = 'wrong'));
    },
    finds: [unreachable('password-wrong', { evidence: ['password authentication failed'], remedy: ['percent-encoded', 'ALTER ROLE'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'the user may not sign in',
    given: (world) => userWith(world, 'ALTER ROLE <user> NOLOGIN'),
    finds: [
      unreachable('login-not-allowed', {
        evidence: ['not permitted to log in'],
        fixedBy: 'PostgreSQL',
        remedy: ['ALTER ROLE <user> LOGIN'],
      }),
    ],
    notChecked: withoutLedger,
  },
  {
    state: 'the server lets nobody in from here',
    given: async (world) => {
      const { username, pathname } = new URL(world.ledgerUrl);
      await world.prependHostRule(`host ${pathname.slice(1)} ${username} all reject`);
      return {};
    },
    finds: [
      unreachable('refused-by-host-rules', { evidence: ['pg_hba.conf'], fixedBy: 'PostgreSQL', remedy: ['pg_hba.conf', 'pg_reload_conf'] }),
    ],
    notChecked: withoutLedger,
  },
  {
    state: 'the secret with the URL is not there',
    given: () => ({ ledger: { url: secretFrom({ file: '/gone/ledger' }, {}), historyDays: 400 } }),
    finds: [unreachable('secret-unreadable', { evidence: ['/gone/ledger', 'ENOENT'], remedy: ['Put the secret back there'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'no such database',
    given: ({ ledgerUrl }) => changed(ledgerUrl, (url) => (url.pathname = '/nowhere')),
    finds: [unreachable('database-missing', { evidence: ['nowhere'], remedy: ['CREATE DATABASE', 'backup'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'the user may not connect to the database',
    given: async (world) => {
      await world.database.query(`REVOKE CONNECT ON DATABASE ${new URL(world.ledgerUrl).pathname.slice(1)} FROM PUBLIC`);
      return userWith(world);
    },
    finds: [unreachable('connect-not-allowed', { evidence: ['permission denied'], fixedBy: 'PostgreSQL', remedy: ['GRANT CONNECT'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'too many connections',
    given: (world) => userWith(world, 'ALTER ROLE <user> CONNECTION LIMIT 0'),
    finds: [unreachable('too-many-connections', { evidence: ['too many connections'], remedy: ['max_connections'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'encryption asked for, and not offered',
    given: ({ ledgerUrl }) => changed(ledgerUrl, (url) => url.searchParams.set('sslmode', 'verify-full')),
    finds: [unreachable('tls-not-offered', { evidence: ['offers no encryption'], remedy: ['ssl = on', 'sslmode'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'a certificate of an unknown authority',
    given: async ({ ledgerUrl, front }) => {
      const { port } = await front(new URL(ledgerUrl).host, { postgres: true });
      return changed(ledgerUrl, (url) => {
        url.port = String(port);
        url.searchParams.set('sslmode', 'verify-full');
      });
    },
    finds: [unreachable('certificate-not-trusted', { evidence: [/SELF_SIGNED|UNABLE/], remedy: ['sslrootcert'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'the same certificate, whose authority the URL names',
    given: async ({ ledgerUrl, front, authority }) => {
      const { port } = await front(new URL(ledgerUrl).host, { postgres: true });
      return changed(ledgerUrl, (url) => {
        url.port = String(port);
        url.searchParams.set('sslmode', 'verify-full');
        url.searchParams.set('sslrootcert', authority.caFile);
      });
    },
    finds: [],
  },
  {
    state: 'not the URL of a PostgreSQL database',
    given: () => ledgerAt('Server=db;User Id=sync;Password=canary'),
    finds: [unreachable('url-malformed', { evidence: ['ledger.url'], remedy: ['postgresql://user:password@host'] })],
    notChecked: withoutLedger,
  },
  {
    state: 'tables of an older version',
    given: async ({ database }) => {
      await database.query(`DELETE FROM migration WHERE name = (SELECT max(name) FROM migration)`);
      return {};
    },
    finds: [
      { check: 'ledger.migrated', verdict: 'warning', cause: 'older-schema', evidence: ['.sql'], remedy: ['pg_dump', 'defender-sync up'] },
    ],
  },
  {
    state: 'tables of a newer version',
    given: async ({ database }) => {
      await database.query(`INSERT INTO migration (name) VALUES ('9999_future.sql')`);
      return {};
    },
    finds: [
      {
        check: 'ledger.migrated',
        verdict: 'blocking',
        cause: 'newer-schema',
        evidence: ['9999_future.sql'],
        remedy: ['newer one everywhere'],
      },
    ],
  },
  {
    state: 'read-only transactions',
    given: async (world) => {
      const { ledger } = await userWith(world, 'ALTER ROLE <user> SET default_transaction_read_only = on', 'GRANT defender_sync TO <user>');
      return { ledger };
    },
    finds: [
      {
        check: 'ledger.writable',
        verdict: 'blocking',
        cause: 'read-only',
        evidence: ['default_transaction_read_only'],
        fixedBy: 'PostgreSQL',
        remedy: ['RESET default_transaction_read_only'],
      },
    ],
  },
  {
    state: 'the server is a standby',
    given: async ({ standby }) => ledgerAt(await standby({ answers: true })),
    finds: [
      {
        check: 'ledger.writable',
        verdict: 'blocking',
        cause: 'read-only-replica',
        evidence: ['pg_is_in_recovery'],
        fixedBy: 'Whoever runs defender-sync',
        remedy: ['primary', 'target_session_attrs=read-write'],
      },
    ],
  },
  {
    state: 'the server is on its way up, and lets nobody in yet',
    given: async ({ standby }) => ledgerAt(await standby({ answers: false })),
    finds: [
      unreachable('server-starting', {
        evidence: ['57P03', 'not accepting connections'],
        fixedBy: 'PostgreSQL',
        remedy: ['Wait until it accepts connections', 'defender-sync doctor'],
      }),
    ],
    notChecked: withoutLedger,
  },
  {
    state: 'a user that may only read the tables',
    given: (world) => userWith(world, 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO <user>'),
    finds: [
      {
        check: 'ledger.writable',
        verdict: 'blocking',
        cause: 'rights-missing',
        evidence: ['DELETE, INSERT, UPDATE'],
        fixedBy: 'PostgreSQL',
        remedy: ['OWNER TO', 'GRANT USAGE, CREATE ON SCHEMA public'],
      },
    ],
  },
  {
    state: 'the ledger of another instance',
    given: async (world) => {
      await published(world, 7, 'https://acme.service-now.com');
      return {};
    },
    finds: [
      {
        check: 'ledger.instance',
        verdict: 'blocking',
        cause: 'other-instance',
        evidence: ['https://acme.service-now.com', 'contoso'],
        remedy: ['another name', 'serviceNow.url'],
      },
    ],
  },
  {
    state: 'a ledger restored from a backup: the instance is ahead',
    given: async (world) => {
      await published(world, 41);
      await toldOfRun(world, 57);
      return {};
    },
    finds: [
      {
        check: 'ledger.instance',
        verdict: 'blocking',
        cause: 'instance-ahead',
        evidence: [otherRun, '57', '41'],
        remedy: ['newest backup', 'published = NULL', 'sequence = 57'],
      },
    ],
  },
  {
    state: 'a ledger that is not behind what the instance was told',
    given: async (world) => {
      await published(world, 57);
      await toldOfRun(world, 57);
      return {};
    },
    finds: [],
  },
];

const temporalStates: readonly EngineState[] = [
  {
    state: 'nobody listens there',
    given: async (world) => temporalWith(world, { address: `127.0.0.1:${await closedPort()}` }),
    finds: [away('not-reachable', { evidence: ['ECONNREFUSED'], remedy: ['temporal.address', 'defender-sync up'] })],
    notChecked: withoutTemporal,
  },
  {
    state: 'the host is not known',
    given: (world) => temporalWith(world, { address: 'temporal.invalid:7233' }),
    finds: [away('not-reachable', { evidence: ['temporal.invalid', 'not known'], remedy: ['temporal.address'] })],
    notChecked: withoutTemporal,
  },
  {
    state: 'TLS asked for, and not spoken',
    given: (world) => temporalWith(world, { tls: noTls }),
    finds: [away('no-tls', { evidence: ['TLS handshake'], remedy: ['temporal.tls'] })],
    notChecked: withoutTemporal,
  },
  {
    state: 'TLS spoken, and not asked for',
    given: async (world) => temporalWith(world, { address: `127.0.0.1:${(await world.front(world.temporalAddress)).port}` }),
    finds: [away('tls-expected', { evidence: ['speaks TLS'], remedy: ['temporal.tls: true'] })],
    notChecked: withoutTemporal,
  },
  {
    state: 'a certificate of an unknown authority',
    given: async (world) => temporalWith(world, { address: `127.0.0.1:${(await world.front(world.temporalAddress)).port}`, tls: noTls }),
    finds: [away('certificate-not-trusted', { evidence: [/SELF_SIGNED|UNABLE/], remedy: ['temporal.tls.caFile'] })],
    notChecked: withoutTemporal,
  },
  {
    state: 'the same certificate, whose authority is named',
    given: async (world) =>
      temporalWith(world, {
        address: `127.0.0.1:${(await world.front(world.temporalAddress)).port}`,
        tls: { ...noTls, caFile: world.authority.caFile, serverName: 'localhost' },
      }),
    finds: [],
  },
  {
    state: 'an API key that is not the right one',
    given: async (world) => temporalWith(world, await keyed(world, 'wrong-key')),
    finds: [away('api-key-refused', { evidence: ['Request unauthorized'], remedy: ['API key'] })],
    notChecked: withoutTemporal,
  },
  {
    state: 'the right API key',
    given: async (world) => temporalWith(world, await keyed(world, 'right-key')),
    finds: [],
  },
  {
    state: 'the API key is not there',
    given: (world) => temporalWith(world, { apiKey: secretFrom({ file: '/gone/key' }, {}) }),
    finds: [away('secret-unreadable', { evidence: ['/gone/key', 'ENOENT'], remedy: ['Put the secret back there'] })],
    notChecked: withoutTemporal,
  },
  {
    state: 'a file of the TLS settings is not there',
    given: (world) => temporalWith(world, { tls: { ...noTls, caFile: '/gone/ca.pem' } }),
    finds: [away('tls-file-unreadable', { evidence: ['/gone/ca.pem', 'ENOENT'], remedy: ['temporal.tls.caFile'] })],
    notChecked: withoutTemporal,
  },
  {
    state: 'the address of the Web UI',
    given: (world) => temporalWith(world, { address: world.webUiAddress }),
    finds: [away('no-temporal-there', { evidence: ['5 seconds'], remedy: ['not the Web UI'] })],
    notChecked: withoutTemporal,
  },
  {
    state: 'no such namespace',
    given: (world) => temporalWith(world, { namespace: 'nowhere' }),
    finds: [
      {
        check: 'temporal.namespace',
        verdict: 'blocking',
        cause: 'namespace-missing',
        evidence: ['nowhere'],
        fixedBy: 'Temporal server',
        remedy: ['temporal operator namespace create --namespace nowhere'],
      },
    ],
    notChecked: withoutNamespace,
  },
  {
    state: 'no worker asks for work',
    given: (world) => temporalWith(world, { taskQueue: 'nobody-works-here' }),
    finds: [{ ...noWorker, evidence: ['nobody-works-here'] }],
  },
  {
    state: 'a search attribute of another type',
    given: async (world) => {
      const { namespace } = await world.newNamespace();
      await world.connection.operatorService.addSearchAttributes({ namespace, searchAttributes: numbered({ DefenderSyncPhase: 3 }) });
      return temporalWith(world, { namespace });
    },
    finds: [
      {
        check: 'temporal.search-attributes',
        verdict: 'blocking',
        cause: 'wrong-type',
        evidence: ['DefenderSyncPhase', 'Int instead of Keyword'],
        fixedBy: 'Temporal server',
        remedy: ['temporal operator search-attribute create', '--type Keyword'],
      },
      noWorker,
    ],
  },
  {
    state: 'no room for one more search attribute',
    given: async (world) => {
      const { namespace } = await world.newNamespace();
      for (const name of ['ListA', 'ListB', 'ListC'])
        await world.connection.operatorService.addSearchAttributes({ namespace, searchAttributes: numbered({ [name]: 7 }) });
      return temporalWith(world, { namespace });
    },
    finds: [
      {
        check: 'temporal.search-attributes',
        verdict: 'blocking',
        cause: 'not-made',
        evidence: ['DefenderSyncBlockedBy', 'more than 3'],
        remedy: ['--type KeywordList'],
      },
      noWorker,
    ],
  },
  {
    state: 'a schedule of the configuration that was never applied',
    given: async (world) => ({ deployments: await scheduled(world) }),
    finds: [scheduleWarning('schedule-missing', 'defender-sync/contoso', 'defender-sync schedules apply')],
  },
  {
    state: 'a schedule that is as configured',
    given: async (world) => {
      const { namespace, client } = await world.newNamespace();
      const deployments = await scheduled(world);
      await applied(world, deployments, client);
      return { ...temporalWith(world, { namespace }), deployments };
    },
    finds: [noWorker],
  },
  {
    state: 'a schedule that somebody changed, and one that nobody configured',
    given: async (world) => {
      const { namespace, client } = await world.newNamespace();
      const deployments = await scheduled(world);
      await applied(world, [...deployments, ...(await scheduled(world, 'forgotten'))], client);
      const handle = client.schedule.getHandle('defender-sync/contoso');
      const [before] = (await handle.describe()).info.nextActionTimes;
      await handle.update((current) => ({ ...current, spec: { cronExpressions: ['45 3 * * *'] } }));
      await untilDescribed(handle, ({ info }) => info.nextActionTimes[0]?.getTime() !== before?.getTime());
      return { ...temporalWith(world, { namespace }), deployments };
    },
    finds: [
      scheduleWarning('schedule-different', 'defender-sync/contoso', '--dry-run'),
      scheduleWarning('schedule-extra', 'defender-sync/forgotten', 'namespace of its own'),
      noWorker,
    ],
  },
  {
    state: 'a schedule that somebody paused',
    given: async (world) => {
      const { namespace, client } = await world.newNamespace();
      const deployments = await scheduled(world);
      await applied(world, deployments, client);
      const handle = client.schedule.getHandle('defender-sync/contoso');
      await handle.pause('over the holidays');
      await untilDescribed(handle, ({ state }) => state.paused);
      return { ...temporalWith(world, { namespace }), deployments };
    },
    finds: [scheduleWarning('schedule-paused', 'over the holidays', '--schedule-id defender-sync/contoso --unpause'), noWorker],
  },
  {
    state: 'both servers are away: the rest is checked all the same',
    given: async (world) => {
      const port = await closedPort();
      return {
        ...temporalWith(world, { address: `127.0.0.1:${port}` }),
        ...changed(world.ledgerUrl, (url) => (url.port = String(port))),
      };
    },
    finds: [
      unreachable('not-reachable', { evidence: ['ECONNREFUSED'], remedy: ['ledger.url'] }),
      away('not-reachable', { evidence: ['ECONNREFUSED'], remedy: ['temporal.address'] }),
    ],
    notChecked: [...withoutLedger, ...withoutTemporal],
  },
];

export function engineStates(area: 'ledger' | 'Temporal'): readonly EngineState[] {
  return area === 'ledger' ? ledgerStates : temporalStates;
}
