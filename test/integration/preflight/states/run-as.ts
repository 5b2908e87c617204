import type { Choice, Labs } from '../labs.ts';
import { assessments, edit, elsewhere, install, runAsHelper, runPlugin, sysIdOf } from './plugin.ts';
import type { Expected, State } from './state.ts';

const administrator = 'A ServiceNow administrator';
const report: Choice = { serviceNow: { runAs: { mode: 'report', user: 'VR.System' } } };

const drift = (...evidence: string[]): Expected => ({
  check: 'servicenow.run-as',
  verdict: 'warning',
  cause: 'run-as-drift',
  evidence: [`"${assessments}"`, /as helper, last changed by admin at \d{4}-\d\d-\d\d/, ...evidence],
  fixedBy: administrator,
  remedy: ['Run as = VR.System'],
});

const piled = (cause: 'attachments-pile-up' | 'attachments-surplus', series: string): Expected => ({
  check: 'servicenow.attachments',
  verdict: 'warning',
  cause,
  evidence: [new RegExp(`"${assessments}" \\([0-9a-f]{32}\\): ${series}\\. One run leaves 1 at most`)],
  fixedBy: administrator,
  remedy: ['defender-sync attachments list', 'defender-sync attachments delete'],
});

const user = (cause: string, evidence: string, remedy: string): Expected => ({
  check: 'servicenow.run-as-user',
  verdict: 'blocking',
  cause,
  evidence: [evidence],
  fixedBy: administrator,
  remedy: [remedy],
});

/** Vulnerability Response, and Container Vulnerability Response, which is built on it: a finding each. */
const withoutApplication: Expected = {
  check: 'servicenow.tables',
  verdict: 'warning',
  cause: 'application-absent',
  evidence: ['Vulnerability Response, that is', 'the run leaves out'],
  fixedBy: administrator,
  remedy: ['Vulnerability Response'],
};

/** The plugin, for another tenant; its assessments run as somebody who may attach and not delete, so many times. */
async function wrongRuns(labs: Labs, times: number): Promise<{ readonly dataSource: string }> {
  const found = await runAsHelper(labs, await install(labs, elsewhere));
  await runPlugin(labs, times);
  return found;
}

const withEarlier = async (labs: Labs, counts: readonly number[]): Promise<Choice> => {
  const dataSource = await sysIdOf(labs, 'sys_data_source', 'name', assessments);
  const attachmentLog = { earlier: () => Promise.resolve(new Map([[dataSource, counts]])), remember: () => Promise.resolve() };
  return { more: { attachmentLog } };
};

async function lock(labs: Labs, body: object): Promise<void> {
  await labs.serviceNow.admin('POST', '/servicenow/play/administrator/lock-user', { user: 'VR.System', ...body });
}

async function takeImportRole(labs: Labs): Promise<void> {
  await labs.serviceNow.admin('POST', '/servicenow/play/administrator/revoke-role', { user: 'VR.System', role: 'sn_vul.vr_import_admin' });
}

/** As whom integration records run, and what a wrong one leaves behind. */
export const runAsStates: readonly State[] = [
  { state: 'the plugin runs as VR.System', give: (labs) => install(labs, elsewhere), finds: () => [], wellIn: ['servicenow.run-as'] },
  {
    state: 'an integration record of the plugin runs as somebody else: it will be put back',
    give: async (labs) => runAsHelper(labs, await install(labs, elsewhere)),
    finds: () => [drift('1 of 6 integration records')],
  },
  {
    state: 'an integration record of the plugin runs as somebody else: only named',
    give: async (labs) => runAsHelper(labs, await install(labs, elsewhere)),
    choose: () => report,
    finds: () => [{ ...drift(), remedy: ['Run as = VR.System', 'serviceNow.runAs.mode to enforce'] }],
  },
  {
    state: "the engine's own record runs as somebody else",
    give: async (labs: Labs): Promise<void> => {
      const name = 'defender-sync contoso: Assessments';
      const runAs = await sysIdOf(labs, 'sys_user', 'user_name', 'defender.sync');
      await labs.serviceNow.admin('POST', '/servicenow/rows/sn_vul_integration', { name, active: 'false', run_as: runAs });
    },
    finds: () => [
      {
        check: 'servicenow.run-as',
        verdict: 'warning',
        cause: 'run-as-drift',
        evidence: ['defender-sync contoso: Assessments', 'as defender.sync'],
        fixedBy: administrator,
        remedy: ['Run as = VR.System'],
      },
    ],
  },
  {
    state: 'VR.System is not active',
    give: (labs) => lock(labs, { locked: false, active: false }),
    finds: () => [user('inactive', 'is not active', 'check Active')],
  },
  {
    state: 'VR.System is locked out',
    give: (labs) => lock(labs, { locked: true }),
    finds: () => [user('locked-out', 'is locked out', 'clear Locked out')],
  },
  {
    state: 'VR.System lost its import role, the only one it had',
    give: takeImportRole,
    finds: () => [user('import-role-missing', 'lacks the role sn_vul.vr_import_admin', 'add sn_vul.vr_import_admin')],
  },
  {
    state: 'VR.System seems to have no role, and nobody else either',
    give: async (labs: Labs): Promise<void> => {
      await takeImportRole(labs);
      const { rows } = await labs.serviceNow.admin('GET', '/servicenow/rows/sys_user_has_role');
      const own = await sysIdOf(labs, 'sys_user', 'user_name', 'defender.sync');
      for (const { sys_id: sysId } of rows.filter(({ user: holder }) => holder !== own)) {
        await labs.serviceNow.admin('POST', '/servicenow/play/administrator/delete', { table: 'sys_user_has_role', sys_id: sysId });
      }
    },
    finds: () => [
      {
        check: 'servicenow.run-as-user',
        verdict: 'not-readable',
        cause: 'roles-not-readable',
        evidence: ['sn_vul.vr_import_admin'],
        fixedBy: administrator,
        remedy: ['compare by hand'],
      },
    ],
  },
  {
    state: 'VR.System has another role instead of its import role',
    give: async (labs: Labs): Promise<void> => {
      await takeImportRole(labs);
      await labs.serviceNow.admin('POST', '/servicenow/play/administrator/grant-role', { user: 'VR.System', role: 'itil' });
    },
    finds: () => [user('import-role-missing', 'Error writing attachment', 'add sn_vul.vr_import_admin')],
  },
  {
    state: 'Vulnerability Response is not installed, so that nothing could run as VR.System, which does not exist either',
    give: async (labs: Labs): Promise<void> => {
      const sysId = await sysIdOf(labs, 'sys_user', 'user_name', 'VR.System');
      await labs.serviceNow.admin('POST', '/servicenow/play/administrator/delete', { table: 'sys_user', sys_id: sysId });
      await labs.serviceNow.admin('POST', '/servicenow/play/administrator/uninstall', { scope: 'sn_vul' });
    },
    finds: () => [withoutApplication, withoutApplication],
    wellIn: ['servicenow.run-as-user', 'servicenow.run-as', 'servicenow.plugin-writers'],
  },
  {
    state: 'VR.System does not exist',
    give: async (labs: Labs): Promise<void> => {
      const sysId = await sysIdOf(labs, 'sys_user', 'user_name', 'VR.System');
      await labs.serviceNow.admin('POST', '/servicenow/play/administrator/delete', { table: 'sys_user', sys_id: sysId });
    },
    finds: () => [user('user-absent', 'does not exist on the instance', 'repair that application')],
  },
  {
    state: 'a run as somebody else left its one page: no more than a run may leave',
    give: (labs) => wrongRuns(labs, 1),
    finds: () => [drift()],
    wellIn: ['servicenow.attachments'],
  },
  {
    state: 'pages of three runs hang on a data source, and nobody counted before',
    give: (labs) => wrongRuns(labs, 3),
    finds: () => [drift(), piled('attachments-surplus', '3')],
  },
  {
    state: 'pages pile up, one more with each run',
    give: (labs) => wrongRuns(labs, 3),
    choose: (labs) => withEarlier(labs, [1, 2]),
    finds: () => [drift(), { ...piled('attachments-pile-up', '1 → 2 → 3'), remedy: ['First put "Run as" right', 'attachments list'] }],
  },
  {
    state: 'run-as was put right by hand: the old pages still hang there',
    give: async (labs: Labs): Promise<void> => {
      await wrongRuns(labs, 2);
      const runAs = await sysIdOf(labs, 'sys_user', 'user_name', 'VR.System');
      await edit(labs, 'sn_vul_integration', await sysIdOf(labs, 'sn_vul_integration', 'name', assessments), { run_as: runAs });
    },
    choose: (labs) => withEarlier(labs, [2, 2]),
    finds: () => [piled('attachments-surplus', '2 → 2 → 2')],
    wellIn: ['servicenow.run-as'],
  },
  {
    state: 'a run of the plugin is in progress: its pages are its work',
    give: async (labs: Labs): Promise<void> => {
      await install(labs, elsewhere);
      await runPlugin(labs, 1, { pages: [{}, {}, {}], until: 'attached' });
    },
    finds: () => [],
    wellIn: ['servicenow.attachments'],
  },
  {
    state: 'the data sources are hidden from the integration user',
    give: async (labs: Labs): Promise<void> => {
      await install(labs, elsewhere);
      await labs.serviceNow.admin('POST', '/servicenow/access', { table: 'sys_data_source', operation: 'read', roles: ['nobody'] });
    },
    finds: () => [
      {
        check: 'servicenow.attachments',
        verdict: 'not-readable',
        cause: 'data-sources-not-readable',
        evidence: ['sys_data_source'],
        fixedBy: administrator,
        remedy: ['sn_vul.vr_import_admin'],
      },
    ],
  },
  {
    state: 'VR.System is locked out, and a record runs as somebody else',
    give: async (labs: Labs): Promise<void> => {
      await lock(labs, { locked: true });
      await runAsHelper(labs, await install(labs, elsewhere));
    },
    finds: () => [user('locked-out', 'is locked out', 'clear Locked out'), drift()],
  },
  {
    state: 'the plugin writes the same scope, as somebody else',
    give: async (labs: Labs): Promise<void> => {
      await runAsHelper(labs, await install(labs, { tenantId: labs.tenant.tenantId }));
    },
    finds: () => [
      {
        check: 'servicenow.plugin-writers',
        verdict: 'blocking',
        cause: 'plugin-active',
        evidence: ['the whole of it'],
        fixedBy: administrator,
        remedy: ['clear Active'],
      },
      drift(),
    ],
  },
];
