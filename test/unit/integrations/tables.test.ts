/** Fields of analysts are never written, and so can never make a record differ (design §5). */
import { expect, test } from '@jest/globals';
import { tableSpecOf } from '../../../src/integrations/tables.ts';

/** What people and the platform's own calculations fill on findings (servicenow.md §2, §5.3; dictionary). */
const notOurs = [
  'state',
  'substate',
  'assigned_to',
  'assignment_group',
  'assignment_type',
  'active',
  'work_notes',
  'comments',
  'close_notes',
  'short_description',
  'ttr_target_date',
  'risk_score',
  'risk_rating',
  'priority',
  'remediation_plan',
  'ignore_reason',
  'ignore_date',
  'ignore_expiration_dt_tm',
];
const findingTables = ['sn_vulc_result', 'sn_vul_container_image_vulnerable_item', 'sn_vul_container_image_findings'];

test.each(findingTables)('%s: no column of people or of the platform is listed', (name) => {
  const names = Object.values(tableSpecOf(name).columns).flatMap((column) => column.names);
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((column) => notOurs.includes(column))).toEqual([]);
});

test('the state of a discovered item and of its matching is the platform’s', () => {
  const { columns } = tableSpecOf('sn_sec_cmn_src_ci');
  expect(Object.values(columns).flatMap((column) => column.names)).not.toContain('state');
  expect(columns['matching_type']).toMatchObject({ onCreateOnly: true });
});
