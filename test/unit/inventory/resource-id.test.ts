import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseOnPremises, parseResourceId, resourceNormalForm } from '../../../src/inventory/resource-id.ts';

const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const hex = 'ab'.repeat(32);

describe('ids of Azure resources', () => {
  test.each([
    [`/subscriptions/${subscription}`, 'microsoft.resources/subscriptions', subscription],
    [`/subscriptions/${subscription}/resourceGroups/MyRg`, 'microsoft.resources/subscriptions/resourcegroups', 'MyRg'],
    [
      `/subscriptions/${subscription}/resourcegroups/rg/providers/Microsoft.Compute/virtualMachines/VM-1`,
      'microsoft.compute/virtualmachines',
      'VM-1',
    ],
    [
      `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/vmss/virtualMachines/3`,
      'microsoft.compute/virtualmachinescalesets/virtualmachines',
      '3',
    ],
    [
      `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm/extensions/Agent`,
      'microsoft.compute/virtualmachines/extensions',
      'Agent',
    ],
    [
      `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Sql/servers/s/databases/d/providers/Microsoft.Insights/diagnosticSettings/all`,
      'microsoft.insights/diagnosticsettings',
      'all',
    ],
    [
      `/subscriptions/${subscription}/providers/Microsoft.Authorization/roleDefinitions/r1`,
      'microsoft.authorization/roledefinitions',
      'r1',
    ],
  ])('%s', (id, resourceType, name) => {
    expect(parseResourceId(id)).toEqual({
      kind: 'resource',
      cloud: 'azure',
      resourceId: id.toLowerCase(),
      displayId: id,
      name,
      resourceType,
      accountId: subscription,
    });
  });

  test('management groups and tenant-level resources belong to no subscription', () => {
    expect(parseResourceId('/providers/Microsoft.Management/managementGroups/Corp/')).toEqual({
      kind: 'resource',
      cloud: 'azure',
      resourceId: '/providers/microsoft.management/managementgroups/corp',
      displayId: '/providers/Microsoft.Management/managementGroups/Corp',
      name: 'Corp',
      resourceType: 'microsoft.management/managementgroups',
    });
  });

  test.each([
    [
      '/providers/Microsoft.Management/managementGroups/Corp/providers/Microsoft.Authorization/policyAssignments/p',
      'microsoft.authorization/policyassignments',
    ],
    ['/providers/Microsoft.Subscription/policies/default', 'microsoft.subscription/policies'],
    ['/providers/microsoft.aadiam/diagnosticSettings/all', 'microsoft.aadiam/diagnosticsettings'],
  ])('%s lies in no subscription', (id, resourceType) => {
    expect(parseResourceId(id)).toMatchObject({ resourceType, resourceId: id.toLowerCase() });
    expect(parseResourceId(id)).not.toHaveProperty('accountId');
  });

  test('an object in a cluster is a child of the cluster', () => {
    const cluster = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks`;
    expect(parseResourceId(`${cluster}/namespaces/Default/pods/web-1`)).toMatchObject({
      resourceType: 'microsoft.containerservice/managedclusters/namespaces/pods',
      name: 'web-1',
      accountId: subscription,
    });
    const arc = cluster.replace('Microsoft.ContainerService/managedClusters', 'Microsoft.Kubernetes/connectedClusters');
    expect(parseResourceId(`${arc}/providers/Microsoft.KubernetesConfiguration/extensions/defender`)).toMatchObject({
      resourceType: 'microsoft.kubernetesconfiguration/extensions',
    });
  });

  test('without its leading slash it is the same resource', () => {
    const id = `subscriptions/${subscription}/resourceGroups/Rg/providers/Microsoft.Web/sites/S`;
    expect(parseResourceId(id)).toEqual(parseResourceId(`/${id}`));
  });

  test('nothing is decoded: a name that looks encoded is another name', () => {
    const group = `/subscriptions/${subscription}/resourceGroups/`;
    expect(parseResourceId(`${group}a%20b`)).toMatchObject({ name: 'a%20b' });
    expect(parseResourceId(`${group}a b`)).toMatchObject({ name: 'a b' });
  });

  test('a location in the id is the region', () => {
    expect(parseResourceId(`/subscriptions/${subscription}/providers/Microsoft.Security/locations/West Europe/alerts/a1`)).toMatchObject({
      region: 'westeurope',
    });
  });

  test('a resource may be called "providers"', () => {
    expect(parseResourceId(`/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Web/sites/providers`)).toMatchObject({
      name: 'providers',
      resourceType: 'microsoft.web/sites',
    });
  });

  test.each([
    ['', 'is empty'],
    ['/subscriptions/not-a-guid/resourceGroups/rg', 'names a subscription that is not a GUID'],
    [`/subscriptions/${subscription}/resourceGroups`, 'names no resource group'],
    [`/subscriptions/${subscription}//resourceGroups/rg`, 'has an empty segment'],
    [
      `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines`,
      'has a type without a name below microsoft.compute',
    ],
    [`/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Compute`, 'has a type without a name below microsoft.compute'],
    [
      `/subscriptions/${subscription}/resourceGroups/rg/Microsoft.Compute/virtualMachines/vm`,
      'has microsoft.compute where "providers" is expected',
    ],
    [`/subscriptions/${subscription}/resourceGroups/r^g`, 'contains ^'],
    [`/subscriptions/${subscription}/resourceGroups/r=g`, 'contains ='],
    [`/subscriptions/${subscription}/resourceGroups/r\ng`, 'contains a control character'],
    [`/subscriptions/${subscription}/resourceGroups/r\u0000g`, 'contains a control character'],
    [`/subscriptions/${subscription}/resourceGroups/r\ud800g`, 'contains half of a surrogate pair'],
    [`/subscriptions/${subscription}/resourceGroups/${'r'.repeat(2_048)}`, 'is longer than 2048 characters'],
    [` /subscriptions/${subscription}`, 'begins or ends with white space'],
    [`/subscriptions/${subscription}/resourceGroups/rg `, 'begins or ends with white space'],
    [
      `/subscriptions/${subscription}/resourceGroups/rg /providers/Microsoft.Web/sites/s`,
      'has a segment that begins or ends with white space',
    ],
    [`//subscriptions/${subscription}`, 'has an empty segment'],
    ['/subscriptions//resourceGroups/rg', 'has an empty segment'],
    ['subscriptions/not-a-guid/resourceGroups/rg', 'names a subscription that is not a GUID'],
    ['/providers', 'names no resource provider'],
    ['/providers/Microsoft.Management/managementGroups', 'has a type without a name below microsoft.management'],
    ['/tenants/20ff7fc3-e762-44dd-bd96-b71116dcdc23', 'begins with neither /subscriptions/ nor /providers/'],
    [
      `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/s/virtualMachines`,
      'has a type without a name below microsoft.compute',
    ],
    ['virtualMachines/vm', 'is no id of Azure, AWS, GCP or an image'],
    ['/', 'is no id of Azure, AWS, GCP or an image'],
  ])('%j is refused', (id, invalid) => {
    expect(parseResourceId(id)).toEqual({ invalid });
  });

  test('%5e is text like any other', () => {
    expect(parseResourceId(`/subscriptions/${subscription}/resourceGroups/r%5Eg`)).toMatchObject({ name: 'r%5Eg' });
  });

  test.each([undefined, null, 1, {}, [], true])('%j is no id', (raw) => {
    expect(parseResourceId(raw)).toHaveProperty('invalid');
  });
});

describe('ids of other clouds', () => {
  test.each([
    ['arn:aws:s3:::Team-Logs', 'aws::s3::bucket', 'Team-Logs', undefined, undefined],
    ['arn:aws:ec2:us-east-1:123456789012:instance/i-0abc', 'aws::ec2::instance', 'i-0abc', '123456789012', 'us-east-1'],
    ['arn:aws:lambda:eu-west-1:123456789012:function:run', 'aws::lambda::function', 'run', '123456789012', 'eu-west-1'],
    ['arn:aws:sns:eu-west-1:123456789012:topic', 'aws::sns', 'topic', '123456789012', 'eu-west-1'],
    ['arn:aws:ecr:us-east-1:544047870946:repository/team/app', 'aws::ecr::repository', 'team/app', '544047870946', 'us-east-1'],
    ['aws/123456789012/i-0ABC', 'aws::resource', 'i-0ABC', '123456789012', undefined],
  ])('%s', (id, resourceType, name, accountId, region) => {
    expect(parseResourceId(id)).toEqual({
      kind: 'resource',
      cloud: 'aws',
      resourceId: id.toLowerCase(),
      displayId: id,
      name,
      resourceType,
      ...(accountId && { accountId }),
      ...(region && { region }),
    });
  });

  test('an AWS account is one resource, as a number and as its root', () => {
    const account = { resourceId: '123456789012', resourceType: 'aws::account', accountId: '123456789012' };
    expect(parseResourceId('123456789012')).toMatchObject(account);
    expect(parseResourceId('arn:aws:iam::123456789012:root')).toMatchObject(account);
  });

  test('a Google resource is one resource by its full name and by its self link', () => {
    const expected = {
      cloud: 'gcp',
      resourceId: '//compute.googleapis.com/projects/my-project/zones/europe-west1-b/instances/vm-1',
      resourceType: 'gcp::compute::instances',
      name: 'vm-1',
      accountId: 'my-project',
      region: 'europe-west1',
    };
    expect(parseResourceId('//compute.googleapis.com/projects/My-Project/zones/europe-west1-b/instances/vm-1')).toMatchObject(expected);
    expect(parseResourceId('https://www.googleapis.com/compute/v1/projects/my-project/zones/europe-west1-b/instances/vm-1/')).toMatchObject(
      expected,
    );
    expect(
      parseResourceId('https://compute.googleapis.com/compute/v1/projects/my-project/zones/europe-west1-b/instances/vm-1'),
    ).toMatchObject(expected);
  });

  test.each([
    ['//compute.googleapis.com/projects/p/global/firewalls/Fw', 'gcp::compute::firewalls', 'Fw', undefined],
    ['https://www.googleapis.com/compute/v1/projects/p/global/networks/default', 'gcp::compute::networks', 'default', undefined],
    ['//container.googleapis.com/projects/p/locations/europe-west1/clusters/c', 'gcp::container::clusters', 'c', 'europe-west1'],
    ['//container.googleapis.com/projects/p/zones/us-east1-b/clusters/c/k8s/nodes/n1', 'gcp::container::k8s::nodes', 'n1', 'us-east1'],
    ['//container.googleapis.com/projects/p/locations/l1/clusters/c/k8s/namespaces/Ns', 'gcp::container::k8s::namespaces', 'Ns', 'l1'],
    ['//container.googleapis.com/projects/p/locations/l1/clusters/c/k8s/namespaces/ns/pods/web', 'gcp::container::k8s::pods', 'web', 'l1'],
    [
      '//container.googleapis.com/projects/p/locations/l1/clusters/c/k8s/namespaces/ns/apps/deployments/web',
      'gcp::container::k8s::deployments',
      'web',
      'l1',
    ],
    [
      '//container.googleapis.com/projects/p/locations/l1/clusters/c/k8s/rbac.authorization.k8s.io/clusterroles/admin',
      'gcp::container::k8s::clusterroles',
      'admin',
      'l1',
    ],
  ])('%s', (id, resourceType, name, region) => {
    expect(parseResourceId(id)).toMatchObject({ cloud: 'gcp', resourceType, name, accountId: 'p', ...(region && { region }) });
    if (region === undefined) expect(parseResourceId(id)).not.toHaveProperty('region');
  });

  test('a Google project is one resource, with and without the service', () => {
    const expected = { resourceId: 'projects/my-project', resourceType: 'gcp::project', accountId: 'my-project' };
    expect(parseResourceId('projects/my-project')).toMatchObject(expected);
    expect(parseResourceId('//cloudresourcemanager.googleapis.com/projects/My-Project')).toMatchObject(expected);
  });

  test.each([
    ['arn:aws:s3', 'is not arn:partition:service:region:account:resource'],
    ['arn:aws:s3:::', 'is not arn:partition:service:region:account:resource'],
    ['//compute.googleapis.com/projects/p/zones', 'is not a list of collection/name pairs'],
    ['projects//zones/z', 'has an empty segment'],
    ['//compute.googleapis.com/projects/p/global', 'is not a list of collection/name pairs'],
    ['//compute.googleapis.com/projects/p/global/firewalls', 'is not a list of collection/name pairs'],
    ['//container.googleapis.com/projects/p/locations/l/clusters/c/k8s', 'is not a list of collection/name pairs'],
    [
      '//container.googleapis.com/projects/p/locations/l/clusters/c/k8s/namespaces/ns/apps/v1/deployments/web',
      'is not a list of collection/name pairs',
    ],
    ['arn:aws:ec2:us-east-1:12345:instance/i', 'is not arn:partition:service:region:account:resource'],
    ['arn::ec2:us-east-1:123456789012:instance/i', 'is not arn:partition:service:region:account:resource'],
  ])('%s is refused', (id, invalid) => {
    expect(parseResourceId(id)).toEqual({ invalid });
  });
});

describe('ids of images', () => {
  test('below a registry of Azure, with slashes in the repository', () => {
    const id = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/Contoso/repositories/team/App/images/sha256:${hex}`;
    expect(parseResourceId(id)).toEqual({
      kind: 'image',
      cloud: 'azure',
      resourceId: id.toLowerCase(),
      displayId: id,
      digestHex: hex,
      repository: 'team/app',
      registry: 'contoso',
      accountId: subscription,
    });
  });

  test('relative ids have one form with and without the leading slash', () => {
    const id = `repositories/team/app/images/sha256:${hex}`;
    const parsed = parseResourceId(id);
    expect(parsed).toMatchObject({ kind: 'image', resourceId: `/${id}`, repository: 'team/app' });
    expect(parseResourceId(`/${id}`)).toMatchObject({ resourceId: `/${id}` });
  });

  test('registry and repository by digest', () => {
    expect(parseResourceId(`ghcr.io/Team/app@SHA256:${hex}`)).toMatchObject({
      kind: 'image',
      registry: 'ghcr.io',
      repository: 'team/app',
      digestHex: hex,
    });
    const local = parseResourceId(`team/app@sha256:${hex}`);
    expect(local).toMatchObject({ kind: 'image', repository: 'team/app' });
    expect(local).not.toHaveProperty('registry');
  });
});

describe('machines outside of a cloud', () => {
  const workspaceId = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/Logs`;
  const machine = { workspaceId, vmUuid: 'AAAA', sourceComputerId: 'BBBB', machineName: 'Server01' };

  test('are told apart by workspace, machine id and name', () => {
    expect(parseOnPremises(machine)).toEqual({
      kind: 'resource',
      cloud: 'on-premises',
      resourceId: `on-premises/subscriptions:${subscription}:resourcegroups:rg:providers:microsoft.operationalinsights:workspaces:logs/aaaa/server01`,
      displayId: `on-premises/subscriptions:${subscription}:resourceGroups:rg:providers:Microsoft.OperationalInsights:workspaces:Logs/AAAA/Server01`,
      name: 'Server01',
      resourceType: 'on-premises::machine',
      accountId: subscription,
    });
    expect(parseOnPremises({ ...machine, vmUuid: '' })).toMatchObject({ resourceId: expect.stringContaining('/bbbb/server01') });
  });

  test('a database stands below its machine', () => {
    expect(parseOnPremises({ ...machine, serverName: 'SQL1', databaseName: 'Sales' })).toMatchObject({
      resourceType: 'on-premises::sql-database',
      name: 'Sales',
      resourceId: expect.stringMatching(/\/aaaa\/server01\/sql1\/sales$/),
    });
  });

  test.each([
    [{ ...machine, workspaceId: undefined }, 'has no workspaceId'],
    [{ ...machine, vmUuid: undefined, sourceComputerId: undefined }, 'has no vmuuid or sourceComputerId'],
    [{ ...machine, machineName: '' }, 'has no machineName'],
    [{ ...machine, machineName: 'a^b' }, 'has a machineName that contains ^'],
    [{ ...machine, databaseName: 'Sales' }, 'has no serverName'],
  ])('%j is refused', (details, invalid) => {
    expect(parseOnPremises(details)).toEqual({ invalid });
  });
});

/** Ids of all kinds, in the spellings that services use. */
const segment = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._%()-]{0,20}[A-Za-z0-9]$/).filter((text) => text.toLowerCase() !== 'providers');
const validId = fc.oneof(
  fc
    .tuple(segment, segment, segment, segment)
    .map(
      ([group, type, name, child]) =>
        `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.Test/${type}/${name}/children/${child}`,
    ),
  fc.tuple(segment, segment).map(([region, name]) => `arn:aws:ec2:us-east-1:123456789012:${region.replaceAll(/[^A-Za-z]/g, 'a')}/${name}`),
  fc.tuple(segment, segment).map(([project, name]) => `//compute.googleapis.com/projects/${project}/zones/us-east1-b/instances/${name}`),
  fc.tuple(segment, segment).map(([project, name]) => `//compute.googleapis.com/projects/${project}/global/networks/${name}`),
  fc
    .tuple(segment, segment, segment)
    .map(
      ([cluster, space, name]) =>
        `//container.googleapis.com/projects/p/locations/l1/clusters/${cluster}/k8s/namespaces/${space}/apps/deployments/${name}`,
    ),
  fc
    .tuple(segment, fc.nat({ max: 999 }))
    .map(
      ([name, instance]) =>
        `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/${name}/virtualMachines/${instance}`,
    ),
  segment.map((name) => `/providers/Microsoft.Management/managementGroups/${name}`),
  fc
    .tuple(segment, segment)
    .map(
      ([name, extension]) =>
        `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Sql/servers/${name}/databases/d/providers/Microsoft.Insights/diagnosticSettings/${extension}`,
    ),
  fc.constant(
    `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/R/repositories/a/b/images/sha256:${hex}`,
  ),
  fc.tuple(segment, segment).map(([uuid, name]) => {
    const parsed = parseOnPremises({ workspaceId: '/w/1', vmUuid: uuid, machineName: name });
    return 'invalid' in parsed ? '' : parsed.displayId;
  }),
);

describe('properties', () => {
  test('two resources never share a normal form: only case and trailing slashes are taken away', () => {
    fc.assert(
      fc.property(validId, validId, (left, right) => {
        const [a, b] = [parseResourceId(left), parseResourceId(right)];
        if ('invalid' in a || 'invalid' in b) throw new Error(`refused: ${left} or ${right}`);
        expect(a.resourceId === b.resourceId).toBe(a.displayId.toLowerCase() === b.displayId.toLowerCase());
      }),
    );
  });

  test('case and trailing slashes do not make another resource', () => {
    fc.assert(
      fc.property(
        validId,
        fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 0, max: 2 }),
        (id, upper, slashes) => {
          const respelled = Array.from(id)
            .map((character, index) => (upper[index % upper.length] ? character.toUpperCase() : character.toLowerCase()))
            .join('');
          const parsed = parseResourceId(id);
          const other = parseResourceId(respelled + '/'.repeat(slashes));
          if ('invalid' in parsed || 'invalid' in other) throw new Error(`refused: ${id}`);
          expect(other.resourceId).toBe(parsed.resourceId);
        },
      ),
    );
  });

  test('the normal form is its own normal form, lower case, and at most 2,048 characters', () => {
    fc.assert(
      fc.property(fc.oneof(validId, fc.string({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 60 })), (id) => {
        const parsed = parseResourceId(id);
        if ('invalid' in parsed) return;
        expect(parsed.resourceId).toBe(parsed.resourceId.toLowerCase());
        expect(parsed.resourceId.length).toBeLessThanOrEqual(2_048);
        expect(resourceNormalForm(parsed.resourceId)).toBe(parsed.resourceId);
        expect(resourceNormalForm(parsed.displayId)).toBe(parsed.resourceId);
      }),
    );
  });

  test('anything is either placed or refused with a reason', () => {
    fc.assert(
      fc.property(fc.anything(), (raw) => {
        const parsed = parseResourceId(raw);
        if ('invalid' in parsed) expect(parsed.invalid).not.toBe('');
        else expect(parsed.displayId).not.toMatch(/[\^=\n\u0000]/);
      }),
    );
  });
});
