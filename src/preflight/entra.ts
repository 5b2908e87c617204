/** Can the application sign in at all (azure.md §2.4)? */
import { readFile } from 'node:fs/promises';
import { decodeClaims, identityNotOnHost, noIdentityService, notEntra } from '../azure/index.ts';
import type { SyncError } from '../errors.ts';
import { blocking, evidenceOf, isAnswer, isOnOurSide, ok, warning } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

export const entraSignIn: Check = {
  id: 'entra.sign-in',
  area: 'Entra sign-in',
  question: 'Does Entra give the application a token for Azure?',
  fixedBy: 'An owner of the app registration or an Application Administrator',
  needs: [],
  run: async (context) => {
    const { tenantId } = context.deployment.azure;
    try {
      const token = await context.facts.armToken();
      const claims = await context.facts.armClaims();
      const who = context.deployment.azure.clientId ?? claims?.applicationId ?? '(managed identity)';
      const minutes = Math.floor((token.expiresAtMs - context.nowMs()) / 60_000);
      const issued = claims?.tenantId?.toLowerCase() ?? tenantId.toLowerCase();
      if (issued !== tenantId.toLowerCase()) return [otherTenant(issued, tenantId)];
      const skewMs = token.serverTimeMs === undefined ? 0 : token.obtainedAtMs - token.serverTimeMs;
      if (Math.abs(skewMs) > toleratedSkewMs) return [skewed(skewMs)];
      return [
        ok(`Entra issued a token for Azure Resource Manager to application ${who} in tenant ${tenantId}, good for ${minutes} minutes.`),
      ];
    } catch (error) {
      if (!isAnswer(error)) throw error;
      return [(await expiredToken(error, context)) ?? refusedSignIn(error, context)];
    }
  },
};

/** What Entra tolerates itself in the times of an assertion. */
const toleratedSkewMs = 5 * 60_000;

function skewed(skewMs: number): Result {
  const minutes = Math.round(Math.abs(skewMs) / 60_000);
  return warning(
    'clock-skew',
    `The worker's clock is ${minutes} minutes ${skewMs > 0 ? 'ahead of' : 'behind'} that of Entra: tokens are taken for older or newer than they are.`,
    clockRemedy,
    {
      fixedBy: whoRunsIt,
      follows: 'A run goes on; tokens are renewed too often or too late, and a certificate or a workload identity is refused.',
    },
  );
}

const whoRunsIt = 'Whoever runs the worker';
const clockRemedy = 'Set the clock of the worker right: timedatectl status, chronyc tracking; in a container, the clock of its host.';

function otherTenant(issued: string, wanted: string): Result {
  return blocking(
    'other-tenant',
    `Entra issued a token of tenant ${issued}, but the deployment names tenant ${wanted}.`,
    `Set tenantId of the deployment to ${issued}, or use an identity of tenant ${wanted}.`,
    { fixedBy: whoRunsIt },
  );
}

interface Identity {
  readonly clientId: string;
  readonly tenantId: string;
  /** Where the portal shows the app registration. */
  readonly app: string;
  /** Where the secret, the certificate or the token comes from. */
  readonly origin: string;
  readonly cloud: string;
}

interface Known {
  readonly cause: string;
  /** Undefined: what the error itself says. */
  readonly remedy?: (identity: Identity) => string;
  readonly fixedBy?: string;
}

const newSecret = ({ app, clientId, origin }: Identity): string =>
  `${app} › Certificates & secrets › New client secret (or: az ad app credential reset --id ${clientId} --append). Put its Value, which is shown only once and is not the Secret ID, into ${origin}.`;

const federated: Known = {
  cause: 'no-federated-credential',
  remedy: ({ app, origin, clientId }) =>
    `${app} › Certificates & secrets › Federated credentials: issuer, subject and audience must equal iss, sub and aud of the token in ${origin} (az ad app federated-credential list --id ${clientId}).`,
};

/** Steps with the real ids, by the code of the refusal. */
const known: Readonly<Record<string, Known>> = {
  'secret-id-instead-of-value': { cause: 'secret-id-instead-of-value', remedy: newSecret },
  AADSTS7000215: { cause: 'secret-wrong', remedy: newSecret },
  AADSTS7000222: { cause: 'secret-expired', remedy: (identity) => `${newSecret(identity)} Remove the expired secret afterwards.` },
  AADSTS700027: {
    cause: 'certificate-refused',
    remedy: ({ app, clientId, origin }) =>
      `${app} › Certificates & secrets › Certificates: compare thumbprint and end date with ${origin} (openssl x509 -noout -fingerprint -sha1 -enddate -in <file>); upload the public part of the certificate in use (or: az ad app credential reset --id ${clientId} --append --cert @<file>).`,
  },
  AADSTS700024: { cause: 'clock-skew', remedy: () => clockRemedy, fixedBy: whoRunsIt },
  AADSTS700016: {
    cause: 'application-not-in-tenant',
    remedy: ({ clientId, tenantId }) =>
      `Compare clientId ${clientId} and tenantId ${tenantId} of the deployment with Application (client) ID and Directory (tenant) ID on the overview page of the app registration. If the app is registered in another tenant, an administrator of ${tenantId} admits it: az ad sp create --id ${clientId}.`,
  },
  AADSTS7000229: {
    cause: 'service-principal-missing',
    remedy: ({ clientId, tenantId }) =>
      `An administrator of tenant ${tenantId} creates the service principal: az ad sp create --id ${clientId}.`,
  },
  AADSTS90002: {
    cause: 'tenant-unknown',
    remedy: ({ tenantId, cloud }) =>
      `Check tenantId ${tenantId} (az account show --query tenantId), and that the tenant lives in the cloud that the deployment names (${cloud}; there are public, usgovernment and custom).`,
    fixedBy: whoRunsIt,
  },
  AADSTS500011: {
    cause: 'other-cloud',
    remedy: ({ cloud }) => `The token scope belongs to another cloud: check cloud (${cloud}) and resourceManager of the deployment.`,
    fixedBy: whoRunsIt,
  },
  AADSTS900382: {
    cause: 'other-cloud',
    remedy: ({ cloud, clientId }) =>
      `Application ${clientId} is registered in another cloud than the deployment names (${cloud}): compare cloud with the portal in which it is registered (portal.azure.com is public, portal.azure.us is usgovernment).`,
    fixedBy: whoRunsIt,
  },
  'certificate-file-unusable': { cause: 'certificate-file-unusable', fixedBy: whoRunsIt },
  [notEntra]: { cause: notEntra, fixedBy: 'Whoever runs the network between the worker and Entra' },
  AADSTS70021: federated,
  AADSTS700211: federated,
  AADSTS700212: federated,
  AADSTS700213: federated,
  [identityNotOnHost]: { cause: identityNotOnHost, fixedBy: 'Whoever runs the host of the worker in Azure' },
  [noIdentityService]: { cause: noIdentityService, fixedBy: whoRunsIt },
  untrusted: {
    cause: 'authority-not-trusted',
    remedy: () =>
      'If a private authority or a proxy of yours signed it, name the PEM file of that authority as caFile of the deployment; otherwise find out who answers at that address.',
    fixedBy: whoRunsIt,
  },
  AADSTS53003: {
    cause: 'conditional-access',
    remedy: ({ app, clientId }) =>
      `Ask the owner of the Conditional Access policy for workload identities to admit ${clientId} from the address where the worker runs (Entra admin centre › Sign-in logs › Service principal sign-ins names the policy). ${app}.`,
    fixedBy: 'A Conditional Access Administrator',
  },
};

/** The same code says that a clock is wrong and that the token of a workload identity is an old one: its own times tell. */
async function expiredToken(error: SyncError, { deployment: { azure }, nowMs }: CheckContext): Promise<Result | undefined> {
  const { credential } = azure;
  if (error.code !== 'AADSTS700024' || credential.type !== 'federated-token') return undefined;
  const file = credential.federatedTokenFile;
  const expiresAtMs = decodeClaims(await readFile(file, 'utf8').catch(() => ''))?.expiresAtMs;
  if (expiresAtMs === undefined || expiresAtMs > nowMs()) return undefined;
  return blocking(
    'federated-token-expired',
    `The token in ${file} expired at ${new Date(expiresAtMs).toISOString()}, and nobody has renewed it. ${evidenceOf(error)}`,
    `Find out why ${file} is not renewed: in Kubernetes the kubelet does it for a projected service account token (not for a copy of one); elsewhere whatever writes the file.`,
    { fixedBy: whoRunsIt },
  );
}

function refusedSignIn(error: SyncError, context: CheckContext): Result {
  const identity = identityFor(context);
  if (isOnOurSide(error)) return blocking(error.code ?? '', evidenceOf(error), error.remedy ?? null, { fixedBy: whoRunsIt });
  const exact = error.code === undefined ? undefined : known[error.code];
  if (exact !== undefined) {
    const { cause, remedy, fixedBy } = exact;
    const steps = remedy?.(identity) ?? error.remedy ?? null;
    return blocking(cause, evidenceOf(error), steps, fixedBy === undefined ? {} : { fixedBy });
  }
  const remedy = error.remedy?.replaceAll('<clientId>', identity.clientId) ?? null;
  const isOurs = error.kind === 'misconfigured' || error.kind === 'usage';
  return blocking(error.code ?? (isOurs ? 'not-set-up' : error.kind), evidenceOf(error), remedy, isOurs ? { fixedBy: whoRunsIt } : {});
}

function identityFor({ deployment: { azure } }: CheckContext): Identity {
  const clientId = azure.clientId ?? '(managed identity)';
  return {
    clientId,
    tenantId: azure.tenantId,
    app: `Entra admin centre › App registrations › ${clientId}`,
    origin: originOf(azure.credential),
    cloud: azure.cloud,
  };
}

function originOf(credential: CheckContext['deployment']['azure']['credential']): string {
  switch (credential.type) {
    case 'client-secret':
      return credential.clientSecret.origin;
    case 'certificate':
      return credential.certificateFile;
    case 'federated-token':
      return credential.federatedTokenFile;
    case 'managed-identity':
      return 'the managed identity';
  }
}
