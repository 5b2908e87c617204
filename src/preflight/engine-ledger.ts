/** The ledger, looked at from outside: does it answer, is it of this version, may it be written, is it the one of this instance? */
import type { SyncError } from '../errors.ts';
import { certificateCodes, type LedgerProbe, type LedgerSchema } from '../ledger/index.ts';
import { query, valueOf } from '../servicenow/index.ts';
import { blocking, evidenceOf, isAnswer, isOnOurSide, listed, mayPass, notReadable, ok, warning } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

const operator = 'Whoever runs defender-sync';
const databaseAdministrator = 'The administrator of the PostgreSQL server';
const noRun =
  'No run starts, and no worker: every step needs the ledger. Nothing is lost meanwhile; parked and scheduled runs go on later.';
const serverIsAsked = ({ engine }: CheckContext): boolean => engine?.ledger !== undefined;

export const ledgerReachable: Check = {
  id: 'ledger.reachable',
  area: 'ledger, Temporal',
  question: "Does the ledger's PostgreSQL answer, and let us in?",
  fixedBy: operator,
  follows: { blocking: noRun },
  permissions: [
    {
      feature: 'everything',
      system: 'PostgreSQL',
      permission: 'LOGIN, and CONNECT on the database',
      where: 'the database that ledger.url names',
      grantedBy: databaseAdministrator,
    },
  ],
  needs: [],
  applies: serverIsAsked,
  run: async (context) => {
    const probe = probeOf(context);
    try {
      return [ok(`PostgreSQL ${await probe.connect()} answers at ${probe.place}.`)];
    } catch (error) {
      if (!isAnswer(error) && !mayPass(error)) throw error;
      return [whyNoLedger(error, probe.place)];
    }
  },
};

interface Reason {
  readonly cause: string;
  readonly remedy: string;
  readonly fixedBy?: string;
}

const byState: Readonly<Record<string, (place: string) => Reason>> = {
  '28P01': (place) => ({
    cause: 'password-wrong',
    remedy: `Put the right user and password for ${place} into what ledger.url leads to; in the URL signs like @ : / % are percent-encoded. To set a new one: ALTER ROLE <user> PASSWORD '…'.`,
  }),
  '28000': (place) => ({
    cause: 'refused-by-host-rules',
    remedy: `Let this user come from this host: a line for it in pg_hba.conf of the server at ${place}, then SELECT pg_reload_conf(). Where only encrypted connections are let in, add ?sslmode=verify-full to ledger.url.`,
    fixedBy: databaseAdministrator,
  }),
  '3D000': (place) => ({
    cause: 'database-missing',
    remedy: `Correct the name at the end of ledger.url (${place}), or have the database made: CREATE DATABASE <name> OWNER <user>. An empty one is enough, but it is a new ledger: restore the backup if there was one before.`,
  }),
  '42501': () => ({
    cause: 'connect-not-allowed',
    remedy: 'GRANT CONNECT ON DATABASE <name> TO <user>.',
    fixedBy: databaseAdministrator,
  }),
  '53300': () => ({
    cause: 'too-many-connections',
    remedy: 'Raise max_connections of the server or the limit of the user; each worker holds up to 20 connections.',
    fixedBy: databaseAdministrator,
  }),
  '57P03': () => ({
    cause: 'server-starting',
    remedy: 'Wait until it accepts connections, then ask again: defender-sync doctor. If it stays so, look into its log.',
    fixedBy: databaseAdministrator,
  }),
};

function whyNoLedger(error: SyncError, place: string): Result {
  const code = error.code ?? '';
  if (code === '28000' && !error.message.includes('pg_hba')) {
    return blocking('login-not-allowed', evidenceOf(error), 'Let the user of ledger.url sign in: ALTER ROLE <user> LOGIN.', {
      fixedBy: databaseAdministrator,
    });
  }
  const known = byState[code]?.(place);
  if (known !== undefined) {
    return blocking(known.cause, evidenceOf(error), known.remedy, known.fixedBy === undefined ? {} : { fixedBy: known.fixedBy });
  }
  if (code === 'url-malformed' || isOnOurSide(error)) return blocking(code, evidenceOf(error), error.remedy ?? null);
  if (certificateCodes.test(code)) {
    return blocking(
      'certificate-not-trusted',
      `The certificate of the PostgreSQL server at ${place} is not trusted (${code}).`,
      `Name the authority that signed it in ledger.url (?sslmode=verify-full&sslrootcert=/path/ca.pem), and connect by a host name that the certificate carries.`,
    );
  }
  if (/does not support SSL/i.test(error.message)) {
    return blocking(
      'tls-not-offered',
      `The PostgreSQL server at ${place} offers no encryption, and ledger.url asks for it.`,
      'Switch TLS on at the server (ssl = on, with a certificate), or take sslmode out of ledger.url where the way to it is private.',
      { fixedBy: databaseAdministrator },
    );
  }
  if (error.kind === 'transient') {
    return blocking(
      'not-reachable',
      `No PostgreSQL server answers at ${place} (${code === '' ? 'no answer in time' : code}).`,
      `Start it, or correct host and port in ledger.url; check name resolution and firewall between here and ${place}.`,
      { fixedBy: 'Whoever runs the PostgreSQL server and the network to it' },
    );
  }
  return blocking(error.kind, evidenceOf(error), error.remedy ?? 'Look into the log of the PostgreSQL server.');
}

export const ledgerMigrated: Check = {
  id: 'ledger.migrated',
  area: 'ledger, Temporal',
  question: 'Are its tables those of this version?',
  fixedBy: operator,
  follows: { warning: 'The next command that opens the ledger, or worker that starts, brings it up to date first.' },
  needs: ['ledger.reachable'],
  applies: serverIsAsked,
  run: async (context) => [migrationResult(await probeOf(context).schema())],
};

function migrationResult({ missing, unknown, isThere }: LedgerSchema): Result {
  if (unknown.length > 0) {
    return blocking(
      'newer-schema',
      `The ledger was migrated by a newer version of defender-sync: this one does not know ${listed(unknown)}.`,
      'Run that version or a newer one everywhere; this one would misread the tables. Going back needs the backup from before the change.',
      { follows: noRun },
    );
  }
  if (!isThere) return ok('The database is empty; the first command that opens the ledger makes its tables.');
  if (missing.length === 0) return ok('The tables are those of this version.');
  return warning(
    'older-schema',
    `The tables are those of an older version; not applied yet: ${listed(missing)}.`,
    'Take a backup (pg_dump), stop the workers of the older version, then start one of this version: defender-sync up.',
  );
}

export const ledgerWritable: Check = {
  id: 'ledger.writable',
  area: 'ledger, Temporal',
  question: 'May its tables be written, and made?',
  fixedBy: databaseAdministrator,
  follows: { blocking: noRun },
  permissions: [
    {
      feature: 'everything',
      system: 'PostgreSQL',
      permission: 'USAGE and CREATE on the schema, and ownership of the tables in it (they are made and changed by defender-sync itself)',
      where: "the user's schema in that database, usually public",
    },
  ],
  needs: ['ledger.reachable'],
  applies: serverIsAsked,
  run: async (context) => {
    const probe = probeOf(context);
    const { user, schema, isStandby, isReadOnly, missing } = await probe.rights();
    if (isStandby) {
      return [
        blocking(
          'read-only-replica',
          `The server at ${probe.place} is a standby (pg_is_in_recovery): it takes no writes.`,
          'Let ledger.url name the primary (or a name that follows it, or several hosts with target_session_attrs=read-write).',
          { fixedBy: operator },
        ),
      ];
    }
    if (isReadOnly) {
      return [
        blocking(
          'read-only',
          `Transactions of ${user} at ${probe.place} are read-only (default_transaction_read_only is on).`,
          `ALTER ROLE ${user} RESET default_transaction_read_only; where it is set for the database or the server, reset it there. Some services switch it on when the disk is nearly full: look there first.`,
        ),
      ];
    }
    if (missing.length > 0) {
      return [
        blocking(
          'rights-missing',
          `The user ${user} lacks rights in the schema ${schema}: ${listed(missing, 6)}.`,
          `Let ${user} own the tables: ALTER TABLE … OWNER TO ${user} for each (or REASSIGN OWNED BY <owner> TO ${user}), and GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${user}.`,
        ),
      ];
    }
    return [ok(`${user} may write in the schema ${schema}.`)];
  },
};

const runTable = 'sn_vul_integration_run';

export const ledgerInstance: Check = {
  id: 'ledger.instance',
  area: 'ledger, Temporal',
  question: 'Is it the ledger of this instance, and not older than what the instance was told?',
  fixedBy: operator,
  needs: ['ledger.migrated', 'servicenow.sign-in'],
  whenRefused: 'not-readable',
  applies: ({ engine }) => engine?.memory !== undefined,
  run: async (context) => {
    const memory = await context.engine?.memory?.read();
    if (memory === undefined) return [ok('The ledger is new: it belongs to no instance yet.')];
    const { url } = context.serviceNow;
    const { name } = context.deployment;
    if (memory.deploymentUrl !== undefined && memory.deploymentUrl !== url) {
      return [
        blocking(
          'other-instance',
          `In this ledger the deployment ${name} belongs to ${memory.deploymentUrl}, and the configuration says ${url}: what it remembers of records is true there, not here.`,
          `Put serviceNow.url back to ${memory.deploymentUrl}; or, for a clone or another instance, give the deployment another name (its records there start afresh), or use an empty database in ledger.url.`,
          { follows: 'A run ends at once as failed, before it reads or writes anything.' },
        ),
      ];
    }
    if (!memory.hasPublished) return [ok(`The ledger (${memory.ledgerId}) has published nothing to ${url} yet.`)];
    return [await heldAgainst(context, memory.sequence)];
  },
};

/** The newest run that the instance was told of: if this ledger does not know it, it is a copy from before. */
async function heldAgainst(context: CheckContext, sequence: number): Promise<Result> {
  const table = (await context.facts.dictionary()).tables[runTable];
  if (table?.state === 'absent') return ok(`The instance keeps no ${runTable}, so there is nothing to hold the ledger against.`);
  if (table?.columns['notes'] === undefined) {
    return notReadable(
      'run-records-hidden',
      `${runTable}.notes is not readable for the integration user, so nobody can tell whether the ledger is a restored one.`,
      'Give the integration user the role sn_vul.read_all (User Administration › Users › the user › Roles › Edit).',
      { fixedBy: 'A ServiceNow administrator' },
    );
  }
  const client = await context.facts.serviceNow();
  const newest = query().startsWith('notes', 'defender-sync run ').orderBy('sys_created_on', 'descending');
  const [row] = await client.table.list(runTable, { query: newest, fields: ['notes'], limit: 1 }, context.signal);
  const found = /^defender-sync run ([0-9a-f-]{36}), integration [a-z-]+, ledger sequence (\d+)\./.exec(
    row === undefined ? '' : valueOf(row, 'notes'),
  );
  const [, runId = '', told = '0'] = found ?? [];
  if (found === null) return ok(`The instance carries no run record to hold the ledger against; it is at sequence ${sequence}.`);
  if (Number(told) <= sequence || (await context.engine?.memory?.isOwnRun(runId)) === true) {
    return ok(`The ledger is at sequence ${sequence}; the newest run that the instance was told of is ${told}.`);
  }
  return blocking(
    'instance-ahead',
    `The instance was told of run ${runId} with ledger sequence ${told}, which this ledger, at ${sequence}, does not know: it is a restored copy from before (or an instance of that copy). What it takes for published may have changed since.`,
    `Restore the newest backup of the ledger (sequence ${told} or more). If there is none, let everything be compared again: psql <ledger.url> -c "UPDATE record SET published = NULL WHERE instance_id = (SELECT instance_id FROM instance WHERE url = '${context.serviceNow.url}'); UPDATE instance SET sequence = ${told} WHERE url = '${context.serviceNow.url}'"; the next run then writes each record once.`,
  );
}

function probeOf({ engine }: CheckContext): LedgerProbe {
  if (engine?.ledger === undefined) throw new Error('a check of the ledger ran without a ledger to ask');
  return engine.ledger;
}
