import type { LabClock } from '../../kit/clock.ts';
import type { LabCloud } from './permissions.ts';

/** The passing errors of azure.md §2.4. */
export const TRANSIENT_CODES = [50196, 90024, 90033, 90055] as const;
export type TransientCode = (typeof TRANSIENT_CODES)[number];

/** What is particular about the authority at the moment. */
export interface AuthorityState {
  cloud: LabCloud;
  /** Its clock minus that of the lab. */
  clockSkewMs: number;
  /** Token requests meet this error, `times` more of them. */
  transient: { code: TransientCode; times: number } | undefined;
  /** True: one code for all that does not match a federated credential, as Entra said it until 2023; else a code for each claim. */
  oneFederatedCode: boolean;
  /** What whoever opens the admin consent page answers. */
  consentAnswer: 'accept' | 'decline';
  /** Client ids of the identities that the lab's own host has. */
  systemAssignedIdentity: string | undefined;
  userAssignedIdentities: readonly string[];
}

/** The lab's Entra as an authority: its state, and its clock. */
export interface Authority {
  readonly state: AuthorityState;
  /** The authority's own time: that of the lab, with its skew. */
  now(): Date;
}

/** An authority of the public cloud whose clock is right. `clientIds`: the applications that the host may sign in as; the first is its own. */
export function createAuthority(clock: LabClock, clientIds: readonly string[]): Authority {
  const state: AuthorityState = {
    cloud: 'public',
    clockSkewMs: 0,
    transient: undefined,
    oneFederatedCode: false,
    consentAnswer: 'accept',
    systemAssignedIdentity: clientIds[0],
    userAssignedIdentities: clientIds,
  };
  return { state, now: () => new Date(clock.nowMs() + state.clockSkewMs) };
}
