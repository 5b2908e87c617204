import { CLOSED, SUBSTATE } from '../rules/record-states.ts';
import type { Row, Store } from '../store.ts';
import { CONTAINER_ITEMS, VR_SYSTEM, closeFinding } from './findings.ts';
import type { StockJob } from './scheduler.ts';

const DAY_MS = 86_400_000;
/** Status of a finding: 0 Open, 1 Fixed (servicenow.md §3). */
const FINDING_FIXED = '1';

/** Container vulnerable items without a Docker image CI become Closed / Canceled (servicenow.md §11). */
export function cancelWithoutImageJob(store: Store): StockJob {
  return {
    name: 'cancel-items-without-image',
    title: 'Close cancel CVITs that do not have a Docker Image associated',
    everyMs: DAY_MS,
    because: 'servicenow.md §11 (installed-with-cvr-data)',
    run: () => {
      let cancelled = 0;
      for (const row of store.rows(CONTAINER_ITEMS)) {
        const image = row.values['docker_image'] ?? '';
        if (image !== '' && store.find('cmdb_ci', image) !== undefined) continue;
        if (closeFinding(store, row, SUBSTATE.canceled, VR_SYSTEM)) cancelled += 1;
      }
      return cancelled;
    },
  };
}

/**
 * An item whose findings are all fixed is Closed / Fixed: items cannot be closed by hand, so what closes them is what was found
 * (servicenow.md §3, §11). That a roll-up does it, and how often, is the lab's reading.
 */
export function rollUpFindingsJob(store: Store): StockJob {
  return {
    name: 'roll-up-container-findings',
    title: 'Rollup container vulnerable item values to vulnerability and group',
    everyMs: 60 * 60_000,
    because: 'servicenow.md §3; installed-with-cvr-data names the job',
    run: () => {
      let closed = 0;
      for (const row of store.rows(CONTAINER_ITEMS)) {
        if (row.values['state'] !== CLOSED && isFixed(store, row) && closeFinding(store, row, SUBSTATE.fixed, VR_SYSTEM)) closed += 1;
      }
      return closed;
    },
  };
}

function isFixed(store: Store, item: Row): boolean {
  const findings = store
    .equal('sn_vul_container_finding_m2m_vul_item', 'vulnerable_item', [item.sysId])
    .flatMap(({ values }) => store.find('sn_vul_container_image_findings', values['finding'] ?? '') ?? []);
  return findings.length > 0 && findings.every(({ values }) => values['status'] === FINDING_FIXED);
}
