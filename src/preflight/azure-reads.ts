/**
 * One real read per subscription, and what it says about Defender's plans (azure.md §1.8, §1.12).
 *
 * The read is `Microsoft.Security/pricings`: a single short page of the same provider as the assessments and covered by the same
 * wildcard of Security Reader and Reader (`Microsoft.Security/*` /read), where a first page of assessments takes up to a minute. Its
 * answer is needed anyhow, because a subscription without plans has no assessments and that is no fault.
 */
import type { SyncError } from '../errors.ts';
import { identityOf, securityReaderOn } from './azure-roles.ts';
import type { PlanReading } from './facts.ts';
import { blocking, counted, listed, ok, warning } from './results.ts';
import type { Check, Result } from './types.ts';

/** Findings of one family; the rest is summed up in one of them. */
const maxFindings = 20;

interface Failure {
  readonly id: string;
  readonly error: SyncError;
}

export const azureRead: Check = {
  id: 'azure.read',
  needs: ['azure.scopes'],
  run: async (context) => {
    const readings = await context.facts.plans();
    const failures = [...readings].flatMap(([id, reading]): Failure[] => ('error' in reading ? [{ id, error: reading.error }] : []));
    const [first] = failures;
    if (first === undefined) return [ok(`A real read worked in ${counted(readings.size, 'subscription')} (Microsoft.Security/pricings).`)];
    const who = await identityOf(context);
    if (failures.length === readings.size) return [allFailed(failures, first, who)];
    const named = failures.slice(0, failures.length > maxFindings ? maxFindings - 1 : maxFindings).map((failure) => one(failure, who));
    const rest = failures.slice(named.length);
    return rest.length === 0 ? named : [...named, summed(rest, readings.size, who)];
  },
};

function allFailed(failures: readonly Failure[], first: Failure, who: string): Result {
  const ids = failures.map(({ id }) => id);
  const evidence = `No subscription can be read (${counted(failures.length, 'subscription')}: ${listed(ids)}). ${first.error.message}`;
  return blocking(evidence, remedyOf(first, ids, who));
}

function one(failure: Failure, who: string): Result {
  const evidence = `Subscription ${failure.id} cannot be read: its scans will fail, the run will be degraded, and nothing of it will be closed. ${failure.error.message}`;
  return { ...warning(evidence, remedyOf(failure, [failure.id], who)), about: failure.id };
}

function summed(rest: readonly Failure[], all: number, who: string): Result {
  const ids = rest.map(({ id }) => id);
  return warning(
    `${counted(rest.length, 'further subscription')} of ${all} cannot be read: ${listed(ids)}.`,
    securityReaderOn(
      ids.map((id) => `/subscriptions/${id}`),
      who,
    ),
  );
}

const unregistered: ReadonlySet<string> = new Set([
  'missingsubscriptionregistration',
  'subscriptionnotregistered',
  'subscription not registered',
]);

function remedyOf({ error }: Failure, ids: readonly string[], who: string): string | null {
  if (error.kind === 'forbidden') {
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

/** Plans that bring what the integrations read, by the name that `pricings` uses. */
const plans = [
  { name: 'CloudPosture', brings: 'risk levels and regulatory standards' },
  { name: 'Containers', brings: 'vulnerabilities of container images' },
];

export const azureDefenderPlan: Check = {
  id: 'azure.defender-plan',
  needs: ['azure.read'],
  whenRefused: 'warning',
  run: async (context) => {
    const readings = [...(await context.facts.plans())].flatMap(([id, reading]) =>
      'plans' in reading ? [{ id, paid: paidPlans(reading) }] : [],
    );
    const off = readings.filter(({ paid }) => paid.size === 0).map(({ id }) => id);
    const covered = plans.map(({ name, brings }) => {
      const count = readings.filter(({ paid }) => paid.has(name.toLowerCase())).length;
      return `${name} is on in ${count} (${brings})`;
    });
    const state = `Of ${counted(readings.length, 'subscription')}, ${covered.join(', ')}.`;
    if (off.length === 0) return [ok(state)];
    const evidence = `${state} Every plan is off in ${off.length}: ${listed(off)}. That is a state, not a fault: without Foundational CSPM there are no assessments, without a paid plan no regulatory standards.`;
    const [example] = off;
    const remedy = `If it is meant to be so, nothing. Otherwise: Microsoft Defender for Cloud › Environment settings › the subscription, or az security pricing create --name CloudPosture --tier Standard --subscription ${example ?? ''}`;
    return [warning(evidence, remedy)];
  },
};

function paidPlans(reading: Extract<PlanReading, { plans: unknown }>): ReadonlySet<string> {
  return new Set(reading.plans.filter(({ tier }) => tier.toLowerCase() !== 'free').map(({ name }) => name.toLowerCase()));
}
