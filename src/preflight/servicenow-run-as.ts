/** As whom integration records run, and whether that user can do it (design §5, servicenow.md §6). */
import { query, valueOf, writeRights, type Integration, type ServiceNowClient } from '../servicenow/index.ts';
import { blocking, counted, listed, notReadable, ok, warning } from './results.ts';
import { onlyOnce, whyUnusable } from './servicenow-writers.ts';
import type { Check, Result } from './types.ts';

const recordTable = 'sn_vul_integration';
/** The role that the platform's own import user has (servicenow.md §6). */
const importRole = 'sn_vul.vr_import_admin';

export const serviceNowRunAsUser: Check = {
  id: 'servicenow.run-as-user',
  area: 'run-as',
  question: 'Can the user run imports, as whom integration records run?',
  fixedBy: 'A ServiceNow administrator',
  permissions: [
    {
      feature: "runs of ServiceNow's own plugin (VR.System has it from the start)",
      system: 'ServiceNow',
      permission: importRole,
      where: 'the user as whom integration records run',
    },
  ],
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async ({ serviceNow, clients, signal, facts }) => {
    if ((await facts.dictionary()).tables[recordTable]?.state === 'absent') {
      return [ok(`The instance has no ${recordTable}: no integration record runs as anybody.`)];
    }
    const name = serviceNow.runAs.user;
    const found = await clients.serviceNow.roles.findUser(name, signal);
    const page = `In ServiceNow, User Administration › Users › ${name}`;
    if (found === undefined) return [await absentUser(name, clients.serviceNow, (await facts.ownRoles()).user?.userName, signal)];
    const wrong = [
      ...(found.active
        ? []
        : [
            blocking(
              'inactive',
              `The user ${name} (${found.sysId}), as whom integration records run, is not active.`,
              `${page}: check Active.`,
            ),
          ]),
      ...(found.lockedOut
        ? [
            blocking(
              'locked-out',
              `The user ${name} (${found.sysId}), as whom integration records run, is locked out.`,
              `${page}: clear Locked out.`,
            ),
          ]
        : []),
    ];
    const { user, roles } = await clients.serviceNow.roles.readRolesOf(name, signal);
    if (user === undefined && !(await seesRolesOfOthers(clients.serviceNow, (await facts.ownRoles()).user?.userName, signal))) {
      wrong.push(
        notReadable(
          'roles-not-readable',
          `No role of ${name} is readable, so nobody can say whether it has ${importRole}.`,
          `${page} › Roles: compare by hand, or let the integration user read sys_user_has_role.`,
        ),
      );
    } else if (!roles.includes(importRole) && !roles.includes('admin')) {
      wrong.push(
        blocking(
          'import-role-missing',
          `The user ${name} lacks the role ${importRole}: imports that run as it fail to write their attachments ("Error writing attachment").`,
          `${page} › Roles › Edit: add ${importRole}.`,
        ),
      );
    }
    return wrong.length > 0 ? wrong : [ok(`${name} exists, is active, not locked out, and has ${importRole}.`)];
  },
};

/** A user without any role looks like one whose roles are hidden: a row of somebody else tells them apart. */
async function seesRolesOfOthers({ table }: ServiceNowClient, own: string | undefined, signal: AbortSignal): Promise<boolean> {
  if (own === undefined) return false;
  const column = 'user.user_name';
  const rows = await table.list('sys_user_has_role', { query: query().notEquals(column, own), fields: [column], limit: 20 }, signal);
  return rows.some((row) => valueOf(row, column) !== '' && valueOf(row, column) !== own);
}

/** A hidden table reads as empty: only if our own row is there, the other one is really missing. */
async function absentUser(name: string, client: ServiceNowClient, own: string | undefined, signal: AbortSignal): Promise<Result> {
  const readable = own !== undefined && (await client.roles.findUser(own, signal)) !== undefined;
  if (!readable) {
    return notReadable(
      'users-not-readable',
      `The user ${name}, as whom integration records run, cannot be seen: no row of sys_user is readable.`,
      'Let the integration user read sys_user.',
    );
  }
  return blocking(
    'user-absent',
    `The user ${name}, as whom integration records run, does not exist on the instance.`,
    `It comes with Vulnerability Response: repair that application (System Applications › All Available Applications), or create the user ${name} with the role ${importRole} under User Administration › Users.`,
  );
}

export const serviceNowRunAs: Check = {
  id: 'servicenow.run-as',
  area: 'run-as',
  question: 'Do the integration records run as that user?',
  fixedBy: 'A ServiceNow administrator',
  permissions: [
    {
      feature: 'putting run-as back (serviceNow.runAs.mode: enforce)',
      system: 'ServiceNow',
      permission: writeRights.integrations.roles[0],
      where: 'the integration user',
    },
  ],
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async (context) => {
    const { mode, user } = context.serviceNow.runAs;
    const hidden = await whyUnusable(context, recordTable, ['name', 'active', 'run_as']);
    if (hidden !== undefined) return [onlyOnce(hidden)];
    const records = integrationsOf(await context.facts.integrations(), context.deployment.name);
    const drifted = records.filter((record) => !runsAs(record, user));
    if (drifted.length === 0) {
      return [
        ok(
          records.length === 0
            ? 'No integration record for Defender for Cloud yet.'
            : `${counted(records.length, 'integration record')}: run as ${user}.`,
        ),
      ];
    }
    return [drift(drifted, records.length, user, mode)];
  },
};

/** The plugin's, and the engine's of this deployment. */
export function integrationsOf(records: readonly Integration[], deployment: string): readonly Integration[] {
  return records.filter(({ owner, name }) => owner === 'plugin' || name.startsWith(`defender-sync ${deployment}: `));
}

/** @param user user name, or sys_id where the record does not show the name */
export function runsAs({ runAs }: Integration, user: string): boolean {
  return runAs.userName.toLowerCase() === user.toLowerCase();
}

function drift(drifted: readonly Integration[], of: number, user: string, mode: 'enforce' | 'report'): Result {
  const who = [...Map.groupBy(drifted, describeRunAs)].map(
    ([words, records]) =>
      `${words}: ${listed(
        records.map(({ name, sysId }) => `"${name}" (${sysId})`),
        6,
      )}`,
  );
  const evidence = `${drifted.length} of ${counted(of, 'integration record')} do not run as ${user}. ${who.join('; ')}. Runs as another user leave their attachments on the data source, and every later run transforms them again.`;
  const byHand = `${recordTable}.list › open each record (by its sys_id: /${recordTable}.do?sys_id=<sys_id>) › Run as = ${user} › Update`;
  if (mode === 'enforce') {
    return warning('run-as-drift', evidence, `Nothing, where a run may write the field; else: ${byHand}.`, {
      follows: 'A run puts the field back before it reads or writes anything else, and reports that.',
    });
  }
  return warning('run-as-drift', evidence, `${byHand}; or set serviceNow.runAs.mode to enforce, and the next run does it.`, {
    follows: 'A run leaves it as it is and goes on (serviceNow.runAs.mode: report).',
  });
}

/** The record says who changed it last, not who changed this field. */
export function describeRunAs({ runAs, updatedBy, updatedOn }: Integration): string {
  const as =
    runAs.userName !== '' ? `as ${runAs.userName}` : runAs.sysId !== '' ? `as ${runAs.sysId} (whose name is not readable)` : 'as nobody';
  return updatedBy === '' ? as : `${as}, last changed by ${updatedBy} at ${updatedOn} UTC`;
}
