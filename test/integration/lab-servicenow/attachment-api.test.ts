import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setProperty, startLab, type Answer, type StartedLab } from './start.ts';

let started: StartedLab;
let owner: string;

beforeAll(async () => {
  started = await startLab();
  owner = (await started.post('/api/now/table/sn_vulc_test', { short_description: 'with files' })).json.result.sys_id as string;
});

afterAll(() => started.stop());

const ATTACHMENTS = '/api/now/attachment';
const PAGE = '{"value":[{"id":"1"}]}';

function upload(
  fileName: string,
  content: string | Buffer = PAGE,
  as = 'defender.sync',
  table = 'sn_vulc_test',
  sysId = owner,
): Promise<Answer> {
  const query = new URLSearchParams({ table_name: table, table_sys_id: sysId, file_name: fileName }).toString();
  return started.call(`${ATTACHMENTS}/file?${query}`, {
    method: 'POST',
    body: content,
    headers: { 'content-type': 'application/json' },
    as,
  });
}

function list(query = `sysparm_query=table_sys_id=${owner}`, as = 'defender.sync'): Promise<Answer> {
  return started.get(`${ATTACHMENTS}?${query}`, { as });
}

describe('Attachment API (servicenow.md §5.6, c_AttachmentAPI)', () => {
  it('attachment/post_file_201_headers.json: 201, Location is the download link, pending, hash and sizes', async () => {
    const answer = await upload('page-1.json');
    expect(answer.status).toBe(201);
    const { result } = answer.json;
    expect(result).toMatchObject({
      file_name: 'page-1.json',
      table_name: 'sn_vulc_test',
      table_sys_id: owner,
      content_type: 'application/json',
      size_bytes: String(PAGE.length),
      chunk_size_bytes: '700000',
      compressed: 'true',
      hash: createHash('sha256').update(PAGE).digest('hex'),
      state: 'pending',
      sys_mod_count: '0',
      sys_created_by: 'defender.sync',
    });
    expect(answer.headers['location']).toBe(`${started.lab.url}${ATTACHMENTS}/${String(result.sys_id)}/file`);
    expect(result.download_link).toBe(answer.headers['location']);
  });

  it('attachment/get_list_metadata_headers.json: available a second later, updated by system', async () => {
    const { sys_id: sysId } = (await upload('page-2.json')).json.result;
    const one = (): Promise<Answer> => started.get(`${ATTACHMENTS}/${String(sysId)}`);
    for (let round = 0; round < 100 && (await one()).json.result.state === 'pending'; round += 1) await sleep(50);
    expect((await one()).json.result).toMatchObject({ state: 'available', sys_mod_count: '1', sys_updated_by: 'system' });
  });

  it('the contents come back byte for byte, under their own type, whatever is accepted', async () => {
    const bytes = Buffer.from('\u0000\r\n\u00e9\u{1f512}', 'utf8');
    const answer = await upload('binary', bytes);
    const file = await started.get(`${ATTACHMENTS}/${String(answer.json.result.sys_id)}/file`, { headers: { accept: 'image/jpeg' } });
    expect(file.status).toBe(200);
    expect(file.headers['content-type']).toBe('application/json');
    expect(Buffer.from(file.text, 'utf8')).toEqual(bytes);
  });

  it('a multipart upload takes its name and type from the part', async () => {
    const form = new FormData();
    form.set('table_name', 'sn_vulc_test');
    form.set('table_sys_id', owner);
    form.set('uploadFile', new Blob(['a,b'], { type: 'text/csv' }), 'rows.csv');
    const encoded = new Response(form);
    const contentType = encoded.headers.get('content-type')!;
    const body = Buffer.from(await encoded.arrayBuffer());
    const answer = await started.call(`${ATTACHMENTS}/upload`, { method: 'POST', body, headers: { 'content-type': contentType } });
    expect(answer).toMatchObject({ status: 201, json: { result: { file_name: 'rows.csv', content_type: 'text/csv', size_bytes: '3' } } });
    const file = await started.get(`${ATTACHMENTS}/${String(answer.json.result.sys_id)}/file`);
    expect(file.text).toBe('a,b');
    const broken = { method: 'POST', body: 'no form', headers: { 'content-type': 'multipart/form-data; boundary=x' } };
    await expect(started.call(`${ATTACHMENTS}/upload`, broken)).resolves.toMatchObject({ status: 400 });
  });

  it('lists by query or by name-value pairs, in pages, with a total', async () => {
    const all = await list();
    expect(all.json.result.length).toBeGreaterThanOrEqual(2);
    expect(all.headers['x-total-count']).toBe(String(all.json.result.length));
    const page = await list(`table_sys_id=${owner}&sysparm_limit=1`);
    expect(page.json.result).toHaveLength(1);
    expect(page.headers['x-total-count']).toBe(all.headers['x-total-count']);
    expect(page.headers['link']).toBeUndefined();
  });

  it('renames and deletes: 204 without a body', async () => {
    const { sys_id: sysId } = (await upload('old')).json.result;
    const path = `${ATTACHMENTS}/${String(sysId)}`;
    await expect(started.patch(path, { file_name: 'new' })).resolves.toMatchObject({ status: 204, text: '' });
    expect((await started.get(path)).json.result.file_name).toBe('new');
    await expect(started.call(path, { method: 'DELETE' })).resolves.toMatchObject({ status: 204, text: '' });
    for (const gone of [path, `${path}/file`]) await expect(started.get(gone)).resolves.toMatchObject({ status: 404 });
  });

  it('400 without a mandatory parameter, 404 for a record that is not there', async () => {
    await expect(upload('')).resolves.toMatchObject({ status: 400 });
    await expect(upload('x', PAGE, 'defender.sync', 'sn_vulc_test', '0'.repeat(32))).resolves.toMatchObject({ status: 404 });
  });

  it('com.glide.attachment.max_size is a limit in MB', async () => {
    await setProperty(started, 'com.glide.attachment.max_size', '1');
    await expect(upload('large', Buffer.alloc(1024 * 1024 + 1))).resolves.toMatchObject({ status: 413 });
    await expect(upload('fits', Buffer.alloc(1024 * 1024))).resolves.toMatchObject({ status: 201 });
  });
});

describe('who sees and adds attachments (servicenow.md §6)', () => {
  it('adding needs the roles of sys_attachment and of the record: "Error writing attachment"', async () => {
    const refusal = { status: 403, json: { error: { detail: 'ACL Exception Insert Failed due to security constraints' } } };
    await expect(upload('x', PAGE, 'defender.readonly')).resolves.toMatchObject(refusal);
    await started.admin('POST', '/servicenow/access', { table: 'sys_attachment', operation: 'create', roles: ['nobody'] });
    await expect(upload('x')).resolves.toMatchObject(refusal);
    await started.admin('POST', '/servicenow/access', { table: 'sys_attachment', operation: 'create', roles: ['import_admin'] });
  });

  it('an attachment is as readable as its record; the total counts it all the same', async () => {
    const answer = await list(undefined, 'defender.noroles');
    expect(answer).toMatchObject({ status: 200, json: { result: [] } });
    expect(Number(answer.headers['x-total-count'])).toBeGreaterThan(0);
  });

  it('an IP restriction hides attachments without an error, so that importers attach their pages twice', async () => {
    await started.admin('POST', '/servicenow/attachments/hidden', { tables: ['sn_vulc_test'] });
    await expect(list()).resolves.toMatchObject({ status: 200, json: { result: [] } });
    await expect(upload('again')).resolves.toMatchObject({ status: 201 });
    await started.admin('POST', '/servicenow/attachments/hidden', { tables: [] });
    expect((await list()).json.result.length).toBeGreaterThan(0);
  });
});

describe('a lab that keeps its data', () => {
  it('has the contents after a restart, and finishes the scan of what was pending', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'lab-attachments-'));
    try {
      const first = await startLab({ dir, persist: true });
      const test = (await first.post('/api/now/table/sn_vulc_test', {})).json.result.sys_id as string;
      const query = `table_name=sn_vulc_test&table_sys_id=${test}&file_name=kept`;
      const options = { method: 'POST', body: 'kept', headers: { 'content-type': 'text/plain' } };
      const { sys_id: sysId } = (await first.call(`${ATTACHMENTS}/file?${query}`, options)).json.result;
      await first.stop();
      const second = await startLab({ dir, persist: true });
      await expect(second.get(`${ATTACHMENTS}/${String(sysId)}/file`)).resolves.toMatchObject({ status: 200, text: 'kept' });
      const state = async (): Promise<string> => (await second.get(`${ATTACHMENTS}/${String(sysId)}`)).json.result.state as string;
      for (let round = 0; round < 100 && (await state()) === 'pending'; round += 1) await sleep(50);
      await expect(state()).resolves.toBe('available');
      await second.call(`${ATTACHMENTS}/${String(sysId)}`, { method: 'DELETE', as: 'admin' });
      await second.stop();
      const third = await startLab({ dir, persist: true });
      await expect(third.get(`${ATTACHMENTS}/${String(sysId)}/file`)).resolves.toMatchObject({ status: 404 });
      await third.stop();
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
