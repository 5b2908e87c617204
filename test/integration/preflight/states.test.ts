/**
 * What people meet → what preflight says: the check, the verdict, the cause, the remedy, and nothing that is not so. Here Azure's side
 * and pairs of faults; states.full.ts has all areas.
 */
import { describe, test } from '@jest/globals';
import { azureStates } from './states/azure.ts';
import { entraStates } from './states/entra.ts';
import { graphStates } from './states/graph.ts';
import { pairStates } from './states/pairs.ts';
import { expectState } from './states/state.ts';

describe('everything is set up well', () => {
  test('nothing is wrong', () => expectState({ state: 'healthy', finds: () => [] }));
});

describe.each([
  ['Entra sign-in', entraStates],
  ['Graph permissions', graphStates],
  ['Azure RBAC and plans', azureStates],
  ['pairs of faults', pairStates],
])('%s', (_area, states) => {
  test.each(states.map((state) => [state.state, state] as const))('%s', (_state, state) => expectState(state));
});
