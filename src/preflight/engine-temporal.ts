/** Temporal, looked at from outside: does it answer, does it have what the runs need, does anybody work, are the schedules as configured? */
import { isSyncError } from '../errors.ts';
import type { TemporalProbe } from '../temporal/probe.ts';
import type { ScheduleState } from '../temporal/schedules.ts';
import { blocking, causeOf, counted, evidenceOf, listed, ok, warning } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

const operator = 'Whoever runs defender-sync';
const temporalAdministrator = 'The administrator of the Temporal server';
const noRun = 'No run starts, and none goes on; what waits in Temporal goes on by itself once it answers.';
const applies = ({ engine }: CheckContext): boolean => engine?.temporal !== undefined;

export const temporalReachable: Check = {
  id: 'temporal.reachable',
  area: 'ledger, Temporal',
  question: 'Does the Temporal server answer, and let us in?',
  fixedBy: operator,
  follows: { blocking: noRun },
  needs: [],
  applies,
  run: async (context) => {
    const probe = probeOf(context);
    try {
      const diagnosis = await probe.connect();
      return [diagnosis === undefined ? ok(`The Temporal server at ${probe.address} answers.`) : noAnswer(probe, diagnosis)];
    } catch (error) {
      if (!isSyncError(error, 'unauthenticated', 'usage')) throw error;
      return [blocking(error.code ?? causeOf(error), evidenceOf(error), error.remedy ?? null)];
    }
  },
};

type Diagnosis = NonNullable<Awaited<ReturnType<TemporalProbe['connect']>>>;

function noAnswer({ address }: TemporalProbe, { why, code }: Diagnosis): Result {
  const seen = code === undefined ? '' : ` (${code})`;
  const network = { fixedBy: 'Whoever runs the Temporal server and the network to it' };
  switch (why) {
    case 'unknown-host':
      return blocking(
        'not-reachable',
        `The host in temporal.address, ${address}, is not known${seen}.`,
        'Correct temporal.address (host:port, without https://), or the name resolution of this host.',
      );
    case 'nobody-listens':
    case 'unreachable':
      return blocking(
        'not-reachable',
        `No Temporal server answers at ${address}${seen}.`,
        'Start it, or correct temporal.address; check the firewall between here and there. Without temporal.address a server of its own comes along: defender-sync up.',
        network,
      );
    case 'untrusted':
      return blocking(
        'certificate-not-trusted',
        `The certificate of the Temporal server at ${address} is not trusted${seen}.`,
        'Name the authority that signed it in temporal.tls.caFile, and the host name that the certificate carries in temporal.tls.serverName where it differs from the address.',
      );
    case 'tls-expected':
      return blocking(
        'tls-expected',
        `The server at ${address} speaks TLS, and the configuration asks for a plain connection.`,
        'Set temporal.tls: true, or temporal.tls with caFile (and certificateFile, keyFile where it asks for a client certificate).',
      );
    case 'no-tls':
      return blocking(
        'no-tls',
        `The server at ${address} does not answer a TLS handshake${seen}, and the configuration asks for TLS.`,
        'Take temporal.tls (and temporal.apiKey, which switches TLS on) out where the way to the server is private; else correct temporal.address.',
      );
    case 'silent':
      return blocking(
        'no-temporal-there',
        `Something accepts connections at ${address}, but it does not answer as a Temporal server within 5 seconds.`,
        'Correct temporal.address: the frontend (7233 as a rule), not the Web UI (8233 or 8080). If it is the frontend, look into its log: it may still be starting, or ask for a client certificate.',
        network,
      );
  }
}

export const temporalNamespace: Check = {
  id: 'temporal.namespace',
  area: 'ledger, Temporal',
  question: 'Does the namespace exist, and may we use it?',
  fixedBy: temporalAdministrator,
  follows: { blocking: noRun },
  permissions: [
    {
      feature: 'everything',
      system: 'Temporal',
      permission: 'write on the namespace (worker and client)',
      where: 'the namespace of temporal.namespace',
    },
  ],
  needs: ['temporal.reachable'],
  applies,
  run: async (context) => {
    const probe = probeOf(context);
    try {
      await probe.requireNamespace();
      return [ok(`The namespace ${probe.namespace} is there.`)];
    } catch (error) {
      if (!isSyncError(error, 'misconfigured', 'unauthenticated')) throw error;
      const cause = error.kind === 'misconfigured' ? 'namespace-missing' : causeOf(error);
      return [blocking(cause, evidenceOf(error), error.remedy ?? null)];
    }
  },
};

export const temporalSearchAttributes: Check = {
  id: 'temporal.search-attributes',
  area: 'ledger, Temporal',
  question: 'Are the search attributes of the runs there, each with its type?',
  fixedBy: temporalAdministrator,
  follows: { blocking: 'A run that sets a missing one cannot go on.' },
  permissions: [
    {
      feature: 'making the search attributes DefenderSync… (once; an administrator can make them instead)',
      system: 'Temporal',
      permission: 'admin on the namespace (operator API: add search attributes)',
      where: 'the namespace of temporal.namespace',
    },
  ],
  needs: ['temporal.namespace'],
  applies,
  run: async (context) => {
    const { created, present, refused } = await probeOf(context).searchAttributes();
    if (refused.length > 0) {
      return refused.map(({ name, reason, remedy, cause }) =>
        blocking(cause, `The search attribute ${name} cannot be used: ${reason}.`, remedy),
      );
    }
    const made = created.length === 0 ? '' : ` (${listed(created)} made just now)`;
    return [
      ok(`${counted(created.length + present.length, 'search attribute')} of the runs ${made === '' ? 'are there' : `are there${made}`}.`),
    ];
  },
};

export const temporalWorkers: Check = {
  id: 'temporal.workers',
  area: 'ledger, Temporal',
  question: 'Does a worker ask for work on each task queue?',
  fixedBy: operator,
  follows: { warning: 'A run that is started waits until a worker takes it.' },
  needs: ['temporal.namespace'],
  applies,
  run: async (context) => {
    const probe = probeOf(context);
    const queues = await probe.pollers();
    const idle = queues.filter(({ workflows, activities }) => workflows === 0 || activities === 0);
    if (idle.length === 0) {
      return [
        ok(queues.map(({ taskQueue, workflows }) => `${counted(workflows, 'worker')} on the task queue ${taskQueue}`).join(', ') + '.'),
      ];
    }
    // Where the server is ours a sync brings the worker along; only schedules need one that stays.
    const isScheduled = context.deployment.schedule !== undefined;
    if (probe.isLocal && !isScheduled)
      return [ok('No worker runs; a command that needs one starts it itself (or keep one: defender-sync up).')];
    return idle.map(({ taskQueue, workflows, activities }) => {
      const what = workflows + activities === 0 ? 'tasks' : workflows === 0 ? 'workflow tasks' : 'activity tasks';
      return warning(
        'no-worker',
        `No worker has asked for ${what} on the task queue ${taskQueue} (namespace ${probe.namespace}) in the last minute.`,
        `Start one and keep it running: defender-sync up (with this configuration). If one runs already, compare its temporal.address, temporal.namespace and temporal.taskQueue with these.`,
      );
    });
  },
};

const apply = 'defender-sync schedules apply';

export const temporalSchedules: Check = {
  id: 'temporal.schedules',
  area: 'ledger, Temporal',
  question: 'Are the Schedules on the server those of the configuration?',
  fixedBy: operator,
  follows: { warning: 'Runs start at the times of the server, not at those of the configuration.' },
  needs: ['temporal.namespace'],
  applies,
  run: async (context) => {
    const own = `defender-sync/${context.deployment.name}`;
    const states = (await probeOf(context).schedules()).filter(({ scheduleId, state }) => scheduleId === own || state === 'extra');
    const results = states.flatMap(scheduleResults);
    if (results.length > 0) return results;
    return [
      ok(states.length === 0 ? 'The configuration has no schedule, and the server none either.' : `The schedule ${own} is as configured.`),
    ];
  },
};

function scheduleResults({ scheduleId, state, pausedByHand, note }: ScheduleState): Result[] {
  const paused = pausedByHand
    ? [
        warning(
          'schedule-paused',
          `The schedule ${scheduleId} is paused on the server, though the configuration does not say so${note === undefined || note === '' ? '' : ` (${note})`}.`,
          `If it is meant to run again: temporal schedule toggle --schedule-id ${scheduleId} --unpause --reason '…'. If not, write schedule.paused: true into the configuration, so that everybody knows.`,
          { follows: 'No run starts by itself until it is unpaused.' },
        ),
      ]
    : [];
  switch (state) {
    case 'as-wanted':
      return paused;
    case 'missing':
      return [
        warning('schedule-missing', `The schedule ${scheduleId} of the configuration is not on the server.`, `Make it: ${apply}.`, {
          follows: 'No run starts by itself.',
        }),
      ];
    case 'different':
      return [
        warning(
          'schedule-different',
          `The schedule ${scheduleId} on the server differs from the configuration: one of them was changed since it was applied.`,
          `See what would change: ${apply} --dry-run. Make it equal to the configuration: ${apply}.`,
        ),
        ...paused,
      ];
    case 'extra':
      return [
        warning(
          'schedule-extra',
          `The schedule ${scheduleId} is on the server, and the configuration has none for it.`,
          `If no other configuration uses this namespace, remove it: ${apply}. Otherwise give each configuration a namespace of its own, because that command looks after all of them.`,
        ),
      ];
  }
}

function probeOf({ engine }: CheckContext): TemporalProbe {
  if (engine?.temporal === undefined) throw new Error('a check of Temporal ran without a server to ask');
  return engine.temporal;
}
