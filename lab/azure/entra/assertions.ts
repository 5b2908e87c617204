import { createHash, createPublicKey } from 'node:crypto';
import { compactVerify, decodeJwt, decodeProtectedHeader, type JWTPayload } from 'jose';
import {
  assertionOutOfTime,
  expiredCertificate,
  foreignAssertion,
  malformedAssertion,
  noFederatedCredential,
  noFederatedIdentity,
  noMatchingCredential,
  subjectInOtherCasing,
  unknownCertificate,
  unreadableIssuer,
  wrongAssertionAudience,
  wrongFederatedSignature,
  wrongSignature,
} from './assertion-errors.ts';
import type { Authority } from './authority.ts';
import type { AppCertificate, FederatedCredential, Registration } from './directory.ts';
import type { EntraError } from './errors.ts';
import type { WorkloadIssuer } from './workload-issuer.ts';

/** Entra's tolerance for clocks that differ. */
const TOLERATED_SKEW_MS = 300_000;

export interface AssertionContext {
  authority: Authority;
  workloads: WorkloadIssuer;
  /** What a certificate's assertion may name as its audience: token endpoint or issuer of this tenant. */
  audiences: () => readonly string[];
}

interface Assertion {
  readonly token: string;
  readonly thumbprints: { readonly sha1: string | undefined; readonly sha256: string | undefined };
  readonly claims: JWTPayload;
}

/** Undefined where the assertion is good: signed by a certificate of the application, or by an issuer it trusts (azure.md §2.1). */
export async function refuseAssertion(
  token: string,
  registration: Registration,
  context: AssertionContext,
): Promise<EntraError | undefined> {
  const assertion = read(token);
  if (assertion === undefined) return malformedAssertion(context.authority.now());
  // An application signs in its own name; an identity provider is an https address.
  return assertion.claims.iss?.startsWith('https://') === true
    ? refuseFederated(assertion, registration, context)
    : refuseCertificate(assertion, registration, context);
}

function read(token: string): Assertion | undefined {
  try {
    const header = decodeProtectedHeader(token);
    const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
    return { token, thumbprints: { sha1: text(header.x5t), sha256: text(header['x5t#S256']) }, claims: decodeJwt(token) };
  } catch {
    // Not a JWT: which part of it is wrong is in no answer.
    return undefined;
  }
}

async function refuseCertificate(
  assertion: Assertion,
  { application, certificates }: Registration,
  { authority, audiences }: AssertionContext,
): Promise<EntraError | undefined> {
  const { clientId } = application;
  const now = authority.now();
  const used = certificates.find((candidate) => isNamed(candidate, assertion));
  const thumbprint = hexOf(assertion.thumbprints.sha256 ?? assertion.thumbprints.sha1 ?? '');
  if (used === undefined) return unknownCertificate(thumbprint, clientId, now);
  if (used.endsAt <= now || used.startsAt > now) return expiredCertificate(thumbprint, used.startsAt, used.endsAt, now);
  if (!(await isSignedBy(assertion.token, used))) return wrongSignature(now);
  const { iss, sub, aud = [] } = assertion.claims;
  if (iss !== clientId || sub !== clientId) return foreignAssertion(now);
  if (![aud].flat().some((one) => audiences().includes(one))) return wrongAssertionAudience(now);
  return refuseTime(assertion, now);
}

function isNamed({ certificate }: AppCertificate, { thumbprints }: Assertion): boolean {
  const digest = (algorithm: string): string => createHash(algorithm).update(certificate.raw).digest('base64url');
  if (thumbprints.sha256 !== undefined) return digest('sha256') === thumbprints.sha256;
  return digest('sha1') === thumbprints.sha1;
}

async function isSignedBy(token: string, { certificate }: AppCertificate): Promise<boolean> {
  try {
    const key = createPublicKey(certificate.publicKey.export({ type: 'spki', format: 'pem' }));
    await compactVerify(token, key, { algorithms: ['PS256', 'RS256'] });
    return true;
  } catch {
    return false;
  }
}

async function refuseFederated(
  assertion: Assertion,
  { application, federatedCredentials }: Registration,
  { authority, workloads }: AssertionContext,
): Promise<EntraError | undefined> {
  const now = authority.now();
  if (federatedCredentials.length === 0) return noFederatedCredential(application.clientId, application.displayName, now);
  const { iss = '' } = assertion.claims;
  const trusted = federatedCredentials.filter(({ issuer }) => issuer === iss);
  const mismatch = firstMismatch(assertion, trusted, now);
  if (trusted.length > 0) {
    if (iss !== workloads.issuer()) return unreadableIssuer(now);
    if (!(await workloads.isSigned(assertion.token))) return wrongFederatedSignature(now);
  }
  if (mismatch !== undefined) return authority.state.oneFederatedCode ? noFederatedIdentity(now) : mismatch;
  return refuseTime(assertion, now);
}

/** Issuer, subject and audience must be those of one credential, letter by letter. */
function firstMismatch({ claims }: Assertion, trusted: readonly FederatedCredential[], now: Date): EntraError | undefined {
  const { iss = '', sub = '', aud = [] } = claims;
  if (trusted.length === 0) return noMatchingCredential('issuer', iss, now);
  const bySubject = trusted.filter(({ subject }) => subject === sub);
  if (bySubject.length === 0) {
    return trusted.some(({ subject }) => subject.toLowerCase() === sub.toLowerCase())
      ? subjectInOtherCasing(sub, now)
      : noMatchingCredential('subject', sub, now);
  }
  const presented = [aud].flat();
  if (bySubject.some(({ audiences }) => presented.some((one) => audiences.includes(one)))) return undefined;
  return noMatchingCredential('audience', presented.join(' '), now);
}

function refuseTime({ claims }: Assertion, now: Date): EntraError | undefined {
  const notBefore = new Date((claims.nbf ?? 0) * 1000);
  const expires = new Date((claims.exp ?? 0) * 1000);
  const inTime = notBefore.getTime() <= now.getTime() + TOLERATED_SKEW_MS && expires.getTime() > now.getTime() - TOLERATED_SKEW_MS;
  return inTime ? undefined : assertionOutOfTime(notBefore, expires, now);
}

/** Thumbprints are sent as base64url and shown as hexadecimal digits. */
function hexOf(thumbprint: string): string {
  return Buffer.from(thumbprint, 'base64url').toString('hex').toUpperCase();
}
