/**
 * May each subscription be read (azure.md §1.8, §1.12)? By one real read, and by what its roles allow.
 *
 * The real read is `Microsoft.Security/pricings`: a single short page of the same provider as the assessments, where a first page of
 * those takes up to a minute. A role of one's own may allow the one and not the other, so the roles are asked as well; they alone do
 * not know of deny assignments.
 */
import { allowsAction, type PermissionEntry } from '../azure/index.ts';
import type { SyncError } from '../errors.ts';
import { identityOf, reader, securityReader, securityReaderOn } from './azure-roles.ts';
import type { Check, Result } from './types.ts';
import { blocking, causeOf, counted, evidenceOf, listed, notReadable, ok, warning } from './results.ts';

/** Findings of one family; the rest is summed up in one of them. */
const maxFindings = 20;

/** What every integration on assessments needs. */
const assessmentsRead = 'Microsoft.Security/assessments/read';
/** What the real read asks for. */
const plansRead = 'Microsoft.Security/pricings/read';

interface Failure {
  readonly id: string;
  readonly cause: string;
  readonly because: string;
  readonly error: SyncError | undefined;
}

export const azureRead: Check = {
  id: 'azure.read',
  area: 'Azure RBAC',
  question: `May the application read Microsoft.Security, and ${assessmentsRead} above all, in each subscription?`,
  fixedBy: 'An Owner or User Access Administrator of the subscription',
  permissions: [
    {
      feature: 'all integrations: assessments, metadata, standards, plans',
      system: 'Azure RBAC',
      permission: `Security Reader (${securityReader})`,
      where: 'each subscription, or a management group above them',
    },
  ],
  needs: ['azure.scopes'],
  run: async (context) => {
    const [readings, permissions] = await Promise.all([context.facts.plans(), context.facts.permissions()]);
    const failures = [...readings].flatMap(([id, reading]): Failure[] => {
      const held = permissions.get(id);
      if ('error' in reading) {
        const { error } = reading;
        const isTaken = error.kind === 'forbidden' && held !== undefined && allowsAction(held, plansRead);
        const cause = isTaken ? 'deny-assignment' : causeOf(error);
        return [
          {
            id,
            cause,
            because: `${evidenceOf(error)}${isTaken ? ` The application's roles there allow it: a deny assignment takes it away, or they were assigned within the last ten minutes.` : ''}`,
            error,
          },
        ];
      }
      return held === undefined || allowsAction(held, assessmentsRead) ? [] : [assessmentsDenied(id, held)];
    });
    const [first] = failures;
    if (first === undefined) {
      return [
        ok(
          `A real read worked in ${counted(readings.size, 'subscription')} (Microsoft.Security/pricings), and ${permissions.size < readings.size ? `what the roles allow is not readable in ${readings.size - permissions.size} of them` : `the roles allow ${assessmentsRead}`}.`,
        ),
      ];
    }
    const who = await identityOf(context);
    if (failures.length === readings.size) return [allFailed(failures, first, who)];
    const named = failures.slice(0, failures.length > maxFindings ? maxFindings - 1 : maxFindings).map((failure) => one(failure, who));
    const rest = failures.slice(named.length);
    return rest.length === 0 ? named : [...named, summed(rest, readings.size, who)];
  },
};

function assessmentsDenied(id: string, held: readonly PermissionEntry[]): Failure {
  const taken = held.flatMap(({ notActions }) => notActions);
  const allowed = `they allow ${listed([...new Set(held.flatMap(({ actions }) => actions))], 5) || 'nothing'}`;
  const because = `The application's roles at /subscriptions/${id} do not allow ${assessmentsRead}: ${allowed}${taken.length === 0 ? '' : `, without ${listed(taken, 5)}`}.`;
  return { id, cause: 'assessments-read-denied', because, error: undefined };
}

function allFailed(failures: readonly Failure[], first: Failure, who: string): Result {
  const ids = failures.map(({ id }) => id);
  const evidence = `No subscription can be read (${counted(failures.length, 'subscription')}: ${listed(ids)}). ${first.because}`;
  return blocking(first.cause, evidence, remedyOf(first, ids, who));
}

function one(failure: Failure, who: string): Result {
  const evidence = `Subscription ${failure.id} cannot be read. ${failure.because}`;
  return { ...warning(failure.cause, evidence, remedyOf(failure, [failure.id], who), scansFail), about: failure.id };
}

const scansFail = { follows: 'Its scans fail, the run ends degraded, and nothing of it is closed.' };

function summed(rest: readonly Failure[], all: number, who: string): Result {
  const ids = rest.map(({ id }) => id);
  return warning(
    'further-subscriptions',
    `${counted(rest.length, 'further subscription')} of ${all} cannot be read: ${listed(ids)}.`,
    securityReaderOn(
      ids.map((id) => `/subscriptions/${id}`),
      who,
    ),
    scansFail,
  );
}

const unregistered: ReadonlySet<string> = new Set([
  'missingsubscriptionregistration',
  'subscriptionnotregistered',
  'subscription not registered',
]);

function remedyOf({ error, cause }: Failure, ids: readonly string[], who: string): string | null {
  if (cause === 'deny-assignment') {
    return `A role does not help against a deny assignment. Azure portal › Subscriptions › ${ids[0] ?? ''} › Access control (IAM) › Deny assignments shows it, and who made it (a managed application, a deployment stack); its owner excludes ${who} there. If there is none, wait ten minutes: roles take that long to work.`;
  }
  if (error === undefined || error.kind === 'forbidden') {
    return securityReaderOn(
      ids.map((id) => `/subscriptions/${id}`),
      who,
    );
  }
  if (unregistered.has((error.code ?? '').toLowerCase())) {
    return `Register the provider: ${ids
      .slice(0, 5)
      .map((id) => `az provider register --namespace Microsoft.Security --subscription ${id}`)
      .join(' ; ')}`;
  }
  return error.remedy ?? null;
}

/** What tells Reader from Security Reader: the resources themselves, of whatever type. */
const resourceReads = ['Microsoft.Compute/virtualMachines/read', 'Microsoft.Storage/storageAccounts/read'];

export const azureTags: Check = {
  id: 'azure.tags',
  area: 'Azure RBAC',
  question: 'May the application read the resources themselves, with their tags and regions?',
  fixedBy: 'An Owner or User Access Administrator of the subscription',
  permissions: [
    {
      feature: 'tags, regions and types of resources on their CIs',
      system: 'Azure RBAC',
      permission: `Reader (${reader})`,
      where: 'each subscription, or a management group above them',
    },
  ],
  needs: ['azure.read'],
  run: async (context) => {
    const permissions = await context.facts.permissions();
    if (permissions.size === 0) {
      return [
        notReadable(
          'permissions-not-readable',
          "What the application's roles allow is not readable in any subscription, so nobody can say whether tags and regions are.",
          `Give the role of the application Microsoft.Authorization/permissions/read, or assign Reader (${reader}), which has it.`,
          { follows: 'A run goes on; where resources are not readable, their CIs get no host tags and no region.' },
        ),
      ];
    }
    const without = [...permissions].filter(([, held]) => !resourceReads.every((action) => allowsAction(held, action))).map(([id]) => id);
    if (without.length === 0) return [ok(`The roles allow resources to be read in ${counted(permissions.size, 'subscription')}.`)];
    const who = await identityOf(context);
    const commands = without
      .slice(0, 3)
      .map((id) => `az role assignment create --assignee ${who} --role ${reader} --scope /subscriptions/${id}`);
    return [
      warning(
        'tags-not-readable',
        `Resources, and with them tags and regions, are not readable in ${counted(without.length, 'subscription')} of ${permissions.size}: ${listed(without)} (the roles there do not allow ${resourceReads[0] ?? ''}; Security Reader does not).`,
        `Assign the role Reader (${reader}) beside Security Reader: Access control (IAM) › Add role assignment, or ${commands.join(' ; ')}${without.length > 3 ? ' …' : ''}`,
        { follows: 'A run goes on; CIs of these resources get no host tags and no region.' },
      ),
    ];
  },
};
