import { add, ask, bearer, clientOf, register, rowOf, token } from '../admin-helper.ts';
import { differences } from './compare.ts';
import type { Exchange, Payload } from './payloads.ts';
import { Presupposed } from './presuppose.ts';
import { replayAll, replayBare, replayTables, send, withLab, type Driver } from './send.ts';

const INCIDENT = '/api/now/table/incident';
const ID = '1c741bd70b2322007518478d83673af3';

/** An incident table as far as the error examples speak of it. */
function incidents(): Presupposed {
  const world = new Presupposed();
  for (const name of ['state', 'close_notes', 'short_description']) world.column('incident', { name, type: 'string' });
  world.column('incident', { name: 'close_code', type: 'string', label: 'Resolution code' });
  world.choices.push({ table: 'incident', column: 'close_code', value: 'Solution provided', label: 'Solution provided' });
  world.row('incident', ID).values['state'] = '1';
  return world;
}

function first({ exchanges }: Payload): Exchange {
  return exchanges[0]!;
}

/** The refusals of a write by a missing role; the second is reported for a table that no integration may write. */
const aclOfWrites: Driver = ({ exchanges }) => {
  const world = incidents();
  world.table('sc_request');
  world.extra['rules'] = ['incident', 'sc_request'].map((table) => ({
    table,
    read: ['*'],
    create: [],
    write: [],
    delete: [],
    unreadable: 'empty',
  }));
  return withLab(world, async (started) => {
    const update = await started.patch(`${INCIDENT}/${ID}`, { state: '2' });
    const insert = await started.post('/api/now/table/sc_request', { short_description: 'x' });
    return [update, insert].flatMap((answer, at) => differences(exchanges[at]!.response, answer));
  });
};

/** The endpoint of the example belongs to another product; the role inheritance API has an endpoint ACL of the same kind. */
const apiLevelAcl: Driver = (payload) =>
  withLab(new Presupposed(), async (started) => {
    return differences(first(payload).response, await started.get('/api/global/user_role_inheritance'));
  });

const businessRuleAbort: Driver = (payload) => {
  const scope = { kind: 'business-rule', table: 'sys_update_xml', condition: '', on: ['insert', 'update'] };
  const rule = { ...scope, name: 'Handle updates moving between sets', sysId: ID };
  const world = new Presupposed();
  world.column('sys_update_xml', { name: 'payload', type: 'string' });
  world.row('sys_update_xml', ID);
  world.extra['policies'] = [rule];
  return withLab(world, async (started) => {
    const answer = await started.patch(`/api/now/table/sys_update_xml/${ID}`, { payload: 'x' }, { as: 'admin' });
    return differences(first(payload).response, answer);
  });
};

const dataPolicy: Driver = (payload) => {
  const world = incidents();
  world.extra['policies'] = [{ kind: 'data-policy', table: 'incident', condition: 'state=6', mandatory: ['close_code'] }];
  return withLab(world, async (started) => {
    const { request, response } = first(payload);
    return differences(response, await started.patch(`${INCIDENT}/${ID}`, request?.body, { as: 'admin' }));
  });
};

/** The first trigger in the file's list: sys_choice name, for every account but an administrator's. */
const unreadableField: Driver = (payload) =>
  withLab(new Presupposed(), async (started) => {
    const answer = await started.get('/api/now/table/sys_choice?sysparm_query=name=incident', { as: 'defender.noroles' });
    return differences(first(payload).response, answer);
  });

/** A client that is confined to its scopes and holds none. */
const unscopedClient: Driver = (payload) =>
  withLab(incidents(), async (started) => {
    const { sys_id: user = '' } = await rowOf(started, 'sys_user', 'user_name', 'defender.sync');
    const { client } = await register(started, { name: 'unscoped', user, scope_restriction: 'securely_scoped' });
    const answer = await token(started, { grant_type: 'client_credentials', ...client });
    return differences(first(payload).response, await started.post('/api/now/identifyreconcile', { items: [] }, bearer(answer)));
  });

const noRecord: Driver = (payload) =>
  withLab(incidents(), async (started) => {
    return differences(first(payload).response, await started.get(`${INCIDENT}/${'0'.repeat(32)}`, { as: 'admin' }));
  });

const unknownPath: Driver = (payload) =>
  withLab(new Presupposed(), async (started) => {
    return differences(first(payload).response, await started.post('/api/now/no_such_api', {}, { as: 'admin' }));
  });

/** Measured by the number of ids in a query; what counts is the length of the URL. */
const urlTooLong: Driver = ({ raw }) => {
  const world = new Presupposed();
  world.table('metric_instance');
  return withLab(world, async (started) => {
    const found: string[] = [];
    for (const { url_bytes: bytes, status } of raw.measurements as { url_bytes: number; status: number }[]) {
      const path = '/api/now/table/metric_instance?sysparm_query=idIN';
      const answer = await started.get(path + 'a'.repeat(bytes - started.lab.url.length - path.length), { as: 'admin' });
      if (answer.status !== status) found.push(`${String(bytes)} bytes: ${String(answer.status)} instead of ${String(status)}`);
    }
    return found;
  });
};

const unparsableBody: Driver = (payload) =>
  withLab(incidents(), async (started) => {
    const options = { method: 'POST', body: '{"short_description":"a\nb"}', headers: { 'content-type': 'application/json' }, as: 'admin' };
    return differences(first(payload).response, await started.call(INCIDENT, options));
  });

const tooLarge: Driver = (payload) =>
  withLab(incidents(), async (started) => {
    const answer = await started.post(INCIDENT, { short_description: 'x'.repeat(15_105_102) }, { as: 'admin' });
    return differences({ ...first(payload).response, headers: {} }, answer);
  });

/** The printed rule, reached: its 101st request within the hour. */
const rateLimit: Driver = (payload) =>
  withLab(incidents(), async (started) => {
    await ask(started, 'POST', '/rate-limits', { flushMs: 0 });
    await add(started, 'sys_rate_limit_rules', { name: 'Table API', rest_api: 'Table API', request_limit: '100' });
    const { request, response } = first(payload);
    for (let count = 0; count < 100; count += 1) {
      const within = await send(started, request!);
      if (within.status !== 200) return [`request ${String(count + 1)} is answered ${String(within.status)}`];
    }
    const refused = await send(started, request!);
    const { detail } = (response.body as { error: { detail: string } }).error;
    return [...differences(response, refused), ...(refused.json.error.detail === detail ? [] : ['another detail'])];
  });

const cmdbInstance: Driver = (payload) =>
  withLab(new Presupposed(), async (started) => {
    const relations = { outbound_relations: { type: '60bc4e22c0a8010e01f074cbe6bd73c3' } };
    const body = { attributes: { name: 'test' }, source: 'ServiceNow', depends_on: relations };
    const answer = await started.post('/api/now/cmdb/instance/cmdb_ci_linux_server', body, { as: 'admin' });
    return differences(first(payload).response, answer);
  });

/** The three ways in which a cancelled transaction was seen: broken while streaming, 500, 500 with the insert committed. */
const cancelledTransaction: Driver = ({ exchanges }) =>
  withLab(incidents(), async (started) => {
    const found: string[] = [];
    started.lab.faults.add({ match: { method: 'GET' }, action: { cancelTransaction: 'while-streaming' }, times: 1 });
    const streamed = await started.get(INCIDENT, { as: 'admin' });
    const tail = /"error":\s*\{.*\},\s*"status":\s*"failure"\s*\}\s*$/s;
    const printed = exchanges[0]?.response.bodyText ?? '';
    if (streamed.status !== 200 || streamed.json !== undefined) found.push('the answer is not a broken 200');
    if (!tail.test(printed) || !tail.test(streamed.text)) found.push('no error object stands behind the cut');
    started.lab.faults.add({ match: {}, action: { cancelTransaction: 'before-answer' }, times: 2 });
    found.push(...differences(exchanges[1]!.response, await started.get(INCIDENT, { as: 'admin' })));
    found.push(...differences(exchanges[2]!.response, await started.post(INCIDENT, { short_description: 'committed' }, { as: 'admin' })));
    if (started.lab.store.equal('incident', 'short_description', ['committed']).length !== 1) found.push('the insert was not committed');
    return found;
  });

/** Every path of a sleeping instance answers one page, which is longer in reality: its markers are compared. */
const hibernating: Driver = (payload) =>
  withLab(incidents(), async (started) => {
    await ask(started, 'POST', '/availability', { mode: 'hibernating' });
    const answers = [
      await started.get('/api/now/table/sys_user?sysparm_limit=1', { as: 'admin' }),
      await token(started, { grant_type: 'client_credentials', ...clientOf(started, 'defender.sync') }),
    ];
    const markers = [...(first(payload).response.bodyText ?? '').matchAll(/<title>[^<]+|class="[^"]+"|<h1>[^<]+/g)].map(
      ([marker]) => marker,
    );
    const missing = answers.flatMap(({ text }) => markers.filter((marker) => !text.includes(marker)));
    return [...answers.flatMap((answer) => differences(first(payload).response, answer)), ...missing.map((marker) => `no ${marker}`)];
  });

const notAuthenticated: Driver = (payload) => withLab(incidents(), (started) => replayAll(started, payload.exchanges, null));

export const errorDrivers: Record<string, Driver> = {
  'errors/200_hibernating_instance_html.http': hibernating,
  'errors/400_invalid_table.json': replayBare,
  'errors/400_unparsable_body.json': unparsableBody,
  'errors/401_not_authenticated.http': notAuthenticated,
  'errors/403_acl_insert_and_update.json': aclOfWrites,
  'errors/403_api_level_acl.json': apiLevelAcl,
  'errors/403_business_rule_abort.json': businessRuleAbort,
  'errors/403_data_policy_mandatory.json': dataPolicy,
  'errors/403_field_not_readable_in_query.json': unreadableField,
  'errors/403_unscoped_api_oauth_client.json': unscopedClient,
  'errors/404_no_record_found.json': noRecord,
  'errors/404_uri_does_not_represent_any_resource.json': unknownPath,
  'errors/414_url_too_long.json': urlTooLong,
  'errors/429_rate_limit_rule.json': rateLimit,
  'errors/500_cmdb_instance_exception_null.json': cmdbInstance,
  'errors/payload_too_large.json': tooLarge,
  'errors/transaction_cancelled_500_or_partial_200.json': cancelledTransaction,
  'table-api/empty_list_v1_404_v2_200.json': (payload) => {
    const world = incidents();
    return withLab(world, (started) => replayAll(started, payload.exchanges));
  },
  'table-api/delete_204_no_body.json': replayTables,
};
