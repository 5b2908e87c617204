import type { Labs } from '../labs.ts';
import type { State } from './state.ts';

const owner = 'An Owner or User Access Administrator';
const securityReader = '39bc4728-0917-49c7-9d2c-d95423bc2eb4';

const grant = ({ tenant }: Labs, scope: string | undefined): string =>
  `az role assignment create --assignee ${tenant.clientId} --role ${securityReader} --scope /subscriptions/${scope ?? ''}`;

const roleOn = (clientId: string, role: string, subscription: string): object => ({
  clientId,
  role,
  scope: `/subscriptions/${subscription}`,
});

const unknownSubscription = '77777777-7777-4777-8777-777777777777';

/** The cause that hides everything hides what is read through it as well. */
const withoutScopes: readonly string[] = ['azure.read', 'azure.tags', 'azure.resource-graph', 'azure.cve-details', 'azure.defender-plan'];

export const azureStates: readonly State[] = [
  {
    state: 'a subscription is not visible',
    give: ({ change, tenant }) => change({ revoke: { clientId: tenant.clientId, subscription: tenant.subscriptions[0] } }),
    finds: (labs) => [
      {
        check: 'azure.scopes',
        verdict: 'warning',
        cause: 'not-visible',
        evidence: [labs.tenant.subscriptions[0] ?? '', 'degraded'],
        fixedBy: owner,
        remedy: [labs.tenant.tenantId, grant(labs, labs.tenant.subscriptions[0])],
      },
    ],
  },
  {
    state: 'no subscription is visible',
    give: async ({ change, tenant }: Labs): Promise<void> => {
      for (const subscription of tenant.subscriptions) await change({ revoke: { clientId: tenant.clientId, subscription } });
    },
    finds: (labs) => [
      {
        check: 'azure.scopes',
        verdict: 'blocking',
        cause: 'not-visible',
        evidence: ['sees no subscription at all'],
        fixedBy: owner,
        remedy: [grant(labs, labs.tenant.subscriptions[0])],
      },
    ],
    notChecked: withoutScopes,
  },
  {
    state: 'a configured subscription is one of another tenant',
    choose: ({ tenant }) => ({ scope: { type: 'subscriptions', subscriptions: [...tenant.subscriptions, unknownSubscription] } }),
    finds: (labs) => [
      {
        check: 'azure.scopes',
        verdict: 'warning',
        cause: 'not-visible',
        evidence: [unknownSubscription],
        fixedBy: owner,
        remedy: [`belongs to tenant ${labs.tenant.tenantId}`, grant(labs, unknownSubscription)],
      },
    ],
  },
  {
    state: 'a management group of another name',
    choose: () => ({ scope: { type: 'management-groups', managementGroups: ['no-such-group'] } }),
    finds: () => [
      {
        check: 'azure.scopes',
        verdict: 'blocking',
        cause: 'management-group-refused',
        evidence: ['no-such-group'],
        fixedBy: owner,
        remedy: [
          "the management group's ID, not its display name",
          '--scope /providers/Microsoft.Management/managementGroups/no-such-group',
        ],
      },
    ],
    notChecked: withoutScopes,
  },
  {
    state: 'Security Reader at the management group that is read: CVE details are visible',
    choose: ({ tenant }) => ({ scope: { type: 'management-groups', managementGroups: tenant.managementGroups } }),
    finds: () => [],
    wellIn: ['azure.cve-details'],
  },
  {
    state: 'no paid plan: standards are not applicable',
    give: ({ change, tenant }) => change({ plan: { subscription: tenant.subscriptions[0], tier: 'Free' } }),
    finds: ({ tenant }) => [
      {
        check: 'azure.defender-plan',
        verdict: 'warning',
        cause: 'no-paid-plan',
        evidence: [tenant.subscriptions[0] ?? '', 'no regulatory standards'],
        fixedBy: 'A Security Admin or Owner',
        remedy: [
          'If it is meant to be so, nothing',
          `az security pricing create --name CloudPosture --tier Standard --subscription ${tenant.subscriptions[0] ?? ''}`,
        ],
      },
    ],
  },
  {
    state: 'the containers plan is off everywhere',
    give: async ({ change, tenant }: Labs): Promise<void> => {
      for (const subscription of tenant.subscriptions) await change({ plan: { subscription, tier: 'Free' } });
    },
    finds: () => [
      { check: 'azure.defender-plan', verdict: 'warning', cause: 'no-paid-plan', remedy: ['If it is meant to be so, nothing'] },
      {
        check: 'azure.defender-plan',
        verdict: 'warning',
        cause: 'containers-off',
        remedy: ['az security pricing create --name Containers'],
      },
    ],
  },
  {
    state: 'a subscription is disabled',
    give: ({ change, tenant }) => change({ subscription: { subscription: tenant.subscriptions[0], state: 'Disabled' } }),
    finds: ({ tenant }) => [
      {
        check: 'azure.scopes',
        verdict: 'warning',
        cause: 'disabled',
        evidence: [tenant.subscriptions[0] ?? '', 'Disabled', 'Nothing of theirs will be closed'],
        fixedBy: owner,
        remedy: ['Reactivate'],
      },
    ],
  },
  {
    state: 'every subscription is disabled',
    give: async ({ change, tenant }: Labs): Promise<void> => {
      for (const subscription of tenant.subscriptions) await change({ subscription: { subscription, state: 'Disabled' } });
    },
    finds: () => [{ check: 'azure.scopes', verdict: 'blocking', cause: 'disabled', fixedBy: owner, remedy: ['Reactivate'] }],
    notChecked: withoutScopes,
  },
  {
    state: 'a subscription that is past due still answers',
    give: ({ change, tenant }) => change({ subscription: { subscription: tenant.subscriptions[0], state: 'PastDue' } }),
    finds: () => [],
    wellIn: ['azure.scopes', 'azure.read'],
  },
  {
    state: 'a role of one’s own takes assessments out, everywhere',
    give: async ({ change, tenant }: Labs): Promise<void> => {
      await change({
        removeRole: { clientId: tenant.clientId },
        defineRole: { name: 'Almost Reader', actions: ['*/read'], notActions: ['Microsoft.Security/assessments/read'] },
      });
      await change({ assignRole: tenant.subscriptions.map((id) => roleOn(tenant.clientId, 'Almost Reader', id)) });
    },
    finds: (labs) => [
      {
        check: 'azure.read',
        verdict: 'blocking',
        cause: 'assessments-read-denied',
        evidence: ['do not allow Microsoft.Security/assessments/read', 'without Microsoft.Security/assessments/read'],
        fixedBy: owner,
        remedy: [grant(labs, labs.tenant.subscriptions[0])],
      },
    ],
    notChecked: ['azure.tags', 'azure.cve-details', 'azure.defender-plan'],
  },
  {
    state: 'a deny assignment on one subscription: its role is there, and does not help',
    give: ({ change, tenant }) =>
      change({
        deny: { clientId: tenant.clientId, scope: `/subscriptions/${tenant.subscriptions[0] ?? ''}`, actions: ['Microsoft.Security/*'] },
      }),
    finds: (labs) => [
      {
        check: `azure.read.${labs.tenant.subscriptions[0] ?? ''}`,
        verdict: 'warning',
        cause: 'deny-assignment',
        evidence: ['AuthorizationFailed', 'Microsoft.Security/pricings/read', 'a deny assignment takes it away'],
        fixedBy: owner,
        remedy: ['A role does not help', 'Deny assignments', labs.tenant.clientId],
      },
    ],
  },
  {
    state: 'one subscription is disabled, and the other one not visible: nothing is left to read',
    give: async ({ change, tenant }: Labs): Promise<void> => {
      const [first, ...others] = tenant.subscriptions;
      await change({ subscription: { subscription: first, state: 'Disabled' } });
      for (const subscription of others) await change({ revoke: { clientId: tenant.clientId, subscription } });
    },
    finds: ({ tenant }) => [
      { check: 'azure.scopes', verdict: 'blocking', cause: 'not-visible', fixedBy: owner, remedy: [tenant.subscriptions[1] ?? ''] },
      { check: 'azure.scopes', verdict: 'blocking', cause: 'disabled', fixedBy: owner, remedy: ['Reactivate'] },
    ],
    notChecked: withoutScopes,
  },
  {
    state: 'Security Reader alone at a management group that is to be read: it shows the group, and not what is below it',
    give: ({ change, tenant }) => change({ removeRole: { clientId: tenant.clientId, role: 'Reader' } }),
    choose: ({ tenant }) => ({ scope: { type: 'management-groups', managementGroups: tenant.managementGroups } }),
    finds: ({ tenant }) => [
      {
        check: 'azure.scopes',
        verdict: 'blocking',
        cause: 'management-group-refused',
        evidence: ['Microsoft.Management/managementGroups/descendants/read'],
        fixedBy: owner,
        remedy: [
          `--role acdd72a7-3385-48ef-bd42-f606fba81ae7 --scope /providers/Microsoft.Management/managementGroups/${tenant.managementGroups[0] ?? ''}`,
        ],
      },
    ],
    notChecked: withoutScopes,
  },
  {
    state: 'Security Reader without Reader: no tags',
    give: ({ change, tenant }) => change({ removeRole: { clientId: tenant.clientId, role: 'Reader' } }),
    finds: ({ tenant }) => [
      {
        check: 'azure.tags',
        verdict: 'warning',
        cause: 'tags-not-readable',
        evidence: ['Microsoft.Compute/virtualMachines/read', tenant.subscriptions[0] ?? ''],
        fixedBy: owner,
        remedy: [
          `az role assignment create --assignee ${tenant.clientId} --role acdd72a7-3385-48ef-bd42-f606fba81ae7 --scope /subscriptions/${tenant.subscriptions[0] ?? ''}`,
        ],
      },
    ],
  },
  {
    state: 'Reader without Security Reader is enough',
    give: ({ change, tenant }) => change({ removeRole: { clientId: tenant.clientId, role: 'Security Reader' } }),
    finds: () => [],
    wellIn: ['azure.read', 'azure.tags'],
  },
  {
    state: 'Resource Graph returns fewer subscriptions than Resource Manager',
    give: ({ change, tenant }) => change({ resourceGraph: { subscription: tenant.subscriptions[1], knows: false } }),
    finds: ({ tenant }) => [
      {
        check: 'azure.resource-graph',
        verdict: 'warning',
        cause: 'fewer-subscriptions',
        evidence: ['1 of 2 subscriptions', tenant.subscriptions[1] ?? ''],
        fixedBy: owner,
        remedy: ['within the hour', `--subscriptions ${tenant.subscriptions[1] ?? ''}`],
      },
    ],
  },
  {
    state: 'the role is on subscriptions, below the management group: CVE details are hidden',
    give: async ({ change, tenant }: Labs): Promise<void> => {
      await change({ removeRole: { clientId: tenant.clientId } });
      const roles = ['Reader', 'Security Reader'];
      await change({ assignRole: tenant.subscriptions.flatMap((id) => roles.map((role) => roleOn(tenant.clientId, role, id))) });
    },
    finds: ({ tenant }) => [
      {
        check: 'azure.cve-details',
        verdict: 'warning',
        cause: 'cve-details-hidden',
        evidence: ['microsoft.security/cvedetails', 'not with a role on subscriptions'],
        fixedBy: owner,
        remedy: [`--scope /providers/Microsoft.Management/managementGroups/${tenant.tenantId}`],
      },
    ],
  },
  {
    state: 'Foundational CSPM is off in a new subscription',
    give: ({ change, tenant }) =>
      change({
        plan: { subscription: tenant.subscriptions[0], tier: 'Free' },
        foundationalCspm: { subscription: tenant.subscriptions[0], enabled: false },
      }),
    finds: ({ tenant }) => [
      {
        check: 'azure.defender-plan',
        verdict: 'warning',
        cause: 'foundational-cspm-off',
        evidence: [tenant.subscriptions[0] ?? '', 'nothing is assessed', '27 October 2026'],
        fixedBy: 'A Security Admin or Owner',
        remedy: ['If it is meant to be so, nothing', 'Foundational CSPM (free of charge) On'],
      },
    ],
  },
  {
    state: 'the containers plan alone is off, and CloudPosture scans the registries',
    give: ({ change, tenant }) =>
      change({ plan: tenant.subscriptions.map((subscription) => ({ subscription, name: 'Containers', tier: 'Free' })) }),
    choose: ({ tenant }) => ({ scope: { type: 'management-groups', managementGroups: tenant.managementGroups } }),
    finds: () => [],
    wellIn: ['azure.defender-plan', 'azure.cve-details'],
  },
  {
    state: 'no plan scans images, anywhere',
    give: ({ change, tenant }) =>
      change({
        plan: tenant.subscriptions.flatMap((subscription) =>
          ['Containers', 'CloudPosture'].map((name) => ({ subscription, name, tier: 'Free' })),
        ),
      }),
    finds: () => [
      {
        check: 'azure.defender-plan',
        verdict: 'warning',
        cause: 'containers-off',
        remedy: ['az security pricing create --name Containers'],
      },
    ],
    // There is no image whose CVEs could be described.
    wellIn: ['azure.cve-details'],
  },
];
