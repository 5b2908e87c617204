import { createPrivateKey } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentialOf } from '../../../../activities/sign-in.ts';
import type { LabTenant } from '../../../../lab/azure/index.ts';
import { secretFrom } from '../../../../src/config/index.ts';
import { makeCertificate, type TestCertificate } from '../../lab-azure/certificate.ts';
import { closedPort } from '../closed-port.ts';
import { hostAnsweredBy } from '../host.ts';
import type { Choice, Labs } from '../labs.ts';
import type { Expected, State } from './state.ts';

/** What hangs on a token for Azure. */
export const withoutSignIn: readonly string[] = [
  'graph.incident-permissions',
  'azure.scopes',
  'azure.read',
  'azure.tags',
  'azure.resource-graph',
  'azure.cve-details',
  'azure.defender-plan',
];

const owner = 'An owner of the app registration';
const operator = 'Whoever runs the worker';
const signIn = (cause: string, more: Omit<Expected, 'check' | 'verdict' | 'cause'>): Expected => ({
  check: 'entra.sign-in',
  verdict: 'blocking',
  cause,
  ...more,
});

/** What the operator wrote about a secret in a file. */
function secretIn(file: string, { clientId }: LabTenant): Parameters<typeof credentialOf>[0] {
  return { clientId, credential: { type: 'client-secret', clientSecret: secretFrom({ file }, {}) } };
}

/** A certificate of its own in the configuration; its public part is for those who register it. */
async function withCertificate({ serviceNow }: Labs, days: number): Promise<Choice & { readonly certificatePem: string }> {
  const { pem, certificatePem } = await makeCertificate({ days });
  const pemPath = join(serviceNow.dir, 'application.pem');
  await writeFile(pemPath, pem);
  return { credential: { type: 'certificate', pemPath }, certificatePem };
}

function encrypted(keyPem: string): string {
  return createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'canary' }).toString();
}

/** The worker runs on a host of Azure. */
async function onHost({ azure, change }: Labs, identity: object, clientId?: string): Promise<Choice> {
  await hostAnsweredBy(azure.managedIdentity.AZURE_POD_IDENTITY_AUTHORITY_HOST);
  await change({ managedIdentity: identity });
  return { clientId: clientId ?? '', credential: { type: 'managed-identity', clientId } };
}

/** A file that the operator named, and that is not there. */
function without(
  state: string,
  cause: string,
  { choose, remedy }: { readonly choose: (file: string, labs: Labs) => Choice; readonly remedy: Expected['remedy'] },
): State {
  const fileIn = ({ serviceNow }: Labs): string => join(serviceNow.dir, 'gone');
  return {
    state,
    choose: (labs) => choose(fileIn(labs), labs),
    finds: (labs) => [signIn(cause, { evidence: [fileIn(labs), 'ENOENT'], fixedBy: operator, remedy })],
    notChecked: withoutSignIn,
  };
}

export const entraStates: readonly State[] = [
  {
    state: 'a managed identity of the host',
    choose: (labs) => onHost(labs, { systemAssigned: labs.tenant.clientId }),
    finds: () => [],
    wellIn: ['entra.sign-in'],
  },
  {
    state: 'a managed identity that the host was not given',
    choose: (labs) => onHost(labs, { systemAssigned: null, userAssigned: [] }, '99999999-0000-4000-8000-000000000000'),
    finds: () => [
      signIn('identity-not-on-host', {
        evidence: ['99999999-0000-4000-8000-000000000000', 'Identity not found'],
        fixedBy: /host/,
        remedy: ['Identity › User assigned', 'az vm identity assign', 'clientId'],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'no managed identity at all: the host is none of Azure',
    choose: async (labs: Labs): Promise<Choice> => {
      const choice = await onHost(labs, { systemAssigned: null, userAssigned: [] });
      await hostAnsweredBy(undefined);
      return choice;
    },
    finds: () => [
      signIn('no-identity-service', {
        evidence: ['no metadata service', 'no system-assigned managed identity'],
        fixedBy: operator,
        remedy: ['System assigned', 'outside Azure'],
      }),
    ],
    notChecked: withoutSignIn,
  },
  without('the file of the secret is gone', 'secret-unreadable', {
    choose: (file, { tenant }) => ({ credential: credentialOf(secretIn(file, tenant)) }),
    remedy: ['Put the secret back there', 'nothing has to be restarted'],
  }),
  without('the file of trusted authorities is gone', 'ca-file-unreadable', {
    choose: (caFile) => ({ caFile }),
    remedy: ['PEM file of the authority', 'caFile'],
  }),
  {
    state: 'wrong secret',
    choose: () => ({ clientSecret: 'wrong~secret.value-0123456789' }),
    finds: ({ tenant }: Labs) => [
      signIn('secret-wrong', {
        evidence: ['AADSTS7000215', tenant.clientId, tenant.tenantId],
        fixedBy: owner,
        remedy: [`az ad app credential reset --id ${tenant.clientId} --append`, 'Value', 'CONTOSO_SECRET'],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: "the secret's id pasted instead of its value: refused unsent",
    choose: () => ({ clientSecret: '6f1e9c9a-2a46-4b3d-9f0e-5e3a1a2b3c4d' }),
    finds: ({ tenant }: Labs) => [
      signIn('secret-id-instead-of-value', {
        evidence: ['shaped like a GUID', 'It was not sent'],
        fixedBy: owner,
        remedy: [`az ad app credential reset --id ${tenant.clientId}`, 'is not the Secret ID'],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'unknown tenant',
    choose: () => ({ tenantId: '99999999-9999-4999-8999-999999999999' }),
    finds: () => [
      signIn('tenant-unknown', {
        evidence: ['99999999-9999-4999-8999-999999999999'],
        fixedBy: operator,
        remedy: ['Check tenantId 99999999-9999-4999-8999-999999999999', 'cloud'],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'the application is not in the tenant',
    choose: () => ({ clientId: '88888888-8888-4888-8888-888888888888' }),
    finds: ({ tenant }: Labs) => [
      signIn('application-not-in-tenant', {
        evidence: ['AADSTS700016'],
        fixedBy: owner,
        remedy: [
          'clientId 88888888-8888-4888-8888-888888888888',
          tenant.tenantId,
          'az ad sp create --id 88888888-8888-4888-8888-888888888888',
        ],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'the authority cannot be reached',
    choose: async () => ({ authorityHost: `https://127.0.0.1:${await closedPort()}`, more: { passing: 'report' } }),
    finds: () => [
      signIn('not-reachable', {
        evidence: ['127.0.0.1', 'did not answer'],
        fixedBy: 'Whoever runs the network',
        remedy: ['name resolution, proxy and firewall'],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'the authority is not trusted',
    // The instance's own authority signed nothing of Azure's.
    choose: ({ serviceNow }) => ({ caFile: `${serviceNow.dir}/ca.pem` }),
    finds: () => [
      signIn('authority-not-trusted', {
        evidence: ['The TLS certificate of', 'is not trusted'],
        fixedBy: operator,
        remedy: ['caFile of the deployment'],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'token requests are throttled',
    give: ({ azureAdmin }) =>
      azureAdmin('POST', '/faults', {
        match: { pathIncludes: '/oauth2/v2.0/token' },
        action: { status: 429, headers: { 'retry-after': '5' }, body: { error: 'temporarily_unavailable' } },
      }),
    choose: () => ({ more: { passing: 'report' } }),
    finds: () => [
      {
        check: 'entra.sign-in',
        verdict: 'not-readable',
        cause: 'no-answer-now',
        evidence: ['throttled'],
        remedy: ['defender-sync doctor'],
      },
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'the clock of the worker is an hour behind',
    choose: ({ clock }) => ({ nowMs: () => clock.nowMs() - 3_600_000 }),
    finds: () => [
      {
        check: 'entra.sign-in',
        verdict: 'warning',
        cause: 'clock-skew',
        evidence: ['60 minutes behind'],
        fixedBy: operator,
        remedy: ['timedatectl'],
      },
    ],
  },
  {
    state: 'expired secret',
    give: ({ change, tenant }) => change({ secrets: { clientId: tenant.clientId, expire: 'all' } }),
    finds: ({ tenant }) => [
      signIn('secret-expired', {
        evidence: ['AADSTS7000222'],
        fixedBy: owner,
        remedy: [`az ad app credential reset --id ${tenant.clientId} --append`, 'Remove the expired secret afterwards'],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'the secret expires within 30 days, and the registration is readable',
    give: ({ change, tenant }) =>
      change({
        consent: { clientId: tenant.clientId, directoryReader: true },
        secrets: { clientId: tenant.clientId, rotate: { displayName: 'nightly', value: tenant.clientSecret, endsInDays: 10 } },
      }),
    finds: ({ tenant }) => [
      {
        check: 'entra.credential-expiry',
        verdict: 'warning',
        cause: 'secret-expires-soon',
        evidence: ['"nightly"', 'expires in 10 days'],
        fixedBy: owner,
        remedy: [`az ad app credential reset --id ${tenant.clientId} --append`, 'CONTOSO_SECRET'],
      },
    ],
  },
  {
    state: 'the service principal is gone',
    give: ({ change, tenant }) => change({ application: { clientId: tenant.clientId, presence: 'service-principal-missing' } }),
    finds: ({ tenant }) => [
      signIn('service-principal-missing', {
        evidence: ['AADSTS7000229'],
        fixedBy: owner,
        remedy: [`az ad sp create --id ${tenant.clientId}`],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'wrong cloud: the resource is one of another cloud',
    choose: () => ({ resourceManager: 'https://management.usgovcloudapi.net' }),
    finds: () => [
      signIn('other-cloud', { evidence: ['AADSTS500011'], fixedBy: operator, remedy: ['cloud', 'resourceManager of the deployment'] }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'Conditional Access blocks the application',
    give: ({ change, tenant }) => change({ conditionalAccess: { clientId: tenant.clientId, blocked: true } }),
    finds: ({ tenant }) => [
      signIn('conditional-access', {
        evidence: ['AADSTS53003'],
        fixedBy: 'A Conditional Access Administrator',
        remedy: ['Service principal sign-ins', tenant.clientId],
      }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: "Entra's own clock is an hour ahead",
    give: ({ change }) => change({ authority: { clockSkewSeconds: 3600 } }),
    finds: () => [
      { check: 'entra.sign-in', verdict: 'warning', cause: 'clock-skew', evidence: ['60 minutes behind'], remedy: ['timedatectl'] },
    ],
  },
  {
    state: 'Entra is throttled inside (AADSTS90033)',
    give: ({ change }) => change({ authority: { transient: { code: 90033 } } }),
    choose: () => ({ more: { passing: 'report' } }),
    finds: () => [
      {
        check: 'entra.sign-in',
        verdict: 'not-readable',
        cause: 'no-answer-now',
        evidence: ['AADSTS90033'],
        remedy: ['defender-sync doctor'],
      },
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'no federated credential matches the token of the workload',
    give: ({ change, tenant }) =>
      change({
        federatedCredentials: { clientId: tenant.clientId, add: { name: 'worker', subject: 'system:serviceaccount:sync:worker' } },
      }),
    choose: async (labs: Labs): Promise<Choice> => {
      const { token } = (await labs.azureAdmin('POST', '/federated-tokens', { subject: 'system:serviceaccount:sync:other' })) as {
        token: string;
      };
      const path = join(labs.serviceNow.dir, 'federated-token');
      await writeFile(path, token);
      return { credential: { type: 'federated-token-file', path } };
    },
    finds: ({ tenant }) => [
      signIn('no-federated-credential', {
        evidence: ['AADSTS700213', 'subject'],
        fixedBy: owner,
        remedy: ['issuer, subject and audience', `az ad app federated-credential list --id ${tenant.clientId}`],
      }),
    ],
    notChecked: withoutSignIn,
  },
  ...(
    [
      ['holds no certificate', ({ keyPem }) => keyPem],
      ['holds no private key', ({ certificatePem }) => certificatePem],
      ['holds a private key that is encrypted', ({ certificatePem, keyPem }) => certificatePem + encrypted(keyPem)],
      ['holds a private key that is not that of the certificate', ({ keyPem }, other) => keyPem + other.certificatePem],
    ] satisfies [string, (made: TestCertificate, other: TestCertificate) => string][]
  ).map(([lacks, contentOf]): State => ({
    state: `the certificate file ${lacks}`,
    choose: async ({ serviceNow }: Labs): Promise<Choice> => {
      const pemPath = join(serviceNow.dir, 'application.pem');
      await writeFile(pemPath, contentOf(await makeCertificate(), await makeCertificate()));
      return { credential: { type: 'certificate', pemPath } };
    },
    finds: () => [
      signIn('certificate-file-unusable', {
        evidence: ['application.pem', lacks],
        fixedBy: operator,
        remedy: ['BEGIN CERTIFICATE and BEGIN PRIVATE KEY', 'openssl pkcs12'],
      }),
    ],
    notChecked: withoutSignIn,
  })),
  {
    state: 'a proxy stands before Entra, and refuses in its own words',
    give: ({ azureAdmin }) =>
      azureAdmin('POST', '/faults', {
        match: { pathIncludes: '/oauth2/v2.0/token' },
        action: { status: 403, body: '<html>Access denied by policy</html>' },
      }),
    finds: () => [signIn('not-entra', { evidence: ['status 403', 'not in the words of Entra'], fixedBy: /network/, remedy: ['a proxy'] })],
    notChecked: withoutSignIn,
  },
  {
    state: 'the certificate is not registered with the application',
    choose: (labs) => withCertificate(labs, 365),
    finds: () => [
      signIn('certificate-refused', { evidence: ['AADSTS700027'], fixedBy: owner, remedy: ['openssl x509', 'upload the public part'] }),
    ],
    notChecked: withoutSignIn,
  },
  {
    state: 'the certificate expires within 30 days',
    choose: async (labs: Labs): Promise<Choice> => {
      const chosen = await withCertificate(labs, 12);
      await labs.change({ certificates: { clientId: labs.tenant.clientId, add: { pem: chosen.certificatePem } } });
      return chosen;
    },
    finds: () => [
      {
        check: 'entra.credential-expiry',
        verdict: 'warning',
        cause: 'certificate-expires-soon',
        evidence: ['expires in 12 days'],
        fixedBy: owner,
        remedy: ['upload its public part', 'the worker takes it up by itself'],
      },
    ],
  },
];
