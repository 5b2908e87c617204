import { AdminError, type AdminHandlers } from '../kit/admin-api.ts';
import { parseFaultRule, type FaultBook } from '../kit/faults.ts';
import type { LabClock } from '../kit/clock.ts';
import type { RequestLog } from '../kit/request-log.ts';
import type { Access } from './access.ts';
import { accessChanges } from './admin-access.ts';
import { directoryTruth, entraChanges, mintFederatedToken, type EntraAdminContext } from './admin-entra.ts';
import { estateChanges } from './admin-estate.ts';
import { setOptions } from './admin-options.ts';
import type { ReadThrottle } from './arm/throttle.ts';
import type { Estate, EstateChanges, EstateTruth, LabApplication } from './estate/model.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import type { AzureLabOptions } from './options.ts';

interface AdminContext extends EntraAdminContext {
  estate: Estate;
  changes: EstateChanges;
  access: Access;
  throttle: ReadThrottle;
  clock: LabClock;
  faults: FaultBook;
  log: RequestLog;
  options: AzureLabOptions;
}

/** The `/azure` routes of the admin API: truth, counters, faults and change. */
export function azureAdminHandlers(context: AdminContext): AdminHandlers {
  const { faults, log } = context;
  return {
    'GET /estate': () => estateTruth(context),
    'GET /requests': () => ({ counters: log.counters(), recent: log.recent() }),
    'DELETE /requests': () => {
      log.clear();
    },
    'GET /faults': () => ({ faults: faults.list() }),
    'POST /faults': ({ body }) => {
      try {
        return { id: faults.add(parseFaultRule(body)) };
      } catch (error) {
        throw new AdminError(400, Error.isError(error) ? error.message : String(error));
      }
    },
    'DELETE /faults': () => {
      faults.clear();
    },
    'GET /directory': () => directoryTruth(context),
    'POST /federated-tokens': ({ body }) => mintFederatedToken(context, body),
    'GET /options': () => context.options,
    'POST /change': ({ body }) => applyChange(context, body),
  };
}

/** What makes a subscription part of a deployment's truth: its findings can be read. */
const READ_ASSESSMENTS = 'Microsoft.Security/assessments/read';

/** What each deployment can see now, and all of them together. */
function estateTruth({ estate, access, options }: AdminContext): object {
  const truthOf = (applications: readonly LabApplication[]): EstateTruth => {
    const subscriptionIds = estate.subscriptions
      .map(({ subscriptionId }) => subscriptionId)
      .filter((id) => applications.some((application) => access.allows(application, `/subscriptions/${id}`, READ_ASSESSMENTS)));
    // What is inherited is in view too: definitions of every group above a visible subscription.
    const managementGroups = new Set(
      subscriptionIds.flatMap((id) => access.groupOfSubscription(id)).flatMap((name) => access.ancestors(name).map((group) => group.name)),
    );
    return estate.truth({ subscriptionIds, managementGroups: [...managementGroups], metadataCap: options.metadataCap });
  };
  return {
    name: estate.name,
    tenantId: estate.tenant.tenantId,
    deployments: Object.fromEntries(estate.applications.map((application) => [application.deployment, truthOf([application])])),
    union: truthOf(estate.applications),
  };
}

function applyChange(context: AdminContext, body: unknown): object {
  if (!isJsonObject(body))
    throw new AdminError(400, 'A change is an object whose keys say what changes: flip, assignRole, options and so on.');
  const known: Record<string, (value: JsonObject) => void> = {
    flip: (value) => addFlip(context, value),
    ...accessChanges(context),
    ...estateChanges(context),
    respell: (value) => {
      const { spelling = context.changes.spelling + 1 } = value;
      if (typeof spelling !== 'number' || !Number.isInteger(spelling)) throw new AdminError(400, 'respell.spelling is a whole number.');
      context.changes.spelling = spelling;
    },
    ...entraChanges(context),
    options: (value) => setOptions(context.options, value),
  };
  for (const [name, value] of Object.entries(body)) {
    const apply = known[name];
    if (apply === undefined) throw new AdminError(400, `'${name}' is no change; there are ${Object.keys(known).join(', ')}.`);
    // The same change for several principals or scopes is a list.
    for (const item of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
      if (!isJsonObject(item)) throw new AdminError(400, `'${name}' takes an object, or a list of them.`);
      apply(item);
    }
  }
  // Another spelling changes no count: what was computed stays true.
  if (Object.keys(body).some((name) => name !== 'respell')) context.changes.revision += 1;
  return { revision: context.changes.revision };
}

function addFlip({ changes, clock }: AdminContext, value: JsonObject): void {
  const { percent, seed = 1 } = value;
  if (typeof percent !== 'number' || percent < 0 || percent > 100) throw new AdminError(400, 'flip.percent is a number from 0 to 100.');
  if (typeof seed !== 'number' || !Number.isInteger(seed)) throw new AdminError(400, 'flip.seed is a whole number.');
  changes.flips.push({ percent, seed, at: clock.now().toISOString() });
}
