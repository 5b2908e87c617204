import { decodeJwt, decodeProtectedHeader, errors, importX509, jwtVerify, type JWTPayload } from 'jose';
import type { LabClock } from '../kit/clock.ts';
import type { Row, Store } from './store.ts';

/** The documented algorithms (create-jwt-endpoint); a shared key is a form field of the verifier map, but no HS algorithm is listed. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'];

const DEFAULT_SKEW_SECONDS = 300;

/** What a good assertion says: who signs in, by which column of sys_user. */
export interface Assertion {
  userField: string;
  subject: string;
}

/** Judges the assertions of the jwt-bearer grant (servicenow.md §5.7). */
export interface JwtBearer {
  /** The assertion's statement for this `oauth_jwt` client; undefined where anything about it is wrong. */
  verify(client: Row, assertion: string): Promise<Assertion | undefined>;
}

export function createJwtBearer(store: Store, clock: LabClock): JwtBearer {
  /** Used jti values by client, with the moment from which on `exp` alone refuses them. */
  const used = new Map<string, number>();
  const isReplay = (client: Row, claims: JWTPayload, skewSeconds: number): boolean => {
    if (client.values['enable_jti_verification'] !== 'true') return false;
    const jti = claims[client.values['jti_claim'] ?? 'jti'];
    // "A new token every token exchange": without an id it cannot be told to be new.
    if (typeof jti !== 'string' || jti === '') return true;
    for (const [key, endsMs] of used) if (endsMs < clock.nowMs()) used.delete(key);
    const key = `${client.sysId}/${jti}`;
    if (used.has(key)) return true;
    used.set(key, ((claims.exp ?? 0) + skewSeconds) * 1000);
    return false;
  };
  return {
    verify: async (client, assertion) => {
      const skewSeconds = Number(client.values['clock_skew'] ?? DEFAULT_SKEW_SECONDS);
      try {
        const claims = await verified(store, client, assertion, { now: clock.now(), skewSeconds });
        if (claims === undefined || !claimsFit(store, client, claims) || isReplay(client, claims, skewSeconds)) return undefined;
        return { userField: client.values['user_field'] ?? 'email', subject: claims.sub ?? '' };
      } catch (error) {
        if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
        throw error;
      }
    },
  };
}

/** The claims, once the signature fits a registered certificate, `aud` is the client and the times hold. */
async function verified(
  store: Store,
  client: Row,
  assertion: string,
  time: { now: Date; skewSeconds: number },
): Promise<JWTPayload | undefined> {
  const { alg, kid } = decodeProtectedHeader(assertion);
  if (alg === undefined || !ALGORITHMS.includes(alg)) return undefined;
  for (const pem of certificates(store, client, kid)) {
    const key = await importX509(pem, alg).catch(() => undefined);
    if (key === undefined) continue;
    const options = { audience: client.values['client_id'] ?? '', currentDate: time.now, clockTolerance: time.skewSeconds };
    const requiredClaims = ['sub', 'iss', 'exp', 'aud'];
    const { payload } = await jwtVerify(assertion, key, { ...options, algorithms: ALGORITHMS, requiredClaims });
    return payload;
  }
  return undefined;
}

/** By `kid`; an assertion without one is tried with every certificate of the client (not recorded). */
function certificates(store: Store, client: Row, kid: string | undefined): string[] {
  return store
    .equal('jwt_verifier_map', 'oauth_jwt', [client.sysId])
    .filter(({ values }) => kid === undefined || values['kid'] === kid)
    .flatMap(({ values }) => store.find('sys_certificate', values['sys_certificate'] ?? '') ?? [])
    .filter(({ values }) => values['active'] === 'true')
    .map(({ values }) => values['pem_certificate'] ?? '');
}

/** `iss` is the client id, or what a claim validation says; every further validation must hold too (create-jwt-endpoint). */
function claimsFit(store: Store, client: Row, claims: JWTPayload): boolean {
  const validations = store.equal('oauth_jwt_claims', 'oauth_jwt', [client.sysId]).map(({ values }) => values);
  const isIssuerNamed = validations.some(({ claim_name: name }) => name === 'iss');
  if (!isIssuerNamed && claims.iss !== client.values['client_id']) return false;
  return validations.every(({ claim_name: name = '', claim_value: value = '' }) => textOf(claims[name]) === value);
}

function textOf(claim: unknown): string {
  return typeof claim === 'string' || typeof claim === 'number' || typeof claim === 'boolean' ? String(claim) : '';
}

/** The client id that an assertion names as audience: a public client sends it nowhere else. */
export function audienceOf(assertion: string): string {
  try {
    const { aud } = decodeJwt(assertion);
    return typeof aud === 'string' ? aud : (aud?.[0] ?? '');
  } catch {
    return '';
  }
}
