/** Can the application sign in at all (azure.md §2.4)? */
import type { SyncError } from '../errors.ts';
import { blocking, evidenceOf, isAnswer, ok } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

export const entraSignIn: Check = {
  id: 'entra.sign-in',
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
      return [
        ok(`Entra issued a token for Azure Resource Manager to application ${who} in tenant ${tenantId}, good for ${minutes} minutes.`),
      ];
    } catch (error) {
      if (!isAnswer(error)) throw error;
      return [blocking(evidenceOf(error), remedyOf(error, context))];
    }
  },
};

function otherTenant(issued: string, wanted: string): Result {
  return blocking(
    `Entra issued a token of tenant ${issued}, but the deployment names tenant ${wanted}.`,
    `Set tenantId of the deployment to ${issued}, or use an identity of tenant ${wanted}.`,
  );
}

interface Identity {
  readonly clientId: string;
  readonly tenantId: string;
  /** Portal of the cloud, as far as it is known by name. */
  readonly app: string;
  readonly secret: string;
}

const newSecret = ({ app, clientId, secret }: Identity): string =>
  `${app} › Certificates & secrets › New client secret (or: az ad app credential reset --id ${clientId} --append). Put its Value, which is shown only once and is not the Secret ID, into ${secret}.`;

/** Steps with the real ids, by the code of the refusal. */
const remedies: Readonly<Record<string, (identity: Identity) => string>> = {
  'secret-id-instead-of-value': newSecret,
  AADSTS7000215: newSecret,
  AADSTS7000222: (identity) => `${newSecret(identity)} Remove the expired secret afterwards.`,
  AADSTS700016: ({ clientId, tenantId }) =>
    `Compare clientId ${clientId} and tenantId ${tenantId} of the deployment with Application (client) ID and Directory (tenant) ID on the overview page of the app registration. If the app is registered in another tenant, an administrator of ${tenantId} admits it: az ad sp create --id ${clientId}.`,
  AADSTS7000229: ({ clientId, tenantId }) =>
    `An administrator of tenant ${tenantId} creates the service principal: az ad sp create --id ${clientId}.`,
  AADSTS90002: ({ tenantId }) =>
    `Check tenantId ${tenantId} (az account show --query tenantId), and that the deployment names the cloud this tenant lives in (public, usgovernment).`,
  AADSTS500011: () => 'The token scope belongs to another cloud: check cloud and resourceManager of the deployment.',
  AADSTS70021: ({ app }) =>
    `${app} › Certificates & secrets › Federated credentials: issuer, subject and audience must equal those of the configured token file.`,
  AADSTS53003: ({ app, clientId }) =>
    `Ask the owner of the Conditional Access policy for workload identities to admit ${clientId} from the address where the worker runs (Entra admin centre › Sign-in logs › Service principal sign-ins names the policy). ${app}.`,
};

function remedyOf(error: SyncError, { deployment: { azure } }: CheckContext): string | null {
  const clientId = azure.clientId ?? '(managed identity)';
  const identity: Identity = {
    clientId,
    tenantId: azure.tenantId,
    app: `Entra admin centre › App registrations › ${clientId}`,
    secret: azure.credential.type === 'client-secret' ? azure.credential.clientSecret.origin : 'the credential of the deployment',
  };
  const exact = error.code === undefined ? undefined : remedies[error.code];
  return exact?.(identity) ?? error.remedy?.replaceAll('<clientId>', clientId) ?? null;
}
