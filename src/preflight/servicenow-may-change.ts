/**
 * Who may configure and who may only read (servicenow.md §1.1): where the instance has the roles of the plugin, they decide for this
 * engine's commands too. Asked of the instance each time; nothing is enforced where the roles do not exist.
 */
import { isSyncError, SyncError } from '../errors.ts';
import type { ServiceNowClient, UserRoles } from '../servicenow/index.ts';
import { isAnswer } from './results.ts';

export const configureRole = 'sn_vul_msft_tvm.configure_integration';
export const readRole = 'sn_vul_msft_tvm.read_integration';

/** `not-enforced`: the roles do not exist on the instance, or cannot be read. */
export type MayChange = 'yes' | 'not-enforced' | 'read-integration-only' | 'configure-integration-missing';

/**
 * @param existing the plugin's roles that the instance has; undefined where roles are not readable
 * @param held roles of the user, inherited ones included; undefined where none is readable
 */
export function mayChange(existing: ReadonlySet<string> | undefined, held: readonly string[] | undefined): MayChange {
  if (existing?.has(configureRole) !== true || held === undefined) return 'not-enforced';
  if (held.includes(configureRole) || held.includes('admin')) return 'yes';
  return held.includes(readRole) ? 'read-integration-only' : 'configure-integration-missing';
}

/** What is said of a user who may not; the same words in `doctor` and where a command is refused. */
export function mayNotChange(which: MayChange, userName: string): { readonly evidence: string; readonly remedy: string } {
  const has =
    which === 'read-integration-only' ? `has ${readRole}, which lets it read, but not ${configureRole}` : `lacks ${configureRole}`;
  return {
    evidence: `${userName} ${has}: it may not change what the instance keeps of Microsoft Defender for Cloud.`,
    remedy: `In ServiceNow, User Administration › Users › ${userName} › Roles › Edit: add ${configureRole} (directly, by a group or in a role that contains it), or configure a user that has it.`,
  };
}

/**
 * Refuses a command that changes something to a user who may only read.
 * @throws SyncError `forbidden` when the instance says that the user may not; nothing when the instance cannot be asked: then the
 * preflight of the run says why
 */
export async function requireMayChange(client: ServiceNowClient, command: string, signal: AbortSignal): Promise<void> {
  const roles = await readRoles(client, signal);
  if (roles?.own.user === undefined) return;
  const { own, existing } = roles;
  const which = mayChange(existing, own.roles);
  if (which === 'yes' || which === 'not-enforced') return;
  const { evidence, remedy } = mayNotChange(which, own.user?.userName ?? '');
  throw new SyncError({
    kind: 'forbidden',
    service: 'servicenow',
    code: which,
    message: `${command} was not begun: ${evidence}`,
    remedy: `${remedy} Commands that only read (doctor, status, report, explain, cis pairs) go on working.`,
  });
}

async function readRoles(
  client: ServiceNowClient,
  signal: AbortSignal,
): Promise<{ readonly own: UserRoles; readonly existing: ReadonlySet<string> | undefined } | undefined> {
  try {
    return {
      existing: await client.roles.readExistingRoles([configureRole, readRole], signal),
      own: await client.roles.readOwnRoles(signal),
    };
  } catch (error) {
    if (isAnswer(error) || isSyncError(error, 'transient') || isSyncError(error, 'throttled')) return undefined;
    throw error;
  }
}
