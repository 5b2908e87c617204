import { describe, expect, test } from '@jest/globals';
import { lookupClassOf } from '../../../src/inventory/resource-class.ts';
import { parseResourceDetails } from '../../../src/inventory/resource-details.ts';
import { regionCode, regionName } from '../../../src/inventory/regions.ts';

const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const server = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Sql/servers/s1`;

describe('the resource an assessment is about', () => {
  test('its own id wins over the scope of the assessment', () => {
    expect(parseResourceDetails({ source: 'Azure', id: `${server}/databases/d1` }, server)).toMatchObject({
      resourceType: 'microsoft.sql/servers/databases',
    });
  });

  test('without one it is the scope of the assessment', () => {
    expect(parseResourceDetails({}, server)).toMatchObject({ resourceType: 'microsoft.sql/servers' });
  });

  const entity = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Security/securityConnectors/c/securityEntityData/e`;

  test('AWS: the ARN wins over the connector entity', () => {
    expect(
      parseResourceDetails({ source: 'Aws', id: entity, nativeResourceId: 'arn:aws:s3:::b', accountId: '123456789012' }, entity),
    ).toMatchObject({
      cloud: 'aws',
      resourceId: 'arn:aws:s3:::b',
      accountId: '123456789012',
    });
  });

  test('AWS: a bare native id is unique below its account only', () => {
    expect(
      parseResourceDetails({ source: 'AWS', nativeResourceId: 'i-0ABC', accountId: '123456789012', region: 'us-east-1' }, entity),
    ).toMatchObject({
      resourceId: 'aws/123456789012/i-0abc',
      region: 'us-east-1',
    });
    expect(parseResourceDetails({ source: 'AWS', nativeResourceId: 'i-0ABC' }, entity)).toMatchObject({
      cloud: 'aws',
      resourceId: entity.toLowerCase(),
    });
  });

  test("a connector entity does not belong to the connector's subscription", () => {
    expect(parseResourceDetails({ source: 'GCP', id: entity }, entity)).not.toHaveProperty('accountId');
    expect(parseResourceDetails({ source: 'GCP', id: entity, accountId: 'My-Project' }, entity)).toMatchObject({
      cloud: 'gcp',
      accountId: 'my-project',
    });
  });

  test('a machine whose workspace is a bare GUID takes the subscription of the assessment', () => {
    const details = { source: 'OnPremise', workspaceId: subscription, vmUuid: 'u', machineName: 'm' };
    expect(parseResourceDetails(details, `/subscriptions/${subscription}/resourceGroups/rg`)).toMatchObject({
      cloud: 'on-premises',
      accountId: subscription,
    });
    expect(parseResourceDetails(details, undefined)).not.toHaveProperty('accountId');
  });

  test('what cannot be placed says why', () => {
    expect(parseResourceDetails({ source: 'Azure', id: 'x^y' }, undefined)).toEqual({ invalid: 'contains ^' });
    expect(parseResourceDetails({}, undefined)).toEqual({ invalid: 'is missing' });
  });
});

test.each([
  ['microsoft.compute/virtualmachines', 'cmdb_ci_vm_instance'],
  ['microsoft.resources/subscriptions', 'cmdb_ci_cloud_service_account'],
  ['aws::s3::bucket', 'cmdb_ci_cloud_object_storage'],
  ['microsoft.keyvault/vaults', 'cmdb_ci_cmp_resource'],
  ['constructor', 'cmdb_ci_cmp_resource'],
])('%s is looked up in %s', (type, className) => {
  expect(lookupClassOf(type)).toBe(className);
});

test('regions have one code and, in Azure, a display name', () => {
  expect(regionCode('East US')).toBe('eastus');
  expect(regionCode('global')).toBeUndefined();
  expect(regionCode('')).toBeUndefined();
  expect(regionName('eastus')).toBe('East US');
  expect(regionName('us-east-1')).toBe('us-east-1');
  expect(regionName('constructor')).toBe('constructor');
});
