import type { LabClock } from '../../kit/clock.ts';
import type { Access } from '../access.ts';
import type { SigningKeys } from '../entra/keys.ts';
import type { LabApplication, LabTenantInfo } from '../estate/model.ts';
import { ArmError } from './errors.ts';

export interface ArmAuthentication {
  /** The principal behind an Authorization header; throws ArmError 401 (azure.md §1.11, server.md "traps" for the audiences). */
  authenticate(header: string | undefined): Promise<LabApplication>;
}

interface Context {
  tenant: LabTenantInfo;
  access: Access;
  keys: SigningKeys;
  clock: LabClock;
  authorityUrl: () => string;
  armUrl: () => string;
  /** ARM's own identifier in the cloud of the authority (azure.md §3.5). */
  armAudience: () => string;
}

/** Checks bearer tokens as ARM does: signature, expiry by lab time, audience, issuer's tenant. */
export function createArmAuthentication(context: Context): ArmAuthentication {
  const { tenant, access, keys, clock } = context;
  const refused = (code: string, message: string, challenge: string): ArmError =>
    new ArmError(401, code, message, {
      headers: {
        'www-authenticate': `Bearer authorization_uri="${context.authorityUrl()}/${tenant.tenantId}", error="invalid_token", error_description="${challenge}"`,
      },
    });
  return {
    authenticate: async (header) => {
      if (header === undefined || header === '') {
        throw refused(
          'AuthenticationFailed',
          "Authentication failed. The 'Authorization' header is missing.",
          "The authentication failed because of missing 'Authorization' header.",
        );
      }
      const [scheme = '', token = ''] = header.split(' ', 2);
      const claims = scheme.toLowerCase() === 'bearer' ? await keys.verify(token) : undefined;
      if (claims === undefined) {
        throw refused('InvalidAuthenticationToken', 'The access token is invalid.', 'The access token is invalid.');
      }
      const now = clock.now();
      if ((claims.exp ?? 0) * 1000 <= now.getTime()) {
        const expired = `The access token expiry UTC time '${usTime(new Date((claims.exp ?? 0) * 1000))}' is earlier than current UTC time '${usTime(now)}'.`;
        throw refused('ExpiredAuthenticationToken', expired, 'The access token expired.');
      }
      const audience = String(claims.aud).replace(/\/$/, '');
      const own = context.armAudience();
      if (audience !== own && audience !== context.armUrl()) {
        throw refused(
          'InvalidAuthenticationTokenAudience',
          `The access token has been obtained for wrong audience or resource '${String(claims.aud)}'. It should exactly match with one of the allowed audiences ` +
            `'${own}/','${own}','${context.armUrl()}/','${context.armUrl()}'.`,
          'The access token has been obtained from wrong audience or resource.',
        );
      }
      if (claims.tid !== tenant.tenantId) {
        throw refused(
          'InvalidAuthenticationTokenTenant',
          `The access token is from the wrong issuer '${String(claims.iss)}'. It must match the tenant 'https://sts.windows.net/${tenant.tenantId}/' associated with this subscription.`,
          'The access token is from the wrong issuer.',
        );
      }
      const application = access.application(String(claims.appid));
      if (application === undefined) {
        throw refused('InvalidAuthenticationToken', 'The access token is invalid.', 'The access token is invalid.');
      }
      return application;
    },
  };
}

/** `11/22/2026 9:05:07 AM`, as ARM writes times in its texts. */
function usTime(moment: Date): string {
  return moment.toLocaleString('en-US', { timeZone: 'UTC', hour12: true }).replace(',', '').replaceAll('\u202f', ' ');
}
