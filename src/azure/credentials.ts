/** From the configured credential to one of @azure/identity's, picked explicitly (azure.md §3.2). */
import { X509Certificate } from 'node:crypto';
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
  | { readonly type: 'managed-identity'; readonly clientId?: string | undefined }
  /** A secret that is not where it should be; `problem` is what every request for a token gets. */
  | { readonly type: 'unreadable'; readonly problem: SyncError };

const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Refuses, before anything is sent, a secret that could not be read, and one that is shaped like a GUID: that is always the secret's
 * id (azure.md §2.4).
 * @throws SyncError `unauthenticated`
 */
export function refuseUnusable(credential: CredentialChoice, clientId: string): void {
  if (credential.type === 'unreadable') throw credential.problem;
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
    case 'unreadable':
      throw choice.problem;
  }
}

/** When the first certificate of a PEM file ends. @throws SyncError `misconfigured` when the file cannot be read, or holds none */
export async function certificateEnd(pemPath: string): Promise<Date> {
  try {
    return new Date(new X509Certificate(await readFile(pemPath)).validTo);
  } catch (error) {
    throw new SyncError({
      kind: 'misconfigured',
      service: 'entra',
      message: `The certificate file ${pemPath} cannot be read, or holds no certificate.`,
      remedy:
        'Check the path in the credential of the deployment, that the worker may read it, and that it holds the certificate and its key as PEM.',
      cause: error,
    });
  }
}

async function readAssertion(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim();
}
