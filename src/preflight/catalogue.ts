/** Every check, in the order in which they are reported; a check stands after those it needs. */
import { azureDefenderPlan } from './azure-plans.ts';
import { azureRead, azureTags } from './azure-reads.ts';
import { azureCveDetails, azureResourceGraph } from './azure-resource-graph.ts';
import { azureScopes } from './azure-scopes.ts';
import { ledgerInstance, ledgerMigrated, ledgerReachable, ledgerWritable } from './engine-ledger.ts';
import { temporalNamespace, temporalReachable, temporalSchedules, temporalSearchAttributes, temporalWorkers } from './engine-temporal.ts';
import { entraSignIn } from './entra.ts';
import { entraCredentialExpiry } from './entra-expiry.ts';
import { graphIncidentPermissions } from './graph.ts';
import { serviceNowAttachments } from './servicenow-attachments.ts';
import { serviceNowDataSource, serviceNowIre } from './servicenow-instance.ts';
import { serviceNowIdentifiers } from './servicenow-identifiers.ts';
import { serviceNowPluginWriters } from './servicenow-plugin.ts';
import { serviceNowRateLimits } from './servicenow-rate-limits.ts';
import { serviceNowRoles } from './servicenow-roles.ts';
import { serviceNowRunAs, serviceNowRunAsUser } from './servicenow-run-as.ts';
import { serviceNowSignIn } from './servicenow-sign-in.ts';
import { serviceNowTables } from './servicenow-tables.ts';
import { serviceNowSecondLedger, serviceNowSwitchedOff } from './servicenow-writers.ts';
import { serviceNowWrites } from './servicenow-writes.ts';
import type { Check } from './types.ts';

export const catalogue: readonly Check[] = [
  entraSignIn,
  entraCredentialExpiry,
  graphIncidentPermissions,
  azureScopes,
  azureRead,
  azureTags,
  azureResourceGraph,
  azureCveDetails,
  azureDefenderPlan,
  serviceNowSignIn,
  serviceNowRoles,
  serviceNowWrites,
  serviceNowTables,
  serviceNowDataSource,
  serviceNowIdentifiers,
  serviceNowIre,
  serviceNowRateLimits,
  serviceNowRunAsUser,
  serviceNowRunAs,
  serviceNowAttachments,
  serviceNowSecondLedger,
  serviceNowPluginWriters,
  serviceNowSwitchedOff,
  ledgerReachable,
  ledgerMigrated,
  ledgerWritable,
  ledgerInstance,
  temporalReachable,
  temporalNamespace,
  temporalSearchAttributes,
  temporalWorkers,
  temporalSchedules,
];
