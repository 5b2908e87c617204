import { createHash } from 'node:crypto';
import { exportJWK, generateKeyPair, jwtVerify, SignJWT, type JWK, type JWTPayload } from 'jose';

/** The signing key of the lab's Entra, made at start: tokens of an earlier lab are refused, as after a key roll-over. */
export interface SigningKeys {
  /** What the JWKS endpoint answers. */
  jwks(): { keys: JWK[] };
  sign(claims: JWTPayload): Promise<string>;
  /** The claims of a token this authority signed; undefined where the signature or the form is wrong. Expiry is not checked here. */
  verify(token: string): Promise<JWTPayload | undefined>;
}

/** Makes an RS256 key pair; `certificate: false` leaves out what names a certificate, as a Kubernetes issuer does. */
export async function createSigningKeys({ certificate = true }: { certificate?: boolean } = {}): Promise<SigningKeys> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const kid = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url').slice(0, 27);
  const named = certificate ? { kid, x5t: kid } : { kid };
  const published: JWK = { ...jwk, ...named, use: 'sig' };
  return {
    jwks: () => ({ keys: [published] }),
    sign: (claims) => new SignJWT(claims).setProtectedHeader({ typ: 'JWT', alg: 'RS256', ...named }).sign(privateKey),
    verify: async (token) => {
      try {
        // Lab time decides about expiry, and each resource has its own error for it: here the moment is the token's own.
        const { payload } = await jwtVerify(token, publicKey, { algorithms: ['RS256'], currentDate: issuedAt(token) });
        return payload;
      } catch {
        // Whatever is wrong with a token, the resource says "invalid": the reason is not part of any answer.
        return undefined;
      }
    },
  };
}

function issuedAt(token: string): Date {
  const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
  const seconds = typeof claims === 'object' && claims !== null && 'iat' in claims ? Number(claims.iat) : 0;
  return new Date(seconds * 1000);
}
