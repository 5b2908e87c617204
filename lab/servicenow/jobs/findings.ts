import { CLOSED } from '../rules/record-states.ts';
import type { Row, Store } from '../store.ts';
import { dateTime } from '../values.ts';

export const RESULTS = 'sn_vulc_result';
export const CONTAINER_ITEMS = 'sn_vul_container_image_vulnerable_item';
export const DISCOVERED_ITEMS = 'sn_sec_cmn_src_ci';

/** Users the stock jobs run as (servicenow.md §2). */
export const CC_SYSTEM = 'CC.System';
export const VR_SYSTEM = 'VR.System';
export const SEC_COMMON_SYSTEM = 'SecCommon.System';

/** Closes a finding that is not closed; returns whether it was open. What the instance has no column for is left out. */
export function closeFinding(store: Store, row: Row, substate: string, actor: string): boolean {
  if (row.values['state'] === CLOSED) return false;
  const now = dateTime(store.clock.now());
  const values = { state: CLOSED, substate, active: 'false', last_state_changed_on: now, resolution_dt_tm: now };
  return store.update(row, existing(store, row, values), actor);
}

/** The values that the record's table has a column for. */
export function existing(store: Store, row: Row, values: Record<string, string>): Record<string, string> {
  const columns = store.schema.get(row.table)?.columns;
  return Object.fromEntries(Object.entries(values).filter(([name]) => columns?.has(name) === true));
}

/** `install_status` 7 or `operational_status` 6 (dictionary/choices.json). */
export function isRetired(values: Readonly<Record<string, string>> | undefined): boolean {
  return values?.['install_status'] === '7' || values?.['operational_status'] === '6';
}
