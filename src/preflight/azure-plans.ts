/** Which plans of Defender for Cloud are on (azure.md §0.4, §1.8): states that customers choose, not errors. */
import type { PlanReading } from './facts.ts';
import { counted, listed, ok, warning } from './results.ts';
import type { Check, Result } from './types.ts';

interface PaidPlans {
  readonly id: string;
  /** Names in lower case. */
  readonly paid: ReadonlySet<string>;
}

/** Plans that bring what an integration reads, by the name that `pricings` uses. */
const containers = 'containers';
const posture = 'cloudposture';

export const azureDefenderPlan: Check = {
  id: 'azure.defender-plan',
  area: 'Defender plan',
  question: 'Which plans of Defender for Cloud are on?',
  fixedBy: 'A Security Admin or Owner of the subscription, if it is not meant to be so',
  follows: { warning: 'A run goes on; there is nothing to read there, and it is reported as not applicable, not as fixed.' },
  needs: ['azure.read'],
  whenRefused: 'warning',
  run: async (context) => {
    const readings = [...(await context.facts.plans())].flatMap(([id, reading]) =>
      'plans' in reading ? [{ id, paid: paidPlans(reading) }] : [],
    );
    const counts = await context.facts.assessmentCounts();
    const off = readings.filter(({ paid }) => paid.size === 0).map(({ id }) => id);
    // Where Resource Graph does not count, nobody can say that there is nothing.
    const bare = off.filter((id) => counts !== undefined && (counts.get(id) ?? 0) === 0);
    const all = readings.length;
    const results = [
      ...withoutAssessments(bare, all),
      ...withoutStandards(
        off.filter((id) => !bare.includes(id)),
        all,
      ),
      ...(readings.some(({ paid }) => paid.has(containers)) ? [] : [withoutContainers(readings)]),
    ];
    const on = (name: string): number => readings.filter(({ paid }) => paid.has(name)).length;
    const state = `Of ${counted(readings.length, 'subscription')}, CloudPosture is on in ${on(posture)} (risk levels) and Containers in ${on(containers)} (vulnerabilities of container images).`;
    return results.length === 0 ? [ok(state)] : results;
  },
};

const create = (plan: string, id: string | undefined): string =>
  `If it is meant to be so, nothing. Otherwise: Microsoft Defender for Cloud › Environment settings › the subscription › Defender plans, or az security pricing create --name ${plan} --tier Standard --subscription ${id ?? ''}`;

/** New subscriptions have Foundational CSPM only where somebody asked for it: no plan and no assessment at all is how that looks. */
function withoutAssessments(off: readonly string[], all: number): Result[] {
  if (off.length === 0) return [];
  return [
    warning(
      'foundational-cspm-off',
      `${counted(off.length, 'subscription')} of ${all} without a single assessment, and every plan is off: ${listed(off)}. Foundational CSPM is opt-in for subscriptions since 27 October 2026.`,
      create('CloudPosture', off[0]),
    ),
  ];
}

function withoutStandards(off: readonly string[], all: number): Result[] {
  if (off.length === 0) return [];
  return [
    warning(
      'no-paid-plan',
      `Every plan is off in ${counted(off.length, 'subscription')} of ${all}: ${listed(off)}. Without a paid plan there are no regulatory standards.`,
      create('CloudPosture', off[0]),
    ),
  ];
}

function withoutContainers(readings: readonly PaidPlans[]): Result {
  return warning(
    'containers-off',
    `The plan Containers is off in all ${counted(readings.length, 'subscription')}: there are no vulnerabilities of container images.`,
    create('Containers', readings[0]?.id),
  );
}

function paidPlans(reading: Extract<PlanReading, { plans: unknown }>): ReadonlySet<string> {
  return new Set(reading.plans.filter(({ tier }) => tier.toLowerCase() !== 'free').map(({ name }) => name.toLowerCase()));
}
