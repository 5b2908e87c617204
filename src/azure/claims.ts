/**
 * Reads an access token's claims **for diagnosis only** (azure.md §2.2, §2.3): Microsoft asks clients to treat tokens as opaque,
 * so nothing that a run does may depend on them. The signature is not checked; the token comes from Entra over TLS.
 */

export interface TokenClaims {
  /** Application permissions. Empty: none granted, or granted as Delegated, or consent missing. */
  readonly roles: readonly string[];
  /** Delegated permissions; only in tokens of a signed-in user. */
  readonly scopes: readonly string[];
  readonly tokenType: string | undefined;
  readonly applicationId: string | undefined;
  readonly tenantId: string | undefined;
  readonly objectId: string | undefined;
  readonly audience: string | undefined;
  readonly expiresAtMs: number | undefined;
}

/** Returns undefined when the token is not a readable JWT. Never throws, and keeps no part of the token but these claims. */
export function decodeClaims(token: string): TokenClaims | undefined {
  const payload = payloadOf(token);
  if (payload === undefined) return undefined;
  const text = (name: string): string | undefined => (typeof payload[name] === 'string' ? payload[name] : undefined);
  return {
    roles: Array.isArray(payload['roles']) ? payload['roles'].filter((role) => typeof role === 'string') : [],
    scopes: (text('scp') ?? '').split(' ').filter((scope) => scope !== ''),
    tokenType: text('idtyp'),
    applicationId: text('appid') ?? text('azp'),
    tenantId: text('tid'),
    objectId: text('oid'),
    audience: text('aud'),
    expiresAtMs: typeof payload['exp'] === 'number' ? payload['exp'] * 1000 : undefined,
  };
}

function payloadOf(token: string): Readonly<Record<string, unknown>> | undefined {
  const parts = token.split('.');
  const encoded = parts.length === 3 ? parts[1] : undefined;
  if (encoded === undefined) return undefined;
  try {
    const payload: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString('utf8'));
    return typeof payload === 'object' && payload !== null && !Array.isArray(payload) ? (payload as Record<string, unknown>) : undefined;
  } catch {
    // Not JSON: an opaque token. Its claims are unknown, which is what undefined says.
    return undefined;
  }
}
