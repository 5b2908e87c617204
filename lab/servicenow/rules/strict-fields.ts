import type { Operation } from '../access.ts';

/** What becomes of a write that names one of these columns. */
export interface FieldRestriction {
  table: string;
  columns: readonly string[];
  /** refuse: the record write is 403. skip: the column is left out, the answer is 200 / 201. revert: a business rule puts it back. */
  effect: 'refuse' | 'skip' | 'revert';
  on: readonly Extract<Operation, 'create' | 'write'>[];
  /** Where it is recorded; `lab` where the references say that such a restriction exists but not on which column. */
  because: string;
}

export interface OperationRestriction {
  table: string;
  operation: Operation;
  because: string;
}

const ALWAYS = ['create', 'write'] as const;

/** Tables of findings and of their remediation tasks: their state is moved by the platform's workflow alone. */
const FINDING_TABLES = [
  'sn_vulc_result',
  'sn_vulc_result_group',
  'sn_vul_container_image_vulnerable_item',
  'sn_vul_container_vulnerability',
  'sn_vul_vulnerable_item',
  'sn_vul_vulnerability',
  'sn_vul_remediation_task',
];

/** Operations that profile `strict` opens to nobody but admin. */
export const STRICT_OPERATIONS: readonly OperationRestriction[] = [
  { table: 'sn_vul_entry', operation: 'create', because: 'servicenow.md §3: a direct insert was refused by ACL; its children inherit it' },
];

/** Columns that profile `strict` guards. A table stands for those that extend it, too. */
export const STRICT_FIELDS: readonly FieldRestriction[] = [
  ...FINDING_TABLES.map((table): FieldRestriction => ({
    table,
    columns: ['state', 'substate'],
    effect: 'refuse',
    on: ['write'],
    because: 'servicenow.md §5.3: PATCH of state refused by ACL (recorded on sn_vul_vulnerability; the other tables are lab)',
  })),
  ...FINDING_TABLES.map((table): FieldRestriction => ({
    table,
    columns: ['state', 'substate'],
    effect: 'skip',
    on: ['create'],
    because: 'lab: no insert with a state was recorded; a field ACL leaves the column out of an insert',
  })),
  {
    table: 'sn_vul_vulnerable_item',
    columns: ['ignore_reason', 'ignore_date'],
    effect: 'revert',
    on: ALWAYS,
    because: 'servicenow.md §5.3: accepted, then reverted by a business rule',
  },
  ...['sn_vulc_result', 'sn_vul_container_image_vulnerable_item'].map((table): FieldRestriction => ({
    table,
    columns: ['ignore_expiration_dt_tm', 'ignore_expiration_for_risk_reduction_dt_tm'],
    effect: 'revert',
    on: ALWAYS,
    because: 'servicenow.md §5.3, recorded for the ignore fields of sn_vul_vulnerable_item; here lab',
  })),
  {
    table: 'sn_vul_integration',
    columns: ['script', 'condition', 'integration_factory_script', 'processor_factory_script', 'report_processor_script'],
    effect: 'refuse',
    on: ALWAYS,
    because: 'servicenow.md §11: script fields need snc_required_script_writer_permission',
  },
  // Release 31.3.0 put "read-only field restrictions on several tables" (servicenow.md §1.6) and names none of them: what the platform
  // itself computes is the lab's choice.
  {
    table: 'sn_vulc_result',
    columns: ['risk_score', 'risk_rating', 'source_risk_score', 'active'],
    effect: 'skip',
    on: ALWAYS,
    because: 'lab, after servicenow.md §1.6',
  },
  { table: 'sn_vulc_test', columns: ['risk_score'], effect: 'skip', on: ALWAYS, because: 'lab, after servicenow.md §1.6' },
  {
    table: 'sn_sec_cmn_src_ci',
    columns: ['state', 'matching_type', 'ci_lookup_rule'],
    effect: 'skip',
    on: ALWAYS,
    because: 'lab, after servicenow.md §1.6',
  },
  {
    table: 'sn_vul_container_image_vulnerable_item',
    columns: ['risk_score', 'risk_rating', 'last_opened_dt_tm', 'resolution_dt_tm'],
    effect: 'skip',
    on: ALWAYS,
    because: 'lab, after servicenow.md §1.6; the form shows them read only (dictionary/sn_vul_container_image_vulnerable_item.json)',
  },
];

/** The role that opens a guarded script column (servicenow.md §11). */
export const SCRIPT_WRITER_ROLE = 'snc_required_script_writer_permission';
