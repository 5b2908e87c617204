/** From the configured credential to one of @azure/identity's, picked explicitly (azure.md §3.2). */
import { readFile } from 'node:fs/promises';
import {
  ClientAssertionCredential,
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
  type TokenCredential,
  type TokenCredentialOptions,
} from '@azure/identity';
import { SyncError } from '../errors.ts';

export type CredentialChoice =
  | { readonly type: 'secret'; readonly value: string }
  /** PEM file with the certificate and its private key. */
  | { readonly type: 'certificate'; readonly pemPath: string }
  /** File that a workload identity keeps fresh; read again for every token. */
  | { readonly type: 'federated-token-file'; readonly path: string }
  /** `clientId` names a user-assigned identity. */
  | { readonly type: 'managed-identity'; readonly clientId?: string | undefined };

const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Refuses, before anything is sent, a secret that is shaped like a GUID: that is always the secret's id (azure.md §2.4).
 * @throws SyncError `unauthenticated`
 */
export function refuseSecretId(credential: CredentialChoice, clientId: string): void {
  if (credential.type !== 'secret' || !guid.test(credential.value.trim())) return;
  throw new SyncError({
    kind: 'unauthenticated',
    service: 'entra',
    code: 'secret-id-instead-of-value',
    message: `The client secret configured for application ${clientId} is shaped like a GUID: that is the Secret ID, not its Value. It was not sent.`,
    remedy:
      'The Value is shown once, when the secret is made: add a new client secret under App registrations › the app › Certificates & secrets and configure its Value.',
  });
}

export interface CredentialOptions extends TokenCredentialOptions {
  readonly disableInstanceDiscovery?: boolean;
}

export function createCredential(
  tenantId: string,
  clientId: string,
  choice: CredentialChoice,
  options: CredentialOptions,
): TokenCredential {
  switch (choice.type) {
    case 'secret':
      return new ClientSecretCredential(tenantId, clientId, choice.value, options);
    case 'certificate':
      return new ClientCertificateCredential(tenantId, clientId, choice.pemPath, options);
    case 'federated-token-file':
      return new ClientAssertionCredential(tenantId, clientId, () => readAssertion(choice.path), options);
    case 'managed-identity':
      return new ManagedIdentityCredential({ ...options, ...(choice.clientId === undefined ? {} : { clientId: choice.clientId }) });
  }
}

async function readAssertion(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim();
}
