/** A pair as it is shown, for tests: two deployments on a placeholder, with a specific CI beside it. */
import type { CiPair, PairCi, PairItem, PairResult } from '../../../src/ledger/index.ts';
import type { CiKey, SysId } from '../../../src/model.ts';

export const placeholderId = 'p'.repeat(32) as SysId;
export const specificId = 's'.repeat(32) as SysId;

export function ci(changes: Partial<PairCi> = {}): PairCi {
  return {
    sysId: specificId,
    className: 'cmdb_ci_vm_instance',
    objectId: '/SUBSCRIPTIONS/x',
    createdBy: 'discovery',
    createdOn: '2026-11-22 10:00:00',
    discoverySource: 'ServiceNow',
    retired: false,
    ...changes,
  };
}

export const item = (name: string, changes: Partial<PairItem> = {}): PairItem => ({
  sysId: `item-${name}` as SysId,
  deployment: name,
  sourceId: '/subscriptions/x',
  cmdbCi: placeholderId,
  ...changes,
});

export const result = (name: string, test: string, changes: Partial<PairResult> = {}): PairResult => ({
  sysId: `result-${name}-${test}` as SysId,
  deployment: name,
  instance: `instance-${name}`,
  control: test,
  cmdbCi: placeholderId,
  ...changes,
});

export function pairOf(changes: Partial<CiPair> = {}): CiPair {
  return {
    ciKey: 'resource:/subscriptions/x' as CiKey,
    resourceId: '/subscriptions/x',
    placeholder: ci({ sysId: placeholderId, className: 'cmdb_ci_cmp_resource', createdBy: 'svc.engine', discoverySource: '' }),
    createdByEngine: true,
    specific: [ci()],
    items: [item('a'), item('b')],
    results: [result('a', 't1'), result('a', 't2'), result('b', 't1')],
    obstacle: null,
    ...changes,
  };
}
