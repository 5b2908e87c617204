import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ciRequestOf } from '../../../src/inventory/ci-identity.ts';
import { lookupRulesOf, shippedRules, type LookupRuleRow, type ResourceIdentity } from '../../../src/inventory/lookup-rules.ts';
import { parseResourceId } from '../../../src/inventory/resource-id.ts';
import { conditionOf } from '../../../src/inventory/rule-condition.ts';

const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const vmId = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/Web-1`;

function identityOf(id: string, region?: string): ResourceIdentity {
  const parsed = parseResourceId(id);
  if ('invalid' in parsed) throw new Error(parsed.invalid);
  const { identity } = ciRequestOf(parsed, { region });
  if (identity.type !== 'resource') throw new Error('an image');
  return identity;
}
const vm = identityOf(vmId, 'eastus');
const bucket = identityOf('arn:aws:s3:::Logs');

const row = (values: Partial<LookupRuleRow>): LookupRuleRow => ({
  name: 'A rule',
  order: '100',
  method: 'field_matching',
  condition: '',
  sourceField: 'resource_name',
  targetTable: 'cmdb_ci_server',
  targetField: 'name',
  ...values,
});

describe('the rules that ship', () => {
  test.each([
    ['Resource Id', vm, 'cmdb_ci_vm_instance', vmId],
    ['Name', vm, 'cmdb_ci_vm_instance', 'Web-1'],
    ['S3 Bucket', vm, 'cmdb_ci_cloud_object_storage', undefined],
    ['Resource Id', bucket, 'cmdb_ci_cloud_object_storage', 'arn:aws:s3:::Logs'],
    ['Name', bucket, 'cmdb_ci_cloud_object_storage', 'Logs'],
    ['S3 Bucket', bucket, 'cmdb_ci_cloud_object_storage', 'arn:aws:s3:::Logs'],
  ])('%s', (name, identity, className, value) => {
    const rule = shippedRules.rules.find((one) => one.name === name);
    expect(rule?.targetClass(identity)).toBe(className);
    expect(rule?.targetField).toBe('object_id');
    expect(rule?.valueOf(identity)).toBe(value);
  });

  test('are known by name where the instance keeps them as scripts, in its order', () => {
    const rules = lookupRulesOf([
      row({ name: 'S3 Bucket', order: '5', method: 'script', targetTable: '', targetField: '' }),
      row({ name: 'resource id', order: '30', method: 'script', targetTable: '', targetField: '' }),
      row({ name: 'Name', order: '9', method: 'script', targetTable: '', targetField: '' }),
    ]);
    expect(rules.rules.map(({ name }) => name)).toEqual(['S3 Bucket', 'Name', 'Resource Id']);
    expect(rules.notEvaluated).toEqual([]);
  });
});

describe('rules of an administrator', () => {
  test('are tried lowest Order first; without a number last; alike by name', () => {
    const names = ['d', 'b', 'a', 'c'].map((name, index) => row({ name, order: ['', '20', '20', '3'][index] ?? '' }));
    expect(lookupRulesOf(names).rules.map(({ name }) => name)).toEqual(['c', 'a', 'b', 'd']);
  });

  test('match their field in their table', () => {
    const [rule] = lookupRulesOf([row({})]).rules;
    expect([rule?.targetClass(vm), rule?.targetField, rule?.valueOf(vm)]).toEqual(['cmdb_ci_server', 'name', 'Web-1']);
    expect(lookupRulesOf([row({ targetTable: 'u_own' })]).targetTables).toEqual(['u_own']);
  });

  test.each([
    [{ method: 'script' }, 'it is a script, which only the platform can run'],
    [{ method: '' }, 'its method is empty'],
    [{ sourceField: 'netbios' }, 'its source field netbios is nothing that Defender for Cloud says of a resource'],
    [{ targetTable: '' }, 'it names no target table'],
    [{ targetTable: 'a b' }, 'its target table is no name of a table'],
    [{ targetField: '' }, 'it names no target field'],
    [{ condition: 'os=Linux' }, 'its condition has a part that cannot be evaluated here: os=Linux'],
  ])('%j cannot be evaluated, and says why', (values, because) => {
    expect(lookupRulesOf([row({ name: 'Own', ...values })])).toMatchObject({ rules: [], notEvaluated: [{ name: 'Own', because }] });
  });

  test('hold for those whom their condition means', () => {
    const [rule] = lookupRulesOf([row({ condition: 'cloud_region.name=EastUS' })]).rules;
    expect(rule?.valueOf(vm)).toBe('Web-1');
    expect(rule?.valueOf(bucket)).toBeUndefined();
  });
});

describe('conditions', () => {
  const holds = (text: string): boolean | string => {
    const condition = conditionOf(text);
    return 'because' in condition ? condition.because : condition.holds(vm);
  };

  test.each([
    ['', true],
    ['^EQ', true],
    ['resource_name=web-1', true],
    ['resource_name!=web-1', false],
    ['resource_nameSTARTSWITHweb^cloud_region.name=eastus^EQ', true],
    ['resource_nameSTARTSWITHweb^cloud_region.name=westus', false],
    ['cloud_region.name=westus^ORcloud_region.name=eastus', true],
    ['resource_name=x^cloud_region.name=westus^ORcloud_region.name=eastus', false],
    ['resource_name=x^NQcloud_region.name=eastus', true],
    ['cloud_region.nameINwestus,eastus', true],
    ['cloud_region.nameNOT INwestus,eastus', false],
    ['resource_idLIKEvirtualmachines', true],
    ['resource_idNOT LIKEvirtualmachines', false],
    ['resource_nameENDSWITH-1', true],
    ['cloud_account.nameISNOTEMPTY', true],
    ['cloud_account.nameISEMPTY', false],
    ['asset_category=Cloud^cloud_service_provider.name=Microsoft Azure', true],
    ['cloud_resource_type.name=Microsoft.Compute/virtualMachines', true],
  ])('%s', (text, expected) => {
    expect(holds(text)).toBe(expected);
  });

  test.each([
    'ip_addressISNOTEMPTY',
    'resource_name=javascript:gs.getUserName()',
    'resource_nameSAMEASname',
    'resource_name>x',
    'cloud_account=0123456789abcdef0123456789abcdef',
    'ORresource_name=x',
    'resource_name=x^ORDERBYname',
    'x',
  ])('%s is not guessed', (text) => {
    expect(holds(text)).toMatch(/cannot be evaluated/);
  });

  test('any text is either evaluated or refused, never thrown at', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(resource_name|os)(=|IN|LIKE|!=)[a-z^OR]{0,10}$/)), (text) => {
        expect(['boolean', 'string']).toContain(typeof holds(text));
      }),
    );
  });
});
