import type { JWK } from 'jose';
import type { HttpsApp } from '../../kit/https-app.ts';
import { createSigningKeys } from './keys.ts';

/** The audience that a federated credential has unless told otherwise. */
export const TOKEN_EXCHANGE_AUDIENCE = 'api://AzureADTokenExchange';

/** An OIDC issuer of the lab's own, as a Kubernetes cluster is one for its service accounts. */
export interface WorkloadIssuer {
  /** Ends in a slash, as those of AKS do. */
  issuer(): string;
  jwks(): { keys: JWK[] };
  /** A token for a workload. Times in seconds since the epoch. */
  mint(claims: { sub: string; aud: string; iss: string; nbf: number; exp: number }): Promise<string>;
  isSigned(token: string): Promise<boolean>;
}

export async function createWorkloadIssuer(issuer: () => string): Promise<WorkloadIssuer> {
  const keys = await createSigningKeys({ certificate: false });
  return {
    issuer,
    jwks: () => keys.jwks(),
    mint: (claims) => keys.sign({ iat: claims.nbf, ...claims }),
    isSigned: async (token) => (await keys.verify(token)) !== undefined,
  };
}

/** The two documents that make it an issuer: discovery and keys. */
export function registerWorkloadIssuer({ app }: HttpsApp, path: string, workloads: WorkloadIssuer): void {
  app.get(`${path}.well-known/openid-configuration`, (_request, reply) =>
    reply.type('application/json').send(
      JSON.stringify({
        issuer: workloads.issuer(),
        jwks_uri: `${workloads.issuer()}openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
      }),
    ),
  );
  app.get(`${path}openid/v1/jwks`, (_request, reply) => reply.type('application/json').send(JSON.stringify(workloads.jwks())));
}
