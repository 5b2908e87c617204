/** Asks the identification engine what it would do with one cloud resource and its hosts; nothing is written (servicenow.md §5.1). */
import { buildIrePayloads } from '../inventory/index.ts';
import type { CiKey, CiRequest, ResourceId } from '../model.ts';
import type { IreOutcome, ServiceNowClient } from '../servicenow/index.ts';

/** No subscription has this id, so that no CI of the instance can be meant. */
const nobody = '00000000-0000-0000-0000-000000000000';
const resourceId = `/subscriptions/${nobody}/resourcegroups/defender-sync/providers/microsoft.keyvault/vaults/preflight`;

const sample: CiRequest = {
  key: `resource:${resourceId}` as CiKey,
  identity: {
    type: 'resource',
    cloud: 'azure',
    resourceId: resourceId as ResourceId,
    displayId: resourceId,
    name: 'preflight',
    resourceType: 'microsoft.keyvault/vaults',
    lookupClass: 'cmdb_ci_cmp_resource',
    accountId: nobody,
    accountName: 'defender-sync preflight',
    region: 'eastus',
  },
};

const sampleImage: CiRequest = {
  key: 'image:preflight' as CiKey,
  identity: { type: 'image', digest: `sha256:${'0'.repeat(64)}`, name: 'registry.example/preflight' },
};

/** What a run sends for one cloud resource, its hosts, and one image: the columns by class. */
export function columnsSent(): ReadonlyMap<string, readonly string[]> {
  const { payloads } = buildIrePayloads([sample, sampleImage], { dataSource: '' });
  const items = payloads.flatMap(({ payload }) => payload.items);
  return new Map(items.map(({ className, values }) => [className, Object.keys(values)]));
}

/** Outcomes of the account, its datacenter and the resource. @throws SyncError as reads do */
export async function dryRun(client: ServiceNowClient, dataSource: string, signal: AbortSignal): Promise<readonly IreOutcome[]> {
  const { payloads } = buildIrePayloads([sample], { dataSource });
  const outcomes: IreOutcome[] = [];
  for (const { payload } of payloads) {
    const answer = await client.identifyReconcile.identify(payload, { dataSource, simulate: true, kind: 'serviceNowReads' }, signal);
    outcomes.push(...answer.items);
  }
  return outcomes;
}
