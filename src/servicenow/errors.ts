/** Everything that an instance can refuse, cast once (servicenow.md §5; examples/servicenow/errors). */
import { SyncError, type FailureFacts, type FailureKind } from '../errors.ts';
import { aclRemedy, businessRuleRemedy, dataPolicyRemedy, duplicateRemedy, type Attempt } from './remedies.ts';
import { isObject, retryAfterMs, TransportError, vendorSentence, type HttpAnswer } from '../transport.ts';

/** What a request does if it arrives: after a lost answer a read is simply repeated, a write has to be looked up first. */
export type Effect = 'read' | 'write';

export interface Failure {
  readonly message: string;
  readonly detail: string;
}

/** Reads `{error:{message,detail},status}` and the flat form of token errors; empty texts when it is neither. */
export function readFailure(body: unknown): Failure {
  const error = isObject(body) ? body['error'] : undefined;
  if (isObject(error)) return { message: textOf(error['message']), detail: textOf(error['detail']) };
  if (typeof error === 'string') return { message: error, detail: textOf((body as Record<string, unknown>)['error_description']) };
  return { message: '', detail: '' };
}

/** How every refusal of an instance looks: flat at its token endpoint, else with a status. Anything else was said by somebody else. */
export function isInstanceFailure(body: unknown): boolean {
  return isObject(body) && (typeof body['error'] === 'string' || body['status'] === 'failure');
}

/** Code of a refusal that no instance says so. */
export const notServiceNow = 'not-servicenow';

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function requestIdOf(answer: HttpAnswer): string | undefined {
  return answer.header('x-transaction-id') ?? answer.header('x-request-id');
}

/** Why a record or a request was refused; `kind` says who can change that. */
export interface Refusal {
  readonly kind: 'acl' | 'endpoint-acl' | 'oauth-scope' | 'unreadable-column' | 'business-rule' | 'data-policy' | 'duplicate' | 'invalid';
  /** One sentence, in the instance's words. */
  readonly reason: string;
  readonly remedy: string;
}

/** Tells the texts of a 403 (and a 400) apart: they are the only evidence an instance gives. `attempt` makes the remedy exact. */
export function refusalOf({ message, detail }: Failure, secrets: readonly string[] = [], attempt?: Attempt): Refusal {
  const reason = vendorSentence(detail === '' ? message : detail, secrets) || 'refused without a reason';
  const said = `${message} ${detail}`;
  if (/aborted by business rule/i.test(said)) {
    const rule = /Business Rule '([^']{1,140})'/i.exec(said)?.[1];
    return { kind: 'business-rule', reason, remedy: businessRuleRemedy(rule, attempt) };
  }
  if (/data policy/i.test(said)) {
    const fields = /mandatory: (.{1,200})$/i.exec(reason)?.[1];
    return { kind: 'data-policy', reason, remedy: dataPolicyRemedy(fields, attempt) };
  }
  if (/unique key violation|duplicate key|duplicate entry/i.test(said)) {
    return { kind: 'duplicate', reason, remedy: duplicateRemedy(attempt) };
  }
  if (/unscoped api|required api access scope/i.test(said)) {
    const scope = /api access scope: (.{1,100})$/i.exec(reason)?.[1];
    return {
      kind: 'oauth-scope',
      reason,
      remedy:
        scope === undefined
          ? 'Add a REST API Auth Scope for this API and method to the OAuth client (System OAuth › Application Registry), or use a client that is not securely scoped.'
          : `Add the auth scope "${scope}" to the OAuth client (System OAuth › Application Registry › the client › Auth Scopes).`,
    };
  }
  if (/API level ACL/i.test(said)) {
    return {
      kind: 'endpoint-acl',
      reason,
      remedy:
        'Give the integration user a role that the REST endpoint ACL of this API accepts (itil or asset for Identification and Reconciliation).',
    };
  }
  if (/permission to be read|rights to query/i.test(said)) {
    return {
      kind: 'unreadable-column',
      reason,
      remedy: 'A field ACL hides a column of the query: give the integration user a role that reads it.',
    };
  }
  if (/ACL|security constraints|not authorized|insufficient rights/i.test(said)) {
    const remedy =
      attempt === undefined ? 'Give the integration user a role that the table’s ACL accepts for this operation.' : aclRemedy(attempt);
    return { kind: 'acl', reason, remedy };
  }
  return { kind: 'invalid', reason, remedy: 'Compare the record with the table’s dictionary and the log of the instance.' };
}

/** True when a quota ended the transaction; a write may have been committed all the same. */
export function isQuotaCancel(text: string): boolean {
  return /transaction cancell?ed/i.test(text);
}

export interface RequestFacts {
  /** "POST /api/now/table/sn_vulc_test", without query and body. */
  readonly what: string;
  readonly effect: Effect;
  readonly secrets: readonly string[];
}

/** Casts an answer that is no success: a status from 300 on, or 202. */
export function answerError(answer: HttpAnswer, body: unknown, { what, effect, secrets }: RequestFacts): SyncError {
  const { status } = answer;
  const facts = { service: 'servicenow', status, requestId: requestIdOf(answer) } as const;
  if (status === 202) return lost(effect, { ...facts, code: 'dropped' }, `${what} was answered with 202: the instance dropped the request`);
  if (status >= 300 && status < 400) return redirectError(answer, what, facts);
  const failure = readFailure(body);
  const said = vendorSentence([failure.message, failure.detail].filter((text) => text !== '').join(': '), secrets);
  const message = `${what} was answered with ${status}${said === '' ? '.' : `: ${said}`}`;
  if (status === 429) {
    return new SyncError({ ...facts, kind: 'throttled', message, retryAfterMs: throttleMs(answer) });
  }
  if (status >= 500) return serverError(answer, effect, facts, message, said);
  const { kind, code, remedy } = clientError(status, failure, secrets);
  const stranger = (status === 401 || status === 403) && !isInstanceFailure(body) ? notServiceNow : undefined;
  return new SyncError({ ...facts, kind, code: stranger ?? code, remedy, message });
}

/** Casts the answer of one item of a Batch that was refused (a status from 400 to 499). @param what "POST /api/now/identifyreconcile" */
export function itemError(status: number, body: unknown, what: string): SyncError {
  const failure = readFailure(body);
  const said = vendorSentence([failure.message, failure.detail].filter((text) => text !== '').join(': '));
  const { kind, code, remedy } = clientError(status, failure, []);
  const message = `${what} was answered with ${status} inside a batch${said === '' ? '.' : `: ${said}`}`;
  return new SyncError({ service: 'servicenow', status, kind, code, remedy, message });
}

/** Only rate rules say how long to wait; a full semaphore queue empties within seconds (servicenow.md §5.8). */
export const defaultThrottleMs = 5_000;

/** How long a 429 asks us to wait. */
export function throttleMs(answer: HttpAnswer): number {
  return retryAfterMs(answer.header('retry-after')) ?? defaultThrottleMs;
}

function serverError(answer: HttpAnswer, effect: Effect, facts: Partial<FailureFacts>, message: string, said: string): SyncError {
  const code = isQuotaCancel(`${said} ${answer.text.slice(-2_000)}`) ? 'transaction-cancelled' : undefined;
  // No maintenance page was recorded; a web page with this status stands in front of the instance, or in its place.
  if (answer.status === 503 && isHtml(answer)) {
    return new SyncError({
      ...facts,
      code: 'maintenance',
      kind: 'transient',
      message: 'The instance is not in service: it answers with a web page and status 503, as during maintenance or an upgrade.',
      remedy: 'Wait until it is over (the instance shows its page to a browser, too); nothing has to be changed.',
      retryAfterMs: retryAfterMs(answer.header('retry-after')),
    });
  }
  // 503 is said before any work is done; the others may come from a server that finished after its gateway gave up.
  const kind = effect === 'write' && answer.status !== 503 ? 'outcome-unknown' : 'transient';
  return new SyncError({ ...facts, code, kind, message, retryAfterMs: retryAfterMs(answer.header('retry-after')) });
}

interface ClientError {
  readonly kind: FailureKind;
  readonly code: string | undefined;
  readonly remedy: string | undefined;
}

function clientError(status: number, failure: Failure, secrets: readonly string[]): ClientError {
  const said = `${failure.message} ${failure.detail}`;
  if (status === 401) {
    return {
      kind: 'unauthenticated',
      code: undefined,
      remedy:
        'Check user name and password or OAuth client of the instance, that the user is active and not locked out, and for basic authentication that it has the role snc_basic_auth_api_access.',
    };
  }
  if (status === 403) {
    const refusal = refusalOf(failure, secrets);
    return { kind: 'forbidden', code: refusal.kind, remedy: refusal.remedy };
  }
  if (/invalid table/i.test(said)) {
    return { kind: 'misconfigured', code: 'invalid-table', remedy: 'Install the application that brings this table, or check the name.' };
  }
  if (/does not represent any resource/i.test(said)) {
    return {
      kind: 'misconfigured',
      code: 'no-such-api',
      remedy: 'The plugin that brings this API is not active on the instance, or the URL is wrong.',
    };
  }
  if (status === 404 || status === 410) return { kind: 'not-found', code: undefined, remedy: undefined };
  if (status === 408) return { kind: 'transient', code: undefined, remedy: undefined };
  return { kind: 'rejected', code: status === 414 ? 'url-too-long' : undefined, remedy: undefined };
}

function redirectError(answer: HttpAnswer, what: string, facts: Partial<FailureFacts>): SyncError {
  const target = URL.parse(answer.header('location') ?? '')?.host;
  return new SyncError({
    ...facts,
    kind: 'malformed-answer',
    code: 'redirect',
    message: `${what} was answered with a redirect to ${target ?? 'another place'}, which is not followed.`,
    remedy: 'Configure the instance by the URL that it answers at itself; a developer instance may have to be woken first.',
  });
}

function lost(effect: Effect, facts: Partial<FailureFacts>, because: string): SyncError {
  return new SyncError({
    ...facts,
    kind: effect === 'write' ? 'outcome-unknown' : 'transient',
    message: `${because}${effect === 'write' ? '; whether it was carried out is not known.' : '.'}`,
  });
}

/** Casts what `Transport.send` throws; anything that is not a TransportError (an abort's reason) is given back as it is. */
export function transportError(error: unknown, { what, effect }: Pick<RequestFacts, 'what' | 'effect'>): unknown {
  if (!(error instanceof TransportError)) return error;
  const facts = { service: 'servicenow', code: error.code } as const;
  switch (error.failure) {
    case 'untrusted':
      return new SyncError({
        ...facts,
        kind: 'untrusted',
        message: `The TLS certificate of ${error.host} is not trusted${error.code === undefined ? '' : ` (${error.code})`}.`,
        remedy:
          'If a private authority signed it, name its PEM file as caFile in the configuration; otherwise find out who answers at that address.',
      });
    case 'not-connected':
      return new SyncError({
        ...facts,
        kind: 'transient',
        message: `${what}: no connection to ${error.host}${error.code === undefined ? '' : ` (${error.code})`}.`,
        remedy: `Compare the URL of the instance in the configuration with the one in a browser; then look at name resolution, firewall and proxy between here and ${error.host}.`,
      });
    case 'held-back':
      return new SyncError({
        ...facts,
        kind: 'outcome-unknown',
        code: 'held-back',
        message: `${what} was not sent: this process stood still before it could, and somebody else may have taken over.`,
      });
    case 'too-large':
      return lostAnswer(effect, { ...facts, code: 'too-large' }, `${what}: the answer is larger than the cap`);
    case 'connection-lost':
      return lost(effect, facts, `${what}: the connection to ${error.host} was lost`);
    case 'timed-out':
      return lost(effect, facts, `${what}: ${error.host} did not answer in time`);
  }
}

/** The work was done, but its answer cannot be read. */
function lostAnswer(effect: Effect, facts: Partial<FailureFacts>, because: string): SyncError {
  const kind = effect === 'write' ? 'outcome-unknown' : 'malformed-answer';
  return new SyncError({ ...facts, kind, message: `${because}.` });
}

/** A success status with something that is not the JSON it should be: a web page, a cut answer, a quota cancel while streaming. */
export function unreadableAnswer(answer: HttpAnswer, { what, effect }: Pick<RequestFacts, 'what' | 'effect'>): SyncError {
  const facts = { service: 'servicenow', status: answer.status, requestId: requestIdOf(answer) } as const;
  if (isHtml(answer)) {
    if (/instance-hibernating-page|instance hibernating|instance is hibernating/i.test(answer.text)) {
      return new SyncError({
        ...facts,
        // Whatever was sent reached nobody, and will once somebody has woken the instance.
        kind: 'transient',
        code: 'hibernating',
        message: 'The instance hibernates: it answers every request with its sleeping page.',
        remedy: 'Sign in to developer.servicenow.com and choose Wake instance; it takes some minutes.',
      });
    }
    return new SyncError({
      ...facts,
      kind: 'malformed-answer',
      code: 'html',
      message: `${what} was answered with a web page instead of JSON.`,
      remedy: 'Check the URL of the instance and what stands between here and it (sign-on page, proxy, maintenance).',
    });
  }
  if (isQuotaCancel(answer.text.slice(-4_000))) {
    return lost(effect, { ...facts, code: 'transaction-cancelled' }, `${what}: the instance's transaction quota ended the answer`);
  }
  return lostAnswer(effect, facts, `${what}: the answer is not JSON`);
}

function isHtml(answer: HttpAnswer): boolean {
  return /^\s*text\/html/i.test(answer.header('content-type') ?? '') || /^\s*<(?:!doctype|html)/i.test(answer.text.slice(0, 200));
}
