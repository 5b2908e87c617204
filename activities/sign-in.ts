/**
 * How a deployment signs in, with the secrets as they are now. One that cannot be read is told by whoever needs it, as any other
 * refused sign-in: a run parks on it, and goes on once it is back.
 */
import type { CredentialChoice } from '../src/azure/index.ts';
import { secretUnreadable, type AzureSettings, type ServiceNowSettings } from '../src/config/index.ts';
import { isSyncError, SyncError } from '../src/errors.ts';
import type { ServiceNowAuth } from '../src/servicenow/index.ts';

/** The credential of an app registration. */
export function credentialOf({ credential, clientId }: Pick<AzureSettings, 'credential' | 'clientId'>): CredentialChoice {
  switch (credential.type) {
    case 'client-secret':
      return orUnreadable('entra', () => ({ type: 'secret', value: credential.clientSecret.reveal() }));
    case 'certificate':
      return { type: 'certificate', pemPath: credential.certificateFile };
    case 'federated-token':
      return { type: 'federated-token-file', path: credential.federatedTokenFile };
    case 'managed-identity':
      return { type: 'managed-identity', clientId };
  }
}

/** The integration user of the instance. */
export function authOf({ auth }: Pick<ServiceNowSettings, 'auth'>): ServiceNowAuth {
  return orUnreadable('servicenow', () => {
    switch (auth.type) {
      case 'client-credentials':
        return { type: auth.type, clientId: auth.clientId, clientSecret: auth.clientSecret.reveal() };
      case 'password': {
        const { clientId, userName } = auth;
        return { type: auth.type, clientId, clientSecret: auth.clientSecret.reveal(), userName, password: auth.password.reveal() };
      }
      case 'basic':
        return { type: auth.type, userName: auth.userName, password: auth.password.reveal() };
    }
  });
}

function orUnreadable<Choice>(
  service: 'entra' | 'servicenow',
  read: () => Choice,
): Choice | { readonly type: 'unreadable'; readonly problem: SyncError } {
  try {
    return read();
  } catch (error) {
    if (!isSyncError(error) || error.code !== secretUnreadable) throw error;
    const { message, remedy, code, cause } = error;
    return { type: 'unreadable', problem: new SyncError({ kind: 'unauthenticated', service, code, message, remedy, cause }) };
  }
}
