import { hash32 } from './generated/hash.ts';
import { BENCH_PROFILE, type EstateProfile, type SubscriptionProfile } from './generated/profile.ts';
import type { ManagementGroup } from './model.ts';

/** Up to here an estate has the three subscriptions of the benchmark profile. */
const SMALL_ASSESSMENTS = 50_000;
/** Above, one subscription per so many assessments … */
const ASSESSMENTS_PER_SUBSCRIPTION = 1000;
/** … up to as many as one Resource Graph query may name (azure.md §1.9). */
const MOST_SUBSCRIPTIONS = 1000;

const ROOT = 'fabrikam';
const DIVISIONS = [
  { name: 'shared', displayName: 'Shared' },
  { name: 'a', displayName: 'Division A' },
  { name: 'b', displayName: 'Division B' },
] as const;
const ZONES = ['platform', 'corp', 'online'] as const;
const ENVIRONMENTS = ['prod', 'prod', 'test', 'dev', 'shared'] as const;

/** The profile of `generated:<seed>:<assessments>`: its tree and its subscriptions grow with the number of assessments. */
export function profileFor(assessments: number): EstateProfile {
  if (assessments <= SMALL_ASSESSMENTS) return BENCH_PROFILE;
  const count = Math.min(MOST_SUBSCRIPTIONS, Math.ceil(assessments / ASSESSMENTS_PER_SUBSCRIPTION));
  const managementGroups = tree();
  const parents = new Set(managementGroups.map(({ parent }) => parent));
  const leaves = managementGroups.filter(({ name }) => !parents.has(name));
  return {
    ...BENCH_PROFILE,
    managementGroups,
    subscriptions: Array.from({ length: count }, (_unused, index) => subscription(index, leaves)),
    // A reads the whole tenant from its root, as azure.md §1.12 recommends; B what is shared and one division.
    deployments: [
      { deployment: 'A', displayName: 'defender-sync-a', managementGroups: [ROOT] },
      { deployment: 'B', displayName: 'defender-sync-b', managementGroups: [`${ROOT}-shared`, `${ROOT}-b`] },
    ],
  };
}

/** Root, division, zone, region, team: 193 groups, more than one page of the list. */
function tree(): ManagementGroup[] {
  const below = (parent: ManagementGroup, names: readonly { name: string; displayName: string }[]): ManagementGroup[] =>
    names.map(({ name, displayName }) => ({
      name: `${parent.name}-${name}`,
      displayName: parent.parent === null ? displayName : `${parent.displayName} ${displayName}`,
      parent: parent.name,
    }));
  const root: ManagementGroup = { name: ROOT, displayName: 'Tenant Root Group', parent: null };
  const divisions = below(root, DIVISIONS);
  const zones = divisions.flatMap((group) =>
    below(
      group,
      ZONES.map((zone) => ({ name: zone, displayName: zone })),
    ),
  );
  const regions = zones.flatMap((group) =>
    below(
      group,
      BENCH_PROFILE.regions.map(({ name, short }) => ({ name: short, displayName: name })),
    ),
  );
  const teams = regions.flatMap((group) =>
    below(
      group,
      BENCH_PROFILE.owners.map((owner) => ({ name: owner, displayName: owner })),
    ),
  );
  return [root, ...divisions, ...zones, ...regions, ...teams];
}

/** One in a hundred is large, one in ten of middling size: a million makes a list of some 39 pages and many of one. */
function weightOf(index: number): number {
  if (index % 100 === 0) return 400;
  return index % 10 === 0 ? 20 : 5;
}

function subscription(index: number, leaves: readonly ManagementGroup[]): SubscriptionProfile {
  const number = String(index + 1).padStart(4, '0');
  const draw = (purpose: number): number => hash32(index, purpose);
  const environment = ENVIRONMENTS[draw(1) % ENVIRONMENTS.length] ?? 'prod';
  const group = leaves[draw(2) % leaves.length] ?? { name: ROOT, displayName: '', parent: null };
  const standards = ['Microsoft-cloud-security-benchmark'];
  if (draw(3) % 2 === 0) standards.push('ISO-27001-2013');
  if (draw(4) % 3 === 0) standards.push('PCI-DSS-4.0');
  const clouds: ('AWS' | 'GCP' | 'OnPremises')[] = [];
  if (draw(5) % 2 === 0) clouds.push('AWS');
  if (draw(6) % 3 === 0) clouds.push('GCP');
  if (draw(7) % 4 === 0) clouds.push('OnPremises');
  if (clouds.includes('AWS')) standards.push('AWS-Foundational-Security-Best-Practices');
  // A development subscription in twenty or so pays for no plan: its regulatory lists answer 400 (azure.md §1.8).
  const paidPlan = environment !== 'dev' || draw(8) % 4 !== 0;
  return {
    name: `S${number}`,
    displayName: `${group.displayName} ${environment} ${number}`,
    managementGroup: group.name,
    environment,
    weight: weightOf(index),
    clouds,
    standards: paidPlan ? standards : [],
    paidPlan,
    tags: { division: group.name.split('-')[1] ?? '', environment },
  };
}
