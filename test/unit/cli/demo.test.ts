import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { deploymentNameAt, writeDemoConfiguration } from '../../../src/cli/demo/demo-configuration.ts';
import { defaultEstate, parseEstate } from '../../../src/cli/demo/estate.ts';
import { SyncError } from '../../../src/errors.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'demo-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('the estate', () => {
  test('by default looks like a company', () => {
    expect(parseEstate(undefined)).toEqual({ spec: 'company', folder: 'company' });
    expect(defaultEstate).toBe('company');
  });

  test('generated: the folder is its own', () => {
    expect(parseEstate('generated:7:20000')).toEqual({ spec: 'generated:7:20000', folder: 'generated-7-20000' });
  });

  test('recordings: the folder is absolute, and part of the name', () => {
    expect(parseEstate(`recordings:${dir}`)).toEqual({
      spec: `recordings:${dir}`,
      folder: `recordings${dir.replaceAll(/[^A-Za-z0-9]+/g, '-')}`,
    });
  });

  test.each(['companies', 'generated:7', 'generated:7:0', 'generated:x:5', 'recordings:', 'recordings:/no/such/folder'])(
    '%j is refused',
    (spec) => {
      expect(() => parseEstate(spec)).toThrow(SyncError);
    },
  );
});

describe('the configuration of the demo', () => {
  const canary = 'canary-secret-4711';
  const tenant = (digit: string): Parameters<typeof writeDemoConfiguration>[1]['azure']['tenants'][number] => ({
    tenantId: `${digit.repeat(8)}-0000-0000-0000-000000000000`,
    clientId: `${digit.repeat(8)}-1111-1111-1111-111111111111`,
    clientSecret: canary,
    managementGroups: digit === '1' ? ['mg-a'] : [],
    subscriptions: [`${digit.repeat(8)}-2222-2222-2222-222222222222`],
  });

  test('has one deployment per tenant entry, in its order, and secrets in closed files only', () => {
    const url = 'https://localhost:1234';
    const caFile = join(dir, 'ca.pem');
    const configuration = (): ReturnType<typeof writeDemoConfiguration> =>
      writeDemoConfiguration(dir, {
        azure: { authority: url, arm: url, graph: url, caFile, tenants: [tenant('1'), tenant('2')] },
        serviceNow: { url, caFile, users: [], oauthClients: [{ clientId: 'c', clientSecret: canary, userName: 'u' }] },
        admin: { url: 'http://localhost:1' },
      });
    expect(configuration).toThrow('ca.pem, which does not exist');
    // The validator is the one of every other command, so the file has to be there.
    writeFileSync(caFile, 'certificate');
    const { deployments, stateDir, file, serviceNow } = configuration();
    expect(deployments.map(({ name, scope }) => ({ name, type: scope.type }))).toEqual([
      { name: 'a', type: 'management-groups' },
      { name: 'b', type: 'subscriptions' },
    ]);
    expect(stateDir).toBe(dir);
    expect(readFileSync(file, 'utf8')).not.toContain(canary);
    expect('clientSecret' in serviceNow.auth && serviceNow.auth.clientSecret.reveal()).toBe(canary);
    for (const secret of ['servicenow-client', 'azure-client-a', 'azure-client-b']) {
      expect(statSync(join(dir, 'secrets', secret)).mode & 0o777).toBe(0o600);
    }
  });

  test('names go on after z', () => {
    expect([0, 25, 26].map(deploymentNameAt)).toEqual(['a', 'z', 'deployment-27']);
  });
});
