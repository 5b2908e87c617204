import { ROLE_ACTIONS } from '../../access.ts';
import { rowsOf } from '../../estate/model.ts';
import { listAnswer, type ArmRoute } from '../router.ts';

/** What the principal may do at a scope: azure.md §1.12. Subscription and management-group scope work in the wild; one entry per role. */
export function authorizationRoutes(): readonly ArmRoute[] {
  return [
    {
      resourceType: 'Microsoft.Authorization/permissions',
      form: 'list',
      scopes: ['managementGroup', 'subscription', 'resourceGroup', 'resource'],
      apiVersions: ['2022-04-01'],
      action: null,
      handle: (call) => {
        const roles = call.services.access.rolesAt(call.principal, call.path.scope);
        const rows = roles.map((role) => ({ actions: ROLE_ACTIONS[role], notActions: [], dataActions: [], notDataActions: [] }));
        return listAnswer(call, rowsOf(rows), { pageSize: 100 });
      },
    },
  ];
}
