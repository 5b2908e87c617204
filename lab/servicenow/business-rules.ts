import type { BusinessRule } from './store.ts';

/** How much of the platform's own logic runs when a record is written over REST. */
export type BusinessProfile = 'plain' | 'none';

const OPEN = '1';
const CLOSED = '3';
const RESOLVED = '101';
const FIXED = '4';

/**
 * The rules of a profile. `plain`: what the references state as always true: a passed result is Closed / Fixed, a failed one is
 * Open and reopens what was closed; a container vulnerable item starts Open (servicenow.md §2, §3, §11).
 * Deferred, In Review and the other states of people survive a further failure.
 */
export function businessRules(profile: BusinessProfile): BusinessRule[] {
  return profile === 'none' ? [] : [testResultState, containerItemState];
}

const testResultState: BusinessRule = {
  table: 'sn_vulc_result',
  apply: (values, before, now) => {
    const result = values['result'] ?? '';
    if (before !== undefined && result === (before['result'] ?? '')) return;
    const state = before?.['state'] ?? '';
    if (result === 'passed') close(values, state, now);
    else if (result === 'failed' && (before === undefined || state === '' || state === CLOSED || state === RESOLVED))
      open(values, state, now);
  },
};

function close(values: Record<string, string>, state: string, now: string): void {
  values['substate'] = FIXED;
  values['active'] = 'false';
  if (state === CLOSED) return;
  values['state'] = CLOSED;
  values['last_state_changed_on'] = now;
  values['resolution_dt_tm'] = now;
}

function open(values: Record<string, string>, state: string, now: string): void {
  if (state !== '') values['reopened'] = 'true';
  values['state'] = OPEN;
  values['substate'] = '';
  values['active'] = 'true';
  values['resolution_dt_tm'] = '';
  values['last_state_changed_on'] = now;
}

const containerItemState: BusinessRule = {
  table: 'sn_vul_container_image_vulnerable_item',
  apply: (values, before) => {
    if (before === undefined && (values['state'] ?? '') === '') values['state'] = OPEN;
  },
};
