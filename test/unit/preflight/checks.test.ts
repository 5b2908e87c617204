import { describe, expect, test } from '@jest/globals';
import { runPreflight, type PreflightInput, type Verdict } from '../../../src/preflight/index.ts';
import type { Row } from '../../../src/servicenow/index.ts';
import * as fake from './world.ts';
import { dictionaryOf, findingsOf, healthyWorld, inputOf, refusal, subscriptionId, type World } from './world.ts';

/** What is changed in a healthy world → which finding, with which words. */
interface Case {
  readonly state: string;
  readonly change: (world: World) => void;
  readonly input?: Partial<PreflightInput>;
  readonly check: string;
  readonly verdict: Verdict;
  readonly cause?: string;
  readonly follows?: string;
  readonly evidence?: readonly (string | RegExp)[];
  readonly remedy?: readonly (string | RegExp)[] | null;
}

const application = (resourceAppId: string, ...access: { id: string; type: string }[]): unknown => ({
  requiredResourceAccess: [{ resourceAppId, resourceAccess: access }],
});
const graphApi = '00000003-0000-0000-c000-000000000000';
const readAllRole = '45cc0394-e837-488b-a098-1918f48d186c';
const readWriteAllRole = '34bf0e97-1971-4929-b999-9e2442d941d7';
const readAllScope = 'b9abcc4f-94fc-4457-9141-d20ce80ec952';

function withoutGraphRoles(world: World): void {
  world.tokens.graph = { tid: fake.tenantId, appid: fake.clientId, oid: fake.objectId };
}

function withoutRoles(world: World, ...missing: string[]): void {
  const left = fake.engineRoles.filter((role) => !missing.includes(role));
  world.rows['sys_user_has_role'] = [...fake.roleRows('defender.sync', left), ...fake.roleRows('VR.System', ['sn_vul.vr_import_admin'])];
}

const nothingAllowed = [{ actions: [], notActions: [] }];

const entraCase = (code: string, remedy: (string | RegExp)[]): Case => ({
  state: `Entra refuses with ${code}`,
  change: (world) => {
    world.tokens.arm = refusal('unauthenticated', { code, message: `Entra gave no token: the reason (${code}).`, remedy: 'general' });
  },
  check: 'entra.sign-in',
  verdict: 'blocking',
  evidence: [code],
  remedy,
});

const secretsOf = (...secrets: { hint: string; endsInDays: number }[]): unknown => ({
  passwordCredentials: secrets.map(({ hint, endsInDays }, index) => ({
    hint,
    displayName: `secret ${index}`,
    keyId: `key-${index}`,
    endDateTime: new Date(endsInDays * 24 * 3_600_000).toISOString(),
  })),
});

const entra: Case[] = [
  {
    state: 'a token is issued',
    change: () => undefined,
    check: 'entra.sign-in',
    verdict: 'ok',
    evidence: [fake.clientId, fake.tenantId, '60 minutes'],
    remedy: null,
  },
  entraCase('AADSTS7000215', [`az ad app credential reset --id ${fake.clientId}`, 'CONTOSO_SECRET', 'Value']),
  entraCase('AADSTS7000222', ['Remove the expired secret', fake.clientId]),
  entraCase('secret-id-instead-of-value', ['not the Secret ID', 'CONTOSO_SECRET']),
  entraCase('AADSTS700016', [fake.clientId, fake.tenantId, 'Directory (tenant) ID']),
  entraCase('AADSTS7000229', [`az ad sp create --id ${fake.clientId}`]),
  entraCase('AADSTS700027', ['Certificates', 'openssl x509', fake.clientId]),
  entraCase('AADSTS700024', ['clock of the worker']),
  entraCase('AADSTS700213', ['Federated credentials', `az ad app federated-credential list --id ${fake.clientId}`]),
  entraCase('untrusted', ['caFile']),
  entraCase('AADSTS90002', [fake.tenantId, 'usgovernment']),
  entraCase('AADSTS53003', ['Conditional Access', fake.clientId]),
  entraCase('AADSTS900382', ['another cloud', 'portal.azure.us']),
  entraCase('AADSTS99999', ['general']),
  {
    state: 'the secret ends in ten days',
    change: (world) => {
      world.directory = { '/applications': [secretsOf({ hint: 'can', endsInDays: 10 }, { hint: 'can', endsInDays: 3 })] };
    },
    check: 'entra.credential-expiry',
    verdict: 'warning',
    cause: 'secret-expires-soon',
    evidence: ['expires in 10 days', '1970-01-11', 'Secret ID key-0'],
    follows: 'afterwards every run parks',
    remedy: [`az ad app credential reset --id ${fake.clientId} --append`, 'CONTOSO_SECRET'],
  },
  {
    state: 'another secret of the application ends in ten days',
    change: (world) => {
      world.directory = { '/applications': [secretsOf({ hint: 'can', endsInDays: 90 }, { hint: 'old', endsInDays: 10 })] };
    },
    check: 'entra.credential-expiry',
    verdict: 'ok',
    evidence: ['1970-04-01'],
    remedy: null,
  },
  {
    state: 'the registration cannot be read now',
    change: (world) => {
      world.directory = { '/applications': refusal('transient') };
    },
    check: 'entra.credential-expiry',
    verdict: 'ok',
    evidence: ['not known', 'Application.Read.All'],
    remedy: null,
  },
  {
    state: 'the clock of the worker is an hour ahead',
    change: (world) => {
      world.clockSkewMs = 3_600_000;
    },
    check: 'entra.sign-in',
    verdict: 'warning',
    cause: 'clock-skew',
    evidence: ['60 minutes ahead'],
    remedy: ['timedatectl'],
  },
  {
    state: 'the token is one of another tenant',
    change: (world) => {
      world.tokens.arm = { tid: '99999999-9999-4999-8999-999999999999', appid: fake.clientId };
    },
    check: 'entra.sign-in',
    verdict: 'blocking',
    evidence: ['99999999-9999-4999-8999-999999999999', fake.tenantId],
    remedy: ['tenantId'],
  },
  {
    state: 'the secret cannot be read',
    change: (world) => {
      world.tokens.arm = refusal('usage', {
        message: 'The environment variable CONTOSO_SECRET is not set, so there is no secret.',
        remedy: 'Put the secret there.',
      });
    },
    check: 'entra.sign-in',
    verdict: 'blocking',
    evidence: ['CONTOSO_SECRET is not set'],
    remedy: ['Put the secret there'],
  },
];

const bothPermissions = ['SecurityIncident.Read.All, SecurityIncident.ReadWrite.All', readAllRole, readWriteAllRole];
const wholeRemedy = [
  ...bothPermissions,
  graphApi,
  'not WindowsDefenderATP',
  'Application permissions',
  `App registrations › ${fake.clientId} › API permissions`,
  `az ad app permission add --id ${fake.clientId} --api ${graphApi} --api-permissions ${readAllRole}=Role ${readWriteAllRole}=Role`,
  `az ad app permission admin-consent --id ${fake.clientId}`,
];

const graph: Case[] = [
  {
    state: 'the Graph token has the role',
    change: () => undefined,
    check: 'graph.incident-permissions',
    verdict: 'ok',
    evidence: ['SecurityIncident.Read.All'],
    remedy: null,
  },
  {
    state: 'the Graph token has no roles',
    change: withoutGraphRoles,
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: [
      'Delegated instead of Application, or no admin consent',
      'API required roles: SecurityIncident.Read.All,SecurityIncident.ReadWrite.All, application roles: .',
    ],
    remedy: wholeRemedy,
  },
  {
    state: 'the Graph token has other roles',
    change: (world) => {
      world.tokens.graph = { roles: ['User.Read.All'] };
    },
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: ['User.Read.All', 'neither SecurityIncident.Read.All nor SecurityIncident.ReadWrite.All'],
    remedy: bothPermissions,
  },
  {
    state: 'the kept Graph token is older than the grant',
    change: (world) => {
      withoutGraphRoles(world);
      world.freshGraphClaims = { roles: ['SecurityIncident.ReadWrite.All'] };
    },
    check: 'graph.incident-permissions',
    verdict: 'ok',
    evidence: ['SecurityIncident.ReadWrite.All'],
    remedy: null,
  },
  {
    state: 'the registration requests Delegated permissions',
    change: (world) => {
      withoutGraphRoles(world);
      world.directory = { '/applications': [application(graphApi, { id: readAllScope, type: 'Scope' })], '/appRoleAssignments': [] };
    },
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: [/Delegated instead of Application: the app registration requests/],
    remedy: wholeRemedy,
  },
  {
    state: 'the registration requests Application permissions without consent',
    change: (world) => {
      withoutGraphRoles(world);
      world.directory = { '/applications': [application(graphApi, { id: readAllRole, type: 'Role' })], '/appRoleAssignments': [] };
    },
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: [/^.*No admin consent/],
    remedy: [
      'Grant admin consent',
      `az ad app permission admin-consent --id ${fake.clientId}`,
      'SecurityIncident.Read.All and SecurityIncident.ReadWrite.All',
    ],
  },
  {
    state: 'the permission is granted but not in the token',
    change: (world) => {
      withoutGraphRoles(world);
      world.directory = {
        '/applications': [application(graphApi, { id: readAllRole, type: 'Role' })],
        '/appRoleAssignments': [{ appRoleId: readAllRole }],
      };
    },
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: ['younger than the token'],
    remedy: ['Wait'],
  },
  {
    state: 'the permissions were added on WindowsDefenderATP',
    change: (world) => {
      withoutGraphRoles(world);
      world.directory = {
        '/applications': [application('fc780465-2017-40d4-a0c5-307022471b92', { id: 'x', type: 'Role' })],
        '/appRoleAssignments': [],
      };
    },
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: ['Wrong API', 'WindowsDefenderATP'],
    remedy: wholeRemedy,
  },
  {
    state: 'the registration is readable, its grants are not',
    change: (world) => {
      withoutGraphRoles(world);
      world.directory = {
        '/applications': [application(graphApi, { id: readAllRole, type: 'Role' })],
        '/appRoleAssignments': refusal('forbidden'),
      };
    },
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: ['No admin consent'],
  },
  {
    state: 'the registration requests nothing',
    change: (world) => {
      withoutGraphRoles(world);
      world.directory = { '/applications': [{}], '/appRoleAssignments': [] };
    },
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: ['Not requested'],
    remedy: wholeRemedy,
  },
  {
    state: 'the application may not read the directory',
    change: (world) => {
      withoutGraphRoles(world);
      world.directory = { '/applications': refusal('forbidden') };
    },
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: ['which of the two cannot be told'],
    remedy: wholeRemedy,
  },
  {
    state: 'Graph gives no token',
    change: (world) => {
      world.tokens.graph = refusal('unauthenticated', { message: 'Entra gave no token for Graph.', remedy: 'Check the cloud.' });
    },
    check: 'graph.incident-permissions',
    verdict: 'blocking',
    evidence: ['no token for Graph'],
    remedy: ['Check the cloud'],
  },
];

const securityReader = '39bc4728-0917-49c7-9d2c-d95423bc2eb4';
const grant = (scope: string, who = fake.clientId): string =>
  `az role assignment create --assignee ${who} --role ${securityReader} --scope ${scope}`;

const azure: Case[] = [
  {
    state: 'all subscriptions are visible',
    change: () => undefined,
    check: 'azure.scopes',
    verdict: 'ok',
    evidence: ['2 subscriptions'],
    remedy: null,
  },
  {
    state: 'one of two subscriptions is not visible',
    change: (world) => {
      world.subscriptions = [fake.subscription(1)];
    },
    check: 'azure.scopes',
    verdict: 'warning',
    evidence: [subscriptionId(2), 'degraded'],
    remedy: [grant(`/subscriptions/${subscriptionId(2)}`), fake.tenantId],
  },
  {
    state: 'no subscription is visible',
    change: (world) => {
      world.subscriptions = [];
    },
    check: 'azure.scopes',
    verdict: 'blocking',
    evidence: [subscriptionId(1), subscriptionId(2), 'no subscription at all'],
    remedy: [grant(`/subscriptions/${subscriptionId(1)}`)],
  },
  {
    state: 'a managed identity without client id sees nothing',
    change: (world) => {
      world.clientId = undefined;
      world.subscriptions = [];
    },
    check: 'azure.scopes',
    verdict: 'blocking',
    remedy: [grant(`/subscriptions/${subscriptionId(1)}`, fake.objectId)],
  },
  {
    state: 'a subscription is disabled',
    change: (world) => {
      world.subscriptions = [fake.subscription(1), fake.subscription(2, 'Disabled')];
    },
    check: 'azure.scopes',
    verdict: 'warning',
    evidence: [subscriptionId(2), 'Disabled', 'left out'],
    remedy: ['Reactivate'],
  },
  {
    state: 'every subscription is disabled',
    change: (world) => {
      world.subscriptions = [fake.subscription(1, 'Disabled'), fake.subscription(2, 'Deleted')];
    },
    check: 'azure.scopes',
    verdict: 'blocking',
    evidence: ['Disabled', 'Deleted'],
  },
  {
    state: 'one of two management groups is forbidden',
    change: (world) => {
      world.scope = { type: 'management-groups', managementGroups: ['corp', 'lab'] };
      world.managementGroups = { corp: [subscriptionId(1)], lab: refusal('forbidden', { message: 'GET … was answered with 403.' }) };
    },
    check: 'azure.scopes',
    verdict: 'warning',
    evidence: ['lab', '403'],
    remedy: [grant('/providers/Microsoft.Management/managementGroups/lab')],
  },
  {
    state: 'the only management group does not exist',
    change: (world) => {
      world.scope = { type: 'management-groups', managementGroups: ['gone'] };
    },
    check: 'azure.scopes',
    verdict: 'blocking',
    evidence: ['gone'],
    remedy: ['not its display name'],
  },
  {
    state: 'the management group is empty',
    change: (world) => {
      world.scope = { type: 'management-groups', managementGroups: ['corp'] };
      world.managementGroups = { corp: [] };
    },
    check: 'azure.scopes',
    verdict: 'blocking',
    evidence: ['no subscription below corp'],
    remedy: ['az account management-group show'],
  },
  {
    state: 'every subscription answers a real read',
    change: () => undefined,
    check: 'azure.read',
    verdict: 'ok',
    evidence: ['2 subscriptions'],
    remedy: null,
  },
  {
    state: 'one subscription answers 403',
    change: (world) => {
      world.pricings[subscriptionId(2)] = fake.forbiddenRead;
      world.permissions[subscriptionId(2)] = nothingAllowed;
    },
    check: `azure.read.${subscriptionId(2)}`,
    verdict: 'warning',
    cause: 'forbidden',
    evidence: [subscriptionId(2), 'Microsoft.Security/pricings/read'],
    follows: 'ends degraded',
    remedy: ['Security Reader', grant(`/subscriptions/${subscriptionId(2)}`)],
  },
  {
    state: 'every subscription answers 403',
    change: (world) => {
      for (const number of [1, 2]) {
        world.pricings[subscriptionId(number)] = fake.forbiddenRead;
        world.permissions[subscriptionId(number)] = nothingAllowed;
      }
    },
    check: 'azure.read',
    verdict: 'blocking',
    evidence: ['No subscription can be read', subscriptionId(1), subscriptionId(2)],
    remedy: ['Security Reader', grant(`/subscriptions/${subscriptionId(1)}`), grant(`/subscriptions/${subscriptionId(2)}`)],
  },
  {
    state: 'the provider is not registered in one subscription',
    change: (world) => {
      world.pricings[subscriptionId(1)] = refusal('rejected', { status: 409, code: 'MissingSubscriptionRegistration' });
    },
    check: `azure.read.${subscriptionId(1)}`,
    verdict: 'warning',
    remedy: [`az provider register --namespace Microsoft.Security --subscription ${subscriptionId(1)}`],
  },
  {
    state: 'plans are on',
    change: () => undefined,
    check: 'azure.defender-plan',
    verdict: 'ok',
    evidence: ['CloudPosture is on in 2', 'Containers in 2'],
    remedy: null,
  },
  {
    state: 'all plans of a subscription are off',
    change: (world) => {
      world.pricings[subscriptionId(2)] = [{ name: 'CloudPosture', tier: 'Free', extensions: [] }];
    },
    check: 'azure.defender-plan',
    verdict: 'warning',
    cause: 'no-paid-plan',
    evidence: [subscriptionId(2), 'no regulatory standards'],
    follows: 'not applicable',
    remedy: [`az security pricing create --name CloudPosture --tier Standard --subscription ${subscriptionId(2)}`],
  },
  {
    state: 'the plan Containers is off everywhere',
    change: (world) => {
      for (const number of [1, 2]) world.pricings[subscriptionId(number)] = [{ name: 'CloudPosture', tier: 'Standard', extensions: [] }];
    },
    check: 'azure.defender-plan',
    verdict: 'warning',
    cause: 'containers-off',
    evidence: ['any of 2 subscriptions'],
    follows: 'not applicable',
    remedy: ['If it is meant to be so, nothing', 'az security pricing create --name Containers'],
  },
  {
    state: 'a role of one’s own allows plans, and takes assessments out',
    change: (world) => {
      const custom = [{ actions: ['Microsoft.Security/*/read'], notActions: ['microsoft.security/ASSESSMENTS/*'] }];
      for (const number of [1, 2]) world.permissions[subscriptionId(number)] = custom;
    },
    check: 'azure.read',
    verdict: 'blocking',
    cause: 'assessments-read-denied',
    evidence: ['do not allow Microsoft.Security/assessments/read', 'without microsoft.security/ASSESSMENTS/*'],
    remedy: [grant(`/subscriptions/${subscriptionId(1)}`)],
  },
  {
    state: 'a second role allows what the first takes out',
    change: (world) => {
      world.permissions[subscriptionId(1)] = [
        { actions: ['*/read'], notActions: ['Microsoft.Security/assessments/read'] },
        { actions: ['Microsoft.Security/assessments/read', '*/read'], notActions: [] },
      ];
    },
    check: 'azure.read',
    verdict: 'ok',
    evidence: ['2 subscriptions'],
    remedy: null,
  },
  {
    state: 'Security Reader alone',
    change: (world) => {
      world.permissions[subscriptionId(2)] = [{ actions: ['Microsoft.Security/*/read'], notActions: [] }];
    },
    check: 'azure.tags',
    verdict: 'warning',
    cause: 'tags-not-readable',
    evidence: [subscriptionId(2), 'Microsoft.Compute/virtualMachines/read', '1 subscription of 2'],
    follows: 'no host tags',
    remedy: [
      `az role assignment create --assignee ${fake.clientId} --role acdd72a7-3385-48ef-bd42-f606fba81ae7 --scope /subscriptions/${subscriptionId(2)}`,
    ],
  },
  {
    state: 'the roles themselves are not readable',
    change: (world) => {
      for (const number of [1, 2]) world.permissions[subscriptionId(number)] = refusal('forbidden');
    },
    check: 'azure.read',
    verdict: 'ok',
    evidence: ['2 subscriptions'],
    remedy: null,
  },
  {
    state: 'Resource Graph does not know a subscription yet',
    change: (world) => {
      world.graphSubscriptions = [subscriptionId(1).toUpperCase()];
    },
    check: 'azure.resource-graph',
    verdict: 'warning',
    cause: 'fewer-subscriptions',
    evidence: ['1 of 2 subscriptions', subscriptionId(2)],
    follows: 'nothing of them is closed',
    remedy: ['within the hour', `--subscriptions ${subscriptionId(2)}`],
  },
  {
    state: 'Resource Graph refuses',
    change: (world) => {
      world.graphSubscriptions = refusal('forbidden', { message: 'Resource Graph answers 403' });
    },
    check: 'azure.resource-graph',
    verdict: 'not-readable',
    evidence: ['Resource Graph answers 403'],
  },
  {
    state: 'details of CVEs are hidden',
    change: (world) => {
      world.cveDetails = 0;
    },
    check: 'azure.cve-details',
    verdict: 'warning',
    cause: 'cve-details-hidden',
    evidence: ['microsoft.security/cvedetails', fake.tenantId],
    follows: 'without scores',
    remedy: [grant(`/providers/Microsoft.Management/managementGroups/${fake.tenantId}`)],
  },
  {
    state: 'details of CVEs are hidden, and no image is scanned',
    change: (world) => {
      world.cveDetails = 0;
      for (const number of [1, 2]) world.pricings[subscriptionId(number)] = [{ name: 'Containers', tier: 'Free', extensions: [] }];
    },
    check: 'azure.cve-details',
    verdict: 'ok',
    evidence: ['Not needed'],
    remedy: null,
  },
  // No plan, and nothing found: Foundational CSPM was never asked for (azure.md §0.4).
  {
    state: 'a new subscription without Foundational CSPM',
    change: (world) => {
      world.pricings[subscriptionId(2)] = [{ name: 'CloudPosture', tier: 'Free', extensions: [] }];
      world.assessments[subscriptionId(2)] = 0;
    },
    check: 'azure.defender-plan',
    verdict: 'warning',
    cause: 'foundational-cspm-off',
    evidence: [subscriptionId(2), 'opt-in', '27 October 2026'],
    follows: 'not applicable',
    remedy: ['If it is meant to be so, nothing'],
  },
];

const access: Case[] = [
  {
    state: 'the password is right',
    change: () => undefined,
    check: 'servicenow.sign-in',
    verdict: 'ok',
    evidence: ['defender.sync', 'https://acme.service-now.com'],
    remedy: null,
  },
  {
    state: 'the instance gives no token',
    change: (world) => {
      world.rows['sys_user_has_role'] = refusal('unauthenticated', {
        message: 'The instance gave no token to OAuth client oauth-client-1.',
        remedy: 'The usual causes',
      });
    },
    check: 'servicenow.sign-in',
    verdict: 'blocking',
    evidence: ['oauth-client-1', 'OAuth Application User'],
    remedy: ['/oauth_entity_list.do?sysparm_query=client_id=oauth-client-1', 'glide.oauth.inbound.client.credential.grant_type.enabled'],
  },
  {
    state: 'the instance hibernates',
    change: (world) => {
      world.rows['sys_user_has_role'] = refusal('transient', {
        code: 'hibernating',
        message: 'The instance hibernates.',
        remedy: 'choose Wake instance',
      });
    },
    input: { passing: 'report' },
    check: 'servicenow.sign-in',
    verdict: 'blocking',
    remedy: ['Wake instance'],
  },
  {
    state: 'the client is let in, but not to the Batch API',
    change: (world) => {
      world.reach = [
        { api: 'Table API', method: 'GET', apiPath: 'now/table', refused: undefined, scope: undefined },
        { api: 'Batch API', method: 'POST', apiPath: 'now/batch', refused: 'Access to unscoped api is not allowed', scope: undefined },
      ];
    },
    check: 'servicenow.sign-in',
    verdict: 'blocking',
    evidence: ['not to: Batch API (POST /api/now/batch)', 'unscoped'],
    remedy: ['REST API Auth Scope › New', 'client_id=oauth-client-1'],
  },
  {
    state: 'a rule of the plugin lets the user only read',
    change: (world) => {
      world.rows['sys_user_role'] = [{ name: 'admin' }, { name: 'sn_vul_msft_tvm.configure_integration' }];
      const rows = world.rows['sys_user_has_role'] as Row[];
      rows.push(...fake.roleRows('defender.sync', ['sn_vul_msft_tvm.read_integration', 'sn_si.admin']));
    },
    check: 'servicenow.roles',
    verdict: 'blocking',
    evidence: ['sn_vul_msft_tvm.read_integration, which lets it read'],
    remedy: ['add sn_vul_msft_tvm.configure_integration'],
  },
  {
    state: 'roles cannot be seen: which of them exist is not known, and nothing is made of it',
    change: (world) => {
      world.rows['sys_user_role'] = [];
    },
    check: 'servicenow.roles',
    verdict: 'ok',
  },
  {
    state: 'role rows are forbidden',
    change: (world) => {
      world.rows['sys_user_has_role'] = refusal('forbidden', { status: 403 });
    },
    check: 'servicenow.sign-in',
    verdict: 'ok',
    evidence: ['OAuth client oauth-client-1'],
  },
  {
    state: 'all roles are there',
    change: () => undefined,
    check: 'servicenow.roles',
    verdict: 'ok',
    evidence: ['defender.sync', '8 roles'],
    remedy: null,
  },
  {
    state: 'sn_vulc.write is missing and a try is refused',
    change: (world) => {
      withoutRoles(world, 'sn_vulc.write');
      world.writes['sn_vulc_test'] = refusal('forbidden', { status: 403 });
    },
    check: 'servicenow.roles',
    verdict: 'blocking',
    evidence: ['defender.sync lacks 1 role: sn_vulc.write for policies', 'refused'],
    remedy: ['Users › defender.sync › Roles › Edit: add sn_vulc.write.'],
  },
  {
    state: 'every table takes updates',
    change: () => undefined,
    check: 'servicenow.writes',
    verdict: 'ok',
    evidence: ['4 tables of 4 take updates', 'nothing written'],
    remedy: null,
  },
  {
    state: 'a table refuses updates although its role is there',
    change: (world) => {
      world.writes['sn_vul_nvd_entry'] = refusal('forbidden', { status: 403, message: 'ACL Exception Update Failed' });
    },
    check: 'servicenow.writes.sn_vul_nvd_entry',
    verdict: 'warning',
    evidence: ['sn_vul_nvd_entry refuses updates'],
    follows: 'parked',
    remedy: ['sn_vul.vulnerability_write', 'Name = sn_vul_nvd_entry', 'Operation = write', 'Execute Now'],
  },
  {
    state: 'a table refuses updates because its role is missing: the missing role is said once',
    change: (world) => {
      withoutRoles(world, 'sn_vul_container.write_all');
      world.writes['sn_vul_container_image'] = refusal('forbidden', { status: 403, message: 'ACL Exception Update Failed' });
    },
    check: 'servicenow.writes',
    verdict: 'ok',
    evidence: ['3 tables of 4 take updates'],
  },
  {
    state: 'sn_vulc.write is missing, but the instance has rules of its own that admit us',
    change: (world) => {
      withoutRoles(world, 'sn_vulc.write');
    },
    check: 'servicenow.roles',
    verdict: 'ok',
  },
  {
    state: 'itil and asset are missing and the engine refuses us',
    change: (world) => {
      withoutRoles(world, 'itil');
      world.dryRun = refusal('forbidden', { code: 'endpoint-acl', remedy: 'Give the integration user a role' });
    },
    check: 'servicenow.roles',
    verdict: 'blocking',
    evidence: ['itil or asset for CIs'],
    remedy: ['itil', 'asset'],
  },
  {
    state: 'two necessary roles are missing',
    change: (world) => {
      withoutRoles(world, 'sn_vulc.write', 'personalize_read_dictionary');
      world.writes['sn_vulc_test'] = refusal('forbidden', { status: 403 });
      dictionaryOf(world).readable.columns = false;
    },
    check: 'servicenow.roles',
    verdict: 'blocking',
    evidence: ['lacks 2 roles'],
    remedy: ['add sn_vulc.write, personalize_read_dictionary (or personalize_dictionary, sn_sec_core.read_dictionary).'],
  },
  {
    state: 'a role is missing and the try tells nothing',
    change: (world) => {
      withoutRoles(world, 'sn_vulc.write');
      world.writes['sn_vulc_test'] = refusal('rejected', { status: 400 });
    },
    check: 'servicenow.roles',
    verdict: 'blocking',
    evidence: ['sn_vulc.write', 'not tried'],
  },
  {
    state: 'the container role is missing',
    change: (world) => {
      withoutRoles(world, 'sn_vul_container.write_all');
      world.writes['sn_vul_container_image'] = refusal('forbidden', { status: 403 });
    },
    check: 'servicenow.roles',
    verdict: 'warning',
    evidence: ['sn_vul_container.write_all', 'container images'],
    remedy: ['sn_vul_container.write_all'],
  },
  {
    state: 'no role row is readable',
    change: (world) => {
      world.rows['sys_user_has_role'] = [];
    },
    check: 'servicenow.roles',
    verdict: 'not-readable',
    evidence: ['sys_user_has_role'],
    remedy: ['sn_vulc.write', 'itil or asset'],
  },
  {
    state: 'no role row is readable and a try is refused',
    change: (world) => {
      world.rows['sys_user_has_role'] = refusal('forbidden', { status: 403 });
      world.writes['sn_sec_cmn_src_ci'] = refusal('forbidden', { status: 403 });
    },
    check: 'servicenow.roles',
    verdict: 'blocking',
    evidence: ['discovered items', 'sn_vulc.import_admin or sn_vul.vr_import_admin'],
  },
  {
    state: 'VR.System is well',
    change: () => undefined,
    check: 'servicenow.run-as-user',
    verdict: 'ok',
    evidence: ['VR.System'],
    remedy: null,
  },
  {
    state: 'VR.System does not exist',
    change: (world) => {
      world.rows['sys_user'] = [fake.userRow('defender.sync')];
    },
    check: 'servicenow.run-as-user',
    verdict: 'blocking',
    evidence: ['does not exist'],
    remedy: ['VR.System', 'sn_vul.vr_import_admin'],
  },
  {
    state: 'sys_user is hidden',
    change: (world) => {
      world.rows['sys_user'] = [];
    },
    check: 'servicenow.run-as-user',
    verdict: 'not-readable',
    remedy: ['sys_user'],
  },
  {
    state: 'VR.System is inactive',
    change: (world) => {
      world.rows['sys_user'] = [fake.userRow('VR.System', { active: 'false' })];
    },
    check: 'servicenow.run-as-user',
    verdict: 'blocking',
    evidence: ['not active', 'sys-VR.System'],
    remedy: ['check Active'],
  },
  {
    state: 'VR.System is locked out',
    change: (world) => {
      world.rows['sys_user'] = [fake.userRow('VR.System', { locked_out: 'true' })];
    },
    check: 'servicenow.run-as-user',
    verdict: 'blocking',
    evidence: ['locked out'],
    remedy: ['Locked out'],
  },
  {
    state: 'VR.System lost its import role',
    change: (world) => {
      world.rows['sys_user_has_role'] = [...fake.roleRows('defender.sync', fake.engineRoles), ...fake.roleRows('VR.System', ['itil'])];
    },
    check: 'servicenow.run-as-user',
    verdict: 'blocking',
    evidence: ['sn_vul.vr_import_admin', 'Error writing attachment'],
    remedy: ['add sn_vul.vr_import_admin'],
  },
];

const instance: Case[] = [
  {
    state: 'an inactive rule, and yet the engine takes a resource: its own answer counts',
    change: (world) => {
      const rules = world.rows['cmdb_identifier'] as Row[];
      const isOfResources = (rule: Row): boolean => rule['applies_to'] === 'cmdb_ci_cmp_resource';
      world.rows['cmdb_identifier'] = rules.map((rule) => (isOfResources(rule) ? { ...rule, active: 'false' } : rule));
    },
    check: 'servicenow.identifiers',
    verdict: 'warning',
    evidence: ['is not active', 'yet the engine would take one'],
    remedy: ['check Active'],
  },
  {
    state: 'a rate-limit rule, and nobody knows how large the estate is',
    change: (world) => {
      world.rateLimits = [{ requests: 'POST /api/now/batch', perHour: 100, rule: 'rule-1' }];
      world.subscriptions = refusal('forbidden', { remedy: 'Assign a role.' });
    },
    check: 'servicenow.rate-limits',
    verdict: 'ok',
    evidence: ['POST /api/now/batch: 100 requests an hour', 'not known yet'],
    remedy: null,
  },
  {
    state: 'records of a table are counted, and none is shown',
    change: (world) => {
      for (const column of Object.values(dictionaryOf(world).tables['sn_vulc_test']!.columns)) column.readable = undefined;
      world.hiddenRows['sn_vulc_test'] = 7;
    },
    check: 'servicenow.tables',
    verdict: 'blocking',
    evidence: ['sn_vulc_test (7 records counted, none shown)'],
    remedy: ['sn_vulc.read'],
  },
  {
    state: 'all tables are there',
    change: () => undefined,
    check: 'servicenow.tables',
    verdict: 'ok',
    evidence: ['4 tables'],
    remedy: null,
  },
  {
    state: 'Configuration Compliance is not installed',
    change: (world) => {
      dictionaryOf(world).tables['sn_vulc_test'] = { name: 'sn_vulc_test', state: 'absent', superClasses: [], columns: {} };
    },
    check: 'servicenow.tables',
    verdict: 'blocking',
    evidence: ['sn_vulc_test', 'Absent'],
    remedy: ['Install Configuration Compliance', 'sn_vulc'],
  },
  {
    state: 'Container Vulnerability Response is not installed',
    change: (world) => {
      dictionaryOf(world).tables['sn_vul_container_image'] = {
        name: 'sn_vul_container_image',
        state: 'absent',
        superClasses: [],
        columns: {},
      };
    },
    check: 'servicenow.tables',
    verdict: 'warning',
    evidence: ['sn_vul_container_image', 'leaves out: container images'],
    remedy: ['Install Container Vulnerability Response'],
  },
  {
    state: 'a table is hidden',
    change: (world) => {
      dictionaryOf(world).tables['sn_sec_cmn_src_ci']!.state = 'hidden';
    },
    check: 'servicenow.tables',
    verdict: 'blocking',
    evidence: ['sn_sec_cmn_src_ci', 'Not readable'],
    remedy: ['sn_sec_cmn.read'],
  },
  {
    state: 'a required column is missing',
    change: (world) => {
      dictionaryOf(world).tables['sn_vulc_test']!.columns = {};
    },
    check: 'servicenow.tables',
    verdict: 'blocking',
    evidence: ['sn_vulc_test.key', 'no column is named source_id'],
    remedy: ['Update Configuration Compliance'],
  },
  {
    state: 'a field ACL hides a required column',
    change: (world) => {
      dictionaryOf(world).tables['sn_vulc_test']!.columns['source_id']!.readable = false;
    },
    check: 'servicenow.tables',
    verdict: 'warning',
    evidence: ['sn_vulc_test.source_id', 'field ACL'],
    remedy: ['sn_vulc.read'],
  },
  {
    state: 'the dictionary is hidden',
    change: (world) => {
      dictionaryOf(world).readable.columns = false;
    },
    check: 'servicenow.tables',
    verdict: 'blocking',
    evidence: ['sys_dictionary'],
    remedy: ['personalize_read_dictionary'],
  },
  { state: 'the data source is a choice', change: () => undefined, check: 'servicenow.data-source', verdict: 'ok', remedy: null },
  {
    state: 'the data source differs by case only',
    change: (world) => {
      fake.choicesOf(world.dictionary, ['ServiceNow', 'Microsoft Defender For Cloud']);
    },
    check: 'servicenow.data-source',
    verdict: 'blocking',
    evidence: ['only the spelling differs', '"Microsoft Defender For Cloud"'],
    remedy: ['Set serviceNow.dataSource to "Microsoft Defender For Cloud"'],
  },
  {
    state: 'the data source is no choice',
    change: (world) => {
      fake.choicesOf(world.dictionary, ['ServiceNow']);
    },
    check: 'servicenow.data-source',
    verdict: 'blocking',
    evidence: ['does not offer "Microsoft Defender for Cloud"'],
    remedy: ['Table cmdb_ci, Element discovery_source', 'add the value "Microsoft Defender for Cloud"'],
  },
  {
    state: 'choices are hidden',
    change: (world) => {
      dictionaryOf(world).readable.choices = false;
    },
    check: 'servicenow.data-source',
    verdict: 'not-readable',
    evidence: ['sys_choice'],
    remedy: ['sys_choice'],
  },
  { state: 'the dry run works', change: () => undefined, check: 'servicenow.ire', verdict: 'ok', evidence: ['3 items'], remedy: null },
  {
    state: 'the engine refuses the chain',
    change: (world) => {
      world.dryRun = [
        { outcome: 'refused', code: 'MISSING_DEPENDENCY', message: 'In payload no relations defined', remedy: 'check CI Class Manager' },
      ];
    },
    check: 'servicenow.ire',
    verdict: 'blocking',
    evidence: ['MISSING_DEPENDENCY', 'no relations defined'],
    remedy: ['CI Class Manager'],
  },
  {
    state: 'the OAuth client is securely scoped',
    change: (world) => {
      world.dryRun = refusal('forbidden', {
        code: 'oauth-scope',
        message: '403: Access to unscoped api is not allowed',
        remedy: 'Add a REST API Auth Scope',
      });
    },
    check: 'servicenow.ire',
    verdict: 'blocking',
    evidence: ['unscoped api'],
    remedy: ['REST API Auth Scope'],
  },
  {
    state: 'the engine could not say',
    change: (world) => {
      world.dryRun = [{ outcome: 'retry', code: 'LOCK_TIMEOUT', message: 'locked.' }];
    },
    check: 'servicenow.ire',
    verdict: 'warning',
    evidence: ['LOCK_TIMEOUT'],
  },
];

const otherLedger = '55555555-5555-4555-8555-555555555555';
const mark = (ledger: string): World['rows'] => ({
  sn_sec_int_integration: [{ sys_id: 'mark-1', id: 'defender-sync', description: `Ledger ${ledger}` }],
});

const writers: Case[] = [
  {
    state: 'there is no mark of a ledger',
    change: () => undefined,
    check: 'servicenow.second-ledger',
    verdict: 'ok',
    evidence: ['no mark'],
    remedy: null,
  },
  {
    state: 'the mark is ours',
    change: (world) => Object.assign(world.rows, mark(fake.ledgerId.toUpperCase())),
    check: 'servicenow.second-ledger',
    verdict: 'ok',
    evidence: [fake.ledgerId],
  },
  {
    state: 'another ledger keeps the instance',
    change: (world) => Object.assign(world.rows, mark(otherLedger)),
    check: 'servicenow.second-ledger',
    verdict: 'blocking',
    evidence: [otherLedger, fake.ledgerId, 'mark-1'],
    remedy: ['ledger.url', otherLedger, 'sn_sec_int_integration.do?sys_id=mark-1'],
  },
  {
    state: 'our ledger is not known',
    change: (world) => {
      world.ledgerId = undefined;
    },
    check: 'servicenow.second-ledger',
    verdict: 'not-checked',
  },
  {
    state: 'the integration table is hidden',
    change: (world) => {
      dictionaryOf(world).tables['sn_sec_int_integration']!.state = 'hidden';
    },
    check: 'servicenow.second-ledger',
    verdict: 'not-readable',
    remedy: ['sn_sec_cmn.read'],
  },
  { state: 'the plugin is not there', change: () => undefined, check: 'servicenow.plugin-writers', verdict: 'ok', remedy: null },
  {
    state: "the plugin's record is active",
    change: (world) => {
      world.rows['sn_vul_integration'] = [fake.pluginRow()];
    },
    check: 'servicenow.plugin-writers',
    verdict: 'blocking',
    cause: 'plugin-scope-not-readable',
    evidence: ['plugin-1', 'Two writers', 'no Tenant ID'],
    remedy: ['clear Active'],
  },
  {
    state: 'the plugin is known by its integration alone, under its old name',
    change: (world) => {
      world.rows['sn_vul_integration'] = [
        fake.pluginRow({ name: 'Assessment Integration', 'integration.name': 'Microsoft Azure Security Center' }),
      ];
    },
    check: 'servicenow.plugin-writers',
    verdict: 'blocking',
    evidence: ['Assessment Integration'],
  },
  {
    state: "the plugin's instance is switched off",
    change: (world) => {
      world.rows['sn_vul_integration'] = [fake.pluginRow({ 'instance.active': 'false' })];
    },
    check: 'servicenow.plugin-writers',
    verdict: 'ok',
    evidence: ['1 integration record', 'none of them active'],
  },
  {
    state: "the plugin's record does not run as VR.System",
    change: (world) => {
      world.rows['sn_vul_integration'] = [fake.pluginRow({ active: 'false', run_as: 'sys-somebody', 'run_as.user_name': 'somebody' })];
    },
    check: 'servicenow.run-as',
    verdict: 'warning',
    cause: 'run-as-drift',
    follows: 'puts the field back',
    evidence: ['1 of 1 integration record', 'as somebody', 'plugin-1', 'attachments'],
    remedy: ['Run as = VR.System'],
  },
  {
    state: "the engine's own records are active and of another vendor",
    change: (world) => {
      world.rows['sn_vul_integration'] = [
        fake.pluginRow({
          name: 'defender-sync contoso: Assessments',
          'integration.name': 'defender-sync',
          'integration.id': 'defender-sync',
        }),
        fake.pluginRow({
          name: 'Qualys Host Detection',
          'integration.name': 'Qualys',
          'integration.id': 'qualys',
          'instance.name': 'Qualys',
        }),
      ];
    },
    check: 'servicenow.plugin-writers',
    verdict: 'ok',
  },
  { state: 'there is no integration instance yet', change: () => undefined, check: 'servicenow.switched-off', verdict: 'ok', remedy: null },
  {
    state: "the deployment's integration instance is inactive",
    change: (world) => {
      world.rows['sn_sec_int_impl'] = [{ sys_id: 'impl-1', name: 'defender-sync contoso', active: 'false' }];
    },
    check: 'servicenow.switched-off',
    verdict: 'blocking',
    evidence: ['switched off in ServiceNow', 'impl-1'],
    remedy: ['sn_sec_int_impl.do?sys_id=impl-1'],
  },
  {
    state: "another deployment's integration instance is inactive",
    change: (world) => {
      world.rows['sn_sec_int_impl'] = [{ sys_id: 'impl-2', name: 'defender-sync fabrikam', active: 'false' }];
    },
    check: 'servicenow.switched-off',
    verdict: 'ok',
  },
];

describe.each([
  ['Entra', entra],
  ['Microsoft Graph', graph],
  ['Azure', azure],
  ['access to ServiceNow', access],
  ['the instance', instance],
  ['other writers', writers],
])('%s', (_area, cases) => {
  test.each(cases)('$state → $check $verdict', async ({ change, input, check, verdict, cause, follows, evidence, remedy }) => {
    const world = healthyWorld();
    change(world);
    const { findings } = await runPreflight(inputOf(world, input));
    const [finding, ...others] = findings.filter((candidate) => candidate.check === check);
    expect(others).toEqual([]);
    expect(finding?.verdict).toBe(verdict);
    if (cause !== undefined) expect(finding?.cause).toBe(cause);
    if (follows !== undefined) expect(finding?.follows).toContain(follows);
    // A remedy is steps, not a manual; histories have room for sentences.
    expect(finding?.remedy?.length ?? 0).toBeLessThanOrEqual(1_000);
    for (const words of evidence ?? []) expect(finding?.evidence).toMatch(words);
    if (remedy === null) expect(finding?.remedy).toBeNull();
    else for (const words of remedy ?? []) expect(finding?.remedy).toMatch(words);
    // Whatever is wrong: what blocks is never without a remedy, and no secret, token or hole is in what is said.
    for (const said of findings) {
      if (said.verdict === 'blocking') expect(said.remedy).not.toBeNull();
      expect(`${said.evidence} ${said.remedy ?? ''}`).not.toMatch(/canary|eyJ|undefined/);
    }
    expect(findingsOf(findings, check).length).toBeGreaterThan(0);
  });
});
