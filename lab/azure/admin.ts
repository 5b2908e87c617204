import { AdminError, type AdminHandlers } from '../kit/admin-api.ts';
import { parseFaultRule, type FaultBook } from '../kit/faults.ts';
import type { LabClock } from '../kit/clock.ts';
import type { RequestLog } from '../kit/request-log.ts';
import type { Access } from './access.ts';
import type { Estate, EstateChanges, EstateTruth, LabApplication } from './estate/model.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import type { AzureLabOptions, PageQuirk } from './options.ts';

interface AdminContext {
  estate: Estate;
  changes: EstateChanges;
  access: Access;
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
    'GET /options': () => context.options,
    'POST /change': ({ body }) => applyChange(context, body),
  };
}

/** What each deployment can see now, and all of them together. */
function estateTruth({ estate, access, options }: AdminContext): object {
  const truthOf = (applications: readonly LabApplication[]): EstateTruth => {
    const subscriptionIds = estate.subscriptions
      .map(({ subscriptionId }) => subscriptionId)
      .filter((id) =>
        applications.some((application) => access.visibleSubscriptions(application).some(({ subscriptionId }) => subscriptionId === id)),
      );
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
    throw new AdminError(400, 'A change is an object with one or more of flip, revoke, restore, plan, respell, consent, options.');
  const known: Record<string, (value: JsonObject) => void> = {
    flip: (value) => addFlip(context, value),
    revoke: (value) => context.access.revoke(clientOf(context, value), subscriptionIn(context, value)),
    restore: (value) => context.access.restore(clientOf(context, value), subscriptionIn(context, value)),
    plan: (value) => setPlan(context, value),
    respell: (value) => {
      const { spelling = context.changes.spelling + 1 } = value;
      if (typeof spelling !== 'number' || !Number.isInteger(spelling)) throw new AdminError(400, 'respell.spelling is a whole number.');
      context.changes.spelling = spelling;
    },
    consent: (value) => setConsent(context, value),
    options: (value) => setOptions(context, value),
  };
  for (const [name, value] of Object.entries(body)) {
    const apply = known[name];
    if (apply === undefined || !isJsonObject(value))
      throw new AdminError(400, `'${name}' is no change; there are ${Object.keys(known).join(', ')}.`);
    apply(value);
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

function setPlan(context: AdminContext, value: JsonObject): void {
  if (value.tier !== 'Free' && value.tier !== 'Standard') throw new AdminError(400, "plan.tier is 'Free' or 'Standard'.");
  context.changes.planTiers.set(subscriptionIn(context, value), value.tier);
}

function setConsent(context: AdminContext, value: JsonObject): void {
  const { state, directoryReader } = value;
  if (state !== undefined && state !== 'granted' && state !== 'delegated-only' && state !== 'no-consent') {
    throw new AdminError(400, "consent.state is 'granted', 'delegated-only' or 'no-consent'.");
  }
  context.access.setGrants(clientOf(context, value), {
    ...(state === undefined ? {} : { consent: state }),
    ...(typeof directoryReader === 'boolean' ? { directoryReader } : {}),
  });
}

const QUIRKS: readonly PageQuirk[] = ['none', 'empty-pages', 'self-loop', 'empty-string-at-end'];

function setOptions({ options }: AdminContext, value: JsonObject): void {
  const { pageQuirk, metadataCap, tokenLifetimeSeconds, throttling, pageSizes, ...unknown } = value;
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined) throw new AdminError(400, `'${stranger}' is no option that can be changed while the lab runs.`);
  const quirk = QUIRKS.find((candidate) => candidate === pageQuirk);
  if (pageQuirk !== undefined && quirk === undefined) throw new AdminError(400, `options.pageQuirk is one of ${QUIRKS.join(', ')}.`);
  if (quirk !== undefined) options.pageQuirk = quirk;
  if (throttling === 'enforced' || throttling === 'headers') options.throttling = throttling;
  if (metadataCap !== undefined) options.metadataCap = wholeNumber('metadataCap', metadataCap);
  if (tokenLifetimeSeconds !== undefined) options.tokenLifetimeSeconds = wholeNumber('tokenLifetimeSeconds', tokenLifetimeSeconds);
  if (!isJsonObject(pageSizes)) return;
  for (const [name, size] of Object.entries(pageSizes)) {
    if (!(name in options.pageSizes)) throw new AdminError(400, `There is no page size called '${name}'.`);
    options.pageSizes[name as keyof AzureLabOptions['pageSizes']] = wholeNumber(`pageSizes.${name}`, size);
  }
}

function wholeNumber(name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1)
    throw new AdminError(400, `options.${name} is a whole number of at least 1.`);
  return value;
}

function clientOf({ access }: AdminContext, { clientId }: JsonObject): string {
  if (typeof clientId !== 'string' || access.application(clientId) === undefined)
    throw new AdminError(404, `No application has the clientId '${JSON.stringify(clientId ?? null)}'.`);
  return clientId;
}

function subscriptionIn({ estate }: AdminContext, { subscription }: JsonObject): string {
  const id = typeof subscription === 'string' ? subscription.toLowerCase() : '';
  if (!estate.subscriptions.some(({ subscriptionId }) => subscriptionId === id))
    throw new AdminError(404, `The estate has no subscription '${id}'.`);
  return id;
}
