import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, bearer, call, changeEntra, claimsOf, requestToken, startTestLab, type Answer, type TestLab, type Wire } from './helpers.ts';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
});
afterAll(() => lab.close());

const READ = 'SecurityIncident.Read.All';
const READ_WRITE = 'SecurityIncident.ReadWrite.All';
const NONE = { [READ]: 'not-requested', [READ_WRITE]: 'not-requested' };
/** Ids of azure.md §2.3. */
const IDS: Record<string, { Role: string; Scope: string }> = {
  [READ]: { Role: '45cc0394-e837-488b-a098-1918f48d186c', Scope: 'b9abcc4f-94fc-4457-9141-d20ce80ec952' },
  [READ_WRITE]: { Role: '34bf0e97-1971-4929-b999-9e2442d941d7', Scope: '128ca929-1a19-45e6-a3b8-435ec44a36ba' },
};

async function graph(path: string): Promise<Answer> {
  return call(lab, `${lab.lab.urls.graph}${path}`, { headers: await bearer(lab, 'A', 'https://graph.microsoft.com/.default') });
}

/** What the directory says about one permission: requested as, application grants, delegated grants. */
async function seen(permission: string): Promise<{ requested: string[]; granted: boolean; delegated: boolean }> {
  const { clientId } = lab.tenant('A');
  const ids = IDS[permission] ?? { Role: '', Scope: '' };
  const application = (await graph(`/v1.0/applications(appId='${clientId}')`)).body;
  const apis = application.requiredResourceAccess as { resourceAccess: { id: string; type: 'Role' | 'Scope' }[] }[];
  const access = apis.flatMap((api) => api.resourceAccess);
  const assignments = (await graph(`/v1.0/servicePrincipals(appId='${clientId}')/appRoleAssignments`)).body.value as Wire[];
  const grants = (await graph(`/v1.0/servicePrincipals(appId='${clientId}')/oauth2PermissionGrants`)).body.value as Wire[];
  return {
    requested: access.filter(({ id, type }) => id === ids[type]).map(({ type }) => type),
    granted: assignments.some(({ appRoleId }) => appRoleId === ids.Role),
    delegated: grants.some(({ scope }) => (scope as string).split(' ').includes(permission)),
  };
}

describe.each([READ, READ_WRITE])('%s by itself (azure.md §2.3)', (permission) => {
  afterEach(() => changeEntra(lab, { consent: { state: 'granted', directoryReader: false } }));

  test.each([
    ['not-requested', [], false, false],
    ['delegated-only', ['Scope'], false, true],
    ['delegated-without-consent', ['Scope'], false, false],
    ['no-consent', ['Role'], false, false],
    ['granted', ['Role'], true, false],
    ['both', ['Role', 'Scope'], true, true],
    ['both-without-consent', ['Role', 'Scope'], false, false],
    ['granted-unrequested', [], true, false],
  ])('%s', async (state, requested, granted, delegated) => {
    await changeEntra(lab, { permissions: { states: { ...NONE, [permission]: state } }, consent: { directoryReader: true } });
    expect(await seen(permission)).toEqual({ requested, granted, delegated });
    const { body } = await requestToken(lab, { scope: 'https://graph.microsoft.com/.default' });
    expect((claimsOf(body.access_token).roles as string[]).includes(permission)).toBe(granted);
    // Either of the two permissions opens the list.
    expect((await graph('/v1.0/security/incidents')).status).toBe(granted ? 200 : 403);
  });
});

describe('permissions on another API (azure.md §2.3: SecurityIncident.* exist only on Graph)', () => {
  afterEach(async () => {
    await changeEntra(lab, { permissions: { resource: 'Microsoft Threat Protection', states: { 'Incident.Read.All': 'not-requested' } } });
    await changeEntra(lab, { consent: { state: 'granted', directoryReader: false } });
  });

  test.each([
    ['WindowsDefenderATP', 'fc780465-2017-40d4-a0c5-307022471b92', 'https://api.securitycenter.microsoft.com', 'Alert.Read.All'],
    ['Microsoft Threat Protection', '8ee8fdad-f234-4243-8f3b-15c294843740', 'https://api.security.microsoft.com', 'Incident.Read.All'],
  ])('%s: its own token carries the role, that of Graph does not', async (resource, appId, identifier, permission) => {
    await changeEntra(lab, { consent: { state: 'not-requested', directoryReader: true } });
    await changeEntra(lab, { permissions: { resource, states: { [permission]: 'granted' } } });
    const own = await requestToken(lab, { scope: `${identifier}/.default` });
    expect(claimsOf(own.body.access_token)).toMatchObject({ aud: identifier, roles: [permission] });
    const refused = await graph('/v1.0/security/incidents');
    expect(refused.status).toBe(403);
    expect(refused.body.error.message).toBe(
      `Missing application roles. API required roles: ${READ},${READ_WRITE}, application roles: Application.Read.All,Directory.Read.All.`,
    );
    const application = (await graph(`/v1.0/applications(appId='${lab.tenant('A').clientId}')`)).body;
    expect(application.requiredResourceAccess).toContainEqual({
      resourceAppId: appId,
      resourceAccess: [{ id: expect.any(String), type: 'Role' }],
    });
    await changeEntra(lab, { permissions: { resource, states: { [permission]: 'not-requested' } } });
  });

  test.each([
    [{ resource: 'WindowsDefenderATP', states: { [READ]: 'granted' } }],
    [{ states: { 'SecurityAlert.Read.All': 'delegated-only' } }],
    [{ states: { [READ]: 'perhaps' } }],
    [{ resource: 'Nobody', states: {} }],
  ])('what does not exist cannot be asked for: %j', async (permissions) => {
    const { clientId } = lab.tenant('A');
    const answer = await admin(lab, 'POST', '/azure/change', { permissions: { clientId, ...permissions } });
    expect(answer.status).toBe(400);
  });
});
