/**
 * What becomes of a direct write, by profile (servicenow.md §5.3, lab/servicenow/rules). The table is the documentation: one line per
 * write, its outcome under `plain` and under `strict`.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startLab, type Answer, type StartedLab } from './start.ts';

const ACL_INSERT = 'ACL Exception Insert Failed due to security constraints';
const ACL_UPDATE = 'ACL Exception Update Failed due to security constraints';
const CVIT = 'sn_vul_container_image_vulnerable_item';
const CVE = '@sn_vul_nvd_entry.id=CVE-2024-3094';

type Outcome = 'stored' | 'skipped' | 'reverted' | typeof ACL_INSERT | typeof ACL_UPDATE;
type Values = Record<string, string>;

interface Case {
  write: 'POST' | 'PATCH';
  table: string;
  /** What the record is created with before a PATCH. */
  given?: Values;
  values: Values;
  plain: Outcome;
  strict: Outcome;
  /** Default: defender.sync. */
  as?: string;
}

const cases: Case[] = [
  // Test results: `result` drives state in both; state itself is the platform's under strict.
  { write: 'POST', table: 'sn_vulc_result', values: { result: 'failed' }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: 'sn_vulc_result', given: { result: 'failed' }, values: { result: 'passed' }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: 'sn_vulc_result', values: { last_seen: '2026-11-20 08:00:00' }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: 'sn_vulc_result', values: { is_ignored: 'true' }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: 'sn_vulc_result', values: { state: '12' }, plain: 'stored', strict: ACL_UPDATE },
  { write: 'PATCH', table: 'sn_vulc_result', values: { substate: '3' }, plain: 'stored', strict: ACL_UPDATE },
  { write: 'PATCH', table: 'sn_vulc_result', values: { description: 'x', state: '3' }, plain: 'stored', strict: ACL_UPDATE },
  { write: 'POST', table: 'sn_vulc_result', values: { state: '11' }, plain: 'stored', strict: 'skipped' },
  { write: 'PATCH', table: 'sn_vulc_result', values: { state: '12' }, as: 'admin', plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: 'sn_vulc_result', values: { risk_score: '88' }, plain: 'stored', strict: 'skipped' },
  { write: 'POST', table: 'sn_vulc_result', values: { source_risk_score: 'High' }, plain: 'stored', strict: 'skipped' },
  { write: 'PATCH', table: 'sn_vulc_result', values: { active: 'false' }, plain: 'stored', strict: 'skipped' },
  {
    write: 'PATCH',
    table: 'sn_vulc_result',
    values: { ignore_expiration_dt_tm: '2027-01-01 00:00:00' },
    plain: 'stored',
    strict: 'reverted',
  },
  // The library: tests, groups, sources and citations take writes; a computed score does not.
  { write: 'POST', table: 'sn_vulc_test', values: { source_id: 'k', short_description: 's' }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: 'sn_vulc_test', values: { risk_score: '70' }, plain: 'stored', strict: 'skipped' },
  { write: 'POST', table: 'sn_vulc_policy', values: { source_id: 'p' }, plain: 'stored', strict: 'stored' },
  { write: 'POST', table: 'sn_vulc_auth_src', values: { source_id: 'a' }, plain: 'stored', strict: 'stored' },
  { write: 'POST', table: 'sn_vulc_citation', values: { section: '1.1' }, plain: 'stored', strict: 'stored' },
  // Discovered items: the platform says how it matched.
  { write: 'POST', table: 'sn_sec_cmn_src_ci', values: { source_id: '/subscriptions/1' }, plain: 'stored', strict: 'stored' },
  { write: 'POST', table: 'sn_sec_cmn_src_ci', values: { matching_type: 'created_by_ire' }, plain: 'stored', strict: 'skipped' },
  { write: 'PATCH', table: 'sn_sec_cmn_src_ci', values: { state: 'matched' }, plain: 'stored', strict: 'skipped' },
  // Vulnerability entries: never inserted under strict, the children neither; what is there may be updated.
  { write: 'POST', table: 'sn_vul_entry', values: { id: 'CVE-2026-1' }, plain: ACL_INSERT, strict: ACL_INSERT },
  { write: 'POST', table: 'sn_vul_nvd_entry', values: { id: 'CVE-2026-2' }, plain: 'stored', strict: ACL_INSERT },
  { write: 'POST', table: 'sn_vul_third_party_entry', values: { id: 'TP-1' }, plain: ACL_INSERT, strict: ACL_INSERT },
  // Container vulnerable items: an insert loses its vulnerability, a later PATCH of it sticks.
  { write: 'POST', table: CVIT, values: { vulnerability: CVE }, plain: 'stored', strict: 'skipped' },
  { write: 'PATCH', table: CVIT, values: { vulnerability: CVE }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: CVIT, values: { last_found_dt_tm: '2026-11-20 08:00:00' }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: CVIT, values: { state: '3' }, plain: 'stored', strict: ACL_UPDATE },
  { write: 'PATCH', table: CVIT, values: { resolution_dt_tm: '2026-11-20 08:00:00' }, plain: 'stored', strict: 'skipped' },
  {
    write: 'POST',
    table: CVIT,
    values: { image_repository: 'registry/app' },
    as: 'defender.readonly',
    plain: ACL_INSERT,
    strict: ACL_INSERT,
  },
  // What hangs on images takes writes.
  {
    write: 'POST',
    table: 'sn_vul_container_image',
    values: { image_name: 'app', registry: 'r.example' },
    plain: 'stored',
    strict: 'stored',
  },
  {
    write: 'POST',
    table: 'sn_vul_container_image_package',
    values: { name: 'openssl', version: '3.0.1' },
    plain: 'stored',
    strict: 'stored',
  },
  { write: 'PATCH', table: 'sn_vul_container_image_findings', values: { status: '1' }, plain: 'stored', strict: 'stored' },
  { write: 'POST', table: 'sn_vul_container_finding_m2m_vul_item', values: { finding: 'a'.repeat(32) }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: 'sn_vul_nvd_entry', values: { summary: 'text' }, plain: 'stored', strict: 'stored' },
  // Where §5.3 was observed: items, their groups and their tasks.
  { write: 'POST', table: 'sn_vul_vulnerable_item', values: { vulnerability: CVE }, plain: 'stored', strict: 'skipped' },
  { write: 'PATCH', table: 'sn_vul_vulnerable_item', values: { vulnerability: CVE }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: 'sn_vul_vulnerable_item', values: { ignore_reason: 'risk accepted' }, plain: 'stored', strict: 'reverted' },
  { write: 'PATCH', table: 'sn_vul_vulnerable_item', values: { state: '3' }, plain: 'stored', strict: ACL_UPDATE },
  { write: 'PATCH', table: 'sn_vul_vulnerability', values: { state: '3' }, plain: 'stored', strict: ACL_UPDATE },
  { write: 'PATCH', table: 'sn_vul_vulnerability', values: { short_description: 'ours' }, plain: 'stored', strict: 'stored' },
  { write: 'PATCH', table: 'sn_vul_remediation_task', values: { state: '3' }, plain: 'stored', strict: ACL_UPDATE },
  // Host tags and their links.
  { write: 'POST', table: 'sn_sec_cmn_host_tag', values: { name: 'env: prod' }, plain: 'stored', strict: 'stored' },
  { write: 'POST', table: 'sn_sec_cmn_m2m_src_ci_tag', values: { src_ci: 'a'.repeat(32) }, plain: 'stored', strict: 'stored' },
  { write: 'POST', table: 'cmdb_key_value', values: { key: 'env' }, plain: ACL_INSERT, strict: ACL_INSERT },
  // Integration records: script columns need a role of their own; without them the record is nobody's business.
  { write: 'POST', table: 'sn_vul_integration', values: { name: 'i', run_type: 'on_demand' }, plain: 'stored', strict: 'stored' },
  { write: 'POST', table: 'sn_vul_integration', values: { script: 'gs.log(1)' }, plain: 'skipped', strict: ACL_INSERT },
  { write: 'PATCH', table: 'sn_vul_integration', values: { script: 'gs.log(1)' }, plain: 'skipped', strict: ACL_UPDATE },
  { write: 'PATCH', table: 'sn_vul_integration', values: { script: 'gs.log(1)' }, as: 'admin', plain: 'stored', strict: 'stored' },
  { write: 'POST', table: 'sn_vul_integration_run', values: { state: 'complete', substate: 'success' }, plain: 'stored', strict: 'stored' },
];

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

/** `@table.column=value` stands for the sys_id of that record. */
async function resolved(values: Values): Promise<Values> {
  const entries = Object.entries(values).map(async ([name, value]) => {
    const [, table, query] = /^@([a-z_]+)\.(.+)$/.exec(value) ?? [];
    if (table === undefined || query === undefined) return [name, value];
    const answer = await started.get(`/api/now/table/${table}?sysparm_query=${query}&sysparm_fields=sys_id`, { as: 'admin' });
    return [name, answer.json.result[0].sys_id as string];
  });
  return Object.fromEntries(await Promise.all(entries)) as Values;
}

async function send({ write, table, given = {}, as }: Case, values: Values): Promise<{ before: Values; answer: Answer }> {
  const path = `/api/now/table/${table}`;
  const query = '?sysparm_exclude_reference_link=true';
  const options = as === undefined ? {} : { as };
  if (write === 'POST') return { before: {}, answer: await started.post(`${path}${query}`, values, options) };
  const { rows } = await started.admin('POST', `/servicenow/rows/${table}`, given);
  const before = rows[0] ?? {};
  return { before, answer: await started.patch(`${path}/${before['sys_id'] ?? ''}${query}`, values, options) };
}

function outcomeOf(values: Values, before: Values, answer: Answer): string {
  if (answer.status === 403) return answer.json.error.detail as string;
  expect([200, 201]).toContain(answer.status);
  const record = answer.json.result as Values;
  const differs = Object.keys(values).filter((name) => record[name] !== values[name]);
  if (differs.length === 0) return 'stored';
  // What did not take is as it was before: nothing was half done.
  for (const name of differs) expect([before[name] ?? '', '1', 'true', 'unmatched']).toContain(record[name]);
  return 'not stored';
}

const NOT_STORED = new Set<Outcome>(['skipped', 'reverted']);

describe.each(['plain', 'strict'] as const)('profile %s', (profile) => {
  beforeAll(async () => {
    await started.admin('POST', '/servicenow/profile', { profile });
  });

  it.each(cases.map((one) => [`${one.write} ${one.table} ${JSON.stringify(one.values)}`, one, one[profile]] as const))(
    '%s',
    async (_title, one, expected) => {
      const values = await resolved(one.values);
      const { before, answer } = await send(one, values);
      expect(outcomeOf(values, before, answer)).toBe(NOT_STORED.has(expected) ? 'not stored' : expected);
    },
  );
});
