import './reflect-metadata.ts';
import { webcrypto } from 'node:crypto';
import { join } from 'node:path';
import type * as X509 from '@peculiar/x509';
import { readFileIfPresent, writeFileAtomically } from './files.ts';

// Loaded after the statements above have run: its dependency checks for the Reflect functions while it is loaded, and a
// CommonJS module imported statically may be evaluated before its ES module neighbours.
const x509 = await import('@peculiar/x509');

const DAY_MS = 24 * 60 * 60 * 1000;
const AUTHORITY_DAYS = 3650;
const LEAF_DAYS = 397;
/** An authority with less than this left is replaced at start, so that no leaf outlives it within a session. */
const RENEW_DAYS = 30;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A server's private key (PKCS#8) and certificate chain, both PEM. */
export interface LabCertificate {
  key: string;
  cert: string;
}

/** The lab's own certificate authority. */
export interface LabAuthority {
  /** Path of the CA certificate (PEM): what a client has to trust. */
  caFile: string;
  /** The CA certificate itself (PEM). */
  caPem: string;
  /** Issues a server certificate for the given DNS names and IP addresses. */
  issue(request: { hostNames: string[] }): Promise<LabCertificate>;
}

/**
 * Opens the certificate authority kept in `dir` (`ca.pem`, `ca-key.pem` with mode 0600), or makes one.
 * One that is damaged or about to expire is replaced.
 */
export async function loadOrCreateAuthority(dir: string): Promise<LabAuthority> {
  x509.cryptoProvider.set(webcrypto);
  const caFile = join(dir, 'ca.pem');
  const keyFile = join(dir, 'ca-key.pem');
  const { certificate, key } = (await loadAuthority(caFile, keyFile)) ?? (await createAuthority(caFile, keyFile));
  const caPem = certificate.toString('pem');
  return { caFile, caPem, issue: ({ hostNames }) => issueLeaf(certificate, key, hostNames) };
}

interface AuthorityPair {
  certificate: X509.X509Certificate;
  key: webcrypto.CryptoKey;
}

async function loadAuthority(caFile: string, keyFile: string): Promise<AuthorityPair | undefined> {
  const [certificatePem, keyPem] = await Promise.all([readFileIfPresent(caFile), readFileIfPresent(keyFile)]);
  if (certificatePem === undefined || keyPem === undefined) return undefined;
  try {
    const certificate = new x509.X509Certificate(certificatePem);
    if (certificate.notAfter.getTime() - Date.now() < RENEW_DAYS * DAY_MS) return undefined;
    const key = await webcrypto.subtle.importKey('pkcs8', new Uint8Array(x509.PemConverter.decodeFirst(keyPem)), ALGORITHM, true, ['sign']);
    return { certificate, key };
  } catch {
    // A half-written or foreign file: a lab's authority has no value of its own, a fresh one is the remedy.
    return undefined;
  }
}

async function createAuthority(caFile: string, keyFile: string): Promise<AuthorityPair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=defender-sync lab authority',
    keys,
    ...validity(AUTHORITY_DAYS),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writeFileAtomically(keyFile, await privateKeyPem(keys.privateKey), { mode: 0o600 });
  await writeFileAtomically(caFile, `${certificate.toString('pem')}\n`);
  return { certificate, key: keys.privateKey };
}

async function issueLeaf(issuer: X509.X509Certificate, issuerKey: webcrypto.CryptoKey, hostNames: string[]): Promise<LabCertificate> {
  const [commonName] = hostNames;
  if (commonName === undefined) throw new Error('A server certificate needs at least one host name.');
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${commonName}`,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: issuerKey,
    ...validity(LEAF_DAYS),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(hostNames.map((value) => ({ type: isIpAddress(value) ? 'ip' : 'dns', value }))),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key: await privateKeyPem(keys.privateKey), cert: `${certificate.toString('pem')}\n` };
}

/** Makes a key of its own with a self-signed certificate: what a client registers somewhere to prove who it is (ES256). */
export async function selfSignedPair(commonName: string): Promise<LabCertificate> {
  x509.cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${commonName}`,
    keys,
    ...validity(AUTHORITY_DAYS),
    signingAlgorithm: ALGORITHM,
  });
  return { key: await privateKeyPem(keys.privateKey), cert: `${certificate.toString('pem')}\n` };
}

/** Starts a day early: a client whose clock is a little behind must not refuse the lab. */
function validity(days: number): { notBefore: Date; notAfter: Date } {
  const start = Date.now() - DAY_MS;
  return { notBefore: new Date(start), notAfter: new Date(start + days * DAY_MS) };
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`;
}

function isIpAddress(value: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(value) || value.includes(':');
}
