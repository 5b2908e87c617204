/** Everything that ARM, Resource Graph and Graph can refuse, cast into SyncError once (azure.md §1.11). */
import { SyncError, type FailureFacts, type FailureKind } from '../errors.ts';
import { isObject, retryAfterMs, TransportError, vendorSentence, type HttpAnswer } from '../transport.ts';

/** What an Azure error body says, whatever the case of its keys. */
export interface VendorError {
  readonly code: string | undefined;
  readonly message: string;
  /** Codes of `details`, outermost first. */
  readonly detailCodes: readonly string[];
}

const nothingSaid: VendorError = { code: undefined, message: '', detailCodes: [] };

/** Reads `{error:{code,message,details}}` and its observed variants (`Error/Code/Message`, no envelope); never throws. */
export function readVendorError(text: string): VendorError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // Gateways answer with HTML or plain text: the status is all there is to say.
    return nothingSaid;
  }
  const envelope = pick(body, 'error') ?? body;
  if (typeof envelope === 'string') return { ...nothingSaid, code: envelope, message: textOf(pick(body, 'error_description')) };
  if (!isObject(envelope)) return nothingSaid;
  const details = pick(envelope, 'details');
  return {
    code: textOf(pick(envelope, 'code')) || undefined,
    message: textOf(pick(envelope, 'message')),
    detailCodes: Array.isArray(details) ? details.map((detail) => textOf(pick(detail, 'code'))).filter((code) => code !== '') : [],
  };
}

/** A member by name in any case. */
function pick(value: unknown, name: string): unknown {
  if (!isObject(value)) return undefined;
  const key = Object.keys(value).find((candidate) => candidate.toLowerCase() === name);
  return key === undefined ? undefined : value[key];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function requestIdOf(answer: HttpAnswer): string | undefined {
  return answer.header('x-ms-request-id') ?? answer.header('x-ms-correlation-request-id') ?? answer.header('request-id');
}

/** What a 403 names: `Microsoft.Security/assessments/read` over `/subscriptions/…`. */
export function deniedAction(message: string): { readonly action: string; readonly scope: string | undefined } | undefined {
  const action = /perform action '([^']{1,200})'/.exec(message)?.[1];
  return action === undefined ? undefined : { action, scope: /over scope '([^']{1,500})'/.exec(message)?.[1] };
}

/** How long a 429 asks us to wait: Retry-After, the Resource Graph quota's reset, or the sentence in the body; default 10 s. */
export function throttleMs(answer: HttpAnswer, message: string): number {
  const inBody = /try again after '?(\d{1,4})'? seconds/i.exec(message)?.[1];
  return (
    retryAfterMs(answer.header('retry-after')) ??
    quotaResetMs(answer.header('x-ms-user-quota-resets-after')) ??
    (inBody === undefined ? 10_000 : Number(inBody) * 1000)
  );
}

/** Milliseconds of `hh:mm:ss` (azure.md §1.9). */
export function quotaResetMs(header: string | undefined): number | undefined {
  const match = /^(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?$/.exec(header?.trim() ?? '');
  return match === null ? undefined : (Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3])) * 1000;
}

export interface RequestFacts {
  readonly service: 'azure' | 'graph';
  /** What was asked for, without query strings: "GET /subscriptions/…/assessments". */
  readonly what: string;
  /** Strings that must not appear in messages, should the service echo them. */
  readonly secrets: readonly string[];
}

/** Casts an HTTP answer that is not a success. */
export function answerError(answer: HttpAnswer, { service, what, secrets }: RequestFacts): SyncError {
  const vendor = readVendorError(answer.text);
  // ARM says BadRequest and hides the reason one level down.
  const code = vendor.code === 'BadRequest' ? (vendor.detailCodes[0] ?? vendor.code) : vendor.code;
  const said = vendorSentence(vendor.message, secrets);
  const facts = { service, status: answer.status, code, requestId: requestIdOf(answer) };
  if (answer.status >= 300 && answer.status < 400) return redirectError(answer, what, facts);
  const message = `${what} was answered with ${answer.status}${code === undefined ? '' : ` ${vendorSentence(code, secrets)}`}${said === '' ? '.' : `: ${said}`}`;
  if (answer.status === 429)
    return new SyncError({ ...facts, kind: 'throttled', message, retryAfterMs: throttleMs(answer, vendor.message) });
  return new SyncError({
    ...facts,
    kind: kindOf(answer.status),
    message,
    remedy: remedyOf(answer.status, vendor.message, service),
    retryAfterMs: retryAfterMs(answer.header('retry-after')),
  });
}

function kindOf(status: number): FailureKind {
  if (status === 401) return 'unauthenticated';
  if (status === 403) return 'forbidden';
  if (status === 404 || status === 410) return 'not-found';
  if (status === 408 || status >= 500) return 'transient';
  return 'rejected';
}

function remedyOf(status: number, message: string, service: 'azure' | 'graph'): string | undefined {
  if (status === 401) {
    return 'The service refuses a token that was just issued: check that the tenant, the cloud and the token scope belong together.';
  }
  if (status !== 403 || service === 'graph') return undefined;
  const denied = deniedAction(message);
  const where = denied?.scope ?? 'the scope';
  return `Assign the roles Security Reader and Reader to the app registration on ${vendorSentence(where)} or on a management group above it${denied === undefined ? '' : ` (missing: ${vendorSentence(denied.action)})`}. A new assignment takes up to 10 minutes to work.`;
}

function redirectError(answer: HttpAnswer, what: string, facts: Partial<FailureFacts>): SyncError {
  const target = URL.parse(answer.header('location') ?? '')?.host;
  return new SyncError({
    ...facts,
    kind: 'malformed-answer',
    code: 'redirect',
    message: `${what} was answered with a redirect to ${target ?? 'another place'}, which is not followed.`,
    remedy: 'Check the endpoint in the cloud section of the configuration, and proxies between here and Azure.',
  });
}

/** Casts what `Transport.send` throws; anything that is not a TransportError (an abort's reason) is given back as it is. */
export function transportError(error: unknown, service: 'azure' | 'graph' | 'entra', what: string): unknown {
  if (!(error instanceof TransportError)) return error;
  const facts = { service, code: error.code };
  if (error.failure === 'untrusted') return untrustedError(error.host, facts);
  if (error.failure === 'too-large') {
    return new SyncError({ ...facts, kind: 'malformed-answer', code: 'too-large', message: `${what}: the answer is larger than the cap.` });
  }
  const because = {
    'not-connected': 'no connection',
    'held-back': 'held back',
    'connection-lost': 'the connection was lost',
    'timed-out': 'no answer in time',
  };
  return new SyncError({ ...facts, kind: 'transient', message: `${what}: ${because[error.failure]} (${error.host}).` });
}

/** A server whose certificate is not trusted: never retried with less checking. */
export function untrustedError(host: string, facts: Partial<FailureFacts>): SyncError {
  return new SyncError({
    ...facts,
    code: facts.code ?? 'untrusted',
    kind: 'untrusted',
    message: `The TLS certificate of ${host} is not trusted.`,
    remedy:
      'If a private authority signed it, name its PEM file as caFile in the configuration; otherwise find out who answers at that address.',
  });
}

export function malformed(service: 'azure' | 'graph', what: string, because: string, answer: HttpAnswer): SyncError {
  return new SyncError({
    kind: 'malformed-answer',
    service,
    message: `${what}: ${because}.`,
    status: answer.status,
    requestId: requestIdOf(answer),
  });
}
