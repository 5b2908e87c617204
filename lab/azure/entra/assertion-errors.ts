import { entraError, type EntraError } from './errors.ts';

const CERTIFICATE_DOCUMENTATION =
  'Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .';
const FEDERATION_DOCUMENTATION =
  'Check your federated identity credential Subject, Audience and Issuer against the presented assertion. ' +
  'https://learn.microsoft.com/entra/workload-id/workload-identity-federation';

const refused = (code: number, text: string, now: Date): EntraError => entraError(401, 'invalid_client', code, text, now);

export function malformedAssertion(now: Date): EntraError {
  return refused(50027, 'JWT token is invalid or malformed.', now);
}

/** The text writes times with seven digits of a second. */
export function assertionOutOfTime(notBefore: Date, expires: Date, now: Date): EntraError {
  const precise = (moment: Date): string => moment.toISOString().replace('Z', '0000Z');
  return refused(
    700024,
    `Client assertion is not within its valid time range. Current time: ${precise(now)}, assertion valid from ${precise(notBefore)}, ` +
      `expiry time of assertion ${precise(expires)}. ${CERTIFICATE_DOCUMENTATION}`,
    now,
  );
}

export function unknownCertificate(thumbprint: string, clientId: string, now: Date): EntraError {
  return refused(
    700027,
    `The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., ` +
      `Thumbprint of key used by client: '${thumbprint}', Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured ` +
      `keys for app Id '${clientId}'. ${CERTIFICATE_DOCUMENTATION}]`,
    now,
  );
}

export function expiredCertificate(thumbprint: string, startsAt: Date, endsAt: Date, now: Date): EntraError {
  const american = (moment: Date): string => {
    const [date = '', time = ''] = moment.toISOString().split('T');
    const [year = '', month = '', day = ''] = date.split('-');
    return `${month}/${day}/${year} ${time.slice(0, 8)}`;
  };
  return refused(
    700027,
    `Client assertion contains an invalid signature. [Reason - The key used is expired., Thumbprint of key used by client: '${thumbprint}', ` +
      `Found key 'Start=${american(startsAt)}, End=${american(endsAt)}']`,
    now,
  );
}

export function wrongSignature(now: Date): EntraError {
  return refused(700027, 'Client assertion failed signature validation.', now);
}

export function foreignAssertion(now: Date): EntraError {
  return refused(700021, `Client assertion application identifier doesn't match 'client_id' parameter. ${CERTIFICATE_DOCUMENTATION}`, now);
}

export function wrongAssertionAudience(now: Date): EntraError {
  return refused(700023, `Client assertion audience claim does not match Realm issuer. ${CERTIFICATE_DOCUMENTATION}`, now);
}

export function noFederatedCredential(clientId: string, name: string, now: Date): EntraError {
  return refused(70025, `The client '${clientId}'(${name}) has no configured federated identity credentials.`, now);
}

/** The issuer's keys cannot be read: the lab asks nobody outside. */
export function unreadableIssuer(now: Date): EntraError {
  return refused(501661, 'Request to External OIDC endpoint failed.', now);
}

export function wrongFederatedSignature(now: Date): EntraError {
  return refused(50013, 'Assertion failed signature validation. [Reason - The key was not found.]', now);
}

/** A code for each claim that matches no credential. */
export function noMatchingCredential(claim: 'issuer' | 'audience' | 'subject', value: string, now: Date): EntraError {
  const code = { issuer: 700211, audience: 700212, subject: 700213 }[claim];
  return refused(
    code,
    `No matching federated identity record found for presented assertion ${claim} '${value}'. ${FEDERATION_DOCUMENTATION}`,
    now,
  );
}

/** The same subject in another casing. */
export function subjectInOtherCasing(subject: string, now: Date): EntraError {
  return refused(
    7002138,
    `No matching federated identity record found for presented assertion subject '${subject}'. The subject matches with case-insensitive ` +
      `comparison, but not with case-sensitive comparison. ${FEDERATION_DOCUMENTATION}`,
    now,
  );
}

/** As captured in entra/token_400_AADSTS70021_no_federated_identity.json: before there was a code for each claim. */
export function noFederatedIdentity(now: Date): EntraError {
  return entraError(400, 'invalid_request', 70021, 'No matching federated identity record found for presented assertion.', now);
}
