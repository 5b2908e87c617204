import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { SearchAttributeType } from '@temporalio/common';
import { acquireTemporalDevServer } from '../../../src/temporal/dev-server.ts';
import { engineSearchAttributes, ensureSearchAttributes } from '../../../src/temporal/search-attributes.ts';
import { temporalOptions } from '../server-folders.ts';
import { withTemporal } from '../servers.ts';

const temporal = withTemporal();

/** The shared namespace has the attributes already; these tests need namespaces of their own. */
async function newNamespace(): Promise<string> {
  const namespace = `attributes-${randomBytes(4).toString('hex')}`;
  await (await acquireTemporalDevServer({ ...temporalOptions(), namespace })).release();
  return namespace;
}

test('are made once, are there the second time, and can be queried at once', async () => {
  const namespace = await newNamespace();
  const names = ['DefenderSyncDeployment', 'DefenderSyncPhase', 'DefenderSyncOutcome', 'DefenderSyncBlockedBy'];
  expect(await ensureSearchAttributes(temporal.connection, namespace)).toEqual({ created: names, present: [], refused: [] });
  expect(await ensureSearchAttributes(temporal.connection, namespace)).toEqual({ created: [], present: names, refused: [] });
  const { count } = await temporal.connection.workflowService.countWorkflowExecutions({
    namespace,
    query: "DefenderSyncDeployment = 'a' AND DefenderSyncBlockedBy = 'b'",
  });
  expect(count.toNumber()).toBe(0);
});

test('made by two processes at once are there for both', async () => {
  const namespace = await newNamespace();
  const [first, second] = await Promise.all([1, 2].map(() => ensureSearchAttributes(temporal.connection, namespace)));
  expect([first?.refused, second?.refused]).toEqual([[], []]);
  for (const result of [first, second]) {
    expect([...(result?.created ?? []), ...(result?.present ?? [])].sort()).toEqual(engineSearchAttributes.map(({ name }) => name).sort());
  }
});

test('of another type, or beyond the limit of the server, are refused with the reason, and the others are made', async () => {
  const namespace = await newNamespace();
  await ensureSearchAttributes(temporal.connection, namespace);
  const { created, present, refused } = await ensureSearchAttributes(temporal.connection, namespace, [
    { name: 'DefenderSyncPhase', type: SearchAttributeType.INT },
    { name: 'ListA', type: SearchAttributeType.KEYWORD_LIST },
    { name: 'ListB', type: SearchAttributeType.KEYWORD_LIST },
    { name: 'ListC', type: SearchAttributeType.KEYWORD_LIST },
    { name: 'Another', type: SearchAttributeType.BOOL },
  ]);
  expect({ created, present }).toEqual({ created: ['ListA', 'ListB', 'Another'], present: [] });
  expect(refused).toEqual([
    {
      name: 'DefenderSyncPhase',
      cause: 'wrong-type',
      reason: 'it exists as Keyword instead of Int',
      remedy: expect.stringContaining('--type Int'),
    },
    {
      name: 'ListC',
      cause: 'not-made',
      reason: expect.stringContaining('more than 3'),
      remedy: expect.stringContaining(`--namespace ${namespace} --name ListC --type KeywordList`),
    },
  ]);
});
