/**
 * Runs that an earlier version of the workflows began must be able to go on with this one. Where this test fails, either the change
 * needs `patched()`, or a new workflow type; only where no such run can exist may the histories be recorded again (record.ts).
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { DeterminismViolationError } from '@temporalio/workflow';
import { DefaultLogger, makeTelemetryFilterString, Runtime, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import type { Activities } from '../../activities/index.ts';
import { workflowBundle as currentBundle } from '../../src/temporal/workflow-bundle.ts';
import { integrationOrder, workflowTypes } from '../../workflows/contract.ts';
import { recordedHistories } from './recorded.ts';

const recorded = recordedHistories();
let workflowBundle: WorkflowBundleOption;

beforeAll(async () => {
  // A replay that fails is what half of these tests want.
  const logging = { forward: {}, filter: makeTelemetryFilterString({ core: 'ERROR' }) };
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), telemetryOptions: { logging } });
  workflowBundle = await currentBundle();
}, 120_000);

function replay(history: object, workflowId: string): Promise<void> {
  return Worker.runReplayHistory({ workflowBundle }, history, workflowId);
}

/** As far as these tests look into one: `temporal workflow show --output json`. */
interface HistoryJson {
  readonly events: (Record<string, unknown> & { eventType: string })[];
}

type Attributes = Record<string, { name: string } | undefined>;

function attributesOf(name: string, key: string): Attributes[] {
  const { events } = recorded.find((one) => one.name === name)!.history as HistoryJson;
  return events.flatMap((event) => (key in event ? [event[key] as Attributes] : []));
}

const namesIn = (key: string, field: string): Set<string | undefined> =>
  new Set(recorded.flatMap(({ name }) => attributesOf(name, key).map((attributes) => attributes[field]?.name)));

test('there is a history of every workflow type and of every activity', () => {
  expect(namesIn('workflowExecutionStartedEventAttributes', 'workflowType')).toEqual(new Set(Object.values(workflowTypes)));
  const activities: Record<keyof Activities, true> = {
    beginRun: true,
    preflight: true,
    prepareInstance: true,
    openScans: true,
    observe: true,
    derive: true,
    resolveCis: true,
    deriveForCis: true,
    publish: true,
    parkSettings: true,
    describeHolder: true,
    finishIntegration: true,
    finishRun: true,
    reconcileScope: true,
    beginReconcile: true,
    reconcilePairs: true,
    finishReconcile: true,
  };
  expect(namesIn('activityTaskScheduledEventAttributes', 'activityType')).toEqual(new Set(Object.keys(activities)));
  for (const integration of integrationOrder) expect(recorded.map(({ name }) => name)).toContain(`integration-${integration}`);
});

test.each([
  ['sync-succeeded', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
  ['sync-blocked-by-preflight', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
  ['sync-cancelled', 'EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED'],
  ['sync-parked-by-preflight', 'EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED'],
  ['sync-parked-and-resumed', 'EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED'],
  ['integration-blocked', 'EVENT_TYPE_MARKER_RECORDED'],
  ['dispatch-already-parked', 'EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED'],
  ['integration-cancelled', 'EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED'],
  ['integration-metadata', 'EVENT_TYPE_TIMER_FIRED'],
  ['dispatch-already-running', 'EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED'],
  ['reconcile-succeeded', 'EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED'],
  ['reconcile-refused', 'EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED'],
  ['hold-released', 'EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED'],
])('%s is what its name says: it has %s', (name, eventType) => {
  const { events } = recorded.find((one) => one.name === name)!.history as HistoryJson;
  expect(events.map((event) => event.eventType)).toContain(eventType);
});

test('nothing in the histories says where they were recorded', () => {
  for (const { name, history, workflowId } of recorded) {
    const text = JSON.stringify(history).replace(/"data":"([^"]*)"/g, (_, data: string) => Buffer.from(data, 'base64').toString('utf8'));
    expect({ name, found: text.match(/\/(?:tmp|home|root|work|Users)\/[^"\s]*|"identity":"(?!worker")[^"]*"/g) }).toEqual({
      name,
      found: null,
    });
    expect(workflowId).toMatch(/^(sync|dispatch|cis-reconcile)\//);
  }
});

describe('the current workflows', () => {
  test.each(recorded.map(({ name, history, workflowId }) => [name, history, workflowId] as const))(
    'go on with %s',
    async (_, history, id) => {
      await replay(history, id);
    },
  );
});

describe('a change that old runs could not go on with is noticed', () => {
  /** The history as a version of the workflows would have left it that did something else at that place. */
  function changed(name: string, key: string, change: (attributes: Attributes) => void): [object, string] {
    const { history, workflowId } = recorded.find((one) => one.name === name)!;
    const copy = structuredClone(history) as HistoryJson;
    const event = copy.events.findLast((one) => key in one);
    change(event![key] as Attributes);
    return [copy, workflowId];
  }

  test.each(recorded.filter(({ name }) => !/^(dispatch|hold)/.test(name)).map(({ name }) => name))('%s: another activity', async (name) => {
    const [history, id] = changed(name, 'activityTaskScheduledEventAttributes', (attributes) => {
      attributes['activityType'] = { name: 'somethingElse' };
    });
    await expect(replay(history, id)).rejects.toBeInstanceOf(DeterminismViolationError);
  });

  test.each(['dispatch-started', 'dispatch-already-running', 'sync-succeeded', 'sync-cancelled', 'reconcile-succeeded'])(
    '%s: another child',
    async (name) => {
      const [history, id] = changed(name, 'startChildWorkflowExecutionInitiatedEventAttributes', (attributes) => {
        attributes['workflowType'] = { name: 'somethingElse' };
      });
      await expect(replay(history, id)).rejects.toBeInstanceOf(DeterminismViolationError);
    },
  );

  test('a step that is left out', async () => {
    const { history, workflowId } = recorded.find(({ name }) => name === 'integration-assessments')!;
    const copy = structuredClone(history) as HistoryJson;
    const isResolveCis = (event: HistoryJson['events'][number]): boolean =>
      (event['activityTaskScheduledEventAttributes'] as Attributes | undefined)?.['activityType']?.name === 'resolveCis';
    const at = copy.events.findIndex(isResolveCis);
    // Everything from there on is cut off: the run stands just before a step that the code must ask for again, under the same name.
    const [next] = copy.events.splice(at);
    expect(next).toBeDefined();
    copy.events.push({
      ...next!,
      activityTaskScheduledEventAttributes: {
        ...(next!['activityTaskScheduledEventAttributes'] as object),
        activityType: { name: 'publish' },
      },
    });
    await expect(replay(copy, workflowId)).rejects.toBeInstanceOf(DeterminismViolationError);
  });
});
