import type { CheckFinding } from '../workflows/contract.ts';
import { isSyncError } from '../src/errors.ts';
import { lookupRulesOf, shippedRules, type LookupRules } from '../src/inventory/lookup-rules.ts';
import { query, valueOf, type InstanceDictionary, type Query, type Row, type ServiceNowClient } from '../src/servicenow/index.ts';

/** What the instance says about finding and making CIs, read once per run and process. */
export interface CiRules {
  readonly lookup: LookupRules;
  /** Whether the lookup rules are the instance's own: where none is readable, those that ship are assumed. */
  readonly fromInstance: boolean;
  /** Domain of the integration user; '' where it is not readable or the instance has none. */
  readonly ownDomain: string;
}

const ruleTable = 'sn_sec_cmn_ci_lookup_rule';
const ruleFields = ['name', 'order', 'method', 'condition', 'source_field', 'target_table', 'target_field'];

/** Tables that the rules are read from: their columns have to be known first. */
export const ciRuleTables: readonly string[] = [ruleTable];

/** @param client knows the columns of {@link ciRuleTables}, as far as the instance shows them */
export async function readCiRules(
  client: ServiceNowClient,
  dictionary: InstanceDictionary,
  integrationNames: readonly string[],
): Promise<CiRules> {
  const rows = await readRules(client, dictionary, integrationNames);
  return {
    lookup: rows.length === 0 ? shippedRules : lookupRulesOf(rows.map(ruleRow)),
    fromInstance: rows.length > 0,
    ownDomain: await readOwnDomain(client),
  };
}

/** Rules that the platform goes by and this engine cannot: resources that only they match get another CI, and somebody must know. */
export function lookupRuleFindings({ lookup }: CiRules): CheckFinding[] {
  return lookup.notEvaluated.map(({ name, because }) => ({
    check: 'servicenow.ci-lookup-rules',
    verdict: 'warning',
    evidence: `The CI lookup rule "${name}" is passed over: ${because}. The rules behind it are used as if it found nothing.`,
    remedy:
      'Express the rule by Field matching (Security Operations › CI Lookup Rules) with a condition on resource_id, resource_name, cloud_account, cloud_region, cloud_resource_type or cloud_service_provider; or make the CIs that it finds known to a discovered item.',
  }));
}

async function readRules(client: ServiceNowClient, dictionary: InstanceDictionary, integrationNames: readonly string[]): Promise<Row[]> {
  if (!hasColumns(dictionary, ruleTable, [...ruleFields, 'active', 'source'])) return [];
  const asked = query().equals('active', 'true').in('source.name', integrationNames);
  return readable(client, ruleTable, asked, [...ruleFields, 'active', 'source.name']);
}

function ruleRow(row: Row): Parameters<typeof lookupRulesOf>[0][number] {
  return {
    name: valueOf(row, 'name'),
    order: valueOf(row, 'order'),
    method: valueOf(row, 'method'),
    condition: valueOf(row, 'condition'),
    sourceField: valueOf(row, 'source_field'),
    targetTable: valueOf(row, 'target_table'),
    targetField: valueOf(row, 'target_field'),
  };
}

async function readOwnDomain(client: ServiceNowClient): Promise<string> {
  const [user] = await readable(client, 'sys_user', query().isCurrentUser('sys_id'), ['sys_domain']);
  return user === undefined ? '' : valueOf(user, 'sys_domain');
}

function hasColumns(dictionary: InstanceDictionary, table: string, columns: readonly string[]): boolean {
  const found = dictionary.tables[table];
  return found?.state === 'present' && columns.every((column) => Object.hasOwn(found.columns, column));
}

/** What may not be read, or not be asked for, is as good as absent here: every use has an answer for that. */
async function readable(client: ServiceNowClient, table: string, asked: Query, fields: readonly string[]): Promise<Row[]> {
  const rows: Row[] = [];
  try {
    for await (const row of client.table.listAll(table, { query: asked, fields })) rows.push(row);
  } catch (error) {
    if (!isSyncError(error, 'forbidden', 'not-found', 'misconfigured', 'malformed-answer')) throw error;
    return [];
  }
  return rows;
}
