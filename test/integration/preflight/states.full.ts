/** Every state: what people meet → what preflight says, and nothing that is not so. states.test.ts has Azure's side alone. */
import { azureStates } from './states/azure.ts';
import { entraStates } from './states/entra.ts';
import { graphStates } from './states/graph.ts';
import { pairStates } from './states/pairs.ts';
import { modelStates } from './states/servicenow-model.ts';
import { roleStates } from './states/servicenow-roles.ts';
import { signInStates } from './states/servicenow-sign-in.ts';
import { runAsStates } from './states/run-as.ts';
import { describeStates } from './states/state.ts';
import { twoWriterStates } from './states/two-writers.ts';

describeStates([
  ['Entra sign-in', entraStates],
  ['Graph permissions', graphStates],
  ['Azure RBAC and plans', azureStates],
  ['pairs of faults', pairStates],
  ['ServiceNow sign-in', signInStates],
  ['ServiceNow roles', roleStates],
  ['ServiceNow model and writes', modelStates],
  ['two writers', twoWriterStates],
  ['run-as', runAsStates],
]);
