import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { choose, isRetired, isSound, type Candidate, type CiState } from '../../../src/inventory/candidates.ts';
import type { SysId } from '../../../src/model.ts';

const state = fc.record({
  sysId: fc.constantFrom('a', 'b', 'c', 'd', 'e').map((id) => id as SysId),
  className: fc.constantFrom('cmdb_ci_vm_instance', 'cmdb_ci_cmp_resource'),
  retired: fc.boolean(),
  foreignDomain: fc.boolean(),
  duplicateOf: fc.constantFrom('', '', '', 'z'),
  createdOn: fc.constantFrom('2026-01-01 00:00:00', '2026-01-02 00:00:00', ''),
});
const candidate: fc.Arbitrary<Candidate> = fc.record({
  ci: state,
  by: fc.constantFrom('discovered-item', 'lookup-rule'),
  order: fc.integer({ min: -2, max: 4 }),
  evidence: fc.constant('a rule'),
});
const candidates = fc.array(candidate, { minLength: 1, maxLength: 8 });

describe('choosing', () => {
  test('does not depend on the order in which CIs come', () => {
    fc.assert(
      fc.property(candidates, fc.infiniteStream(fc.nat()), (list, draws) => {
        const shuffled = list.map((one) => [draws.next().value as number, one] as const).sort(([a], [b]) => a - b);
        const chosen = choose(shuffled.map(([, one]) => one))?.candidate;
        expect(chosen?.ci.sysId).toBe(choose(list)?.candidate.ci.sysId);
      }),
    );
  });

  test('takes a sound CI whenever there is one, and something whenever there is anything', () => {
    fc.assert(
      fc.property(candidates, (list) => {
        const chosen = choose(list)?.candidate;
        expect(chosen).toBeDefined();
        if (list.some(isSound)) expect(chosen && isSound(chosen)).toBe(true);
      }),
    );
    expect(choose([])).toBeUndefined();
  });

  test('says so when it took a retired CI, one of another domain, or one of several', () => {
    const ci: CiState = { sysId: 'a' as SysId, className: 'c', retired: false, foreignDomain: false, duplicateOf: '', createdOn: '1' };
    const one = (values: Partial<CiState>): Candidate => ({ ci: { ...ci, ...values }, by: 'lookup-rule', order: 0, evidence: 'rule Name' });
    expect(choose([one({})])?.note).toBeUndefined();
    expect(choose([one({}), one({})])?.note).toBeUndefined();
    expect(choose([one({ retired: true })])?.note).toMatch(/retired/);
    expect(choose([one({ foreignDomain: true })])?.note).toMatch(/another domain/);
    expect(choose([one({}), one({ sysId: 'b' as SysId, createdOn: '2' })])?.note).toBe(
      '2 CIs match; the oldest was taken, the others are b',
    );
    expect(choose([one({}), one({ sysId: 'b' as SysId, retired: true })])?.note).toBeUndefined();
  });
});

test.each([
  ['7', '1', true],
  ['1', '6', true],
  ['1', '2', false],
  ['', '', false],
])('install status %s, operational status %s: retired is %s', (install, operational, expected) => {
  expect(isRetired(install, operational)).toBe(expected);
});
