/** Certificates and assertions of an application, as it would sign them itself. */
import '../../../lab/kit/reflect-metadata.ts';
import { createHash, randomUUID, webcrypto, X509Certificate } from 'node:crypto';
import { importPKCS8, SignJWT, type JWTPayload } from 'jose';

const x509 = await import('@peculiar/x509');

const DAY_MS = 86_400_000;
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) } as const;

export interface TestCertificate {
  /** The public part, PEM: what is uploaded. */
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  /** Key and certificate in one, as a client keeps them. */
  readonly pem: string;
  readonly x5t: string;
  readonly x5tS256: string;
}

/** A key pair with a self-signed certificate, RSA as Entra wants it, valid from a day before now. */
export async function makeCertificate({ days = 365, now = new Date() } = {}): Promise<TestCertificate> {
  x509.cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=defender-sync',
    keys,
    notBefore: new Date(now.getTime() - DAY_MS),
    notAfter: new Date(now.getTime() + days * DAY_MS),
    signingAlgorithm: RSA,
  });
  const certificatePem = `${certificate.toString('pem')}\n`;
  const keyPem = `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')}\n`;
  const { raw } = new X509Certificate(certificatePem);
  const digest = (algorithm: string): string => createHash(algorithm).update(raw).digest('base64url');
  return { certificatePem, keyPem, pem: keyPem + certificatePem, x5t: digest('sha1'), x5tS256: digest('sha256') };
}

export interface AssertionParts {
  readonly header?: Record<string, unknown>;
  readonly claims?: JWTPayload;
}

/** `client_assertion` of an application: RS256 with x5t unless the header says otherwise. */
export async function signAssertion(
  certificate: TestCertificate,
  { clientId, audience }: { clientId: string; audience: string },
  { header = { x5t: certificate.x5t }, claims = {} }: AssertionParts = {},
): Promise<string> {
  const algorithm = typeof header.alg === 'string' ? header.alg : 'RS256';
  const nowSeconds = Math.floor(Date.now() / 1000);
  const payload = { aud: audience, iss: clientId, sub: clientId, jti: randomUUID(), nbf: nowSeconds, exp: nowSeconds + 600, ...claims };
  const key = await importPKCS8(certificate.keyPem, algorithm);
  return new SignJWT(payload).setProtectedHeader({ typ: 'JWT', ...header, alg: algorithm }).sign(key);
}
