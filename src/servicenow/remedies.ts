/** What an administrator has to do where the instance does not take a write, with the way there in the navigation. */
import { rightTo } from './write-rights.ts';

/** What was tried. */
export interface Attempt {
  readonly table: string;
  readonly operation: 'create' | 'update';
}

/** Operation as ACLs call it. */
function aclOperation({ operation }: Attempt): string {
  return operation === 'create' ? 'create' : 'write';
}

/** The record ACL (or the field ACL of a column that was named) refuses the write. */
export function aclRemedy(attempt: Attempt): string {
  const { table } = attempt;
  const roles = rightTo(table)?.roles ?? [];
  const give =
    roles.length === 0
      ? 'Give the integration user a role that the ACL accepts'
      : `Give the integration user the role ${roles.join(' or ')} (User Administration › Users › the user › Roles › Edit)`;
  const acl = `System Security › Access Control (ACL), as security_admin: Name = ${table} (fields: ${table}.*), Operation = ${aclOperation(attempt)} shows the role that it requires`;
  return `${give}; if it has that, ${acl}.${table === 'sn_vul_nvd_entry' ? ` ${fetchCve}` : ''}`;
}

/** CVEs may come from the instance itself; the ACL of the parent table holds for its children too (servicenow.md §3). */
const fetchCve =
  'The ACL of its parent sn_vul_entry holds for it, too. Or let the instance fetch the CVE: Vulnerability Response › Administration › Integrations › NIST National Vulnerability Database Integration - API (CVE only) › Execute Now; what hangs on the CVE follows once it is there.';

/** @param rule `name^sys_id`, as the answer says it, or the name alone */
export function businessRuleRemedy(rule: string | undefined, attempt: Attempt | undefined): string {
  const [name = '(unnamed)', sysId] = (rule ?? '(unnamed)').split('^');
  const record = sysId === undefined || !/^[0-9a-f]{32}$/i.test(sysId) ? '' : `, /sys_script.do?sys_id=${sysId}`;
  const where = attempt === undefined ? '' : `, Table = ${attempt.table}`;
  return `Business rule "${name}" of the instance refuses the record: read its condition under System Definition › Business Rules (Name = ${name}${where}${record}), and change the rule or exempt the integration user.`;
}

/** @param fields what the answer names, by label */
export function dataPolicyRemedy(fields: string | undefined, attempt: Attempt | undefined): string {
  const what = fields === undefined ? 'fields' : `"${fields}"`;
  const where = attempt === undefined ? '' : ` (Table = ${attempt.table})`;
  return `A data policy makes ${what} mandatory, which the record does not have: System Policy › Data Policies${where}: exempt the integration user by a condition, or give the fields a default value.`;
}

export function duplicateRemedy(attempt: Attempt | undefined): string {
  const table = attempt?.table ?? 'the table';
  return `${table} holds a record with the same unique key that a look-up does not find: it is hidden from the integration user (another domain, a read ACL) or its key is spelled differently. Search it as an administrator (${table}.list); let the integration user read it, or merge it.`;
}

/** A column whose value is not kept, although the write was answered with success (servicenow.md §5.2, §5.3). */
export function notKeptRemedy(table: string, column: string): string {
  return `A field ACL or a business rule of the instance drops ${table}.${column}: System Security › Access Control (ACL), as security_admin: Name = ${table}.${column} and ${table}.*, Operation = create and write: add a role that the integration user has; System Definition › Business Rules: Table = ${table}, When = before. The next write tries it again.`;
}

/** A column that something changes after it was written and kept. */
export function undoneRemedy(table: string, column: string): string {
  return `Something on the instance changes ${table}.${column} after it was written: System Definition › Business Rules: Table = ${table}, When = async or after; System Definition › Scheduled Jobs; Flow Designer flows on the table. Exempt records of the integration user if the source's value is to stand.`;
}
