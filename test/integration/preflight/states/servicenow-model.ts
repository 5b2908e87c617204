/** What the instance has, and whether the identification engine and the rate-limit rules go with it. */
import { add, ask, rowOf } from '../../lab-servicenow/admin-helper.ts';
import type { StartedLab } from '../../lab-servicenow/start.ts';
import type { Labs } from '../labs.ts';
import { all, engineUser, finding, play, revoke } from './servicenow-give.ts';
import type { Expected, State } from './state.ts';

const tables = 'servicenow.tables';
const identifiers = 'servicenow.identifiers';
const install = (application: string): string[] => [`Install ${application}`, 'System Applications › All Available Applications'];
const containersAbsent = finding(tables, 'warning', 'application-absent', {
  evidence: [
    'Container Vulnerability Response, that is sn_vul_container_image, ',
    'the run leaves out: container images, their findings and vulnerable items',
  ],
  remedy: install('Container Vulnerability Response'),
});
const absent = (name: string, remedy: readonly string[]): Expected =>
  finding(tables, 'blocking', 'table-absent', { evidence: [`Absent on the instance: ${name};`], remedy });

const lacking: readonly State[] = [
  {
    state: 'Configuration Compliance is not installed',
    give: play('uninstall', { scope: 'sn_vulc' }),
    finds: () => [
      finding(tables, 'blocking', 'application-absent', {
        evidence: ['Configuration Compliance, that is sn_vulc_policy, sn_vulc_test', 'sn_vulc_result'],
        remedy: install('Configuration Compliance'),
      }),
      finding('servicenow.roles', 'warning', 'roles-missing', {
        evidence: ['sn_sec_cmn.write for accounts'],
        remedy: ['add sn_sec_cmn.write.'],
      }),
    ],
  },
  {
    state: 'Container Vulnerability Response is not installed',
    give: play('uninstall', { scope: 'sn_vul_container' }),
    finds: () => [containersAbsent],
  },
  {
    state: 'a table that everything hangs on is missing',
    give: play('drop', { table: 'sn_vulc_result' }),
    finds: () => [absent('sn_vulc_result', install('Configuration Compliance'))],
  },
  {
    state: 'a table that one feature needs is missing',
    give: play('drop', { table: 'sn_vul_container_image_findings' }),
    finds: () => [absent('sn_vul_container_image_findings', install('Container Vulnerability Response'))],
  },
  {
    state: 'a table that the rest can do without is missing',
    give: play('drop', { table: 'sn_vulc_policy_test' }),
    finds: () => [
      finding(tables, 'warning', 'table-absent', {
        evidence: ['sn_vulc_policy_test', 'the run leaves out'],
        remedy: install('Configuration Compliance'),
      }),
    ],
  },
  {
    state: 'a column that the key needs is missing',
    give: play('drop', { table: 'sn_vulc_test', column: 'source_id' }),
    finds: () => [
      finding(tables, 'blocking', 'column-absent', {
        evidence: ['sn_vulc_test.source_id (no column is named source_id)'],
        remedy: ['Update Configuration Compliance'],
      }),
    ],
  },
  {
    state: 'a column that nothing needs is missing',
    give: play('drop', { table: 'sn_vulc_test', column: 'source_sub_category' }),
    finds: () => [],
  },
  {
    state: 'the records of a table are hidden: it reads as empty',
    give: all(
      ({ serviceNow }) => add(serviceNow, 'sn_vulc_citation', { section: 'A.1' }),
      ({ serviceNow }) => ask(serviceNow, 'POST', '/access', { table: 'sn_vulc_citation', operation: 'read', roles: [] }),
    ),
    finds: () => [
      finding(tables, 'blocking', 'records-hidden', {
        evidence: ['sn_vulc_citation (1 record counted, none shown)', 'a second time'],
        remedy: ['sn_vulc.read', 'Name = sn_vulc_citation, Operation = read'],
      }),
    ],
  },
  {
    state: 'a table is empty, and nobody hides it',
    give: ({ serviceNow }) => ask(serviceNow, 'POST', '/access', { table: 'sn_vulc_citation', operation: 'read', roles: [] }),
    finds: () => [],
  },
  {
    state: 'choices are hidden',
    give: revoke('personalize_choices'),
    finds: () => [
      finding(tables, 'not-readable', 'choices-hidden', { evidence: ['sys_choice'], remedy: ['value of sys_choice'] }),
      finding('servicenow.data-source', 'not-readable', 'choices-hidden', { evidence: ['is not known'], remedy: ['value of sys_choice'] }),
    ],
  },
  {
    state: 'the column of the result does not offer passed',
    give: ({ serviceNow }) => dropRow(serviceNow, 'sys_choice', { name: 'sn_vulc_result', element: 'result', value: 'passed' }),
    finds: () => [
      finding(tables, 'blocking', 'choice-absent', {
        evidence: ['sn_vulc_result.result does not offer "passed", but'],
        remedy: ['Table sn_vulc_result, Element result, Value passed.'],
      }),
    ],
  },
  {
    state: 'the value for not applicable is none that the instance offers',
    choose: () => ({ serviceNow: { notApplicableResult: 'does_not_apply' } }),
    finds: () => [
      finding(tables, 'blocking', 'choice-absent', {
        evidence: ['"does_not_apply"'],
        remedy: ['or correct serviceNow.notApplicableResult'],
      }),
    ],
  },
];

async function dropRow(serviceNow: StartedLab, table: string, values: Record<string, string>): Promise<void> {
  const { rows } = await serviceNow.admin('GET', `/servicenow/rows/${table}`);
  const [row] = rows.filter((candidate) => Object.entries(values).every(([column, value]) => candidate[column] === value));
  await serviceNow.admin('DELETE', `/servicenow/rows/${table}/${row?.['sys_id'] ?? ''}`);
}

const notKnown = (cause: string, evidence: string, remedy: string): readonly Expected[] => [
  finding('servicenow.data-source', 'blocking', cause, { evidence: [evidence], remedy: [remedy] }),
  finding('servicenow.ire', 'blocking', 'identification-refused', { evidence: ['INVALID_INPUT_DATA'], remedy: ['exactly this spelling'] }),
];
const otherLetters = notKnown(
  'data-source-spelling',
  'only the spelling differs',
  'Set serviceNow.dataSource to "Microsoft Defender for Cloud"',
);

function rule(state: string, give: State['give'], cause: string, className: string, words: { evidence: string; remedy: string }): State {
  return {
    state,
    ...(give === undefined ? {} : { give }),
    finds: () => [
      finding(identifiers, 'blocking', cause, {
        evidence: [`class ${className} cannot`, words.evidence],
        remedy: [`CI Class Manager › ${className}`, words.remedy],
      }),
    ],
    notChecked: ['servicenow.ire'],
  };
}

const resource = 'cmdb_ci_cmp_resource';
const offForResources = play('identifier-rule', { class: resource, active: false });
const entryOff = play('identifier-rule', { class: resource, attributes: 'object_id', active: false });
const ruleOff = { evidence: 'is not active', remedy: '/cmdb_identifier.do?sys_id=' };

const identification: readonly State[] = [
  {
    state: 'the data source is spelled in other letters',
    choose: () => ({ serviceNow: { dataSource: 'MICROSOFT DEFENDER FOR CLOUD' } }),
    finds: () => otherLetters,
  },
  {
    state: 'the data source is none of the instance',
    choose: () => ({ serviceNow: { dataSource: 'Contoso Scanner' } }),
    finds: () => notKnown('data-source-absent', 'does not offer "Contoso Scanner"', 'add the value "Contoso Scanner"'),
  },
  rule('the rule of cloud resources is inactive', offForResources, 'identifier-rule-inactive', resource, ruleOff),
  rule('the only entry of the rule of cloud resources is inactive', entryOff, 'identifier-entry-inactive', resource, {
    evidence: 'has no active identifier entry',
    remedy: '/cmdb_identifier_entry.do?sys_id=',
  }),
  rule(
    'the rule of cloud resources goes by something else',
    all(entryOff, play('identifier-rule', { class: resource, attributes: 'serial_number' })),
    'identifier-attributes',
    resource,
    { evidence: 'goes by serial_number, and what is sent has object_id', remedy: 'add an identifier entry on object_id' },
  ),
  rule(
    'the rule of service accounts is inactive',
    play('identifier-rule', { class: 'cmdb_ci_cloud_service_account', active: false }),
    'identifier-rule-inactive',
    'cmdb_ci_cloud_service_account',
    ruleOff,
  ),
  rule(
    'the rule of datacenters, which they have from the class above them, is inactive',
    play('identifier-rule', { class: 'cmdb_ci_logical_datacenter', active: false }),
    'identifier-rule-inactive',
    'cmdb_ci_azure_datacenter',
    ruleOff,
  ),
  rule(
    'there is no rule of datacenters',
    ({ serviceNow }) => dropRow(serviceNow, 'cmdb_identifier', { applies_to: 'cmdb_ci_logical_datacenter' }),
    'identifier-rule-missing',
    'cmdb_ci_azure_datacenter',
    { evidence: 'nor a class above it has an identification rule', remedy: 'dependent, on object_id' },
  ),
  {
    state: 'the rule of images is inactive',
    give: play('identifier-rule', { class: 'cmdb_ci_docker_image', active: false }),
    finds: () => [
      finding(identifiers, 'warning', 'identifier-rule-inactive', { evidence: ['cmdb_ci_docker_image'], remedy: ['check Active'] }),
    ],
  },
  {
    state: 'identification rules are hidden',
    give: ({ serviceNow }) => ask(serviceNow, 'POST', '/access', { table: 'cmdb_identifier', operation: 'read', roles: [] }),
    finds: () => [finding(identifiers, 'not-readable', 'identifiers-hidden', { evidence: ['reads as empty'], remedy: ['the role itil'] })],
  },
];

const limit =
  (values: Record<string, string>): ((labs: Labs) => Promise<unknown>) =>
  ({ serviceNow }) =>
    add(serviceNow, 'sys_rate_limit_rules', { name: 'REST at night', ...values });
const tooLow = (...evidence: (string | RegExp)[]): Expected =>
  finding('servicenow.rate-limits', 'warning', 'rate-limit-low', {
    evidence,
    remedy: ['/sys_rate_limit_rules.do?sys_id=', 'single user'],
  });
const lowForBatches = tooLow(
  'allows 30 requests an hour for POST /api/now/batch',
  /counts (\d+) assessments, .* ≈ 2 × \d+ \/ 100 \+ 2 × \1 \/ 500 \+ 60 = (\d+) requests.* \2 \/ 30: at least \d+ hours/,
);

const rates: readonly State[] = [
  { state: 'a rate-limit rule that leaves enough', give: limit({ rest_api: 'Batch API', request_limit: '5000' }), finds: () => [] },
  {
    state: 'a rate-limit rule too low for the estate',
    give: limit({ rest_api: 'Batch API', request_limit: '30' }),
    finds: () => [lowForBatches],
  },
  {
    state: 'a rate-limit rule of every API, too low for what the ledger knows',
    give: limit({ request_limit: '500' }),
    choose: () => ({ more: { known: { counts: async () => ({ records: 250_000, cis: 40_000 }), written: async () => undefined } } }),
    finds: () => [
      tooLow(
        '500 requests an hour for POST /api/now/batch',
        '2 × 250,000 / 100 + 2 × 40,000 / 500 + 60 = 5,220 requests',
        '5,220 / 500: at least 11 hours',
      ),
    ],
  },
  {
    state: 'a rule of its own for the integration user goes before one of all users that is too low',
    give: async (labs) => {
      const { sys_id: user } = await rowOf(labs.serviceNow, 'sys_user', 'user_name', engineUser);
      await limit({ rest_api: 'Batch API', request_limit: '30' })(labs);
      await limit({ rest_api: 'Batch API', request_limit: '5000', apply_to: 'single_user', user: user ?? '' })(labs);
    },
    finds: () => [],
  },
  {
    state: 'a rate-limit rule that is too low is named where the user may read it',
    give: all(limit({ rest_api: 'Batch API', request_limit: '30' }), play('grant-role', { user: engineUser, role: 'rate_limit_admin' })),
    finds: () => [tooLow('Rate-limit rule "REST at night" (')],
  },
];

const writes: readonly State[] = [
  {
    state: 'a table refuses updates although the role is there',
    give: ({ serviceNow }) => ask(serviceNow, 'POST', '/access', { table: 'sn_vulc_test', operation: 'write', roles: ['sn_vulc.admin'] }),
    finds: () => [
      finding('servicenow.writes.sn_vulc_test', 'blocking', 'update-refused', {
        evidence: ['answered with 403'],
        remedy: ['Name = sn_vulc_test', 'Operation = write'],
      }),
    ],
  },
  {
    state: 'two tables of different features refuse updates although the roles are there',
    give: all(
      ...['sn_vulc_result', 'sn_vul_container_image'].map(
        (table) =>
          ({ serviceNow }: Labs): Promise<unknown> =>
            ask(serviceNow, 'POST', '/access', { table, operation: 'write', roles: ['sn_vulc.admin'] }),
      ),
    ),
    finds: () =>
      ['sn_vulc_result', 'sn_vul_container_image'].map((table) =>
        finding(`servicenow.writes.${table}`, table === 'sn_vulc_result' ? 'blocking' : 'warning', 'update-refused', {
          remedy: [`Name = ${table}`],
        }),
      ),
  },
  {
    state: 'the identification API asks for more than itil',
    give: ({ serviceNow }) =>
      ask(serviceNow, 'POST', '/faults', {
        match: { pathPrefix: '/api/now/identifyreconcile' },
        action: {
          status: 403,
          body: { error: { message: 'User Not Authorized', detail: 'Failed API level ACL Validation' }, status: 'failure' },
        },
      }),
    finds: () => [
      finding('servicenow.ire', 'blocking', 'identification-forbidden', {
        evidence: ['although it has itil', 'API level ACL'],
        remedy: ['REST_Endpoint'],
      }),
    ],
  },
];

const pairs: readonly State[] = [
  {
    state: 'the rule of cloud resources is inactive, and containers are not installed',
    give: all(offForResources, play('uninstall', { scope: 'sn_vul_container' })),
    finds: () => [containersAbsent, finding(identifiers, 'blocking', 'identifier-rule-inactive', { evidence: [resource] })],
    notChecked: ['servicenow.ire'],
  },
  {
    state: 'a rate-limit rule is too low, and the data source is spelled in other letters',
    give: limit({ rest_api: 'Batch API', request_limit: '30' }),
    choose: () => ({ serviceNow: { dataSource: 'MICROSOFT DEFENDER FOR CLOUD' } }),
    finds: () => [lowForBatches, ...otherLetters],
  },
  {
    state: 'a table refuses updates, and the user lacks the role of another one',
    give: all(
      ({ serviceNow }) => ask(serviceNow, 'POST', '/access', { table: 'sn_vulc_test', operation: 'write', roles: ['sn_vulc.admin'] }),
      revoke('sn_vul_container.write_all', 'sn_vul_container.create_vi'),
    ),
    finds: () => [
      finding('servicenow.writes.sn_vulc_test', 'blocking', 'update-refused', { remedy: ['Name = sn_vulc_test'] }),
      finding('servicenow.roles', 'warning', 'roles-missing', { evidence: ['lacks 2 roles'], remedy: ['sn_vul_container.write_all'] }),
    ],
  },
];

export const modelStates: readonly State[] = [...lacking, ...identification, ...rates, ...writes, ...pairs];
