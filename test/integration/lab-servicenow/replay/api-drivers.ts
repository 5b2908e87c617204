import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { importPKCS8, SignJWT } from 'jose';
import { token } from '../admin-helper.ts';
import { decodeItems, type BatchItem } from '../batch-helper.ts';
import type { Answer, StartedLab } from '../start.ts';
import { differences, shapeDifferences } from './compare.ts';
import type { Payload, RecordedResponse } from './payloads.ts';
import { Presupposed } from './presuppose.ts';
import { replayAll, replayBare, send, withLab, type Driver } from './send.ts';

const INCIDENT_ID = '1c741bd70b2322007518478d83673af3';

function incidents(): Presupposed {
  const world = new Presupposed();
  for (const name of ['short_description', 'urgency', 'comments']) world.column('incident', { name, type: 'string' });
  world.table('incident').display = 'number';
  world.table('incident').number = { prefix: 'INC' };
  world.column('incident', { name: 'number', type: 'string' });
  world.row('incident', INCIDENT_ID);
  return world;
}

/** Items 12 and 13 are cut short by the page, so their bodies are compared by status; item 11 is printed whole, in XML. */
const batch: Driver = (payload) => {
  const { request, response } = payload.exchanges[0]!;
  return withLab(incidents(), async (started) => {
    // The page breaks a base64 string over two lines.
    const body = (request?.body as string).replace(/\n\s+/g, '');
    const answer = await send(started, { ...request!, body });
    const found = differences(response, answer);
    const recorded = (response.body as { serviced_requests: BatchAnswerItem[] }).serviced_requests;
    const actual = answer.json.serviced_requests as BatchAnswerItem[];
    for (const [at, item] of recorded.entries()) {
      if (actual[at]?.status_code !== item.status_code || actual[at].status_text !== item.status_text)
        found.push(`item ${item.id}: another status`);
      const names = (list: BatchItem['headers']): string =>
        list
          .map(({ name }) => name.toLowerCase())
          .sort()
          .join();
      if (names(actual[at]?.headers ?? []) !== names(item.headers))
        found.push(`item ${item.id}: headers ${names(actual[at]?.headers ?? [])}`);
    }
    if (actual[0]?.body !== recorded[0]?.body) found.push('item 11: another body');
    if (decodeItems({ ...answer, json: { serviced_requests: actual.slice(1) } }).some(({ json }) => json === undefined))
      found.push('no JSON');
    return found;
  });
};

interface BatchAnswerItem extends BatchItem {
  status_code: number;
  status_text: string;
}

async function attach(started: StartedLab, fileName: string): Promise<Answer> {
  const query = `table_name=incident&table_sys_id=${INCIDENT_ID}&file_name=${fileName}`;
  const options = { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' }, as: 'admin' };
  return started.call(`/api/now/attachment/file?${query}`, options);
}

async function attachForm(started: StartedLab): Promise<Answer> {
  const form = new FormData();
  form.set('table_name', 'incident');
  form.set('table_sys_id', INCIDENT_ID);
  form.set('uploadFile', new Blob(['x'], { type: 'image/jpeg' }), 'banner.jpeg');
  const encoded = new Response(form);
  const headers = { 'content-type': encoded.headers.get('content-type')! };
  const body = Buffer.from(await encoded.arrayBuffer());
  return started.call('/api/now/attachment/upload', { method: 'POST', body, headers, as: 'admin' });
}

const postFile: Driver = ({ exchanges }) =>
  withLab(incidents(), async (started) => {
    const { request, response } = exchanges[0]!;
    const answer = await send(started, { ...request!, body: '{"a":1}' });
    const { result } = answer.json as { result: Record<string, string> };
    const hash = createHash('sha256').update('{"a":1}').digest('hex');
    return [...differences(response, answer), ...(result['state'] === 'pending' && result['hash'] === hash ? [] : ['state or hash'])];
  });

/** The list, once the scan is over. */
const attachmentList: Driver = ({ exchanges }) =>
  withLab(incidents(), async (started) => {
    const { response } = exchanges[0]!;
    const count = (response.body as { result: unknown[] }).result.length;
    for (let index = 0; index < count; index += 1) await attach(started, `test-${String(index)}`);
    await sleep(1200);
    const answer = await started.get(`/api/now/attachment?sysparm_query=table_sys_id=${INCIDENT_ID}`, { as: 'admin' });
    const isSettled = (row: Record<string, string>): boolean =>
      row['state'] === 'available' && row['sys_mod_count'] === '1' && row['sys_updated_by'] === 'system';
    const rows = answer.json.result as Record<string, string>[];
    return [...differences(response, answer), ...(rows.length === count && rows.every(isSettled) ? [] : ['a row is not available'])];
  });

/** The page's own examples in their order: delete, list, one, contents, rename, upload, multipart upload. */
const documentedAttachments: Driver = ({ exchanges }) =>
  withLab(incidents(), async (started) => {
    const { sys_id: sysId } = (await attach(started, 'a')).json.result as { sys_id: string };
    const path = `/api/now/attachment/${sysId}`;
    const as = 'admin';
    const answers = [
      await started.call(`/api/now/attachment/${String((await attach(started, 'b')).json.result.sys_id)}`, { method: 'DELETE', as }),
      await started.get('/api/now/attachment?sysparm_limit=1', { as }),
      await started.get(path, { as }),
      await started.get(`${path}/file`, { as, headers: { accept: '*/*' } }),
      await started.patch(path, { file_name: 'new_attachment_name' }, { as }),
      await attach(started, 'Issue_screenshot'),
      await attachForm(started),
    ];
    return answers.flatMap((answer, at) => differences(exchanges[at]!.response, answer));
  });

function importWorld(staging: string, labels: string[], transform: object, mapping: object = {}): Presupposed {
  const world = incidents();
  const columns = labels.map((label) => ({ name: label.toLowerCase(), label, type: 'string' }));
  world.extra['moreTables'] = [{ name: staging, extends: 'sys_import_set_row', columns }];
  world.extra['transforms'] = [{ staging, ...transform }];
  world.extra['insertMultiple'] = [{ staging, ...mapping }];
  return world;
}

const importUser: Driver = (payload) => {
  const labels = ['first_name', 'last_name', 'user_id', 'email'];
  const fields = { first_name: 'first_name', last_name: 'last_name', user_name: 'user_id', email: 'email', name: 'user_id' };
  const world = importWorld('imp_user', labels, { name: 'User', table: 'sys_user', fields });
  return withLab(world, async (started) => {
    const [read, post] = payload.exchanges;
    const found = await replayAll(started, [post!]);
    const row = [...started.lab.store.rows('imp_user')][0];
    return [...found, ...differences(read!.response, await started.get(`/api/now/import/imp_user/${String(row?.sysId)}`, { as: 'admin' }))];
  });
};

const importIncident: Driver = (payload) => {
  const labels = ['u_short_description', 'u_caller', 'u_description', 'u_assignment_group'];
  const transform = { name: 'Blog Incident', table: 'incident', fields: { short_description: 'u_short_description' } };
  const world = importWorld('u_blog_incident', labels, transform, { columns: 'name' });
  return withLab(world, (started) => replayAll(started, payload.exchanges));
};

const importMultiple: Driver = (payload) => {
  const transform = { name: 'Employee', table: 'sys_user', fields: { name: 'name' } };
  const world = importWorld('u_employee_import_set_table', ['Address', 'Name', 'ID'], transform);
  return withLab(world, (started) => replayAll(started, payload.exchanges));
};

/** A row that a script ignores, a good one with a remark, and one without a target; the third is printed as a broken text. */
const importStatuses: Driver = ({ exchanges }) => {
  const transform = {
    name: 'DFE Users Import TM',
    table: 'sys_user',
    fields: { name: 'u_name' },
    requires: [{ column: 'u_cc_sold_to_number', message: 'Sold To Number [u_cc_sold_to_number] not provided - record ignored' }],
    remark: { column: 'u_cc_sold_to_number', message: 'Unable to find Sold to with ID provided 1' },
  };
  const world = importWorld('u_dfe_users_import', ['u_name', 'u_cc_sold_to_number'], transform);
  world.extra['transforms']?.push({
    staging: 'x_oms',
    name: 'OMS Incident',
    table: 'incident',
    fields: { number: 'n' },
    coalesce: ['number'],
    updateOnly: true,
  });
  world.extra['moreTables']?.push({ name: 'x_oms', extends: 'sys_import_set_row', columns: [{ name: 'n' }] });
  return withLab(world, async (started) => {
    const path = '/api/now/import/u_dfe_users_import';
    const ignored = await started.post(path, { u_name: 'Test User' }, { as: 'admin' });
    const remarked = await started.post(path, { u_name: 'Test User', u_cc_sold_to_number: '1' }, { as: 'admin' });
    const missing = await started.post('/api/now/import/x_oms', { n: 'INC1' }, { as: 'admin' });
    const printed = [...(exchanges[2]?.response.bodyText ?? '').matchAll(/"(\w+)":/g)].map(([, key]) => key);
    const sent = [...missing.text.matchAll(/"(\w+)":/g)].map(([, key]) => key);
    return [
      ...differences(exchanges[0]!.response, ignored),
      ...differences(exchanges[1]!.response, remarked),
      ...(printed.join() === sent.join() ? [] : [`keys ${sent.join()} instead of ${printed.join()}`]),
    ];
  });
};

const roleInheritance: Driver = ({ exchanges }) => {
  const { request, response } = exchanges[0]!;
  const userId = /user_sysid=(\w+)/.exec(request?.url ?? '')?.[1] ?? '';
  const world = new Presupposed();
  return withLab(world, async (started) => {
    const { store } = started.lab;
    const insert = (table: string, values: Record<string, string>): string => store.insert(table, values, 'admin').sysId;
    store.insert('sys_user', { user_name: 'abel.tuter' }, 'admin', { sysId: userId });
    const roleOf = (name: string): string =>
      [...store.rows('sys_user_role')].find(({ values }) => values['name'] === name)?.sysId ?? insert('sys_user_role', { name });
    const [cloud, viewer] = ['cloud_user', 'pa_viewer'].map(roleOf);
    insert('sys_user_role_contains', { role: cloud!, contains: viewer! });
    insert('sys_user_has_role', { user: userId, role: cloud!, state: 'active', inherited: 'false' });
    const group = insert('sys_user_group', { name: 'Azure Operators' });
    insert('sys_user_grmember', { user: userId, group });
    insert('sys_group_has_role', { group, role: viewer! });
    const answer = await send(started, request!);
    const { result } = answer.json as { result: { from_group: string[]; from_role: string[] } };
    const paths = [...result.from_role, ...result.from_group].join();
    const expected = '/cloud_user,/cloud_user/pa_viewer,[Azure Operators]/pa_viewer';
    return [...differences(response, answer), ...(paths === expected ? [] : [`paths ${paths}`])];
  });
};

async function askToken(started: StartedLab, form: Record<string, string>): Promise<Answer> {
  const { clientId, clientSecret } = started.lab.oauthClients[0]!;
  const body = new URLSearchParams({ client_id: clientId, client_secret: clientSecret, ...form }).toString();
  return started.call('/oauth_token.do', {
    method: 'POST',
    body,
    as: null,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
}

function passwordGrant(started: StartedLab): Promise<Answer> {
  const { userName, password } = started.lab.users.find(({ userName: name }) => name === 'defender.sync')!;
  return askToken(started, { grant_type: 'password', username: userName, password });
}

const tokenDenied: Driver = ({ exchanges }) =>
  withLab(new Presupposed(), async (started) => [
    ...differences(exchanges[0]!.response, await askToken(started, { grant_type: 'client_credentials', client_secret: 'wrong' })),
    ...differences(exchanges[1]!.response, await askToken(started, { grant_type: 'refresh_token', refresh_token: 'wrong' })),
  ]);

const passwordToken: Driver = ({ exchanges }) =>
  withLab(new Presupposed(), async (started) => differences(exchanges[0]!.response, await passwordGrant(started)));

/** The lab's own jwt-bearer client, its user and its key, used by the book. */
async function jwtBearerGrant(started: StartedLab): Promise<Answer> {
  const { userName, jwtBearer } = started.lab.oauthClients[0]!;
  const { clientId, clientSecret, kid, privateKey } = jwtBearer!;
  const nowSeconds = Math.floor(started.clock.nowMs() / 1000);
  const assertion = await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setSubject(userName)
    .setAudience(clientId)
    .setIssuer(clientId)
    .setExpirationTime(nowSeconds + 120)
    .sign(await importPKCS8(privateKey, 'ES256'));
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion };
  return token(started, { ...form, client_id: clientId, client_secret: clientSecret });
}

const tokens: Driver = ({ exchanges }) =>
  withLab(new Presupposed(), async (started) => {
    const answers = [await passwordGrant(started), await jwtBearerGrant(started), await passwordGrant(started)];
    return answers.flatMap((answer, at) => differences(exchanges[at]!.response, answer));
  });

/** A list of headers that a server-side script printed for one list. */
const allHeaders: Driver = ({ exchanges }) =>
  withLab(incidents(), async (started) => {
    const headers: RecordedResponse['headers'] = { ...exchanges[0]!.response.headers };
    // The print splits this header at its comma.
    headers['Cache-Control'] = 'no-cache,no-store,must-revalidate,max-age=-1';
    const answer = await started.get('/api/now/table/incident', { as: 'admin' });
    return [...differences({ headers }, answer), ...(answer.headers['link'] === undefined ? [] : ['a Link header'])];
  });

function sameShape(payload: Payload, answer: Answer): string[] {
  return shapeDifferences(payload.exchanges[0]?.response.body, answer.json, 'body');
}

const cmdbMeta: Driver = (payload) =>
  withLab(new Presupposed(), async (started) =>
    sameShape(payload, await started.get('/api/now/cmdb/meta/cmdb_ci_computer', { as: 'admin' })),
  );

export const apiDrivers: Record<string, Driver> = {
  'attachment/documented_examples.json': documentedAttachments,
  'attachment/get_list_metadata_headers.json': attachmentList,
  'attachment/get_list_one_row.json': attachmentList,
  'attachment/post_file_201_headers.json': postFile,
  'batch/batch_two_gets_one_post.json': batch,
  'import-set/get_and_post_inserted.json': importUser,
  'import-set/import_multiple_400_empty_record.json': replayBare,
  'import-set/insert_multiple_documented.json': importMultiple,
  'import-set/post_201_inserted_and_insert_multiple.json': importIncident,
  'import-set/status_error_ignored_row.json': importStatuses,
  'oauth/token_error_access_denied.json': tokenDenied,
  'oauth/token_success.json': tokens,
  'oauth/token_success_password_fixture.json': passwordToken,
  'schema/cmdb_meta_cmdb_ci_computer.json': cmdbMeta,
  'schema/user_role_inheritance.json': roleInheritance,
  'table-api/get_list_all_response_headers.http': allHeaders,
};
