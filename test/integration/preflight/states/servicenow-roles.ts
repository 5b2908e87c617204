/** What the integration user may do, and every way of being allowed to. */
import { add, ask, rowOf } from '../../lab-servicenow/admin-helper.ts';
import { all, engineUser, finding, grant, play, revoke } from './servicenow-give.ts';
import type { Expected, State } from './state.ts';

const roles = 'servicenow.roles';
const configure = 'sn_vul_msft_tvm.configure_integration';
const read = 'sn_vul_msft_tvm.read_integration';
const importRoles = ['sn_vulc.import_admin', 'sn_vul.vr_import_admin'];
const toUser = `Users › ${engineUser} › Roles › Edit`;

function lacks(verdict: 'blocking' | 'warning', evidence: readonly string[], remedy: readonly string[]): Expected {
  return finding(roles, verdict, 'roles-missing', { evidence: [engineUser, ...evidence], remedy: [toUser, ...remedy] });
}

const identifiersHidden = finding('servicenow.identifiers', 'not-readable', 'identifiers-hidden', {
  evidence: ['cmdb_identifier reads as empty'],
  remedy: ['the role itil'],
});

/** All of these roles by way of something else than the user's own record. */
const byGroup = (...names: readonly string[]): State['give'] =>
  all(
    revoke(...names),
    ...names.map((role) => play('grant-role', { group: 'Cloud Security', role })),
    play('group-member', { user: engineUser, group: 'Cloud Security' }),
  );

const container = 'x_acme.defender';
const contained = (...names: readonly string[]): State['give'] =>
  all(
    revoke(...names),
    ({ serviceNow }) => add(serviceNow, 'sys_user_role', { name: container }),
    ...names.map((contains) => play('contain-role', { role: container, contains })),
  );
const everything = [...importRoles, 'itil', configure, 'sn_vul_container.write_all', 'sn_si.admin', 'sn_si.ingestion_profile_admin'];

const ways: readonly State[] = [
  { state: 'every role comes by a group', give: byGroup(...everything, 'personalize_read_dictionary')!, finds: () => [] },
  {
    state: 'every role is contained in another one, which the user has',
    give: all(contained(...everything)!, grant(container)),
    finds: () => [],
  },
  {
    state: 'every role is contained in another one, which a group gives',
    give: all(
      contained(...everything)!,
      play('grant-role', { group: 'Cloud Security', role: container }),
      play('group-member', { user: engineUser, group: 'Cloud Security' }),
    ),
    finds: () => [],
  },
  {
    state: 'asset instead of itil: the rules of identification are not for it to read',
    give: all(revoke('itil'), grant('asset')),
    finds: () => [identifiersHidden],
  },
  { state: 'admin has every right', give: all(revoke(...everything), grant('admin')), finds: () => [] },
  {
    state: 'a role of the user is not active any more',
    give: async (labs) => {
      const { serviceNow } = labs;
      const user = await rowOf(serviceNow, 'sys_user', 'user_name', engineUser);
      const role = await rowOf(serviceNow, 'sys_user_role', 'name', 'sn_si.admin');
      const { rows } = await serviceNow.admin('GET', '/servicenow/rows/sys_user_has_role');
      const given = rows.find((row) => row['user'] === user['sys_id'] && row['role'] === role['sys_id']);
      await serviceNow.admin('PATCH', `/servicenow/rows/sys_user_has_role/${given?.['sys_id'] ?? ''}`, { state: 'requires_approval' });
    },
    finds: () => [lacks('blocking', ['sn_si.admin for security incidents'], ['add sn_si.admin.'])],
  },
];

const plugin: readonly State[] = [
  {
    state: 'the user may read the integration, not configure it',
    give: all(revoke(configure), grant(read)),
    finds: () => [
      finding(roles, 'blocking', 'read-integration-only', {
        evidence: [read, `but not ${configure}`],
        remedy: [toUser, `add ${configure}`],
      }),
    ],
  },
  {
    state: 'the user has neither role of the plugin',
    give: revoke(configure),
    finds: () => [
      finding(roles, 'blocking', 'configure-integration-missing', { evidence: [`lacks ${configure}`], remedy: [`add ${configure}`] }),
    ],
  },
  {
    state: 'a group lets the user configure, and read',
    give: all(byGroup(configure)!, grant(read)),
    finds: () => [],
  },
  {
    state: 'the plugin is not installed: its roles do not exist, and are asked of nobody',
    give: all(play('uninstall', { scope: 'sn_vul_msft_tvm' }), grant('sn_sec_int.admin', 'sn_vul.vulnerability_admin')),
    finds: () => [],
  },
  {
    state: 'the plugin is not installed, and the user may not keep records of runs either',
    give: play('uninstall', { scope: 'sn_vul_msft_tvm' }),
    finds: () => [lacks('warning', ['sn_sec_int.admin for records of the engine'], ['sn_sec_int.admin', 'sn_vul.vulnerability_admin'])],
  },
];

const incidents: readonly State[] = [
  {
    state: 'incidents are on, and sn_si.admin is missing',
    give: revoke('sn_si.admin'),
    finds: () => [lacks('blocking', ['sn_si.admin for security incidents'], ['add sn_si.admin.'])],
  },
  {
    state: 'incidents are on, and sn_si.ingestion_profile_admin is missing',
    give: revoke('sn_si.ingestion_profile_admin'),
    finds: () => [lacks('blocking', ['sn_si.ingestion_profile_admin for security incidents'], ['add sn_si.ingestion_profile_admin.'])],
  },
  {
    state: 'incidents are off, and both roles are missing',
    give: revoke('sn_si.admin', 'sn_si.ingestion_profile_admin'),
    choose: () => ({ incidents: false }),
    finds: () => [],
  },
  {
    state: 'incidents are on, and Security Incident Response is not installed',
    give: play('uninstall', { scope: 'sn_si' }),
    finds: () => [
      finding(roles, 'blocking', 'roles-absent', {
        evidence: ['no role sn_si.admin'],
        remedy: ['Install Security Incident Response', 'incidents: false'],
      }),
    ],
  },
];

const itilMissing: readonly Expected[] = [
  lacks('blocking', ['itil or asset for CIs of cloud resources (a try without effect was refused)'], ['add itil (or asset)']),
  identifiersHidden,
];
const afterRuns = ['sn_vul.vulnerability_write for placeholders of CVEs', 'sn_vul.vr_import_admin for one record per run'];
/** It contains the right to read them. */
const cvesHidden = finding('servicenow.tables', 'blocking', 'records-hidden', {
  evidence: [/sn_vul_nvd_entry \(\d+ records counted, none shown\)/],
  remedy: ['the role sn_vul.read_all'],
});
const containers = lacks(
  'warning',
  ['sn_vul_container.write_all for container images', 'sn_vul_container.create_vi'],
  ['sn_vul_container.write_all'],
);
const personalize = 'personalize_read_dictionary';
const hiddenFor = (check: string): Expected => finding(check, 'not-readable', 'table-hidden', { fixedBy: /./, remedy: [personalize] });

const features: readonly State[] = [
  { state: 'itil is missing', give: revoke('itil'), finds: () => itilMissing, notChecked: ['servicenow.ire'] },
  {
    state: 'the dictionary may not be read',
    give: revoke(personalize),
    finds: () => [
      lacks('blocking', [`${personalize} or personalize_dictionary`], [`add ${personalize}`]),
      finding('servicenow.tables', 'blocking', 'dictionary-hidden', {
        evidence: ['sys_dictionary reads as empty'],
        remedy: [`add ${personalize}`],
      }),
      finding('servicenow.data-source', 'not-readable', 'choices-hidden', { remedy: [personalize] }),
      hiddenFor('servicenow.second-ledger'),
      hiddenFor('servicenow.plugin-writers'),
      hiddenFor('servicenow.switched-off'),
    ],
    notChecked: ['servicenow.run-as', 'servicenow.attachments'],
  },
  {
    state: 'the import role of Configuration Compliance is missing, and with it the right to write tests and results',
    give: revoke('sn_vulc.import_admin'),
    finds: () => [
      lacks('blocking', ['lacks 1 role: sn_vulc.write for policies'], ['add sn_vulc.write.']),
      lacks('warning', ['lacks 1 role: sn_sec_cmn.write or sn_vulc.write for accounts'], ['add sn_sec_cmn.write (or sn_vulc.write).']),
    ],
  },
  {
    state: 'the import role of Vulnerability Response is missing',
    give: revoke('sn_vul.vr_import_admin'),
    finds: () => [lacks('warning', afterRuns, ['sn_vul.vr_import_admin']), cvesHidden],
  },
  {
    state: 'both import roles are missing',
    give: revoke(...importRoles),
    finds: () => [
      lacks(
        'blocking',
        ['sn_vulc.import_admin or sn_vul.vr_import_admin for discovered items'],
        ['add sn_vulc.write, sn_vulc.import_admin (or sn_vul.vr_import_admin)'],
      ),
      lacks('warning', [...afterRuns, 'sn_sec_cmn.write or sn_vulc.write for accounts'], ['sn_vul.vulnerability_write']),
      cvesHidden,
    ],
  },
  {
    state: 'the writers of containers are missing',
    give: revoke('sn_vul_container.write_all', 'sn_vul_container.create_vi'),
    finds: () => [containers],
  },
  {
    state: 'role rows are hidden',
    give: ({ serviceNow }) => ask(serviceNow, 'POST', '/access', { table: 'sys_user_has_role', operation: 'read', roles: [] }),
    finds: () => [
      finding(roles, 'not-readable', 'roles-not-readable', { evidence: ['sys_user_has_role'], remedy: ['read sys_user_has_role'] }),
      finding('servicenow.run-as-user', 'not-readable', 'roles-not-readable'),
    ],
  },
];

const pairs: readonly State[] = [
  {
    state: 'itil is missing, and the roles for incidents',
    give: revoke('itil', 'sn_si.admin', 'sn_si.ingestion_profile_admin'),
    finds: () => [
      lacks(
        'blocking',
        ['lacks 3 roles', 'itil or asset', 'sn_si.admin', 'sn_si.ingestion_profile_admin'],
        ['add itil (or asset), sn_si.admin, sn_si.ingestion_profile_admin.'],
      ),
      identifiersHidden,
    ],
    notChecked: ['servicenow.ire'],
  },
  {
    state: 'the user may only read the integration, and the writers of containers are missing',
    give: all(revoke(configure, 'sn_vul_container.write_all', 'sn_vul_container.create_vi'), grant(read)),
    finds: () => [finding(roles, 'blocking', 'read-integration-only', { remedy: [`add ${configure}`] }), containers],
  },
  {
    state: 'the roles for incidents are missing, and those of the plugin do not exist',
    give: all(
      revoke('sn_si.admin'),
      play('uninstall', { scope: 'sn_vul_msft_tvm' }),
      grant('sn_sec_int.admin', 'sn_vul.vulnerability_admin'),
    ),
    finds: () => [lacks('blocking', ['lacks 1 role: sn_si.admin'], ['add sn_si.admin.'])],
  },
];

export const roleStates: readonly State[] = [...ways, ...plugin, ...incidents, ...features, ...pairs];
