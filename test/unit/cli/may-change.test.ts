/** Commands that change something ask the instance first, and begin nothing when it says no. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { presentError } from '../../../src/cli/errors.ts';
import { runProgram } from '../../../src/cli/program.ts';
import { readEnvironment } from '../../../src/config/index.ts';
import { SyncError } from '../../../src/errors.ts';
import { createTestContext } from './samples.ts';

const dir = mkdtempSync(join(tmpdir(), 'may-change-'));
const configFile = join(dir, 'defender-sync.yaml');
afterAll(() => rmSync(dir, { recursive: true }));
writeFileSync(
  configFile,
  `stateDir: .
serviceNow:
  url: https://acme.service-now.com
  auth: { type: basic, userName: reader, password: { env: SNOW_PASSWORD } }
deployments:
  - name: contoso
    azure:
      tenantId: 11111111-1111-4111-8111-111111111111
      clientId: 22222222-2222-4222-8222-222222222222
      credential: { clientSecret: { env: AZURE_SECRET } }
    scope: { subscriptions: [aaaaaaaa-0000-4000-8000-000000000001] }
`,
);

describe('a user who may only read', () => {
  test.each([
    ['sync', ['sync', 'contoso'], 'defender-sync sync'],
    ['schedules apply', ['schedules', 'apply'], 'defender-sync schedules apply'],
    ['cis reconcile', ['cis', 'reconcile', 'some-pairs', '--yes'], 'defender-sync cis reconcile'],
  ])('%s is refused with exit code 1, and nothing is started', async (_name, args, command) => {
    const asked: string[] = [];
    const { context, stderr } = createTestContext();
    const environment = readEnvironment({ SNOW_PASSWORD: 'canary-password', AZURE_SECRET: 'canary-secret' });
    const refuse = (options: { readonly command: string }): Promise<void> => {
      asked.push(options.command);
      return Promise.reject(new SyncError({ kind: 'forbidden', message: `${options.command} was not begun.`, remedy: 'Add the role.' }));
    };
    const engine = { ...context.engine, requireMayChange: refuse };
    const error: unknown = await runProgram(args, {
      contextOf: () => ({ ...context, environment, engine, configFile }),
      output: { writeOut: () => true, writeErr: () => true, getOutHasColors: () => false, getErrHasColors: () => false },
    }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(presentError(error, context.output, false)).toBe(1);
    expect(stderr.text()).toBe(`${command} was not begun.\nAdd the role.\n`);
    expect(asked).toEqual([command]);
    expect(readdirSync(dir)).toEqual(['defender-sync.yaml']);
  });
});
