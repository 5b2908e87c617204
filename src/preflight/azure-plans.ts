/** Which plans of Defender for Cloud are on (azure.md §0.4, §1.8): states that customers choose, not errors. */
import type { Pricing } from '../azure/index.ts';
import { counted, listed, ok, warning } from './results.ts';
import type { Check, Result } from './types.ts';

interface Plans {
  readonly id: string;
  /** Names of those that are paid for, in lower case. */
  readonly paid: ReadonlySet<string>;
  /** Whether Foundational CSPM is on; undefined where it is not among the plans. */
  readonly foundational: boolean | undefined;
  readonly scansImages: boolean;
}

const posture = 'cloudposture';
const containers = 'containers';
const foundational = 'foundationalcspm';
/** Listed with the tier Standard, and free of charge: they bring none of what a paid plan does. */
const freeOfCharge: ReadonlySet<string> = new Set([foundational, 'discovery']);
/** The part of CloudPosture that finds vulnerabilities of images in registries; Containers does in any case. */
const registryScan = 'containerregistriesvulnerabilityassessments';

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
      'plans' in reading ? [plansOf(id, reading.plans)] : [],
    );
    const counts = await context.facts.assessmentCounts();
    const withoutPaid = readings.filter(({ paid }) => paid.size === 0);
    // Where Resource Graph does not count, nobody can say that there is nothing.
    const isBare = (id: string): boolean => counts !== undefined && (counts.get(id) ?? 0) === 0;
    const isAssessed = ({ id, foundational }: Plans): boolean => foundational ?? !isBare(id);
    const { true: assessed = [], false: unassessed = [] } = Object.groupBy(withoutPaid, (plans) => (isAssessed(plans) ? 'true' : 'false'));
    const all = readings.length;
    const results = [
      ...withoutAssessments(idsOf(unassessed), all),
      ...withoutStandards(idsOf(assessed), all),
      ...(readings.some(({ scansImages }) => scansImages) ? [] : [withoutContainers(readings)]),
    ];
    const on = (name: string): number => readings.filter(({ paid }) => paid.has(name)).length;
    const state = `Of ${counted(readings.length, 'subscription')}, CloudPosture is on in ${on(posture)} (risk levels) and Containers in ${on(containers)} (vulnerabilities of container images).`;
    return results.length === 0 ? [ok(state)] : results;
  },
};

function idsOf(plans: readonly Plans[]): string[] {
  return plans.map(({ id }) => id);
}

const create = (plan: string, id: string | undefined): string =>
  `If it is meant to be so, nothing. Otherwise: Microsoft Defender for Cloud › Environment settings › the subscription › Defender plans, or az security pricing create --name ${plan} --tier Standard --subscription ${id ?? ''}`;

/** New subscriptions have Foundational CSPM only where somebody asked for it; where it is no plan of its own, no plan and no assessment tell. */
function withoutAssessments(off: readonly string[], all: number): Result[] {
  if (off.length === 0) return [];
  return [
    warning(
      'foundational-cspm-off',
      `${counted(off.length, 'subscription')} of ${all} without Foundational CSPM and without any paid plan, so that nothing is assessed: ${listed(off)}. Foundational CSPM is opt-in for subscriptions since 27 October 2026.`,
      `If it is meant to be so, nothing. Otherwise: Microsoft Defender for Cloud › Environment settings › the subscription ${off[0] ?? ''} › Defender plans: Foundational CSPM (free of charge) On, Save.`,
    ),
  ];
}

function withoutStandards(off: readonly string[], all: number): Result[] {
  if (off.length === 0) return [];
  return [
    warning(
      'no-paid-plan',
      `Every paid plan is off in ${counted(off.length, 'subscription')} of ${all}: ${listed(off)}. Without a paid plan there are no regulatory standards.`,
      create('CloudPosture', off[0]),
    ),
  ];
}

function withoutContainers(readings: readonly Plans[]): Result {
  return warning(
    'containers-off',
    `Neither Containers nor CloudPosture with its registry scan is on in any of ${counted(readings.length, 'subscription')}: there are no vulnerabilities of container images.`,
    create('Containers', readings[0]?.id),
  );
}

function plansOf(id: string, plans: readonly Pricing[]): Plans {
  const own = plans.find(({ name }) => name.toLowerCase() === foundational);
  return {
    id,
    paid: new Set(
      plans
        .filter(isInForce)
        .map(({ name }) => name.toLowerCase())
        .filter((name) => !freeOfCharge.has(name)),
    ),
    foundational: own === undefined ? undefined : isInForce(own),
    scansImages: plans.some(scansImages),
  };
}

function isInForce({ tier }: Pricing): boolean {
  return tier.toLowerCase() !== 'free';
}

/** Whether vulnerabilities of container images come with this plan, as it is now. */
export function scansImages(plan: Pricing): boolean {
  const name = plan.name.toLowerCase();
  if (!isInForce(plan)) return false;
  return name === containers || (name === posture && plan.extensions.some((extension) => extension.toLowerCase() === registryScan));
}
