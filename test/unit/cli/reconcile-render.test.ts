import { describe, expect, test } from '@jest/globals';
import { createOutput } from '../../../src/cli/output.ts';
import { effectSentence, pairsAsJson, renderNoPairs, renderPairs } from '../../../src/cli/render/pairs.ts';
import { renderReconcile } from '../../../src/cli/render/reconcile.ts';
import type { PairSet, ReconciledPair } from '../../../src/ledger/index.ts';
import type { SysId } from '../../../src/model.ts';
import type { ReconcileResult } from '../../../workflows/contract.ts';
import { item, pairOf, placeholderId, result, specificId } from '../reconcile/pairs.ts';
import { collectStream } from './samples.ts';

const styleOf = (isTTY: boolean) =>
  createOutput({ stdout: collectStream({ isTTY }), stderr: collectStream(), noColor: false, dumbTerminal: false }).style;
const plain = styleOf(false);

async function* streamOf<Item>(items: readonly Item[]): AsyncGenerator<Item, void> {
  for (const item of items) yield await Promise.resolve(item);
}

const set: PairSet = {
  id: '0123456789',
  hash: 'f'.repeat(64),
  foundAt: '2026-11-22T10:00:00.000Z',
  instanceUrl: 'https://instance.example',
  platformMovesResults: false,
  pairs: 1,
  reconcilable: 1,
};

describe('pairs', () => {
  test('each is shown with both CIs, who points at which, and what re-pointing does; then how to do it', () => {
    const pair = pairOf({ results: [...pairOf().results, result('a', 't1', { sysId: 'there' as SysId, cmdbCi: specificId })] });
    expect(renderPairs(set, [pair], plain)).toBe(
      [
        `Pairs 0123456789  1 pair on https://instance.example  hash ${set.hash}`,
        'sn_sec_cmn.update_on_ci_change is false: the engine re-points results too.',
        '',
        '/subscriptions/x',
        `  placeholder  cmdb_ci_cmp_resource ${placeholderId}  created 2026-11-22 10:00:00 by svc.engine, no discovery source, by this engine`,
        '               discovered items: 1 of a, 1 of b; results: 2 of a, 1 of b',
        `  specific     cmdb_ci_vm_instance ${specificId}  created 2026-11-22 10:00:00 by discovery, discovery source ServiceNow`,
        '               results: 1 of a',
        '  reconcile re-points 2 discovered items and 2 results, leaves 1 result behind that the specific CI has already',
        '',
        'Re-point them as shown:  defender-sync cis reconcile 0123456789',
        'Only one of them:        defender-sync cis reconcile 0123456789 --only <resource id>',
      ].join('\n'),
    );
  });

  test('what cannot be reconciled says why, and offers nothing', () => {
    const text = renderPairs({ ...set, reconcilable: 0 }, [pairOf({ obstacle: '2 CIs have this object_id' })], plain);
    expect(text).toContain('  cannot be reconciled: 2 CIs have this object_id');
    expect(text).toContain('None of them can be reconciled as it is.');
    expect(text).not.toContain('cis reconcile 0123456789');
  });

  test('with thousands the text ends, the JSON does not', async () => {
    const pairs = Array.from({ length: 1_200 }, (_, index) => pairOf({ resourceId: `/subscriptions/${index}` }));
    expect(renderPairs({ ...set, pairs: 1_200 }, pairs, plain)).toContain('… and 1,150 more pairs; --json shows all of them');
    expect(pairsAsJson(set, pairs, 5_000)).toMatchObject({ placeholders: 5_000, pairs: { length: 1_200 } });
    expect(await effectSentence(streamOf(pairs), set)).toBe('Re-points 2,400 discovered items and 3,600 results of 1,200 pairs.');
    expect(await effectSentence(streamOf(pairs.slice(0, 1)), { ...set, platformMovesResults: true })).toBe(
      'Re-points 2 discovered items and 0 results of 1 pair, and the platform 3 results.',
    );
  });

  test('the absence of pairs says what that means', () => {
    expect(renderNoPairs(0)).toMatch(/^No resource is matched to a placeholder/);
    expect(renderNoPairs(1_234)).toMatch(/^No pairs: none of the 1,234 placeholders has /);
    expect(pairsAsJson(undefined, [], 7)).toEqual({ id: null, hash: null, placeholders: 7, pairs: [] });
  });

  test('control characters of names do not reach a terminal; colours only reach one', () => {
    const evil = pairOf({ resourceId: '/sub\u001b[2J', items: [item('a')] });
    expect(renderPairs(set, [evil], plain)).not.toContain('\u001b');
    expect(renderPairs(set, [pairOf()], styleOf(true))).toContain('\u001b[1m');
  });
});

describe('a reconcile', () => {
  const done: ReconcileResult = {
    reconcile: 'abcdef0123',
    outcome: 'degraded',
    because: '1 of 2 pairs were not re-pointed',
    deployments: ['a', 'b'],
    heldBy: null,
    moved: 1,
    unchanged: 0,
    refused: 1,
    parked: 0,
    items: 2,
    results: 0,
    leftToPlatform: 3,
  };
  const from = { sysId: placeholderId, className: 'cmdb_ci_cmp_resource', match: 'created-by-ire', createdByEngine: true } as const;
  const to = { sysId: specificId, className: 'cmdb_ci_vm_instance', match: 'reconciled', createdByEngine: false } as const;
  const pair = (resourceId: string, state: ReconciledPair['state'], because: string | null = null): ReconciledPair => ({
    resourceId,
    state,
    because,
    from,
    to,
    steps: [],
  });
  const request = { type: 'apply', setId: set.id, only: null } as const;

  test('says what became of each pair, what went wrong first, and how to take it back', () => {
    const pairs = [pair('/one', 'moved'), pair('/two', 'refused', 'changed since it was shown: …')];
    expect(renderReconcile(done, pairs, request, undefined, plain)).toBe(
      [
        'Reconcile abcdef0123 degraded: 1 of 2 pairs were not re-pointed',
        '',
        '  2 discovered items and 0 results of 1 pair re-pointed; 3 results left to the platform, which moves them by itself',
        '  refused  /two: changed since it was shown: …',
        '  re-pointed  /one',
        `    cmdb_ci_cmp_resource ${placeholderId} → cmdb_ci_vm_instance ${specificId}`,
        '',
        '  Take it back: defender-sync cis reconcile --undo abcdef0123',
      ].join('\n'),
    );
  });

  test('one that was taken back is not offered to be taken back', () => {
    const text = renderReconcile(done, [pair('/one', 'moved')], { type: 'undo', reconcileId: 'x' }, 'https://ui/x', plain);
    expect(text).toContain('  put back  /one');
    expect(text).not.toContain('--undo');
    expect(text.endsWith('https://ui/x')).toBe(true);
  });
});
