import { randomAt } from '../../kit/random.ts';
import type { GraphGrants } from '../access.ts';
import type { LabApplication } from '../estate/model.ts';
import type { JsonObject } from '../json.ts';

const GRAPH_APP_ID = '00000003-0000-0000-c000-000000000000';
const GRAPH_PRINCIPAL_ID = randomAt('microsoft-graph', 'principal').uuid();

/** Ids of the permissions on Microsoft Graph: azure.md §2.3. */
const PERMISSIONS = {
  'SecurityIncident.Read.All': { role: '45cc0394-e837-488b-a098-1918f48d186c', scope: 'b9abcc4f-94fc-4457-9141-d20ce80ec952' },
  'SecurityIncident.ReadWrite.All': { role: '34bf0e97-1971-4929-b999-9e2442d941d7', scope: '128ca929-1a19-45e6-a3b8-435ec44a36ba' },
  'Application.Read.All': { role: '9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30', scope: 'c79f8feb-a9db-4090-85f9-90d820caa0eb' },
  'Directory.Read.All': { role: '7ab1d382-f21e-4acd-a863-ba3e13f7da61', scope: '06da0dbc-49e2-44d2-8312-53f166ab848a' },
} as const;
type Permission = keyof typeof PERMISSIONS;

const INCIDENTS: readonly Permission[] = ['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All'];
const DIRECTORY: readonly Permission[] = ['Application.Read.All', 'Directory.Read.All'];

/** `applications`: what was requested. The well-known mistake requests Scope where Role is needed. */
export function applicationRow(application: LabApplication, grants: GraphGrants): JsonObject {
  const incidentType = grants.consent === 'delegated-only' ? 'Scope' : 'Role';
  const access = [
    ...INCIDENTS.map((name) => ({ id: incidentType === 'Role' ? PERMISSIONS[name].role : PERMISSIONS[name].scope, type: incidentType })),
    ...(grants.directoryReader ? DIRECTORY.map((name) => ({ id: PERMISSIONS[name].role, type: 'Role' })) : []),
  ];
  return {
    id: application.applicationObjectId,
    appId: application.clientId,
    displayName: application.displayName,
    requiredResourceAccess: [{ resourceAppId: GRAPH_APP_ID, resourceAccess: access }],
  };
}

/** `appRoleAssignments`: the application permissions that were granted. */
export function appRoleAssignments(application: LabApplication, grants: GraphGrants): JsonObject[] {
  const granted = [...(grants.consent === 'granted' ? INCIDENTS : []), ...(grants.directoryReader ? DIRECTORY : [])];
  return granted.map((name) => ({
    id: randomAt('app-role-assignment', application.clientId, name).hex(43),
    createdDateTime: '2026-08-01T00:00:00Z',
    appRoleId: PERMISSIONS[name].role,
    principalId: application.principalId,
    principalType: 'ServicePrincipal',
    principalDisplayName: application.displayName,
    resourceId: GRAPH_PRINCIPAL_ID,
    resourceDisplayName: 'Microsoft Graph',
  }));
}

/** `oauth2PermissionGrants`: delegated grants, useless to an app that signs in as itself. */
export function delegatedGrants(application: LabApplication, grants: GraphGrants): JsonObject[] {
  if (grants.consent !== 'delegated-only') return [];
  return [
    {
      clientId: application.principalId,
      consentType: 'AllPrincipals',
      id: randomAt('delegated-grant', application.clientId).hex(43),
      principalId: null,
      resourceId: GRAPH_PRINCIPAL_ID,
      scope: INCIDENTS.join(' '),
    },
  ];
}
