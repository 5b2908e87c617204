import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

const TESTS = '/api/now/table/sn_vulc_test';

async function createTest(values: Record<string, unknown>): Promise<string> {
  const answer = await started.post(TESTS, values);
  expect(answer.status).toBe(201);
  return answer.json.result.sys_id as string;
}

describe('Table API: one record', () => {
  it('servicenow.md §5.2: POST answers 201 with Location and the whole record; unknown names and sys_ fields are ignored', async () => {
    const answer = await started.post(TESTS, { short_description: 'MFA', nope: 'x', sys_created_by: 'mallory', sys_mod_count: '9' });
    expect(answer.status).toBe(201);
    const { result } = answer.json;
    expect(result).toMatchObject({ short_description: 'MFA', sys_created_by: 'defender.sync', sys_mod_count: '0', risk_score: '' });
    expect(result).not.toHaveProperty('nope');
    expect(result.sys_id).toMatch(/^[0-9a-f]{32}$/);
    expect(answer.headers['location']).toBe(`${started.lab.url}/api/now/table/sn_vulc_test/${String(result.sys_id)}`);
  });

  it('servicenow.md §5.2: dictionary mandatory is not enforced, an empty record is created', async () => {
    await expect(started.post(TESTS, {})).resolves.toMatchObject({ status: 201 });
  });

  it('table-api/patch_incident_200.json: PATCH answers 200 with the whole record and bumps the version', async () => {
    const sysId = await createTest({ short_description: 'before', source: 'kept' });
    started.clock.advance(60_000);
    const answer = await started.patch(`${TESTS}/${sysId}`, { short_description: 'after' });
    expect(answer).toMatchObject({ status: 200, json: { result: { short_description: 'after', source: 'kept', sys_mod_count: '1' } } });
    expect(answer.json.result.sys_updated_on > answer.json.result.sys_created_on).toBe(true);
    const again = await started.patch(`${TESTS}/${sysId}`, { short_description: 'after' });
    expect(again.json.result.sys_mod_count).toBe('1');
  });

  it('PUT writes what is sent and leaves the rest alone', async () => {
    const sysId = await createTest({ short_description: 'one', source: 'two' });
    const answer = await started.call(`${TESTS}/${sysId}`, { method: 'PUT', body: { source: 'three' } });
    expect(answer.json.result).toMatchObject({ short_description: 'one', source: 'three' });
  });

  it('table-api/delete_204_no_body.json: DELETE answers 204 without a body', async () => {
    const sysId = await createTest({ short_description: 'gone' });
    await expect(started.call(`${TESTS}/${sysId}`, { method: 'DELETE', as: 'admin' })).resolves.toMatchObject({ status: 204, text: '' });
    await expect(started.get(`${TESTS}/${sysId}`)).resolves.toMatchObject({ status: 404 });
  });

  it('errors/404_no_record_found.json', async () => {
    const expected = {
      status: 404,
      json: {
        error: { message: 'No Record found', detail: "Record doesn't exist or ACL restricts the record retrieval" },
        status: 'failure',
      },
    };
    await expect(started.get(`${TESTS}/${'0'.repeat(32)}`)).resolves.toMatchObject(expected);
    await expect(started.patch(`${TESTS}/${'0'.repeat(32)}`, {})).resolves.toMatchObject(expected);
  });

  it('text longer than its column is cut; a date that is not YYYY-MM-DD HH:mm:ss and a word in a number are stored empty', async () => {
    const answer = await started.post(TESTS, {
      source_id: 'x'.repeat(600),
      source_created: '2026-01-01T00:00:00Z',
      source_updated: '2026-01-01 00:00:00',
      risk_score: 'high',
    });
    expect(answer.json.result.source_id).toHaveLength(512);
    expect(answer.json.result).toMatchObject({ source_created: '', source_updated: '2026-01-01 00:00:00', risk_score: '' });
  });

  it('no uniqueness is enforced where the platform enforces none', async () => {
    await createTest({ source_id: 'twice', source: 's' });
    await createTest({ source_id: 'twice', source: 's' });
    const list = await started.get(`${TESTS}?sysparm_query=source_id=twice&sysparm_fields=sys_id`);
    expect(list.json.result).toHaveLength(2);
  });

  it('servicenow.md §3: the unique index of discovered container images includes the integration instance', async () => {
    const images = '/api/now/table/sn_vul_container_image';
    const image = { registry: 'r', repository: 'p', image_digest: 'sha256:1', integration_instance: 'a'.repeat(32) };
    await expect(started.post(images, image)).resolves.toMatchObject({ status: 201 });
    await expect(started.post(images, { ...image, integration_instance: 'b'.repeat(32) })).resolves.toMatchObject({ status: 201 });
    await expect(started.post(images, image)).resolves.toMatchObject({ status: 403, json: { error: { message: 'Operation Failed' } } });
  });

  it('X-no-response-body leaves the body out', async () => {
    const answer = await started.post(TESTS, { short_description: 'quiet' }, { headers: { 'x-no-response-body': 'true' } });
    expect(answer).toMatchObject({ status: 201, text: '' });
    expect(answer.headers['location']).toContain('/sn_vulc_test/');
  });
});

describe('Table API: lists', () => {
  let policies: string[];

  beforeAll(async () => {
    policies = [];
    for (const name of ['a', 'b', 'c']) {
      const answer = await started.post('/api/now/table/sn_vulc_policy', { short_description: name, source: 'list' });
      policies.push(answer.json.result.sys_id);
    }
  });

  const LIST = '/api/now/v2/table/sn_vulc_policy?sysparm_query=source=list^ORDERBYshort_description&extra=1';

  it('table-api/get_list_incident_v2_full_headers.json: Link of the first page has a negative prev and echoes unknown parameters', async () => {
    const answer = await started.get(`${LIST}&sysparm_limit=1`);
    expect(answer.headers['x-total-count']).toBe('3');
    const base = `${started.lab.url}${LIST}&sysparm_limit=1`;
    expect(answer.headers['link']).toBe(
      [
        `<${base}&sysparm_offset=0>;rel="first"`,
        `<${base}&sysparm_offset=-1>;rel="prev"`,
        `<${base}&sysparm_offset=1>;rel="next"`,
        `<${base}&sysparm_offset=2>;rel="last"`,
      ].join(','),
    );
  });

  it('table-api/paging_three_pages_display_all.json: the last page has no next', async () => {
    const answer = await started.get(`${LIST}&sysparm_limit=1&sysparm_offset=2`);
    expect(answer.headers['link']).not.toContain('rel="next"');
    expect(answer.headers['link']).toContain('sysparm_offset=1>;rel="prev"');
    expect(answer.json.result).toHaveLength(1);
  });

  it('no Link where everything fits; no X-Total-Count with sysparm_no_count', async () => {
    const all = await started.get(LIST);
    expect(all.headers['link']).toBeUndefined();
    expect(all.headers['x-total-count']).toBe('3');
    const uncounted = await started.get(`${LIST}&sysparm_no_count=true`);
    expect(uncounted.headers['x-total-count']).toBeUndefined();
    const suppressed = await started.get(`${LIST}&sysparm_limit=1&sysparm_suppress_pagination_header=true`);
    expect(suppressed.headers['link']).toBeUndefined();
  });

  it('table-api/empty_list_v1_404_v2_200.json: v1 answers 404 for an empty list, v2 and the default 200 []', async () => {
    const query = 'table/sn_vulc_policy?sysparm_query=source=nobody';
    await expect(started.get(`/api/now/v1/${query}`)).resolves.toMatchObject({
      status: 404,
      json: {
        error: { message: 'No Record found', detail: 'Records matching query not found. Check query parameter or offset parameter' },
        status: 'failure',
      },
    });
    await expect(started.get(`/api/now/v2/${query}`)).resolves.toMatchObject({ status: 200, json: { result: [] } });
    await expect(started.get(`/api/now/${query}`)).resolves.toMatchObject({ status: 200, json: { result: [] } });
  });

  it('errors/400_invalid_table.json: the verdict does not depend on the account', async () => {
    const expected = { status: 400, json: { error: { message: 'Invalid table x_no_such', detail: null }, status: 'failure' } };
    for (const as of ['admin', 'defender.noroles']) {
      await expect(started.get('/api/now/table/x_no_such?sysparm_limit=1', { as })).resolves.toMatchObject(expected);
    }
  });

  it('servicenow.md §0.8: a query with a bad fragment returns every row, unless the property says otherwise', async () => {
    const all = await started.get('/api/now/table/sn_vulc_policy?sysparm_query=no_such_field=banana');
    expect(all.json.result.length).toBeGreaterThanOrEqual(3);
    const { rows } = await started.admin('GET', '/servicenow/rows/sys_properties');
    const property = rows.find((row) => row['name'] === 'glide.invalid_query.returns_no_rows');
    await started.admin('PATCH', `/servicenow/rows/sys_properties/${String(property?.['sys_id'])}`, { value: 'true' });
    const none = await started.get('/api/now/table/sn_vulc_policy?sysparm_query=no_such_field=banana');
    expect(none.json.result).toEqual([]);
    await started.admin('PATCH', `/servicenow/rows/sys_properties/${String(property?.['sys_id'])}`, { value: 'false' });
  });

  it('errors/414_url_too_long.json: a URL above 8192 bytes is 414, one below is answered', async () => {
    const prefix = `/api/now/table/sn_vulc_policy?sysparm_query=sys_idIN`;
    const room = 8192 - started.lab.url.length - prefix.length;
    await expect(started.get(prefix + 'a'.repeat(room))).resolves.toMatchObject({ status: 200 });
    await expect(started.get(prefix + 'a'.repeat(room + 1))).resolves.toMatchObject({ status: 414 });
  });
});

describe('Table API: shapes of values', () => {
  let link: string;
  let policy: string;
  let test: string;

  beforeAll(async () => {
    policy = (await started.post('/api/now/table/sn_vulc_policy', { short_description: 'Baseline' })).json.result.sys_id;
    test = await createTest({ short_description: 'Disk encryption', source_created: '2026-07-01 12:00:00', criticality: '2' });
    const answer = await started.post('/api/now/table/sn_vulc_policy_test', { policy, test });
    link = `/api/now/table/sn_vulc_policy_test/${String(answer.json.result.sys_id)}`;
  });

  it('servicenow.md §5.2: a reference is {link, value}, an empty one is ""; links repeat the version of the called URL', async () => {
    const { result } = (await started.get(`${link}?sysparm_fields=policy`)).json;
    expect(result).toEqual({ policy: { link: `${started.lab.url}/api/now/table/sn_vulc_policy/${policy}`, value: policy } });
    const v2 = await started.get(link.replace('/now/', '/now/v2/'));
    expect(v2.json.result.policy.link).toContain('/api/now/v2/table/');
    const bare = await started.post('/api/now/table/sn_vulc_policy_test', {});
    expect(bare.json.result.policy).toBe('');
  });

  it('INDEX "settles": display_value=true, all and exclude_reference_link', async () => {
    const ask = async (parameters: string): Promise<unknown> =>
      (await started.get(`${link}?sysparm_fields=policy&${parameters}`)).json.result.policy;
    const url = `${started.lab.url}/api/now/table/sn_vulc_policy/${policy}`;
    await expect(ask('sysparm_display_value=true')).resolves.toEqual({ display_value: 'Baseline', link: url });
    await expect(ask('sysparm_display_value=all')).resolves.toEqual({ display_value: 'Baseline', link: url, value: policy });
    await expect(ask('sysparm_exclude_reference_link=true')).resolves.toBe(policy);
    await expect(ask('sysparm_exclude_reference_link=true&sysparm_display_value=true')).resolves.toBe('Baseline');
    await expect(ask('sysparm_exclude_reference_link=true&sysparm_display_value=all')).resolves.toEqual({
      display_value: 'Baseline',
      value: policy,
    });
  });

  it('INDEX "settles": choices show their label or null, dates their local time', async () => {
    const fields = 'sysparm_fields=criticality,source_created&sysparm_display_value=all';
    const { result } = (await started.get(`${TESTS}/${test}?${fields}`)).json;
    expect(result.criticality).toEqual({ display_value: 'High', value: '2' });
    expect(result.source_created).toEqual({ display_value: '2026-07-01 05:00:00', value: '2026-07-01 12:00:00' });
    const empty = await createTest({});
    const unset = (await started.get(`${TESTS}/${empty}?${fields}`)).json.result;
    expect(unset.criticality).toEqual({ display_value: null, value: '' });
  });

  it('table-api/dotwalk_and_display_all.json: dot-walked fields keep their dotted name, unknown ones are left out', async () => {
    const answer = await started.get(`${link}?sysparm_fields=test.short_description,policy.nope,nope`);
    expect(answer.json.result).toEqual({ 'test.short_description': 'Disk encryption' });
    const query = 'sysparm_query=test.short_description=Disk%20encryption&sysparm_fields=policy.short_description';
    const list = await started.get(`/api/now/table/sn_vulc_policy_test?${query}`);
    expect(list.json.result).toEqual([{ 'policy.short_description': 'Baseline' }]);
  });

  it('schema/reference_by_name_links_sys_number.json: some references are keyed by name', async () => {
    const query = 'sysparm_query=name=sn_vulc_policy_test^element=policy&sysparm_fields=internal_type,reference';
    const answer = await started.get(`/api/now/table/sys_dictionary?${query}`);
    expect(answer.json.result).toEqual([
      {
        internal_type: { link: `${started.lab.url}/api/now/table/sys_glide_object?name=reference`, value: 'reference' },
        reference: { link: `${started.lab.url}/api/now/table/sys_db_object?name=sn_vulc_policy`, value: 'sn_vulc_policy' },
      },
    ]);
  });
});

describe('Table API: requests it refuses', () => {
  it('servicenow.md §5.2: a missing Accept or Content-Type is 400, another type 406 or 415', async () => {
    await expect(started.get(TESTS, { headers: { accept: '' } })).resolves.toMatchObject({ status: 400 });
    await expect(started.get(TESTS, { headers: { accept: 'text/html' } })).resolves.toMatchObject({ status: 406 });
    await expect(started.call(TESTS, { method: 'POST', body: '{}' })).resolves.toMatchObject({ status: 400 });
    const text = { method: 'POST', body: '{}', headers: { 'content-type': 'text/plain' } };
    await expect(started.call(TESTS, text)).resolves.toMatchObject({ status: 415 });
  });

  it('errors/400_unparsable_body.json and errors/payload_too_large.json', async () => {
    const headers = { 'content-type': 'application/json' };
    await expect(started.call(TESTS, { method: 'POST', body: '{"a":', headers })).resolves.toMatchObject({
      status: 400,
      json: {
        error: {
          message: 'Exception while reading request',
          detail: 'Verify Request body and Content-type headers. Not able to parse request',
        },
        status: 'failure',
      },
    });
    const large = await started.call(TESTS, { method: 'POST', body: JSON.stringify({ description: 'x'.repeat(11_000_000) }), headers });
    expect(large.json.error.detail).toMatch(
      /^Rejected large REST payload with content-length = \d+ bytes\. Max allowed: 10485760 bytes\.$/,
    );
  });

  it('errors/404_uri_does_not_represent_any_resource.json, and 405 for a method that does not exist', async () => {
    await expect(started.get('/api/now/nothing/here')).resolves.toMatchObject({
      status: 404,
      json: { error: { message: 'Requested URI does not represent any resource', detail: null }, status: 'failure' },
    });
    await expect(started.call(TESTS, { method: 'DELETE' })).resolves.toMatchObject({ status: 405 });
  });
});
