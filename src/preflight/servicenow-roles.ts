/** What the integration user may do, by the roles that the features in use need (servicenow.md §1.1, §2, §6, §7). */
import { isSyncError } from '../errors.ts';
import { writeRights, type WriteRight } from '../servicenow/index.ts';
import { blocking, counted, isAnswer, notReadable, ok, warning } from './results.ts';
import { configuredAccount } from './servicenow-account.ts';
import { configureRole, mayChange, mayNotChange, readRole } from './servicenow-may-change.ts';
import type { Proof } from './servicenow-writes.ts';
import type { Check, CheckContext, RequiredPermission, Result } from './types.ts';

/** A right that the engine needs: by one of these roles, or by whatever else the instance's own rules accept. */
interface Right {
  /** What does not work without it. */
  readonly feature: string;
  /** Any of them is enough; admin always is. */
  readonly roles: readonly string[];
  readonly whenMissing: 'blocking' | 'warning';
  /** Only asked for where this table is among those that the engine writes, and exists. */
  readonly table?: string | undefined;
  /** Only asked for where the deployment uses the feature; default: always. */
  readonly isUsed?: (context: CheckContext) => boolean;
  /** Tells by doing: roles are names, and instances have rules of their own. */
  readonly prove: (context: CheckContext) => Promise<Proof>;
}

/** The right to write some tables: one that refuses is enough to say that it is missing. */
function writeTo({ feature, roles, tables, indispensable }: WriteRight): Right {
  const prove = async ({ facts }: CheckContext): Promise<Proof> => {
    const trials = await facts.writeTrials();
    const proofs = tables.flatMap((table) => trials.get(table)?.proof ?? []);
    return proofs.includes('denied') ? 'denied' : (proofs[0] ?? 'unknown');
  };
  return { feature, roles, table: tables[0], prove, whenMissing: indispensable === true ? 'blocking' : 'warning' };
}

/** Nothing that the engine may try tells whether they are enough: the roles are what set-up looks at (KB2965877). */
function forIncidents(role: string): Right {
  const isUsed = ({ deployment }: CheckContext): boolean => deployment.incidents;
  return {
    feature: 'security incidents of Microsoft Defender (incidents: true)',
    roles: [role],
    whenMissing: 'blocking',
    isUsed,
    prove: () => Promise.resolve('unknown'),
  };
}

const rights: readonly Right[] = [
  writeTo(writeRights.compliance),
  { feature: 'CIs of cloud resources', roles: ['itil', 'asset'], whenMissing: 'blocking', prove: proveIdentification },
  {
    feature: 'reading the dictionary, without which no column can be used',
    roles: ['personalize_read_dictionary', 'personalize_dictionary', 'sn_sec_core.read_dictionary'],
    whenMissing: 'blocking',
    prove: async ({ facts }) => ((await facts.dictionary()).readable.columns ? 'allowed' : 'denied'),
  },
  writeTo(writeRights.discoveredItems),
  writeTo(writeRights.attributes),
  writeTo(writeRights.vulnerabilities),
  writeTo(writeRights.images),
  writeTo(writeRights.vulnerableItems),
  writeTo(writeRights.integrationInstance),
  writeTo(writeRights.integrations),
  writeTo(writeRights.runs),
  forIncidents('sn_si.admin'),
  forIncidents('sn_si.ingestion_profile_admin'),
];

/** Roles that come with an application; where it is not installed they do not exist, and nobody can be given them. */
export const rolesOfApplications = [
  ...new Set([configureRole, readRole, ...rights.flatMap(({ roles }) => roles).filter((role) => role.startsWith('sn_'))]),
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
  area: 'ServiceNow roles',
  question: 'Does the integration user have the roles that the features need?',
  fixedBy: 'A ServiceNow administrator',
  permissions: [
    ...rights.map(({ feature, roles }): RequiredPermission => onUser(feature, roles.join(' or '))),
    onUser('changing anything, where the plugin is installed (its roles exist)', configureRole),
    onUser('the commands that only read, where the plugin is installed', `${readRole} or ${configureRole}`),
  ],
  needs: ['servicenow.sign-in'],
  run: async (context) => {
    const held = await readOwn(context);
    const existing = await context.facts.existingRoles();
    const lacking = await lackingRights(context, held, existing);
    const results = [
      ...configureResults(held, existing),
      ...missingResults(lacking, existing, held?.userName ?? configuredAccount(context.serviceNow)),
    ];
    if (results.length > 0) return results;
    if (held === undefined) return [unknownRoles(context)];
    return [ok(`${held.userName} has every right that the engine needs (${counted(held.roles.length, 'role')}, inherited ones included).`)];
  },
};

function onUser(feature: string, permission: string): RequiredPermission {
  return { feature, system: 'ServiceNow', permission, where: 'the integration user' };
}

interface Lacking {
  readonly right: Right;
  readonly proof: Proof;
}

interface Held {
  readonly userName: string;
  readonly roles: readonly string[];
}

async function lackingRights(
  context: CheckContext,
  held: Held | undefined,
  existing: ReadonlySet<string> | undefined,
): Promise<readonly Lacking[]> {
  const dictionary = await context.facts.dictionary();
  const written = new Set(context.tableSpecs.map(({ name }) => name));
  // What `configureResults` says covers the records that this role alone lets a user write.
  const mayOnlyRead = isRefused(mayChange(existing, held?.roles));
  const lacking: Lacking[] = [];
  for (const right of rights) {
    const isThere = right.table === undefined || (written.has(right.table) && dictionary.tables[right.table]?.state !== 'absent');
    if (!isThere || right.isUsed?.(context) === false || (mayOnlyRead && right.roles.includes(configureRole))) continue;
    if (right.roles.some((role) => held?.roles.includes(role)) || held?.roles.includes('admin')) continue;
    const proof = await right.prove(context);
    if (proof === 'denied' || (proof === 'unknown' && held !== undefined)) lacking.push({ right, proof });
  }
  return lacking;
}

function isRefused(which: ReturnType<typeof mayChange>): boolean {
  return which === 'read-integration-only' || which === 'configure-integration-missing';
}

function configureResults(held: Held | undefined, existing: ReadonlySet<string> | undefined): readonly Result[] {
  const which = mayChange(existing, held?.roles);
  if (!isRefused(which)) return [];
  const { evidence, remedy } = mayNotChange(which, held?.userName ?? '');
  return [blocking(which, evidence, remedy)];
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
function missingResults(lacking: readonly Lacking[], existing: ReadonlySet<string> | undefined, who: string): readonly Result[] {
  const kinds = Map.groupBy(lacking, ({ right }) => `${right.whenMissing}${canBeGiven(right, existing) ? '' : ' absent'}`);
  return [...kinds].map(([kind, group]) => (kind.endsWith(' absent') ? absentRoles(group, who) : missing(group, existing, who)));
}

/** False where the instance has none of the roles: their application is not installed. */
function canBeGiven({ roles }: Right, existing: ReadonlySet<string> | undefined): boolean {
  return existing === undefined || roles.some((role) => !rolesOfApplications.includes(role) || existing.has(role));
}

function missing(lacking: readonly Lacking[], existing: ReadonlySet<string> | undefined, who: string): Result {
  const exists = (role: string): boolean => existing === undefined || !rolesOfApplications.includes(role) || existing.has(role);
  const rows = lacking.map(({ right, proof }) => {
    const tried = proof === 'denied' ? 'a try without effect was refused' : 'not tried';
    return `${right.roles.filter(exists).join(' or ')} for ${right.feature} (${tried})`;
  });
  const add = lacking.map(({ right: { roles } }) => {
    const [first = '', ...others] = roles.filter(exists);
    return others.length === 0 ? first : `${first} (or ${others.join(', ')})`;
  });
  const evidence = `${who} lacks ${counted(lacking.length, 'role')}: ${rows.join('; ')}.`;
  const remedy = `In ServiceNow, User Administration › Users › ${who} › Roles › Edit: add ${[...new Set(add)].join(', ')}.`;
  return (lacking[0]?.right.whenMissing === 'warning' ? warning : blocking)('roles-missing', evidence, remedy);
}

function absentRoles(lacking: readonly Lacking[], who: string): Result {
  const roles = lacking.flatMap(({ right }) => right.roles);
  const features = [...new Set(lacking.map(({ right }) => right.feature))];
  const isIncidents = roles.some((role) => role.startsWith('sn_si.'));
  return (lacking[0]?.right.whenMissing === 'warning' ? warning : blocking)(
    'roles-absent',
    `The instance has no role ${roles.join(', ')}: the application that brings it is not installed, and ${who} cannot have it. Needed for: ${features.join('; ')}.`,
    isIncidents
      ? `Install Security Incident Response and its Microsoft Defender integration (System Applications › All Available Applications › All), then give ${who} the roles ${roles.join(' and ')}; or set incidents: false for the deployment.`
      : `Install the application that brings ${roles.join(', ')} (System Applications › All Available Applications › All), then give ${who} the role.`,
  );
}

function unknownRoles({ serviceNow }: CheckContext): Result {
  const names = rights.map(({ roles }) => roles.join(' or ')).join('; ');
  return notReadable(
    'roles-not-readable',
    'No row of sys_user_has_role is readable, so the roles of the integration user are not known. Nothing that was tried without effect was refused.',
    `Let ${configuredAccount(serviceNow)} read sys_user_has_role, or compare its roles by hand with: ${names}.`,
  );
}
