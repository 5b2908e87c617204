import type { ServiceNowSettings } from '../config/index.ts';

/** Who signs in, by what the configuration says. */
export function configuredAccount({ auth }: Pick<ServiceNowSettings, 'auth'>): string {
  return auth.type === 'client-credentials' ? `the user of OAuth client ${auth.clientId}` : auth.userName;
}
