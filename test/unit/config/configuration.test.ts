import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { deploymentConfig, loadConfiguration, readConfiguration, readEnvironment, type Configuration } from '../../../src/config/index.ts';
import { isSyncError } from '../../../src/errors.ts';
import { defaultTaskQueue } from '../../../workflows/contract.ts';

const canary = 'canary-secret-4711';
const text = `
serviceNow:
  url: https://ACME.service-now.com/
  auth: { type: password, clientId: abc, clientSecret: { file: sn-secret }, userName: u, password: { env: SN_PASSWORD } }
  transactionQuotaSeconds: 90
deployments:
  - name: first
    azure:
      cloud: usgovernment
      tenantId: 1111AAAA-1111-1111-1111-111111111111
      credential: { managedIdentity: true }
    scope: { managementGroups: [root] }
    schedule: { cron: "30 2 * * *", timeZone: UTC, jitterMinutes: 5 }
  - name: second
    azure:
      tenantId: 11111111-1111-1111-1111-111111111111
      clientId: 22222222-2222-2222-2222-222222222222
      credential: { clientSecret: { env: AZURE_SECRET } }
    scope: { subscriptions: [AAAAAAAA-3333-3333-3333-333333333333] }
    schedule:
`;

let dir: string;
let variables: Record<string, string | undefined>;
let configuration: Configuration;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'config-'));
  writeFileSync(join(dir, 'defender-sync.yaml'), text);
  writeFileSync(join(dir, 'sn-secret'), `${canary}\n`);
  variables = { SN_PASSWORD: canary, AZURE_SECRET: canary };
  configuration = loadConfiguration(join(dir, 'defender-sync.yaml'), { variables });
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('defaults and normal forms', () => {
  test('ServiceNow', () => {
    expect(configuration.serviceNow).toMatchObject({
      url: 'https://acme.service-now.com',
      dataSource: 'Microsoft Defender for Cloud',
      runAs: { mode: 'enforce', user: 'VR.System' },
      concurrentRequests: 4,
      batchTransactionQuotaMs: 30_000,
      transactionQuotaMs: 90_000,
      settleMs: 30_000,
    });
  });

  test('Temporal: the task queue is the one that clients use', () => {
    expect(configuration.temporal).toMatchObject({ address: undefined, namespace: 'default', taskQueue: defaultTaskQueue });
    expect(configuration.stateDir).toBe(join(dir, '.defender-sync'));
  });

  test('deployments', () => {
    const [first, second] = configuration.deployments;
    expect(first).toMatchObject({
      name: 'first',
      precedence: 0,
      azure: {
        resourceManager: 'https://management.usgovcloudapi.net',
        tenantId: '1111aaaa-1111-1111-1111-111111111111',
        clientId: undefined,
        credential: { type: 'managed-identity' },
      },
      scope: { type: 'management-groups', managementGroups: ['root'] },
      incidents: false,
      schedule: { cron: ['30 2 * * *'], timeZone: 'UTC', jitterMs: 300_000, catchUpMs: undefined, paused: false },
    });
    expect(second).toMatchObject({
      precedence: 1,
      azure: { authorityHost: 'https://login.microsoftonline.com' },
      scope: { type: 'subscriptions', subscriptions: ['aaaaaaaa-3333-3333-3333-333333333333'] },
      schedule: undefined,
    });
  });

  test('a deployment by its name, or the nearest name', () => {
    expect(deploymentConfig(configuration, 'second').precedence).toBe(1);
    expect(() => deploymentConfig(configuration, 'secnod')).toThrow(/There is no deployment "secnod" in .*; did you mean second\?/);
  });
});

describe('secrets', () => {
  const secrets = (): { readonly file: string; readonly variable: string } => {
    const { auth } = configuration.serviceNow;
    if (auth.type !== 'password') throw new Error('another type of sign-in');
    return { file: auth.clientSecret.reveal(), variable: auth.password.reveal() };
  };

  test('are read from file and variable, without the last line break', () => {
    expect(secrets()).toEqual({ file: canary, variable: canary });
  });

  test('are read when they are used: a rotated one needs no restart', () => {
    writeFileSync(join(dir, 'sn-secret'), 'rotated');
    variables['SN_PASSWORD'] = 'rotated too';
    expect(secrets()).toEqual({ file: 'rotated', variable: 'rotated too' });
    writeFileSync(join(dir, 'sn-secret'), canary);
    variables['SN_PASSWORD'] = canary;
  });

  test('say what is missing when they are gone', () => {
    rmSync(join(dir, 'sn-secret'));
    expect(secrets).toThrow(`The secret in the file ${join(dir, 'sn-secret')} cannot be read (ENOENT).`);
    writeFileSync(join(dir, 'sn-secret'), canary);
    variables['SN_PASSWORD'] = undefined;
    expect(secrets).toThrow('The environment variable SN_PASSWORD is not set, so there is no secret.');
    variables['SN_PASSWORD'] = canary;
  });

  test('are never printed', () => {
    expect(secrets().file).toBe(canary); // They are there to be found.
    const { auth } = configuration.serviceNow;
    const printed = [
      inspect(configuration, { depth: null, showHidden: true }),
      JSON.stringify(configuration),
      'clientSecret' in auth ? String(auth.clientSecret) : '',
      inspect(structuredCloneOf(auth)),
    ].join('\n');
    expect(printed).toContain('[secret]');
    expect(printed).not.toContain(canary);
  });
});

function structuredCloneOf(value: object): object {
  return { ...value };
}

describe('the file itself', () => {
  test('is not there', () => {
    try {
      loadConfiguration(join(dir, 'none.yaml'), { variables });
      throw new Error('loaded');
    } catch (error) {
      expect(isSyncError(error, 'usage')).toBe(true);
      expect(String(error)).toContain(`There is no configuration file ${join(dir, 'none.yaml')}.`);
      expect(isSyncError(error) && error.remedy).toContain('examples/defender-sync.yaml');
    }
  });

  test('has mistakes: one line each, with file, line and column', () => {
    writeFileSync(join(dir, 'bad.yaml'), text.replace('first', 'First').replace('UTC', 'Utopia'));
    expect(() => loadConfiguration(join(dir, 'bad.yaml'), { variables })).toThrow(
      new RegExp(
        `^${join(dir, 'bad.yaml')}:7:5 deployments\\[0\\].name is not a usable name .*\n${join(dir, 'bad.yaml')}:13:37 .*timeZone.*$`,
      ),
    );
  });
});

test('the environment: empty counts as not set', () => {
  expect(readEnvironment({ NO_COLOR: '', TEMPORAL_ADDRESS: '', DEFENDER_SYNC_FAILPOINT: 'x' })).toMatchObject({
    noColor: false,
    temporalAddress: undefined,
    failpoint: 'x',
  });
});

describe('the example', () => {
  const file = fileURLToPath(new URL('../../../examples/defender-sync.yaml', import.meta.url));
  const secretsOfExample = { SERVICENOW_CLIENT_SECRET: 'x', AZURE_CLIENT_SECRET: 'y', SUBSIDIARY_CLIENT_SECRET: 'z' };

  test('is accepted', () => {
    expect(loadConfiguration(file, { variables: secretsOfExample }).deployments.map(({ name }) => name)).toEqual([
      'production',
      'subsidiary',
    ]);
  });

  test('is accepted with everything that it shows as a comment, and the defaults it shows are the defaults', () => {
    const all = readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.replace(/^(\s*)# ((?: {2})*[a-z][a-zA-Z]+:( |$))/, '$1$2'))
      .join('\n')
      // They name files that an example cannot have.
      .replace(/^ *caFile:.*$/m, '');
    const variablesOfAll = { ...secretsOfExample, TEMPORAL_API_KEY: 'k', LEDGER_URL: 'postgresql://x' };
    const result = readConfiguration(all, file, { variables: variablesOfAll });
    if ('problems' in result) throw new Error(result.problems.map((problem) => `${problem.line}: ${problem.text}`).join('\n'));
    expect(result.configuration.temporal.apiKey?.reveal()).toBe('k');
    expect(result.configuration.serviceNow.notApplicableResult).toBe('not_applicable');
    const plain = loadConfiguration(file, { variables: secretsOfExample });
    const { dataSource, runAs, concurrentRequests, batchTransactionQuotaMs, transactionQuotaMs, settleMs } = plain.serviceNow;
    expect(result.configuration.serviceNow).toMatchObject({
      dataSource,
      runAs,
      concurrentRequests,
      batchTransactionQuotaMs,
      transactionQuotaMs,
      settleMs,
    });
    expect(result.configuration.stateDir).toBe(plain.stateDir);
    expect(result.configuration.deployments[0]).toMatchObject({ incidents: false, subAssessments: false, concurrentRequests: 4 });
  });
});
