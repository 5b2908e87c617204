/** `@azure/identity` 4.14.1 on App Service: in a file of its own, since the library decides once per process where it runs. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ManagedIdentityCredential } from '@azure/identity';
import { claimsOf, startTestLab, type TestLab } from './helpers.ts';

const SCOPE = 'https://graph.microsoft.com/.default';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
  process.env.IDENTITY_ENDPOINT = lab.lab.managedIdentity.IDENTITY_ENDPOINT;
  process.env.IDENTITY_HEADER = lab.lab.managedIdentity.IDENTITY_HEADER;
});
afterAll(async () => {
  delete process.env.IDENTITY_ENDPOINT;
  delete process.env.IDENTITY_HEADER;
  await lab.close();
});

describe('ManagedIdentityCredential, on App Service (azure.md §3.2)', () => {
  const managed = (clientId?: string): ManagedIdentityCredential =>
    new ManagedIdentityCredential({ ...(clientId === undefined ? {} : { clientId }), retryOptions: { maxRetries: 0 } });

  test('signs in, and Graph’s token carries the roles of the identity (§2.3)', async () => {
    const { token } = await managed().getToken(SCOPE);
    expect(claimsOf(token)).toMatchObject({
      appid: lab.tenant('A').clientId,
      roles: ['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All'],
    });
  });

  test('an identity that the host does not have', async () => {
    await expect(managed('99999999-0000-4000-8000-000000000000').getToken(SCOPE)).rejects.toThrow(/No User Assigned or Delegated/);
  });
});
