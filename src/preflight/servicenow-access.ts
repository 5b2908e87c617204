/** Who we are on the instance, and what we may do there (servicenow.md §6, §7). */
import { writeRights, type ServiceNowClient, type WriteRight } from '../servicenow/index.ts';
import { blocking, counted, isAnswer, notReadable, ok, warning } from './results.ts';
import { isSyncError } from '../errors.ts';
import type { Proof } from './servicenow-writes.ts';
import type { Check, CheckContext, Result } from './types.ts';

export const serviceNowSignIn: Check = {
  id: 'servicenow.sign-in',
  needs: [],
  run: async (context) => {
    try {
      const { user } = await context.facts.ownRoles();
      const who = user === undefined ? configuredAccount(context) : user.userName;
      return [ok(`Signed in to ${context.serviceNow.url} as ${who}.`)];
    } catch (error) {
      // Refused after signing in: which roles there are is another check's question.
      if (isSyncError(error, 'forbidden') && error.status === 403) {
        return [ok(`Signed in to ${context.serviceNow.url} as ${configuredAccount(context)}.`)];
      }
      throw error;
    }
  },
};

function configuredAccount({ serviceNow: { auth } }: CheckContext): string {
  return auth.type === 'client-credentials' ? `the user of OAuth client ${auth.clientId}` : auth.userName;
}

/** A right that the engine needs: by one of these roles, or by whatever else the instance's own rules accept. */
interface Right {
  /** What does not work without it. */
  readonly feature: string;
  /** Any of them is enough; admin always is. */
  readonly roles: readonly string[];
  readonly whenMissing: 'blocking' | 'warning';
  /** Only asked for where this table is among those that the engine writes, and exists. */
  readonly table: string | undefined;
  /** Tells by doing: roles are names, and instances have rules of their own. */
  readonly prove: (context: CheckContext) => Promise<Proof>;
}

/** The right to write some tables, proved on the first of them. */
function writeTo({ feature, roles, tables: [table] }: WriteRight): Pick<Right, 'feature' | 'roles' | 'table' | 'prove'> {
  const prove = async ({ facts }: CheckContext): Promise<Proof> => (await facts.writeTrials()).get(table ?? '')?.proof ?? 'unknown';
  return { feature, roles, table, prove };
}

const rights: readonly Right[] = [
  { whenMissing: 'blocking', ...writeTo(writeRights.compliance) },
  {
    feature: 'CIs of cloud resources',
    roles: ['itil', 'asset'],
    whenMissing: 'blocking',
    table: undefined,
    prove: proveIdentification,
  },
  {
    feature: 'reading the dictionary, without which no column can be used',
    roles: ['personalize_read_dictionary', 'personalize_dictionary', 'sn_sec_core.read_dictionary'],
    whenMissing: 'blocking',
    table: undefined,
    prove: async ({ facts }) => ((await facts.dictionary()).readable.columns ? 'allowed' : 'denied'),
  },
  { whenMissing: 'blocking', ...writeTo(writeRights.discoveredItems) },
  { whenMissing: 'warning', ...writeTo(writeRights.vulnerabilities) },
  { whenMissing: 'warning', ...writeTo(writeRights.images) },
  { whenMissing: 'warning', ...writeTo(writeRights.vulnerableItems) },
  { whenMissing: 'warning', ...writeTo(writeRights.integrationInstance) },
];

async function proveIdentification({ facts }: CheckContext): Promise<Proof> {
  try {
    await facts.dryRun();
    return 'allowed';
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return error.kind === 'forbidden' ? 'denied' : 'unknown';
  }
}

export const serviceNowRoles: Check = {
  id: 'servicenow.roles',
  needs: ['servicenow.sign-in'],
  run: async (context) => {
    const held = await readOwn(context);
    const dictionary = await context.facts.dictionary();
    const written = new Set(context.tableSpecs.map(({ name }) => name));
    const lacking: Lacking[] = [];
    for (const right of rights) {
      const asked = right.table === undefined || (written.has(right.table) && dictionary.tables[right.table]?.state !== 'absent');
      if (!asked || right.roles.some((role) => held?.roles.includes(role)) || held?.roles.includes('admin')) continue;
      const proof = await right.prove(context);
      if (proof === 'denied' || (proof === 'unknown' && held !== undefined)) lacking.push({ right, proof });
    }
    if (lacking.length > 0) {
      const who = held?.userName ?? configuredAccount(context);
      const groups = (['blocking', 'warning'] as const).map((verdict) => lacking.filter(({ right }) => right.whenMissing === verdict));
      return groups.filter((group) => group.length > 0).map((group) => missing(group, who));
    }
    if (held === undefined) return [unknownRoles(context)];
    return [ok(`${held.userName} has every right that the engine needs (${counted(held.roles.length, 'role')}, inherited ones included).`)];
  },
};

interface Lacking {
  readonly right: Right;
  readonly proof: Proof;
}

interface Held {
  readonly userName: string;
  readonly roles: readonly string[];
}

/** Undefined when no role row is readable: a user without any role looks the same. */
async function readOwn(context: CheckContext): Promise<Held | undefined> {
  try {
    const { user, roles } = await context.facts.ownRoles();
    return user === undefined ? undefined : { userName: user.userName, roles };
  } catch (error) {
    if (isSyncError(error, 'forbidden')) return undefined;
    throw error;
  }
}

/** One visit to the user's record: all roles that are missing for the same reason stand in one finding. */
function missing(lacking: readonly Lacking[], who: string): Result {
  const rows = lacking.map(({ right, proof }) => {
    const tried = proof === 'denied' ? 'a try without effect was refused' : 'not tried';
    return `${right.roles.join(' or ')} for ${right.feature} (${tried})`;
  });
  const add = lacking.map(({ right: { roles } }) => {
    const [first = '', ...others] = roles;
    return others.length === 0 ? first : `${first} (or ${others.join(', ')})`;
  });
  const evidence = `${who} lacks ${counted(lacking.length, 'role')}: ${rows.join('; ')}.`;
  const remedy = `In ServiceNow, User Administration › Users › ${who} › Roles › Edit: add ${add.join(', ')}.`;
  return lacking[0]?.right.whenMissing === 'warning' ? warning(evidence, remedy) : blocking(evidence, remedy);
}

function unknownRoles(context: CheckContext): Result {
  const names = rights.map(({ roles }) => roles.join(' or ')).join('; ');
  return notReadable(
    'No row of sys_user_has_role is readable, so the roles of the integration user are not known. Nothing that was tried without effect was refused.',
    `Let ${configuredAccount(context)} read sys_user_has_role, or compare its roles by hand with: ${names}.`,
  );
}

/** The role that the platform's own import user has (servicenow.md §6). */
const importRole = 'sn_vul.vr_import_admin';

export const serviceNowRunAsUser: Check = {
  id: 'servicenow.run-as-user',
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async ({ serviceNow, clients, signal, facts }) => {
    const name = serviceNow.runAs.user;
    const found = await clients.serviceNow.roles.findUser(name, signal);
    const page = `In ServiceNow, User Administration › Users › ${name}`;
    if (found === undefined) return [await absentUser(name, clients.serviceNow, (await facts.ownRoles()).user?.userName, signal)];
    const wrong = [
      ...(found.active
        ? []
        : [blocking(`The user ${name} (${found.sysId}), as whom integration records run, is not active.`, `${page}: check Active.`)]),
      ...(found.lockedOut
        ? [blocking(`The user ${name} (${found.sysId}), as whom integration records run, is locked out.`, `${page}: clear Locked out.`)]
        : []),
    ];
    const { user, roles } = await clients.serviceNow.roles.readRolesOf(name, signal);
    if (user === undefined) {
      wrong.push(
        notReadable(
          `No role of ${name} is readable, so nobody can say whether it has ${importRole}.`,
          `${page} › Roles: compare by hand, or let the integration user read sys_user_has_role.`,
        ),
      );
    } else if (!roles.includes(importRole) && !roles.includes('admin')) {
      wrong.push(
        blocking(
          `The user ${name} lacks the role ${importRole}: imports that run as it fail to write their attachments ("Error writing attachment").`,
          `${page} › Roles › Edit: add ${importRole}.`,
        ),
      );
    }
    return wrong.length > 0 ? wrong : [ok(`${name} exists, is active, not locked out, and has ${importRole}.`)];
  },
};

/** A hidden table reads as empty: only if our own row is there, the other one is really missing. */
async function absentUser(name: string, client: ServiceNowClient, own: string | undefined, signal: AbortSignal): Promise<Result> {
  const readable = own !== undefined && (await client.roles.findUser(own, signal)) !== undefined;
  if (!readable) {
    return notReadable(
      `The user ${name}, as whom integration records run, cannot be seen: no row of sys_user is readable.`,
      'Let the integration user read sys_user.',
    );
  }
  return blocking(
    `The user ${name}, as whom integration records run, does not exist on the instance.`,
    `It comes with Vulnerability Response: repair that application (System Applications › All Available Applications), or create the user ${name} with the role ${importRole} under User Administration › Users.`,
  );
}
