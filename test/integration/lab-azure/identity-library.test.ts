/** `@azure/identity` 4.14.1, unmodified, in the configuration of a custom cloud (azure.md §3.2–3.5). */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ClientAssertionCredential,
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
  type TokenCredential,
} from '@azure/identity';
import { makeCertificate, type TestCertificate } from './certificate.ts';
import { admin, changeEntra, claimsOf, startTestLab, type TestLab } from './helpers.ts';

const SCOPE = 'https://management.azure.com/.default';
const SUBJECT = 'system:serviceaccount:defender-sync:worker';

let lab: TestLab;
let dir: string;
let certificate: TestCertificate;
let options: { authorityHost: string; disableInstanceDiscovery: boolean; tlsOptions: { ca: string }; retryOptions: { maxRetries: number } };
beforeAll(async () => {
  [lab, certificate, dir] = await Promise.all([
    startTestLab({ estate: 'generated:1:100' }),
    makeCertificate(),
    mkdtemp(join(tmpdir(), 'lab-azure-identity-')),
  ]);
  options = {
    authorityHost: lab.lab.urls.authority,
    disableInstanceDiscovery: true,
    tlsOptions: { ca: lab.authority.caPem },
    retryOptions: { maxRetries: 0 },
  };
});
afterAll(async () => {
  await lab.close();
  await rm(dir, { recursive: true, force: true });
});

async function claims(credential: TokenCredential, scope = SCOPE): Promise<Record<string, unknown>> {
  const token = await credential.getToken(scope);
  if (token === null) throw new Error('There is no token.');
  return claimsOf(token.token);
}

const mint = async (token: object = {}): Promise<string> =>
  (await admin(lab, 'POST', '/azure/federated-tokens', { subject: SUBJECT, ...token })).body.token as string;

describe('ClientSecretCredential', () => {
  afterEach(() =>
    changeEntra(lab, {
      secrets: { rotate: { value: lab.tenant('A').clientSecret } },
      application: { presence: 'present' },
      conditionalAccess: { blocked: false },
      authority: { transient: null, cloud: 'public' },
    }),
  );
  const bySecret = (secret = lab.tenant('A').clientSecret, tenantId = lab.tenant('A').tenantId): ClientSecretCredential =>
    new ClientSecretCredential(tenantId, lab.tenant('A').clientId, secret, options);

  test('signs in', async () => {
    expect(await claims(bySecret())).toMatchObject({ appid: lab.tenant('A').clientId, appidacr: '1' });
  });

  test.each([
    ['expired', { secrets: { expire: 'all' } }, /invalid_client.*AADSTS7000222/s],
    ['no service principal', { application: { presence: 'service-principal-missing' } }, /invalid_client.*AADSTS7000229/s],
    ['not in the tenant', { application: { presence: 'not-in-tenant' } }, /unauthorized_client.*AADSTS700016/s],
    ['Conditional Access', { conditionalAccess: { blocked: true } }, /AADSTS53003/],
    ['another cloud', { authority: { cloud: 'usgovernment' } }, /invalid_resource.*AADSTS500011/s],
    ['a passing error', { authority: { transient: { code: 90033 } } }, /AADSTS90033/],
  ])('%s', async (_name, change: Record<string, object>, text) => {
    await changeEntra(lab, change);
    await expect(bySecret().getToken(SCOPE)).rejects.toThrow(text);
  });

  test('an unknown tenant hides its code (§3.4)', async () => {
    await expect(bySecret('x', '99999999-0000-4000-8000-000000000000').getToken(SCOPE)).rejects.toThrow(/endpoints_resolution_error/);
  });

  test('a US Government identity (§3.5)', async () => {
    await changeEntra(lab, { authority: { cloud: 'usgovernment' } });
    expect((await claims(bySecret(), 'https://management.usgovcloudapi.net/.default')).aud).toBe('https://management.usgovcloudapi.net');
  });
});

describe('ClientCertificateCredential', () => {
  const byCertificate = async (): Promise<ClientCertificateCredential> => {
    const path = join(dir, 'certificate.pem');
    await writeFile(path, certificate.pem);
    return new ClientCertificateCredential(lab.tenant('A').tenantId, lab.tenant('A').clientId, path, options);
  };
  afterEach(() => changeEntra(lab, { authority: { clockSkewSeconds: 0 } }));

  test('not registered, registered, expired', async () => {
    await expect((await byCertificate()).getToken(SCOPE)).rejects.toThrow(/AADSTS700027.*not registered/s);
    await changeEntra(lab, { certificates: { add: { pem: certificate.certificatePem } } });
    expect((await claims(await byCertificate())).appidacr).toBe('2');
    await changeEntra(lab, { authority: { clockSkewSeconds: 7200 } });
    await expect((await byCertificate()).getToken(SCOPE)).rejects.toThrow(/invalid_client.*AADSTS700024/s);
    await changeEntra(lab, { authority: { clockSkewSeconds: 0 }, certificates: { expire: 'all' } });
    await expect((await byCertificate()).getToken(SCOPE)).rejects.toThrow(/AADSTS700027.*expired/s);
  });
});

describe('ClientAssertionCredential and WorkloadIdentityCredential', () => {
  beforeAll(() => changeEntra(lab, { federatedCredentials: { add: { name: 'worker', subject: SUBJECT } } }));
  const byAssertion = (token: object = {}): ClientAssertionCredential =>
    new ClientAssertionCredential(lab.tenant('A').tenantId, lab.tenant('A').clientId, () => mint(token), options);

  test('an assertion signs in', async () => {
    expect(await claims(byAssertion())).toMatchObject({ appid: lab.tenant('A').clientId, appidacr: '2' });
  });

  test.each([
    ['another subject', { subject: 'system:serviceaccount:other:worker' }, /AADSTS700213/],
    ['another audience', { audience: 'api://elsewhere' }, /AADSTS700212/],
    ['another issuer', { issuer: 'https://issuer.example/' }, /AADSTS700211/],
    ['a token that ended', { expiresInSeconds: -7200 }, /AADSTS700024/],
  ])('%s', async (_name, token, text) => {
    await expect(byAssertion(token).getToken(SCOPE)).rejects.toThrow(text);
  });

  test('a token file, as a cluster mounts it', async () => {
    const tokenFilePath = join(dir, 'federated-token');
    const byFile = (): WorkloadIdentityCredential =>
      new WorkloadIdentityCredential({ tenantId: lab.tenant('A').tenantId, clientId: lab.tenant('A').clientId, tokenFilePath, ...options });
    await writeFile(tokenFilePath, await mint());
    expect((await claims(byFile())).appid).toBe(lab.tenant('A').clientId);
    await writeFile(tokenFilePath, await mint({ subject: 'system:serviceaccount:other:worker' }));
    await expect(byFile().getToken(SCOPE)).rejects.toThrow(/AADSTS700213/);
  });
});

describe('ManagedIdentityCredential, on a virtual machine', () => {
  beforeAll(() => {
    process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = lab.lab.managedIdentity.AZURE_POD_IDENTITY_AUTHORITY_HOST;
  });
  afterAll(() => {
    delete process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST;
  });
  const managed = (clientId?: string): ManagedIdentityCredential =>
    new ManagedIdentityCredential({ ...(clientId === undefined ? {} : { clientId }), retryOptions: { maxRetries: 0 } });

  test('the host’s own identity, and a user-assigned one', async () => {
    expect((await claims(managed())).appid).toBe(lab.tenant('A').clientId);
    expect((await claims(managed(lab.tenant('B').clientId))).appid).toBe(lab.tenant('B').clientId);
  });

  test('an identity that the host does not have', async () => {
    await expect(managed('99999999-0000-4000-8000-000000000000').getToken(SCOPE)).rejects.toThrow(/Identity not found/);
  });

  test('a resource of another cloud', async () => {
    await expect(managed().getToken('https://management.usgovcloudapi.net/.default')).rejects.toThrow(/AADSTS500011/);
  });
});
