/** What re-pointing a pair means, and what is a difference to what was shown. */
import { describe, expect, test } from '@jest/globals';
import { differenceSentence, differencesOf } from '../../../activities/pair-differences.ts';
import { pairDigest, stepsOf, type CiPair } from '../../../src/ledger/index.ts';
import type { SysId } from '../../../src/model.ts';
import { ci, item, pairOf, placeholderId, result, specificId } from './pairs.ts';

describe('the steps of a pair', () => {
  const idsBy = (pair: CiPair, moves: boolean | null): Record<string, string[]> => {
    const { steps } = stepsOf(pair, moves);
    const of = (by: string): string[] => steps.filter((step) => step.by === by).map(({ sysId }) => sysId);
    return { engine: of('engine'), platform: of('platform') };
  };

  test.each([[false], [null]])('the engine re-points items and results where the platform does not, or may not (%s)', (moves) => {
    expect(idsBy(pairOf(), moves)).toEqual({
      engine: ['item-a', 'item-b', 'result-a-t1', 'result-a-t2', 'result-b-t1'],
      platform: [],
    });
    for (const { from, to } of stepsOf(pairOf(), moves).steps) expect([from, to]).toEqual([placeholderId, specificId]);
  });

  test('results are left to a platform that moves them', () => {
    expect(idsBy(pairOf(), true)).toEqual({ engine: ['item-a', 'item-b'], platform: ['result-a-t1', 'result-a-t2', 'result-b-t1'] });
  });

  test('what points at the specific CI already, or belongs to others, stays; so does a result that the specific CI has already', () => {
    const pair = pairOf({
      items: [item('a'), item('b', { cmdbCi: specificId }), item('foreign', { deployment: null })],
      results: [
        result('a', 't1'),
        result('a', 't2'),
        result('a', 't1', { sysId: 'there already' as SysId, cmdbCi: specificId }),
        result('foreign', 't1', { deployment: null }),
      ],
    });
    const { steps, doubled, foreign } = stepsOf(pair, false);
    expect(steps.map(({ sysId }) => sysId)).toEqual(['item-a', 'result-a-t2']);
    expect(doubled.map(({ sysId }) => sysId)).toEqual(['result-a-t1']);
    expect(foreign).toBe(2);
  });
});

describe('a difference to what was shown', () => {
  test('there is none while all is as it was; the digest says the same', () => {
    expect(differencesOf(pairOf(), pairOf())).toEqual([]);
    expect(pairDigest(pairOf())).toEqual(pairDigest(structuredClone(pairOf())));
  });

  const other = 'x'.repeat(32) as SysId;
  test.each<[string, CiPair | undefined, string]>([
    ['the pair is none any more', undefined, 'the two CIs are no longer side by side'],
    ['another specific CI', pairOf({ specific: [ci(), ci({ sysId: other })] }), `there is cmdb_ci_vm_instance ${other} besides`],
    ['the specific CI is another one', pairOf({ specific: [ci({ sysId: other })] }), `the specific CI ${specificId} is gone`],
    ['its class', pairOf({ specific: [ci({ className: 'cmdb_ci_server' })] }), 'was a cmdb_ci_vm_instance and is a cmdb_ci_server'],
    ['it is retired', pairOf({ specific: [ci({ retired: true })] }), 'is retired now'],
    ['the object_id', pairOf({ specific: [ci({ objectId: '/subscriptions/X' })] }), 'the object_id of the specific CI'],
    ['an item points elsewhere', pairOf({ items: [item('a')] }), `item-b pointed at ${placeholderId} and points at neither now`],
    [
      'an item was re-pointed',
      pairOf({ items: [item('a'), item('b', { cmdbCi: specificId })] }),
      `item-b pointed at ${placeholderId} and points at ${specificId}`,
    ],
    ['a new result', pairOf({ results: [...pairOf().results, result('b', 't9')] }), 'result-b-t9 points at'],
  ])('%s', (_, now, sentence) => {
    expect(differencesOf(pairOf(), now).join('; ')).toContain(sentence);
    if (now !== undefined) expect(pairDigest(now)).not.toEqual(pairDigest(pairOf()));
  });

  test('a few are told, and how many there are besides', () => {
    const many = Array.from({ length: 9 }, (_, index) => `difference ${index}`);
    expect(differenceSentence(many)).toBe(
      'changed since it was shown: difference 0; difference 1; difference 2; difference 3; difference 4; and 4 more',
    );
  });
});
