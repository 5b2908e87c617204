import { describe, expect, test } from '@jest/globals';
import { askedFor } from '../../../src/cli/asked-for.ts';

const subscription = '/subscriptions/11111111-2222-3333-4444-555555555555';
const vm = `${subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/VM-1`;
const hex = 'ab'.repeat(32);

describe('what a person names a resource by', () => {
  test.each([
    ['an Azure id', vm, `resource:${vm.toLowerCase()}`],
    ['in capitals, with a slash at the end and blanks around', `  ${vm.toUpperCase()}/ `, `resource:${vm.toLowerCase()}`],
    ['the id of one of its assessments', `${vm}/providers/Microsoft.Security/assessments/ABC`, `resource:${vm.toLowerCase()}`],
    ['a subscription', subscription.toUpperCase(), `resource:${subscription}`],
    ['an ARN', 'arn:aws:s3:::Some-Bucket', 'resource:arn:aws:s3:::some-bucket'],
    ['an AWS account', '123456789012', 'resource:123456789012'],
    ['a machine outside of a cloud', 'on-premises/w/ID/Name', 'resource:on-premises/w/id/name'],
    ['a digest', `SHA256:${hex.toUpperCase()}`, `image:${hex}`],
    ['a digest alone', hex, `image:${hex}`],
    ['an image by its digest', `Registry.example/team/app@sha256:${hex}`, `image:${hex}`],
  ])('%s', (_, typed, ciKey) => {
    expect(askedFor(typed)).toMatchObject({ type: 'resource', name: { ciKey } });
  });

  test('an image is looked for under both of its names', () => {
    expect(askedFor(`registry.example/app@sha256:${hex}`)).toMatchObject({
      name: { ids: [`registry.example/app@sha256:${hex}`, `sha256:${hex}`] },
    });
  });

  test.each([
    ['a sys_id', 'ABCDEF0123456789abcdef0123456789', { type: 'sys-id', sysId: 'abcdef0123456789abcdef0123456789' }],
    ['a name alone', 'vm-1', { type: 'unusable' }],
    ['nothing', ' ', { type: 'unusable', because: 'is empty' }],
    ['what would break out of a query', '/subscriptions/x^y', { type: 'unusable', because: 'contains ^' }],
  ])('%s', (_, typed, expected) => {
    expect(askedFor(typed)).toMatchObject(expected);
  });
});
