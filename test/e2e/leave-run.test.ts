/** Ctrl-C while a run is followed: the command leaves in order, the run goes on, and both `sync` and `status` know it afterwards. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { syncWorkflowId } from '../../workflows/contract.ts';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { runCli, startCli } from './cli-process.ts';

const postgres = withPostgres();
const temporal = withTemporal();
const deployment = `leave-${randomBytes(6).toString('hex')}`;
let dir: string;
let config: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'defender-sync-leave-'));
  config = join(dir, 'defender-sync.yaml');
  writeFileSync(join(dir, 'ledger-url'), postgres.url);
  const id = '00000000-0000-4000-8000-000000000001';
  writeFileSync(
    config,
    stringify({
      // Nobody works on this queue: the run stays where it is.
      temporal: { address: temporal.address, namespace: temporal.namespace, taskQueue: deployment },
      ledger: { url: { file: 'ledger-url' } },
      serviceNow: { url: 'https://localhost:1', auth: { type: 'basic', userName: 'u', password: { env: 'LEAVE_SECRET' } } },
      deployments: [
        {
          name: deployment,
          azure: { tenantId: id, clientId: id, credential: { clientSecret: { env: 'LEAVE_SECRET' } } },
          scope: { subscriptions: [id] },
        },
      ],
    }),
  );
});

afterAll(() => rmSync(dir, { recursive: true }));

const env = { LEAVE_SECRET: 'not used' };

test('sync says that no worker answers, leaves at Ctrl-C, and the run goes on', async () => {
  const before = await runCli(['--config', config, 'status']);
  expect(before).toMatchObject({ code: 0, stdout: 'No run yet. Start one: defender-sync sync\n' });

  const sync = startCli(['--config', config, 'sync', '--json'], { env });
  await sync.says('no worker answers; start one: defender-sync up');
  sync.child.kill('SIGINT');
  expect(await sync.ended).toBe(130);
  expect(sync.stdout()).toBe('');
  expect(sync.stderr()).toContain('No longer following.');
  expect(sync.stderr()).not.toMatch(/Error:|^ +at /m);

  const status = await runCli(['--config', config, 'status', '--json']);
  expect(JSON.parse(status.stdout)).toMatchObject([{ deployment, outcome: 'running', phase: 'waiting for a worker' }]);

  const again = startCli(['--config', config, 'sync'], { env });
  await again.says(`A run of ${deployment} is already under way`);
  again.child.kill('SIGTERM');
  expect(await again.ended).toBe(130);
  await temporal.client.workflow.getHandle(syncWorkflowId(deployment)).terminate('the test is over');
});
