import { hostAnsweredBy } from '../host.ts';
import type { Choice, Labs } from '../labs.ts';
import type { Expected, State } from './state.ts';

const administrator = 'A Global Administrator or Privileged Role Administrator';

const permissions = (cause: string, more: Omit<Expected, 'check' | 'verdict' | 'cause'>): Expected => ({
  check: 'graph.incident-permissions',
  verdict: 'blocking',
  cause,
  ...more,
});

const bothWithIds = [
  'SecurityIncident.Read.All (45cc0394-e837-488b-a098-1918f48d186c)',
  'SecurityIncident.ReadWrite.All (34bf0e97-1971-4929-b999-9e2442d941d7)',
];
const required = 'API required roles: SecurityIncident.Read.All,SecurityIncident.ReadWrite.All, application roles:';

const wholeRemedy = ({ tenant }: Labs): readonly string[] => [
  `App registrations › ${tenant.clientId} › API permissions`,
  'remove SecurityIncident entries of type Delegated',
  'Microsoft Graph (not WindowsDefenderATP) › Application permissions',
  `az ad app permission add --id ${tenant.clientId} --api 00000003-0000-0000-c000-000000000000`,
  '45cc0394-e837-488b-a098-1918f48d186c=Role',
  `az ad app permission admin-consent --id ${tenant.clientId}`,
];

const consent =
  (state: string, directoryReader: boolean) =>
  ({ change, tenant }: Labs): Promise<void> =>
    change({ consent: { clientId: tenant.clientId, state, directoryReader } });

export const graphStates: readonly State[] = [
  {
    state: 'only Delegated, the registration readable',
    give: consent('delegated-only', true),
    finds: (labs) => [
      permissions('delegated-only', {
        evidence: [/^Delegated instead of Application: /, ...bothWithIds, 'Application.Read.All', required],
        fixedBy: administrator,
        remedy: wholeRemedy(labs),
      }),
    ],
  },
  {
    state: 'only Delegated, the registration not readable',
    give: consent('delegated-only', false),
    finds: (labs) => [
      permissions('no-role-in-token', {
        evidence: [/^Delegated instead of Application, or no admin consent, /, ...bothWithIds, 'no roles claim', required],
        fixedBy: administrator,
        remedy: wholeRemedy(labs),
      }),
    ],
  },
  {
    state: 'a managed identity, which has no registration: its roles are assigned, not consented to',
    give: consent('no-consent', false),
    choose: async (labs: Labs): Promise<Choice> => {
      await hostAnsweredBy(labs.azure.managedIdentity.AZURE_POD_IDENTITY_AUTHORITY_HOST);
      await labs.change({ managedIdentity: { systemAssigned: labs.tenant.clientId } });
      return { clientId: '', credential: { type: 'managed-identity', clientId: undefined } };
    },
    finds: () => [
      permissions('not-assigned', {
        evidence: [/^Not assigned: a managed identity/, ...bothWithIds, required],
        fixedBy: administrator,
        remedy: ['az rest --method POST', /servicePrincipals\/[0-9a-f-]{36}\/appRoleAssignments/, '45cc0394-e837-488b-a098-1918f48d186c'],
      }),
    ],
  },
  {
    state: 'consented after the token that is kept was issued: it is asked for anew',
    earlier: consent('no-consent', false),
    give: consent('granted', false),
    finds: () => [],
    wellIn: ['graph.incident-permissions'],
  },
  {
    state: 'Application without consent, the registration readable',
    give: consent('no-consent', true),
    finds: (labs) => [
      permissions('no-consent', {
        evidence: [/^No admin consent: /, ...bothWithIds, required],
        fixedBy: administrator,
        remedy: [`az ad app permission admin-consent --id ${labs.tenant.clientId}`, 'Grant admin consent'],
      }),
    ],
  },
  {
    state: 'Application without consent, the registration not readable',
    give: consent('no-consent', false),
    finds: (labs) => [permissions('no-role-in-token', { evidence: [required], fixedBy: administrator, remedy: wholeRemedy(labs) })],
  },
  {
    state: 'incidents are off: no permission on Graph is asked for',
    give: consent('delegated-only', true),
    choose: () => ({ incidents: false }),
    finds: () => [],
  },
  {
    state: 'granted',
    give: consent('granted', true),
    finds: () => [],
    wellIn: ['graph.incident-permissions', 'entra.sign-in'],
  },
  {
    state: 'both types, with consent',
    give: consent('both', false),
    finds: () => [],
    wellIn: ['graph.incident-permissions'],
  },
  {
    state: 'both types, without consent',
    give: consent('both-without-consent', true),
    finds: (labs) => [
      permissions('no-consent', {
        evidence: [/^No admin consent: /, required],
        fixedBy: administrator,
        remedy: [`az ad app permission admin-consent --id ${labs.tenant.clientId}`],
      }),
    ],
  },
  {
    state: 'one of the two permissions is enough',
    give: ({ change, tenant }) =>
      change({
        permissions: {
          clientId: tenant.clientId,
          states: { 'SecurityIncident.Read.All': 'granted', 'SecurityIncident.ReadWrite.All': 'delegated-only' },
        },
      }),
    finds: () => [],
    wellIn: ['graph.incident-permissions'],
  },
  {
    state: 'granted on another resource: WindowsDefenderATP does not have them',
    give: async ({ change, tenant }: Labs): Promise<void> => {
      await change({ consent: { clientId: tenant.clientId, state: 'not-requested', directoryReader: true } });
      await change({
        permissions: { clientId: tenant.clientId, resource: 'WindowsDefenderATP', states: { 'Alert.Read.All': 'granted' } },
      });
    },
    finds: (labs) => [
      permissions('wrong-resource', { evidence: [/^Wrong API: /, required], fixedBy: administrator, remedy: wholeRemedy(labs) }),
    ],
  },
  {
    state: 'not requested at all',
    give: consent('not-requested', true),
    finds: (labs) => [permissions('not-requested', { evidence: [/^Not requested: /], fixedBy: administrator, remedy: wholeRemedy(labs) })],
  },
];
