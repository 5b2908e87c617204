/** Every check, in the order in which they are reported; a check stands after those it needs. */
import { azureDefenderPlan, azureRead } from './azure-reads.ts';
import { azureScopes } from './azure-scopes.ts';
import { entraSignIn } from './entra.ts';
import { graphIncidentPermissions } from './graph.ts';
import { serviceNowRoles, serviceNowRunAsUser, serviceNowSignIn } from './servicenow-access.ts';
import { serviceNowDataSource, serviceNowIre, serviceNowTables } from './servicenow-instance.ts';
import { serviceNowPluginWriters, serviceNowSecondLedger, serviceNowSwitchedOff } from './servicenow-writers.ts';
import { serviceNowWrites } from './servicenow-writes.ts';
import type { Check } from './types.ts';

export const catalogue: readonly Check[] = [
  entraSignIn,
  graphIncidentPermissions,
  azureScopes,
  azureRead,
  azureDefenderPlan,
  serviceNowSignIn,
  serviceNowRoles,
  serviceNowWrites,
  serviceNowTables,
  serviceNowDataSource,
  serviceNowIre,
  serviceNowRunAsUser,
  serviceNowSecondLedger,
  serviceNowPluginWriters,
  serviceNowSwitchedOff,
];
