import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setProperty, startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

const TESTS = '/api/now/table/sn_vulc_test';
const RULE_ID = '0e5b9945c0a8000900893e69d3c5885e';

function forbidden(detail: string): object {
  return { status: 403, json: { error: { message: 'Operation Failed', detail }, status: 'failure' } };
}

describe('sysparm_input_display_value (servicenow.md §5.2)', () => {
  it('true: labels, names and local times become what is stored', async () => {
    await started.post('/api/now/table/sn_vulc_policy', { short_description: 'CIS Baseline' });
    const test = { criticality: 'high', source_created: '2026-07-01 05:00:00' };
    const created = await started.post(`${TESTS}?sysparm_input_display_value=true`, test);
    expect(created.json.result).toMatchObject({ criticality: '2', source_created: '2026-07-01 12:00:00' });
    const link = await started.post('/api/now/table/sn_vulc_policy_test?sysparm_input_display_value=true&sysparm_display_value=true', {
      policy: 'cis baseline',
      test: 'nobody knows',
    });
    expect(link.json.result.policy).toMatchObject({ display_value: 'CIS Baseline' });
    expect(link.json.result.test).toBe('');
  });

  it('false, the default: values are stored as they come', async () => {
    const created = await started.post(TESTS, { source_created: '2026-07-01 05:00:00' });
    expect(created.json.result.source_created).toBe('2026-07-01 05:00:00');
  });

  it.each([
    ['2026-01-15 04:00:00', '2026-01-15 12:00:00'],
    ['2026-03-08 03:30:00', '2026-03-08 10:30:00'],
    ['2026-11-01 00:30:00', '2026-11-01 07:30:00'],
    ['2026-11-01 03:30:00', '2026-11-01 11:30:00'],
  ])('local %s around a clock change is %s in UTC', async (local, utc) => {
    const created = await started.post(`${TESTS}?sysparm_input_display_value=true`, { source_created: local });
    expect(created.json.result.source_created).toBe(utc);
    const read = await started.get(`${TESTS}/${String(created.json.result.sys_id)}?sysparm_display_value=true`);
    expect(read.json.result.source_created).toBe(local);
  });
});

describe('bodies', () => {
  it("table-api/post_incident_201.json, patch_incident_200.json: single quotes are read, in a batch item too; other mistakes aren't", async () => {
    const headers = { 'content-type': 'application/json' };
    const body = `{ short_description : 'it\\'s "quoted"','source':"a 'b'"}`;
    const created = await started.call(TESTS, { method: 'POST', body, headers });
    expect(created).toMatchObject({ status: 201, json: { result: { short_description: `it's "quoted"`, source: "a 'b'" } } });
    for (const broken of ["{'a':}", "'a", '{"a":1,}', '{a=1}', 'a:1']) {
      await expect(started.call(TESTS, { method: 'POST', body: broken, headers })).resolves.toMatchObject({ status: 400 });
    }
    await expect(started.post(TESTS, [1])).resolves.toMatchObject({ status: 400 });
  });

  it('errors/payload_too_large.json: glide.rest.max_content_length sets the limit, 25 MB at most', async () => {
    await setProperty(started, 'glide.rest.max_content_length', '1');
    const large = await started.post(TESTS, { description: 'x'.repeat(1024 * 1024) });
    expect(large).toMatchObject({ status: 400, json: { error: { message: 'Exception while reading request' } } });
    expect(large.json.error.detail).toContain('Max allowed: 1048576 bytes.');
    await setProperty(started, 'glide.rest.max_content_length', '10');
  });

  it('an answer in XML where XML alone is accepted, errors too', async () => {
    const created = await started.post(TESTS, { short_description: 'a < b & c' });
    const path = `${TESTS}/${String(created.json.result.sys_id)}?sysparm_fields=short_description,source`;
    const headers = { accept: 'application/xml' };
    const one = await started.get(path, { headers });
    expect(one.text).toBe(
      '<?xml version="1.0" encoding="UTF-8"?><response><result><short_description>a &lt; b &amp; c</short_description><source/></result></response>',
    );
    const missing = await started.get(`${TESTS}/${'0'.repeat(32)}`, { headers });
    expect(missing.status).toBe(404);
    expect(missing.text).toContain('<message>No Record found</message>');
    const both = await started.get(path, { headers: { accept: 'application/xml, application/json' } });
    expect(both.json.result.short_description).toBe('a < b & c');
  });

  it('X-no-response-body: 201 or 200 without a body', async () => {
    const headers = { 'x-no-response-body': 'true' };
    const created = await started.post(TESTS, { source: 'quiet' }, { headers });
    expect(created).toMatchObject({ status: 201, text: '' });
    const path = new URL(String(created.headers['location'])).pathname;
    await expect(started.patch(path, { source: 'quieter' }, { headers })).resolves.toMatchObject({ status: 200, text: '' });
    await expect(started.get(path)).resolves.toMatchObject({ json: { result: { source: 'quieter' } } });
  });

  it('Location repeats the version of the called URL', async () => {
    const created = await started.post('/api/now/v2/table/sn_vulc_test', {});
    expect(created.headers['location']).toContain('/api/now/v2/table/sn_vulc_test/');
  });
});

describe('records that are refused whole', () => {
  it('errors/403_business_rule_abort.json: rule name ^ sys_id, then the stack; nothing is written', async () => {
    const scope = { kind: 'business-rule', table: 'sn_vulc_test', condition: 'source=aborted' };
    const rule = { ...scope, name: 'Guard', sysId: RULE_ID, stack: ['Inner rule'] };
    await started.admin('POST', '/servicenow/policies', rule);
    const refusal = forbidden(
      `Operation against file 'sn_vulc_test' was aborted by Business Rule 'Guard^${RULE_ID}'. Business Rule Stack:Guard,Inner rule`,
    );
    const before = started.lab.store.count('sn_vulc_test');
    await expect(started.post(TESTS, { source: 'aborted' })).resolves.toMatchObject(refusal);
    expect(started.lab.store.count('sn_vulc_test')).toBe(before);
    const created = await started.post(TESTS, { source: 'fine' });
    const path = `${TESTS}/${String(created.json.result.sys_id)}`;
    await expect(started.patch(path, { source: 'aborted' })).resolves.toMatchObject(refusal);
    await expect(started.get(path)).resolves.toMatchObject({ json: { result: { source: 'fine', sys_mod_count: '0' } } });
  });

  it('errors/403_data_policy_mandatory.json: labels, not column names; a choice outside the list counts as missing', async () => {
    const scope = { kind: 'data-policy', table: 'sn_vulc_test', condition: 'source=policed' };
    const policy = { ...scope, mandatory: ['criticality', 'remediation'] };
    await started.admin('POST', '/servicenow/policies', policy);
    const missing = (labels: string): object => forbidden(`Data Policy Exception: The following fields are mandatory: ${labels}`);
    const labelOf = (column: string): string => started.lab.store.schema.get('sn_vulc_test')!.columns.get(column)!.label;
    await expect(started.post(TESTS, { source: 'policed' })).resolves.toMatchObject(
      missing(`${labelOf('criticality')}, ${labelOf('remediation')}`),
    );
    const body = { source: 'policed', criticality: '99', remediation: 'patch' };
    await expect(started.post(TESTS, body)).resolves.toMatchObject(missing(labelOf('criticality')));
    const created = await started.post(TESTS, { ...body, criticality: '2' });
    expect(created.status).toBe(201);
    const path = `${TESTS}/${String(created.json.result.sys_id)}`;
    await expect(started.patch(path, { remediation: '' })).resolves.toMatchObject(missing(labelOf('remediation')));
    await expect(started.patch(path, { short_description: 'other' })).resolves.toMatchObject({ status: 200 });
  });
});

describe('field ACLs skip a field without a word (servicenow.md §5.2)', () => {
  it('the answer is 200 and shows that the field was not written', async () => {
    const created = await started.post(TESTS, { remediation: 'first' });
    const path = `${TESTS}/${String(created.json.result.sys_id)}`;
    await started.admin('POST', '/servicenow/access', { table: 'sn_vulc_test', operation: 'write', column: 'remediation', roles: [] });
    const skipped = await started.patch(path, { remediation: 'second', description: 'written' });
    expect(skipped).toMatchObject({ status: 200, json: { result: { remediation: 'first', description: 'written' } } });
    const admin = await started.patch(path, { remediation: 'second' }, { as: 'admin' });
    expect(admin.json.result.remediation).toBe('second');
    await started.admin('POST', '/servicenow/access', { table: 'sn_vulc_test', operation: 'write', column: 'remediation', roles: ['*'] });
  });

  it('servicenow.md §11: script fields need snc_required_script_writer_permission; who has it may write them', async () => {
    const path = '/api/now/table/sn_vul_integration';
    await expect(started.post(path, { name: 'a', script: 'x()' })).resolves.toMatchObject({ json: { result: { script: '' } } });
    const { store } = started.lab;
    const user = store.equal('sys_user', 'user_name', ['defender.sync'])[0]!.sysId;
    const role = store.equal('sys_user_role', 'name', ['snc_required_script_writer_permission'])[0]!.sysId;
    await started.admin('POST', '/servicenow/rows/sys_user_has_role', { user, role, state: 'active' });
    await expect(started.post(path, { name: 'b', script: 'x()' })).resolves.toMatchObject({ json: { result: { script: 'x()' } } });
  });
});
