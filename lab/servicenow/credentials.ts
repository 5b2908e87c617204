import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What must stay the same over a restart and is written nowhere else: made at random at the first start. */
export interface Credentials {
  /** By user name. */
  passwords: Record<string, string>;
  /** By the user name of the OAuth Application User. */
  clients: Record<string, { clientId: string; clientSecret: string }>;
  /** By the user name that the assertions speak for. */
  jwtClients: Record<string, JwtClientSecrets>;
  /** The property instance_id. */
  instanceId: string;
}

export interface JwtClientSecrets {
  clientId: string;
  clientSecret: string;
  kid: string;
  /** PKCS#8, PEM; signs ES256. */
  privateKey: string;
  /** The certificate that the instance verifies with, PEM. */
  certificate: string;
}

/** Reads the credentials beside the data; without a folder, or at the first start, there are none yet. */
export function loadCredentials(dir: string | undefined): Credentials {
  const stored =
    dir !== undefined && existsSync(fileIn(dir)) ? (JSON.parse(readFileSync(fileIn(dir), 'utf8')) as Partial<Credentials>) : {};
  return {
    passwords: stored.passwords ?? {},
    clients: stored.clients ?? {},
    jwtClients: stored.jwtClients ?? {},
    instanceId: stored.instanceId ?? randomBytes(16).toString('hex'),
  };
}

/** Mode 0600; without a folder they live as long as the lab. */
export function saveCredentials(dir: string | undefined, credentials: Credentials): void {
  if (dir === undefined) return;
  mkdirSync(dir, { recursive: true });
  writeFileSync(fileIn(dir), `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
}

function fileIn(dir: string): string {
  return join(dir, 'credentials.json');
}

/** A client id as the platform makes them: 32 hex digits. */
export function newClientId(): string {
  return randomBytes(16).toString('hex');
}

export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}
