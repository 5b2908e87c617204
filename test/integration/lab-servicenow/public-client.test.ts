import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

/** Runs the script that uses the client, in a process of its own that trusts the lab's authority. */
function runClient(owner: string): Promise<Record<string, unknown>> {
  const user = started.lab.users.find(({ userName }) => userName === 'admin')!;
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures', 'public-client.mjs')], {
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_EXTRA_CA_CERTS: join(started.dir, 'ca.pem'),
      LAB_HOST: `127.0.0.1:${String(started.lab.port)}`,
      LAB_USER: user.userName,
      LAB_PASSWORD: user.password,
      LAB_OWNER: owner,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output) as Record<string, unknown>);
      else reject(new Error(`The client ended with ${String(code)}: ${errors}`));
    });
  });
}

describe('a public client works unmodified (servicenow-rest-api from npm)', () => {
  it('creates, queries, updates, reads attachments and deletes; it is told what it did wrong', async () => {
    const owner = (await started.post('/api/now/table/sn_vulc_test', {})).json.result.sys_id as string;
    const path = `/api/now/attachment/file?table_name=sn_vulc_test&table_sys_id=${owner}&file_name=note.txt`;
    await started.call(path, { method: 'POST', body: 'kept', headers: { 'content-type': 'text/plain' } });

    const seen = await runClient(owner);

    const { sys_id: sysId, number } = seen['created'] as { sys_id: string; number: string };
    expect(number).toMatch(/^SDI\d{7}$/);
    expect(seen).toEqual({
      created: expect.objectContaining({ resource_name: 'vm-1', asset_category: 'Cloud', sys_created_by: 'admin' }),
      found: [{ number, resource_name: 'vm-1' }],
      sysId,
      updated: expect.objectContaining({ sys_id: sysId, resource_name: 'vm-2', asset_category: 'Cloud' }),
      sampleSize: 1,
      files: ['note.txt'],
      content: 'kept',
      one: 'note.txt',
      deleted: 204,
      gone: [],
      refused: { status: 400, body: { error: { message: 'Invalid table x_no_such', detail: null }, status: 'failure' } },
    });
    expect(started.lab.store.find('sn_sec_cmn_src_ci', sysId)).toBeUndefined();
  });
});
