import type { Labs } from '../labs.ts';
import { edit, elsewhere, install } from './plugin.ts';
import type { Expected, State } from './state.ts';

const administrator = 'A ServiceNow administrator';
const [subscriptions, managementGroups] = ['Specific Subscriptions', 'Specific Management Groups'];
const writers = 'servicenow.plugin-writers';

function active(...evidence: string[]): Expected {
  return {
    check: writers,
    verdict: 'blocking',
    cause: 'plugin-active',
    evidence: ['Microsoft Defender for Cloud Assessment Integration', ...evidence],
    fixedBy: administrator,
    remedy: ['clear Active', 'sn_sec_int_impl'],
  };
}

function unknown(...evidence: string[]): Expected {
  return {
    check: writers,
    verdict: 'blocking',
    cause: 'plugin-scope-not-readable',
    evidence: ['its scope is not readable', ...evidence],
    fixedBy: administrator,
    remedy: ['clear Active', 'sn_sec_int_impl_config'],
  };
}

const offSwitch: Expected = {
  check: 'servicenow.switched-off',
  verdict: 'blocking',
  cause: 'switched-off',
  evidence: ['Deployment contoso is switched off in ServiceNow'],
  fixedBy: administrator,
  remedy: ['check Active', /sn_sec_int_impl\.do\?sys_id=[0-9a-f]{32}/],
};

const other = '55555555-5555-4555-8555-555555555555';
const otherLedger: Expected = {
  check: 'servicenow.second-ledger',
  verdict: 'blocking',
  cause: 'second-ledger',
  evidence: [other, 'Two ledgers'],
  fixedBy: 'Whoever runs defender-sync',
  remedy: ['ledger.url', 'empty the field Description'],
};

const mark = (labs: Labs): Promise<unknown> =>
  labs.serviceNow.admin('POST', '/servicenow/rows/sn_sec_int_integration', {
    name: 'defender-sync',
    id: 'defender-sync',
    description: `Ledger ${other}`,
  });
const switchOff = (labs: Labs, deployment: string): Promise<unknown> =>
  labs.serviceNow.admin('POST', '/servicenow/rows/sn_sec_int_impl', { name: `defender-sync ${deployment}`, active: 'false' });

const hide = (labs: Labs, table: string): Promise<unknown> =>
  labs.serviceNow.admin('POST', '/servicenow/access', { table, operation: 'read', roles: ['nobody'] });
const hidden = (check: string, table: string): Expected => ({
  check,
  verdict: 'not-readable',
  cause: 'records-hidden',
  evidence: [`A read ACL hides every record of ${table}`, 'none shown'],
  fixedBy: administrator,
  remedy: ['sn_sec_cmn.read and sn_vul.read_all', `Name = ${table}`],
});

/** Who else writes what we write. */
export const twoWriterStates: readonly State[] = [
  {
    state: 'the plugin imports the same tenant, all of it',
    give: (labs) => install(labs, { tenantId: labs.tenant.tenantId }),
    finds: ({ tenant }) => [active(tenant.tenantId, 'the whole of it')],
  },
  {
    state: 'the plugin imports one of our subscriptions, and one of others',
    give: (labs: Labs): Promise<unknown> => {
      const [ours = ''] = labs.tenant.subscriptions;
      const both = [ours.toUpperCase(), '77777777-0000-4000-8000-000000000000'];
      return install(labs, { tenantId: labs.tenant.tenantId, importFrom: subscriptions, subscriptions: both });
    },
    finds: ({ tenant }) => [active(`subscription ${tenant.subscriptions[0] ?? ''}`)],
  },
  {
    state: 'the plugin imports other subscriptions of the tenant',
    give: (labs) =>
      install(labs, {
        tenantId: labs.tenant.tenantId,
        importFrom: subscriptions,
        subscriptions: ['77777777-0000-4000-8000-000000000000'],
      }),
    finds: () => [],
    wellIn: [writers],
  },
  {
    state: 'the plugin imports another tenant',
    give: (labs) => install(labs, elsewhere),
    finds: () => [],
    wellIn: [writers],
  },
  {
    state: 'nobody filled in what the plugin imports',
    give: (labs) => install(labs, {}),
    finds: () => [unknown('no Tenant ID of its integration instance is readable')],
  },
  {
    state: 'the plugin imports a management group that the application does not see',
    give: (labs) => install(labs, { tenantId: labs.tenant.tenantId, importFrom: managementGroups, managementGroups: ['mg-of-nobody'] }),
    finds: () => [unknown('mg-of-nobody')],
  },
  {
    state: "the plugin's parameters are not for the integration user's eyes",
    give: async (labs: Labs): Promise<void> => {
      await install(labs, elsewhere);
      await labs.serviceNow.admin('POST', '/servicenow/access', { table: 'sn_sec_int_impl_config', operation: 'read', roles: ['nobody'] });
    },
    finds: () => [unknown()],
  },
  {
    state: 'the plugin is active, and no integration record is for the eyes of the integration user',
    give: async (labs: Labs): Promise<void> => {
      await install(labs, { tenantId: labs.tenant.tenantId });
      await hide(labs, 'sn_vul_integration');
    },
    finds: () => [hidden(writers, 'sn_vul_integration')],
    notChecked: ['servicenow.run-as', 'servicenow.attachments'],
  },
  {
    state: 'another ledger keeps the instance and the deployment is switched off, and neither is for the eyes of the integration user',
    give: async (labs: Labs): Promise<void> => {
      await mark(labs);
      await switchOff(labs, 'contoso');
      for (const table of ['sn_sec_int_integration', 'sn_sec_int_impl']) await hide(labs, table);
    },
    finds: () => [hidden('servicenow.second-ledger', 'sn_sec_int_integration'), hidden('servicenow.switched-off', 'sn_sec_int_impl')],
  },
  {
    state: "the plugin's integration instance is switched off",
    give: async (labs: Labs): Promise<void> => {
      const { instance } = await install(labs, { tenantId: labs.tenant.tenantId });
      await edit(labs, 'sn_sec_int_impl', instance, { active: 'false' });
    },
    finds: () => [],
    wellIn: [writers],
  },
  {
    state: 'two instances of the plugin, one of them for another tenant',
    give: async (labs: Labs): Promise<void> => {
      await install(labs, { ...elsewhere, name: 'elsewhere' });
      await install(labs, { tenantId: labs.tenant.tenantId });
    },
    finds: ({ tenant }) => [active(tenant.tenantId)],
  },
  { state: 'the deployment is switched off', give: (labs) => switchOff(labs, 'contoso'), finds: () => [offSwitch] },
  {
    state: 'another deployment is switched off',
    give: (labs) => switchOff(labs, 'fabrikam'),
    finds: () => [],
    wellIn: ['servicenow.switched-off'],
  },
  { state: 'another ledger keeps the instance', give: mark, finds: () => [otherLedger] },
  {
    state: 'another ledger, and the plugin',
    give: async (labs: Labs): Promise<void> => {
      await mark(labs);
      await install(labs, { tenantId: labs.tenant.tenantId });
    },
    finds: () => [otherLedger, active()],
  },
  {
    state: 'the deployment is switched off, and the plugin imports another tenant',
    give: async (labs: Labs): Promise<void> => {
      await switchOff(labs, 'contoso');
      await install(labs, elsewhere);
    },
    finds: () => [offSwitch],
    wellIn: [writers],
  },
];
