import { randomUUID } from 'node:crypto';
import type { LabClock } from '../../kit/clock.ts';
import type { HttpsApp } from '../../kit/https-app.ts';
import type { Estate, LabTenantInfo } from '../estate/model.ts';
import type { AzureLabOptions } from '../options.ts';
import { createAuthority, type Authority } from './authority.ts';
import { createDirectory, type Directory } from './directory.ts';
import type { SigningKeys } from './keys.ts';
import { APP_SERVICE_PATH, registerManagedIdentity } from './managed-identity.ts';
import { registerEntra, workloadPath } from './server.ts';
import { createTokenIssuer } from './tokens.ts';
import { createWorkloadIssuer, type WorkloadIssuer } from './workload-issuer.ts';

/** The environment of a process that signs in as the host: names are those of the variables that clients read. */
export interface ManagedIdentityEndpoints {
  readonly AZURE_POD_IDENTITY_AUTHORITY_HOST: string;
  readonly IDENTITY_ENDPOINT: string;
  readonly IDENTITY_HEADER: string;
}

/** The lab's Entra: directory, authority, an OIDC issuer for workloads and the identity endpoint of the host. */
export interface Entra {
  readonly tenant: LabTenantInfo;
  readonly directory: Directory;
  readonly authority: Authority;
  readonly workloads: WorkloadIssuer;
  readonly managedIdentity: () => ManagedIdentityEndpoints;
}

interface EntraInput {
  estate: Estate;
  keys: SigningKeys;
  clock: LabClock;
  options: AzureLabOptions;
  servers: { readonly authority: HttpsApp; readonly identity: HttpsApp };
  /** Known once the servers listen. */
  urls: { readonly authority: string; readonly arm: string; readonly graph: string; readonly identity: string };
}

export async function createEntra({ estate, keys, clock, options, servers, urls }: EntraInput): Promise<Entra> {
  const { tenant, applications } = estate;
  const authority = createAuthority(
    clock,
    applications.map(({ clientId }) => clientId),
  );
  const directory = createDirectory(estate, clock.now());
  const workloads = await createWorkloadIssuer(() => `${urls.authority}${workloadPath(tenant)}`);
  const audiences = (): string[] =>
    [tenant.tenantId, tenant.defaultDomain].flatMap((name) => [
      `${urls.authority}/${name}/oauth2/v2.0/token`,
      `${urls.authority}/${name}/v2.0`,
    ]);
  const issuer = createTokenIssuer({ tenant, directory, authority, workloads, audiences, keys, options, ownResources: () => urls });
  registerEntra(servers.authority, { tenant, directory, authority, keys, issuer, workloads, url: () => urls.authority });
  const identityHeader = randomUUID();
  registerManagedIdentity(servers.identity, { directory, authority, issuer, identityHeader });
  return {
    tenant,
    directory,
    authority,
    workloads,
    managedIdentity: () => ({
      AZURE_POD_IDENTITY_AUTHORITY_HOST: urls.identity,
      IDENTITY_ENDPOINT: `${urls.identity}${APP_SERVICE_PATH}`,
      IDENTITY_HEADER: identityHeader,
    }),
  };
}
