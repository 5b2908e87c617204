/** What Entra's token endpoint refuses, with the steps that fix it (azure.md §2.4). */
import { SyncError, type FailureKind } from '../errors.ts';
import { untrustedError } from './errors.ts';
import { vendorSentence } from '../transport.ts';

interface Known {
  readonly kind: FailureKind;
  readonly meaning: string;
  readonly remedy: string;
}

const known: Readonly<Record<string, Known>> = {
  AADSTS7000215: {
    kind: 'unauthenticated',
    meaning: 'the client secret is wrong',
    remedy:
      'In the Entra admin centre open App registrations › the app › Certificates & secrets, add a client secret and configure its Value (not its Secret ID).',
  },
  AADSTS7000222: {
    kind: 'unauthenticated',
    meaning: 'the client secret has expired',
    remedy: 'Add a new client secret to the app registration, configure its Value, then remove the expired one.',
  },
  AADSTS700016: {
    kind: 'unauthenticated',
    meaning: 'the application does not exist in this tenant',
    remedy:
      'Check clientId and tenantId: the Application (client) ID and the Directory (tenant) ID on the overview page of the app registration.',
  },
  AADSTS7000229: {
    kind: 'unauthenticated',
    meaning: 'the application has no service principal in this tenant',
    remedy: 'An administrator of the tenant creates it: az ad sp create --id <clientId>.',
  },
  AADSTS90002: {
    kind: 'unauthenticated',
    meaning: 'the tenant was not found',
    remedy: 'Check tenantId, and that the deployment names the right cloud (public, usgovernment).',
  },
  AADSTS500011: {
    kind: 'unauthenticated',
    meaning: 'the resource of the scope is unknown in this tenant',
    remedy: 'The token scope belongs to another cloud: check the cloud of the deployment.',
  },
  AADSTS70021: {
    kind: 'unauthenticated',
    meaning: 'no federated credential of the application matches the presented token',
    remedy: 'Compare issuer, subject and audience of the federated credential with those of the token file (workload identity).',
  },
  AADSTS65001: {
    kind: 'forbidden',
    meaning: 'consent is missing',
    remedy: 'An administrator grants it: az ad app permission admin-consent --id <clientId>.',
  },
  AADSTS90094: {
    kind: 'forbidden',
    meaning: 'admin consent is required',
    remedy: 'An administrator grants it: az ad app permission admin-consent --id <clientId>.',
  },
  AADSTS53003: {
    kind: 'forbidden',
    meaning: 'a Conditional Access policy blocks the application',
    remedy: 'Ask the owner of the policy for workload identities to admit this application from the address where the worker runs.',
  },
};

const transientCodes = new Set(['AADSTS50196', 'AADSTS90033', 'AADSTS90055', 'AADSTS90024']);

export interface EntraFacts {
  readonly tenantId: string;
  readonly clientId: string | undefined;
  readonly scope: string;
  readonly host: string;
  /** Status, Retry-After and request id of the last answer, where there was one. */
  readonly last: { readonly status: number; readonly retryAfterMs: number | undefined; readonly requestId: string | undefined } | undefined;
  /** What the last request failed with, where there was no answer; the credential's own error often hides it. */
  readonly networkError: unknown;
  readonly secrets: readonly string[];
}

/**
 * Casts what a credential threw. The library's error classes and causes differ between versions, so its text is searched for
 * the AADSTS code; control flow prefers the HTTP status, as Microsoft advises against relying on the numbers.
 */
export function entraError(error: unknown, facts: EntraFacts): SyncError {
  const text = Error.isError(error) ? error.message : '';
  const code = /AADSTS\d{4,8}/.exec(text)?.[0];
  const base = { service: 'entra', status: facts.last?.status, code, requestId: facts.last?.requestId } as const;
  const who = `Entra gave no token for ${facts.scope} to application ${facts.clientId ?? '(managed identity)'} in tenant ${facts.tenantId}`;
  const status = facts.last?.status ?? 0;
  const explained = code === undefined ? undefined : known[code];
  if (explained !== undefined) {
    return new SyncError({
      ...base,
      kind: explained.kind,
      message: `${who}: ${explained.meaning} (${code ?? ''}).`,
      remedy: explained.remedy,
    });
  }
  if (status === 429) {
    return new SyncError({ ...base, kind: 'throttled', message: `${who}: throttled.`, retryAfterMs: facts.last?.retryAfterMs ?? 10_000 });
  }
  if (status >= 500 || (code !== undefined && transientCodes.has(code))) {
    return new SyncError({
      ...base,
      kind: 'transient',
      message: `${who}: ${code ?? `status ${status}`}.`,
      retryAfterMs: facts.last?.retryAfterMs,
    });
  }
  if (status >= 300 && status < 400) {
    return new SyncError({ ...base, kind: 'malformed-answer', code: 'redirect', message: `${who}: redirected, which is not followed.` });
  }
  if (status >= 400) return refused(text, who, base, facts.secrets);
  return unreached(error, who, base, facts);
}

type Base = Pick<ConstructorParameters<typeof SyncError>[0], 'service' | 'status' | 'code' | 'requestId'>;

function refused(text: string, who: string, base: Base, secrets: readonly string[]): SyncError {
  const said = /AADSTS\d+:[^\r\n]*?(?= Trace ID| - Correlation|[\r\n]|$)/.exec(text)?.[0] ?? '';
  return new SyncError({
    ...base,
    kind: 'unauthenticated',
    message: `${who}: refused with status ${base.status ?? 0}${said === '' ? '' : `, ${vendorSentence(said, secrets)}`}.`,
    remedy: 'Check tenantId, clientId and the credential of the deployment.',
  });
}

/** No HTTP answer: the network, the certificate, or the credential's own preparation. The library hides which (azure.md §3.3). */
function unreached(error: unknown, who: string, base: Base, facts: EntraFacts): SyncError {
  const codes = [...codesOf(facts.networkError), ...codesOf(error)];
  if (codes.some((code) => /CERT|SIGNED|ISSUER|UNABLE_TO_VERIFY|ERR_TLS/.test(code))) return untrustedError(facts.host, base);
  const network = codes.find((code) => /^E[A-Z_]+$/.test(code)) ?? base.code;
  return new SyncError({ ...base, kind: 'transient', code: network, message: `${who}: ${facts.host} did not answer.` });
}

/** Node's codes of an error and its causes, and those that only its text names. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let current = error, depth = 0; Error.isError(current) && depth < 8; current = current.cause, depth += 1) {
    if ('code' in current && typeof current.code === 'string') codes.push(current.code);
    codes.push(...(current.message.match(/\b(?:E[A-Z]{4,}|[A-Z]+(?:_[A-Z]+){2,})\b/g) ?? []));
    if (/self[- ]signed certificate|unable to (?:verify|get)|certificate has expired/i.test(current.message)) codes.push('CERT');
  }
  return codes;
}
