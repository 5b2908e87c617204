import type { BusinessRule } from '../store.ts';

export const OPEN = '1';
export const CLOSED = '3';
export const RESOLVED = '101';

/** Substates of a test result; 4 and invalidCI are evidenced, the other values are the lab's (dictionary/choices.json has labels alone). */
export const SUBSTATE = { canceled: '2', stale: '3', fixed: '4', ciDecommissioned: '5', invalidCi: 'invalidCI' } as const;

/** Closings that a new finding of the source undoes; what people closed stays closed (servicenow.md §2). */
const UNDONE_BY_FINDING = new Set<string>([SUBSTATE.stale, SUBSTATE.ciDecommissioned]);

/**
 * A passed result is Closed / Fixed, a failed one is Open and reopens what was closed (servicenow.md §2, §11). Seen again, a result
 * that was Resolved, or closed as stale or with its CI, opens too. Deferred, In Review and the other states of people survive.
 */
export const testResultState: BusinessRule = {
  table: 'sn_vulc_result',
  apply: (values, before, { table, nowText }) => {
    const moved = stateAfter(values, before, nowText);
    // A classic instance has no substate and no resolution date (servicenow.md §1.8).
    for (const [name, value] of Object.entries(moved)) if (table.columns.has(name)) values[name] = value;
  },
};

type Values = Readonly<Record<string, string>>;

function stateAfter(values: Values, before: Values | undefined, nowText: string): Values {
  const result = values['result'] ?? '';
  const state = before?.['state'] ?? '';
  if (before === undefined || result !== (before['result'] ?? '')) {
    if (result === 'passed') return closed(state, nowText);
    return result === 'failed' && ['', CLOSED, RESOLVED].includes(state) ? opened(state, nowText) : {};
  }
  return result === 'failed' && isSeenAgain(values, before) ? opened(state, nowText) : {};
}

/** last_seen moved, and lies after the record was resolved or closed. */
function isSeenAgain(values: Values, before: Values): boolean {
  const lastSeen = values['last_seen'] ?? '';
  if (lastSeen === (before['last_seen'] ?? '') || lastSeen <= (before['resolution_dt_tm'] ?? '')) return false;
  return before['state'] === RESOLVED || (before['state'] === CLOSED && UNDONE_BY_FINDING.has(before['substate'] ?? ''));
}

function closed(state: string, nowText: string): Values {
  const isMove = state !== CLOSED;
  return {
    substate: SUBSTATE.fixed,
    active: 'false',
    ...(isMove ? { state: CLOSED, last_state_changed_on: nowText, resolution_dt_tm: nowText } : {}),
  };
}

function opened(state: string, nowText: string): Values {
  return {
    ...(state === '' ? {} : { reopened: 'true' }),
    state: OPEN,
    substate: '',
    active: 'true',
    resolution_dt_tm: '',
    last_state_changed_on: nowText,
  };
}

/** A container vulnerable item starts Open; closed as stale, it opens when it is found again (servicenow.md §2, §3). */
export const containerItemState: BusinessRule = {
  table: 'sn_vul_container_image_vulnerable_item',
  apply: (values, before, { nowText }) => {
    if (before === undefined) values['state'] ??= OPEN;
    else if (isFoundAgain(values, before))
      Object.assign(values, { state: OPEN, substate: '', resolution_dt_tm: '', last_opened_dt_tm: nowText });
  },
};

function isFoundAgain(values: Values, before: Values): boolean {
  const found = values['last_found_dt_tm'] ?? '';
  return before['state'] === CLOSED && before['substate'] === SUBSTATE.stale && found > (before['last_found_dt_tm'] ?? '');
}
