import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createAzureLab, type AzureLab, type LabTenant } from '../../../lab/azure/index.ts';
import { createAdminApi, type AdminApi } from '../../../lab/kit/admin-api.ts';
import { createClock } from '../../../lab/kit/clock.ts';
import { loadOrCreateAuthority } from '../../../lab/kit/tls.ts';
import { createArmClient, createAzureConnection } from '../../../src/azure/index.ts';
import { createTransport } from '../../../src/transport.ts';
import { Secret } from '../../../src/config/secret.ts';
import type { DeploymentSettings } from '../../../src/config/index.ts';
import { tableSpecs } from '../../../src/integrations/tables.ts';
import type { DeploymentName } from '../../../src/model.ts';
import { catalogue, runPreflight, type Finding, type PreflightInput } from '../../../src/preflight/index.ts';
import { createServiceNowConnection } from '../../../src/servicenow/index.ts';
import { createCountingGate, createTestAuthority, type TestAuthority } from '../azure-client/test-server.ts';
import { ENGINE_SOURCE, startLab, type StartedLab } from '../lab-servicenow/start.ts';

let authority: TestAuthority;
let admin: AdminApi;
let adminUrl: string;
let azureLab: AzureLab;
let tenant: LabTenant;
let serviceNowLab: StartedLab;
const opened: { close(): void }[] = [];

beforeAll(async () => {
  authority = await createTestAuthority();
  admin = createAdminApi();
  azureLab = await createAzureLab({
    authority: await loadOrCreateAuthority(authority.dir),
    dir: authority.dir,
    estate: 'generated:11:600',
    clock: createClock(),
    admin,
  });
  ({ url: adminUrl } = await admin.listen({}));
  [tenant] = azureLab.tenants as [LabTenant];
});
beforeEach(async () => {
  serviceNowLab = await startLab();
});
afterEach(async () => {
  for (const connection of opened.splice(0)) connection.close();
  await serviceNowLab.stop();
  await change({ consent: { clientId: tenant.clientId, state: 'granted', directoryReader: false } });
});
afterAll(async () => {
  await azureLab.close();
  await admin.close();
  await authority.remove();
});

async function change(body: unknown): Promise<void> {
  const answer = await fetch(`${adminUrl}/azure/change`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
}

interface Choice {
  readonly scope?: DeploymentSettings['scope'];
  readonly clientSecret?: string;
  readonly userName?: string;
  readonly dataSource?: string;
}

/** The way a deployment is set up against the labs; new connections, so that no token of an earlier test is kept. */
function inputFor({
  scope,
  clientSecret = tenant.clientSecret,
  userName = 'defender.sync',
  dataSource = ENGINE_SOURCE,
}: Choice = {}): PreflightInput {
  const gate = createCountingGate();
  const { tenantId, clientId, subscriptions } = tenant;
  const azure = createAzureConnection({
    cloud: { authorityHost: azureLab.urls.authority, armEndpoint: azureLab.urls.arm, graphEndpoint: azureLab.urls.graph },
    tenantId,
    clientId,
    credential: { type: 'secret', value: clientSecret },
    caFile: authority.caFile,
  });
  const password = serviceNowLab.lab.users.find((user) => user.userName === userName)!.password;
  const serviceNow = createServiceNowConnection({
    url: serviceNowLab.lab.url,
    auth: { type: 'basic', userName, password },
    caFile: `${serviceNowLab.dir}/ca.pem`,
  });
  const transport = createTransport({ caFile: authority.caFile, maxAnswerBytes: 1024 * 1024 });
  opened.push(azure, serviceNow, transport);
  return {
    deployment: {
      name: 'contoso' as DeploymentName,
      precedence: 0,
      azure: {
        cloud: 'custom',
        authorityHost: azure.cloud.authorityHost,
        resourceManager: azure.cloud.armEndpoint,
        graph: azure.cloud.graphEndpoint,
        caFile: authority.caFile,
        tenantId,
        clientId,
        credential: { type: 'client-secret', clientSecret: new Secret('the environment variable CONTOSO_SECRET', () => clientSecret) },
      },
      scope: scope ?? { type: 'subscriptions', subscriptions },
      incidents: true,
      subAssessments: false,
      concurrentRequests: 4,
      schedule: undefined,
    },
    serviceNow: {
      url: serviceNowLab.lab.url,
      auth: { type: 'basic', userName, password: new Secret('the environment variable SNOW', () => password) },
      caFile: `${serviceNowLab.dir}/ca.pem`,
      source: undefined,
      dataSource,
      runAs: { mode: 'enforce', user: 'VR.System' },
      concurrentRequests: 4,
      batchTransactionQuotaMs: 30_000,
      transactionQuotaMs: 60_000,
      settleMs: 30_000,
      notApplicableResult: undefined,
      hostTags: true,
    },
    clients: { azure: azure.through(gate), serviceNow: serviceNow.through(gate) },
    tokens: azure.tokens,
    gate,
    directory: createArmClient({
      endpoint: azure.cloud.graphEndpoint,
      scope: azure.cloud.graphScope,
      tokens: azure.tokens,
      gate,
      transport,
      service: 'graph',
    }),
    tableSpecs,
    signal: new AbortController().signal,
    onCheck: () => undefined,
    nowMs: Date.now,
    ledgerId: '44444444-4444-4444-8444-444444444444',
  };
}

async function findingsFor(choice: Choice = {}): Promise<readonly Finding[]> {
  return (await runPreflight(inputFor(choice))).findings;
}

function worse(findings: readonly Finding[]): string[] {
  return findings.filter(({ verdict }) => verdict !== 'ok').map(({ check, verdict }) => `${check} ${verdict}`);
}

function only(findings: readonly Finding[], check: string): Finding {
  const found = findings.filter((finding) => finding.check === check);
  expect(found).toHaveLength(1);
  return found[0]!;
}

describe('against both labs', () => {
  test('a deployment that is set up well: every check says ok, and no record of the instance is touched', async () => {
    const before = (await serviceNowLab.admin('GET', '/servicenow/summary')).tables;
    const { findings, scopes } = await runPreflight(inputFor());
    expect(worse(findings).filter((finding) => finding !== 'azure.defender-plan warning')).toEqual([]);
    expect(new Set(findings.map(({ check }) => check))).toEqual(new Set(catalogue.map(({ id }) => id)));
    expect(scopes.map(({ id }) => id).sort()).toEqual([...tenant.subscriptions].sort());
    expect((await serviceNowLab.admin('GET', '/servicenow/summary')).tables).toEqual(before);
  });

  test('a management group is expanded to its subscriptions', async () => {
    const [group] = tenant.managementGroups;
    const { scopes } = await runPreflight(inputFor({ scope: { type: 'management-groups', managementGroups: [group!] } }));
    expect(scopes.filter(({ kind }) => kind === 'management-group').map(({ id }) => id)).toEqual([group]);
    expect(scopes.filter(({ kind }) => kind === 'subscription').length).toBeGreaterThan(0);
  });

  test('a wrong secret stops the Azure side only', async () => {
    const findings = await findingsFor({ clientSecret: 'wrong~secret' });
    expect(only(findings, 'entra.sign-in')).toMatchObject({ verdict: 'blocking' });
    expect(only(findings, 'entra.sign-in').evidence).toContain('AADSTS7000215');
    expect(only(findings, 'entra.sign-in').remedy).toContain(`az ad app credential reset --id ${tenant.clientId}`);
    expect(only(findings, 'azure.read').verdict).toBe('not-checked');
    expect(only(findings, 'servicenow.ire').verdict).toBe('ok');
    expect(JSON.stringify(findings)).not.toContain('wrong~secret');
  });

  test.each([
    ['delegated-only', false, 'which of the two cannot be told'],
    ['no-consent', false, 'which of the two cannot be told'],
    ['delegated-only', true, 'Delegated instead of Application: '],
    ['no-consent', true, 'No admin consent'],
  ])('consent %s, directory readable %s: "%s"', async (state, directoryReader, sentence) => {
    await change({ consent: { clientId: tenant.clientId, state, directoryReader } });
    const finding = only(await findingsFor(), 'graph.incident-permissions');
    expect(finding.verdict).toBe('blocking');
    expect(finding.evidence).toContain(sentence);
    expect(finding.evidence).toContain('API required roles: SecurityIncident.Read.All,SecurityIncident.ReadWrite.All');
    expect(finding.remedy).toContain(`az ad app permission admin-consent --id ${tenant.clientId}`);
  });

  test('a subscription without its reader role is named', async () => {
    const [lost] = tenant.subscriptions;
    await change({ revoke: { clientId: tenant.clientId, subscription: lost } });
    try {
      const finding = only(await findingsFor(), 'azure.scopes');
      expect(finding).toMatchObject({ verdict: 'warning' });
      expect(finding.evidence).toContain(lost);
      expect(finding.remedy).toContain(`--scope /subscriptions/${lost ?? ''}`);
    } finally {
      await change({ restore: { clientId: tenant.clientId, subscription: lost } });
    }
  });

  test('a user who may only read: the missing rights are named by feature', async () => {
    const findings = await findingsFor({ userName: 'defender.readonly' });
    const said = findings.filter(({ check }) => check === 'servicenow.roles').map(({ evidence }) => evidence);
    expect(said.join('\n')).toMatch(/sn_vulc\.write for policies, tests/);
    expect(said.join('\n')).toMatch(/itil or asset/);
    expect(said.join('\n')).toMatch(/personalize_read_dictionary/);
    expect(only(findings, 'servicenow.tables').verdict).toBe('blocking');
    expect(only(findings, 'servicenow.ire').verdict).toBe('blocking');
  });

  test('a user without any role: his roles read as hidden, and yet what he lacks is named, because it was tried', async () => {
    const findings = await findingsFor({ userName: 'defender.noroles' });
    expect(only(findings, 'servicenow.sign-in').verdict).toBe('ok');
    const [necessary, optional] = findings.filter(({ check }) => check === 'servicenow.roles');
    expect(necessary).toMatchObject({ verdict: 'blocking' });
    expect(necessary?.evidence).toContain('defender.noroles lacks 4 roles');
    expect(optional).toMatchObject({ verdict: 'warning' });
  });

  test('a data source in another spelling', async () => {
    const findings = await findingsFor({ dataSource: ENGINE_SOURCE.toUpperCase() });
    expect(only(findings, 'servicenow.data-source').evidence).toContain('only the spelling differs');
    const dryRun = only(findings, 'servicenow.ire');
    expect(dryRun.verdict).toBe('blocking');
    expect(dryRun.evidence).toContain('INVALID_INPUT_DATA');
  });

  test('run-as user locked out, a second ledger, the off switch and the plugin beside us', async () => {
    const find = async (table: string, column: string, value: string): Promise<string> => {
      const { rows } = await serviceNowLab.admin('GET', `/servicenow/rows/${table}`);
      return rows.find((row) => row[column] === value)!['sys_id']!;
    };
    const runAs = await find('sys_user', 'user_name', 'VR.System');
    const plugin = await find('sn_sec_int_integration', 'name', 'Microsoft Defender for Cloud');
    await serviceNowLab.admin('PATCH', `/servicenow/rows/sys_user/${runAs}`, { locked_out: 'true' });
    await serviceNowLab.admin('POST', '/servicenow/rows/sn_sec_int_integration', {
      name: 'defender-sync',
      id: 'defender-sync',
      description: 'Ledger 55555555-5555-4555-8555-555555555555',
    });
    await serviceNowLab.admin('POST', '/servicenow/rows/sn_sec_int_impl', { name: 'defender-sync contoso', active: 'false' });
    await serviceNowLab.admin('POST', '/servicenow/rows/sn_vul_integration', {
      name: 'Assessment Integration',
      active: 'true',
      integration: plugin,
      run_as: runAs,
    });
    const findings = await findingsFor();
    expect(worse(findings).filter((finding) => finding.endsWith('blocking'))).toEqual([
      'servicenow.run-as-user blocking',
      'servicenow.second-ledger blocking',
      'servicenow.plugin-writers blocking',
      'servicenow.switched-off blocking',
    ]);
  });
});
