import { installBusinessRules } from '../business-rule-rows.ts';
import type { Store } from '../store.ts';
import { blankVulnerabilityOnInsert } from './container-item-insert.ts';
import { createPolicyBook, type PolicyBook } from './policies.ts';
import { containerItemState, testResultState } from './record-states.ts';
import { createRestrictionBook, type RestrictionBook } from './restrictions.ts';

/**
 * How an instance treats direct writes to its tables (servicenow.md §5.3).
 * `plain`: Table writes to VR tables work, `result` drives state. `strict`: what was observed on a USEM instance, too: state is the
 * platform's, vulnerability entries cannot be inserted, some columns do not take, others are calculated again a little later, and the
 * stock jobs run by the clock.
 */
export const BUSINESS_PROFILES = ['plain', 'strict'] as const;
export type BusinessProfile = (typeof BUSINESS_PROFILES)[number];

export function isBusinessProfile(value: unknown): value is BusinessProfile {
  return BUSINESS_PROFILES.some((profile) => profile === value);
}

/** The rules of one instance, already in force in its store. */
export interface InstanceRules {
  profile(): BusinessProfile;
  setProfile(profile: BusinessProfile): void;
  restrictions: RestrictionBook;
  policies: PolicyBook;
}

/** Puts the platform's own rules and the profile's into the store. */
export function createInstanceRules(store: Store, start: BusinessProfile): InstanceRules {
  let profile = start;
  const isStrict = (): boolean => profile === 'strict';
  const restrictions = createRestrictionBook(store.schema, isStrict);
  const policies = createPolicyBook(store);
  installBusinessRules(store, [testResultState, containerItemState, ...blankVulnerabilityOnInsert(isStrict)]);
  // These are no rows that an administrator could switch off. They run last: policies judge what the others left.
  store.addRule(restrictions.rule);
  store.addRule(policies.rule);
  return {
    profile: () => profile,
    setProfile: (next) => {
      profile = next;
    },
    restrictions,
    policies,
  };
}
