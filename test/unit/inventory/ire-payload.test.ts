import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ciRequestOf } from '../../../src/inventory/ci-identity.ts';
import { buildIrePayloads } from '../../../src/inventory/ire-payload.ts';
import { parseOnPremises, parseResourceId } from '../../../src/inventory/resource-id.ts';
import type { CiRequest } from '../../../src/model.ts';

const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const other = '30ff7fc3-e762-44dd-bd96-b71116dcdc23';
const options = { dataSource: 'Defender' };

function request(id: string, facts: Parameters<typeof ciRequestOf>[1] = {}): CiRequest {
  const parsed = parseResourceId(id);
  if ('invalid' in parsed) throw new Error(`${id} ${parsed.invalid}`);
  return ciRequestOf(parsed, facts);
}

const vm = (name: string, owner = subscription): string =>
  `/subscriptions/${owner}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/${name}`;

describe('the chain of a cloud resource', () => {
  test('resource → datacenter → service account, in one payload', () => {
    const asked = request(vm('VM1'), { accountName: 'Production', region: 'eastus' });
    const { payloads, unplaced } = buildIrePayloads([asked], options);
    expect(unplaced).toEqual([]);
    expect(payloads).toEqual([
      {
        payload: {
          items: [
            {
              className: 'cmdb_ci_cloud_service_account',
              values: {
                object_id: subscription,
                account_id: subscription,
                name: 'Production',
                datacenter_type: 'cmdb_ci_azure_datacenter',
              },
              sys_object_source_info: { source_name: 'Defender', source_native_key: subscription },
            },
            {
              className: 'cmdb_ci_azure_datacenter',
              values: { object_id: 'eastus', region: 'eastus', name: 'East US' },
              sys_object_source_info: { source_name: 'Defender', source_native_key: `${subscription}/eastus` },
            },
            {
              className: 'cmdb_ci_cmp_resource',
              values: { object_id: vm('VM1'), name: 'VM1', resource_type: 'microsoft.compute/virtualmachines' },
              sys_object_source_info: { source_name: 'Defender', source_native_key: vm('VM1').toLowerCase() },
            },
          ],
          relations: [
            { parent: 1, child: 0, type: 'Hosted on::Hosts' },
            { parent: 2, child: 1, type: 'Hosted on::Hosts' },
          ],
        },
        itemIndexes: new Map([[asked.key, 2]]),
      },
    ]);
  });

  test('tags come along with the resource alone, where the caller gives them', () => {
    const [tagged, plain] = [request(vm('vm1'), { region: 'eastus' }), request(vm('vm2'), { region: 'eastus' })];
    const [built] = buildIrePayloads([tagged, plain], { ...options, tags: new Map([[tagged.key, [['env', 'prod']]]]) }).payloads;
    const related = built?.payload.items.flatMap((item) => (item.related ? [[item.values['name'], item.related]] : []));
    expect(related).toEqual([['vm1', [{ className: 'cmdb_key_value', values: { key: 'env', value: 'prod' } }]]]);
  });

  test('a global resource hangs on its account', () => {
    const [built] = buildIrePayloads([request(vm('vm1'))], options).payloads;
    expect(built?.payload.items.map((item) => item.className)).toEqual(['cmdb_ci_cloud_service_account', 'cmdb_ci_cmp_resource']);
    expect(built?.payload.relations).toEqual([{ parent: 1, child: 0, type: 'Hosted on::Hosts' }]);
  });

  test.each([
    ['arn:aws:ec2:us-east-1:123456789012:instance/i-1', 'cmdb_ci_aws_datacenter', 'us-east-1', '123456789012'],
    ['//compute.googleapis.com/projects/p1/zones/us-east1-b/instances/i', 'cmdb_ci_google_datacenter', 'us-east1', 'p1'],
  ])('%s has the datacenter of its cloud', (id, datacenter, region, account) => {
    const [built] = buildIrePayloads([request(id)], options).payloads;
    expect(built?.payload.items[0]?.values).toEqual({ object_id: account, account_id: account, datacenter_type: datacenter });
    expect(built?.payload.items[1]).toEqual({
      className: datacenter,
      values: { object_id: region, region, name: region },
      sys_object_source_info: { source_name: 'Defender', source_native_key: `${account}/${region}` },
    });
  });

  test('a machine outside of a cloud hangs on the subscription it reports to', () => {
    const machine = parseOnPremises({ workspaceId: `/subscriptions/${subscription}/x`, vmUuid: 'u', machineName: 'm' });
    if ('invalid' in machine) throw new Error(machine.invalid);
    const [built] = buildIrePayloads([ciRequestOf(machine)], options).payloads;
    expect(built?.payload.items.map((item) => item.className)).toEqual(['cmdb_ci_cloud_service_account', 'cmdb_ci_cmp_resource']);
    expect(built?.payload.items[0]?.values['datacenter_type']).toBe('cmdb_ci_azure_datacenter');
  });

  test('a subscription is its account, not a resource', () => {
    const asked = request(`/subscriptions/${subscription.toUpperCase()}`);
    const [built] = buildIrePayloads([asked, request(vm('vm1'))], options).payloads;
    expect(built?.itemIndexes.get(asked.key)).toBe(0);
    expect(built?.payload.items).toHaveLength(2);
    expect(asked.identity).toMatchObject({ displayId: subscription, lookupClass: 'cmdb_ci_cloud_service_account' });
  });

  test('without an account nothing is guessed', () => {
    const asked = request('/providers/Microsoft.Management/managementGroups/mg1');
    const { payloads, unplaced } = buildIrePayloads([asked], options);
    expect(payloads).toEqual([]);
    expect(unplaced).toEqual([{ request: asked, because: expect.stringContaining('belongs to no known subscription') }]);
  });
});

test('tags are related items of the resource they are given for, and of nothing else', () => {
  const [tagged, plain] = [request(vm('vm1')), request(vm('vm2'))];
  const tags = new Map([
    [
      tagged.key,
      [
        ['env', 'prod'],
        ['owner', 'team'],
      ] as const,
    ],
  ]);
  const items = buildIrePayloads([tagged, plain], { ...options, tags }).payloads[0]?.payload.items ?? [];
  expect(items.map((item) => item.related)).toEqual([
    undefined,
    [
      { className: 'cmdb_key_value', values: { key: 'env', value: 'prod' } },
      { className: 'cmdb_key_value', values: { key: 'owner', value: 'team' } },
    ],
    undefined,
  ]);
});

test('an image stands alone, identified by the first 12 digits of its digest', () => {
  const hex = '0123456789abcdef'.repeat(4);
  const asked = request(`ghcr.io/team/app@sha256:${hex}`);
  const again = { ...asked, key: 'image:other' as CiRequest['key'] };
  const [built] = buildIrePayloads([asked, again], options).payloads;
  expect(built?.payload).toEqual({
    items: [
      {
        className: 'cmdb_ci_docker_image',
        values: { image_id: '0123456789ab', image_digest: `sha256:${hex}`, name: 'ghcr.io/team/app' },
        sys_object_source_info: { source_name: 'Defender', source_native_key: `sha256:${hex}` },
      },
    ],
    relations: [],
  });
  expect([...(built?.itemIndexes.values() ?? [])]).toEqual([0, 0]);
});

describe('many requests', () => {
  const requests = fc.array(
    fc.record({
      name: fc.constantFrom('a', 'b', 'C', 'c', 'd', 'e', 'f', 'g'),
      owner: fc.constantFrom(subscription, other),
      region: fc.constantFrom(undefined, 'eastus', 'westeurope'),
    }),
    { maxLength: 60 },
  );

  test('parents stand once per payload, nothing is doubled, every request has its item, and the size holds', () => {
    fc.assert(
      fc.property(requests, fc.integer({ min: 3, max: 20 }), (drawn, maxItems) => {
        // One resource has one region: the draw may not move it.
        const regions = new Map<string, string | undefined>();
        const asked = drawn.map(({ name, owner, region }) => {
          const id = vm(name, owner);
          if (!regions.has(id.toLowerCase())) regions.set(id.toLowerCase(), region);
          return request(id, { region: regions.get(id.toLowerCase()) });
        });
        const { payloads } = buildIrePayloads(asked, { ...options, maxItems });
        const answered = new Map(
          payloads.flatMap(({ payload, itemIndexes }) => [...itemIndexes].map(([key, index]) => [key, payload.items[index]])),
        );
        expect([...answered.keys()].sort()).toEqual([...new Set(asked.map(({ key }) => key))].sort());
        for (const { key, identity } of asked) {
          if (identity.type !== 'resource') throw new Error('no image was asked for');
          expect(answered.get(key)?.values['object_id']?.toLowerCase()).toBe(identity.resourceId);
        }
        for (const { payload } of payloads) {
          expect(payload.items.length).toBeLessThanOrEqual(maxItems);
          const identities = payload.items.map(({ className, values }, index) => {
            const host = payload.relations.filter((relation) => relation.parent === index);
            expect(host).toHaveLength(className === 'cmdb_ci_cloud_service_account' ? 0 : 1);
            return `${className} ${String(values['object_id']).toLowerCase()} ${className.endsWith('datacenter') ? String(host[0]?.child) : ''}`;
          });
          expect(new Set(identities).size).toBe(identities.length);
        }
      }),
    );
  });

  test('requests with a common parent sit together', () => {
    const asked = ['a', 'b', 'c', 'd'].flatMap((name) =>
      [subscription, other].map((owner) => request(vm(name, owner), { region: 'eastus' })),
    );
    const { payloads } = buildIrePayloads(asked, { ...options, maxItems: 6 });
    expect(
      payloads.map(({ payload }) => payload.items.filter(({ className }) => className === 'cmdb_ci_cloud_service_account').length),
    ).toEqual([1, 1]);
  });
});
