/** What Entra's token endpoint refuses, with the steps that fix it (azure.md §2.4). */
import { SyncError, type FailureKind } from '../errors.ts';
import { untrustedError } from './errors.ts';
import { vendorSentence } from '../transport.ts';

interface Known {
  readonly kind: FailureKind;
  readonly meaning: string;
  readonly remedy: string;
}

const noFederatedCredential = (claim: 'issuer' | 'subject' | 'audience'): Known => ({
  kind: 'unauthenticated',
  meaning: `no federated credential of the application has the ${claim} of the presented token`,
  remedy: `Compare the ${claim} of the federated credential with that of the token file (workload identity).`,
});

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
  AADSTS900382: {
    kind: 'unauthenticated',
    meaning: 'the application is registered in another cloud',
    remedy: 'Check the cloud of the deployment (public, usgovernment) against the portal in which the application is registered.',
  },
  AADSTS70021: {
    kind: 'unauthenticated',
    meaning: 'no federated credential of the application matches the presented token',
    remedy: 'Compare issuer, subject and audience of the federated credential with those of the token file (workload identity).',
  },
  // The newer codes of the same, by what of the token differs.
  AADSTS700211: noFederatedCredential('issuer'),
  AADSTS700212: noFederatedCredential('audience'),
  AADSTS700213: noFederatedCredential('subject'),
  AADSTS700024: {
    kind: 'unauthenticated',
    meaning: 'the time of the client assertion is not that of Entra',
    remedy: 'Set the clock of the worker right (timedatectl status; chronyc tracking), and renew the token file of a workload identity.',
  },
  AADSTS700027: {
    kind: 'unauthenticated',
    meaning: 'the certificate of the client assertion is not registered with the application, or has expired',
    remedy:
      'Compare thumbprint and end date of the configured certificate with App registrations › the app › Certificates & secrets › Certificates, and upload the public part of the one in use.',
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
  /** The token comes from the host that the worker runs on, not from Entra itself (azure.md §3.2). */
  readonly fromHost: boolean;
  readonly scope: string;
  readonly host: string;
  /** Status, Retry-After and request id of the last answer, where there was one. */
  readonly last:
    | {
        readonly status: number;
        readonly retryAfterMs: number | undefined;
        readonly requestId: string | undefined;
        /** AADSTS code of its body: the credential's own error leaves out what discovery says (azure.md §3.4). */
        readonly code: string | undefined;
      }
    | undefined;
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
  const code = entraCodeIn(text) ?? facts.last?.code;
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
  if (facts.fromHost) return hostRefuses(error, who, base, facts);
  if (status >= 400) return refused(text, who, base, facts);
  return unreached(error, who, base, facts);
}

/** The first AADSTS code of a text. */
export function entraCodeIn(text: string | null | undefined): string | undefined {
  return /AADSTS\d{4,8}/.exec(text ?? '')?.[0];
}

type Base = Pick<ConstructorParameters<typeof SyncError>[0], 'service' | 'status' | 'code' | 'requestId'>;

/** Code of an answer that carries none of Entra's codes: a proxy, a firewall, a sign-on page. */
export const notEntra = 'not-entra';

function refused(text: string, who: string, base: Base, { secrets, host }: Pick<EntraFacts, 'secrets' | 'host'>): SyncError {
  const said = /AADSTS\d+:[^\r\n]*?(?= Trace ID| - Correlation|[\r\n]|$)/.exec(text)?.[0] ?? '';
  if (base.code === undefined) {
    return new SyncError({
      ...base,
      kind: 'unauthenticated',
      code: notEntra,
      message: `${who}: what answers at ${host} refuses with status ${base.status ?? 0}, and not in the words of Entra.`,
      remedy: `Look for what stands between the worker and ${host} (a proxy, a firewall, a sign-on page), and let the worker through to it.`,
    });
  }
  return new SyncError({
    ...base,
    kind: 'unauthenticated',
    message: `${who}: refused with status ${base.status ?? 0}${said === '' ? '' : `, ${vendorSentence(said, secrets)}`}.`,
    remedy: 'Check tenantId, clientId and the credential of the deployment.',
  });
}

/** Codes of a managed identity that is not to be had. */
export const identityNotOnHost = 'identity-not-on-host';
export const noIdentityService = 'no-identity-service';

/** An answer: the host has no such identity. None: it is no host of Azure, or keeps its metadata service to itself. */
function hostRefuses(error: unknown, who: string, base: Base, { clientId, scope }: EntraFacts): SyncError {
  const said = answerOfHost(error);
  if (said !== undefined && said.code !== 'invalid_request') {
    return new SyncError({ ...base, kind: 'transient', message: `${who}: the metadata service of the host answered ${said.code}.` });
  }
  const identity = clientId === undefined ? 'no system-assigned managed identity' : `no managed identity with the client id ${clientId}`;
  const which = clientId === undefined ? 'System assigned: On' : `User assigned: add the one with the client id ${clientId}`;
  const command = `az vm identity assign --name <host> --resource-group <group>${clientId === undefined ? '' : ' --identities <id>'}`;
  return new SyncError({
    ...base,
    kind: 'unauthenticated',
    code: said === undefined ? noIdentityService : identityNotOnHost,
    message:
      said === undefined
        ? `The host of the worker has no metadata service that gives tokens, so that there is ${identity}.`
        : `The host of the worker has ${identity}; asked for a token for ${scope}, it said: ${vendorSentence(said.description)}.`,
    remedy: `Azure portal › the host (virtual machine, container app, app service) › Identity › ${which} (or: ${command})${clientId === undefined ? '' : ', or correct clientId'}. On a host outside Azure use another credential.`,
  });
}

/** What the library made of an answer of the metadata service; undefined where there was none. */
function answerOfHost(error: unknown): { readonly code: string; readonly description: string } | undefined {
  for (let current = error; Error.isError(current); current = current.cause) {
    if (current.name !== 'ServerError' || !('errorCode' in current)) continue;
    const description = /Description: (.*?) - Correlation ID/.exec(current.message)?.[1] ?? 'no reason given';
    return { code: String(current.errorCode), description };
  }
  return undefined;
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
