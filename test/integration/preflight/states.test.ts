/**
 * What people meet → what preflight says: the check, the verdict, the cause, the remedy, and nothing that is not so. Here Azure's side
 * and pairs of faults; states.full.ts has all areas.
 */
import { azureStates } from './states/azure.ts';
import { entraStates } from './states/entra.ts';
import { graphStates } from './states/graph.ts';
import { pairStates } from './states/pairs.ts';
import { describeStates } from './states/state.ts';

describeStates([
  ['Entra sign-in', entraStates],
  ['Graph permissions', graphStates],
  ['Azure RBAC and plans', azureStates],
  ['pairs of faults', pairStates],
]);
