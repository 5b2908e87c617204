/** Accounts that the platform's own jobs and rules run as (servicenow.md §2). */
const PLATFORM_USERS = new Set(['system', 'VR.System', 'CC.System', 'VRCommon.System', 'SecCommon.System']);

/** True for a write of the platform itself: no guard stands before it, and it starts no further calculation. */
export function isPlatform(actor: string): boolean {
  return PLATFORM_USERS.has(actor);
}
