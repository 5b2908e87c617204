import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { LabTenant } from '../../../lab/azure/index.ts';
import { catalogue, runPreflight, type Finding } from '../../../src/preflight/index.ts';
import { ENGINE_SOURCE, type StartedLab } from '../lab-servicenow/start.ts';
import { startLabs, type Labs } from './labs.ts';

let labs: Labs;
let tenant: LabTenant;
let serviceNowLab: StartedLab;

beforeEach(async () => {
  labs = await startLabs();
  ({ tenant, serviceNow: serviceNowLab } = labs);
});
afterEach(() => labs.stop());

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
    const { findings, scopes } = await runPreflight(labs.inputFor());
    // The application has no role at the tenant root group.
    expect(worse(findings)).toEqual(['azure.cve-details warning']);
    // The ledger and Temporal are asked where somebody hands them over: engine.test.ts.
    const asked = catalogue.map(({ id }) => id).filter((id) => !/^(ledger|temporal)\./.test(id));
    expect(new Set(findings.map(({ check }) => check))).toEqual(new Set(asked));
    expect(scopes.map(({ id }) => id).sort()).toEqual([...tenant.subscriptions].sort());
    expect((await serviceNowLab.admin('GET', '/servicenow/summary')).tables).toEqual(before);
  });

  test('a management group is expanded to its subscriptions', async () => {
    const [group] = tenant.managementGroups;
    const { scopes } = await runPreflight(labs.inputFor({ scope: { type: 'management-groups', managementGroups: [group!] } }));
    expect(scopes.filter(({ kind }) => kind === 'management-group').map(({ id }) => id)).toEqual([group]);
    expect(scopes.filter(({ kind }) => kind === 'subscription').length).toBeGreaterThan(0);
  });

  test('a wrong secret stops the Azure side only', async () => {
    const findings = await labs.findingsFor({ clientSecret: 'wrong~secret' });
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
    await labs.change({ consent: { clientId: tenant.clientId, state, directoryReader } });
    const finding = only(await labs.findingsFor(), 'graph.incident-permissions');
    expect(finding.verdict).toBe('blocking');
    expect(finding.evidence).toContain(sentence);
    expect(finding.evidence).toContain('API required roles: SecurityIncident.Read.All,SecurityIncident.ReadWrite.All');
    expect(finding.remedy).toContain(`az ad app permission admin-consent --id ${tenant.clientId}`);
  });

  test('a subscription without its reader role is named', async () => {
    const [lost] = tenant.subscriptions;
    await labs.change({ revoke: { clientId: tenant.clientId, subscription: lost } });
    const finding = only(await labs.findingsFor(), 'azure.scopes');
    expect(finding).toMatchObject({ verdict: 'warning' });
    expect(finding.evidence).toContain(lost);
    expect(finding.remedy).toContain(`--scope /subscriptions/${lost ?? ''}`);
  });

  test('a user who may only read: the missing rights are named by feature', async () => {
    const findings = await labs.findingsFor({ userName: 'defender.readonly' });
    const said = findings.filter(({ check }) => check === 'servicenow.roles').map(({ evidence }) => evidence);
    expect(said.join('\n')).toMatch(/sn_vulc\.write for policies, tests/);
    expect(said.join('\n')).toMatch(/itil or asset/);
    expect(said.join('\n')).toMatch(/personalize_read_dictionary/);
    expect(only(findings, 'servicenow.tables').verdict).toBe('blocking');
    // The missing role is one finding, not two.
    expect(only(findings, 'servicenow.ire').verdict).toBe('not-checked');
  });

  test('a user without any role: his roles read as hidden, and yet what he lacks is named, because it was tried', async () => {
    const findings = await labs.findingsFor({ userName: 'defender.noroles' });
    expect(only(findings, 'servicenow.sign-in').verdict).toBe('ok');
    const [necessary, optional] = findings.filter(({ check }) => check === 'servicenow.roles');
    expect(necessary).toMatchObject({ verdict: 'blocking' });
    expect(necessary?.evidence).toContain('defender.noroles lacks 4 roles');
    expect(optional).toMatchObject({ verdict: 'warning' });
  });

  test('a data source in another spelling', async () => {
    const findings = await labs.findingsFor({ serviceNow: { dataSource: ENGINE_SOURCE.toUpperCase() } });
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
    const findings = await labs.findingsFor();
    expect(worse(findings).filter((finding) => finding.endsWith('blocking'))).toEqual([
      'servicenow.run-as-user blocking',
      'servicenow.second-ledger blocking',
      'servicenow.plugin-writers blocking',
      'servicenow.switched-off blocking',
    ]);
  });
});
