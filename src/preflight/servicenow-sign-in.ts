/** Does the instance let us in, to every API that the engine uses, and see what it wrote (servicenow.md §5.1 pitfalls, §5.7, §11)? */
import { isSyncError, type SyncError } from '../errors.ts';
import { notServiceNow, type ApiReach, type InstanceUser } from '../servicenow/index.ts';
import { evidenceOf, blocking, isAnswer, isOnOurSide, listed, notTrusted, ok, warning } from './results.ts';
import { configuredAccount } from './servicenow-account.ts';
import { refusedSignIn } from './servicenow-refused.ts';
import type { Check, CheckContext, Result } from './types.ts';

export const serviceNowSignIn: Check = {
  id: 'servicenow.sign-in',
  area: 'ServiceNow sign-in',
  question: 'Does the instance let the integration user in?',
  fixedBy: 'A ServiceNow administrator',
  permissions: [
    {
      feature: 'signing in with user name and password',
      system: 'ServiceNow',
      permission: 'snc_basic_auth_api_access',
      where: 'the integration user, where basic authentication is restricted',
    },
    ...['now/table', 'now/batch', 'now/identifyreconcile'].map((apiPath) => ({
      feature: 'signing in with an OAuth client that is securely scoped',
      system: 'ServiceNow' as const,
      permission: `a REST API Auth Scope that covers ${apiPath}`,
      where: 'the OAuth client (System OAuth › Application Registry)',
    })),
  ],
  needs: [],
  run: async (context) => {
    const { facts, serviceNow, clients, signal } = context;
    let name: string | undefined;
    try {
      name = (await facts.ownRoles()).user?.userName;
    } catch (error) {
      const refused = await refusedResult(context, error);
      if (refused !== undefined) return [refused];
      // Refused after signing in: which roles there are is another check's question.
    }
    const closed = (await clients.serviceNow.reach.probeApis(signal)).filter(({ refused }) => refused !== undefined);
    if (closed.length > 0) return closedResults(context, closed);
    const domain = name === undefined ? undefined : await domainResult(context, name);
    return [domain ?? ok(`Signed in to ${serviceNow.url} as ${name ?? configuredAccount(serviceNow)}.`)];
  },
};

/** Undefined where we are in, and only may not read the roles. */
async function refusedResult(context: CheckContext, error: unknown): Promise<Result | undefined> {
  const { serviceNow, passing } = context;
  if (!isAnswer(error)) {
    if (passing !== 'report' || !isSyncError(error) || error.code === undefined || !asleep.has(error.code)) throw error;
    return blocking(error.code, evidenceOf(error), error.remedy ?? null, {
      follows: 'It passes: a run tries again until the instance answers.',
    });
  }
  if (isOnOurSide(error)) return blocking(error.code ?? '', evidenceOf(error), error.remedy ?? null, { fixedBy: operator });
  // One API is closed, and perhaps others: all of them are named below.
  if (error.kind === 'forbidden' && error.status === 403 && error.code !== notServiceNow) return undefined;
  if (error.kind === 'unauthenticated' && error.code !== notServiceNow) return refusedSignIn(context, error);
  if (error.kind === 'untrusted') return notTrusted(error);
  if (error.code === 'redirect') return blocking('redirected', evidenceOf(error), error.remedy ?? null, { fixedBy: operator });
  return notAnInstance(serviceNow.url, error);
}

/** Codes of an instance that is there, and does not work now. */
const asleep = new Set(['hibernating', 'maintenance']);

const operator = 'Whoever keeps the configuration of defender-sync';

/** Something answers there, and not as an instance does. */
function notAnInstance(url: string, error: SyncError): Result {
  return blocking(
    'not-an-instance',
    `What answers at ${url} does not answer as a ServiceNow instance: ${evidenceOf(error)}`,
    `Compare serviceNow.url with the address in a browser that is signed in to the instance (https://<instance>.service-now.com, without a path); then look for what stands between here and it (proxy, sign-on page).`,
    { fixedBy: operator },
  );
}

/** Without these nothing can be synced; the others count attachments. */
const indispensableApis = new Set(['Table API', 'Batch API', 'Identification and Reconciliation API']);

function closedResults({ serviceNow: { auth } }: CheckContext, closed: readonly ApiReach[]): Result[] {
  const client = auth.type === 'basic' ? '' : auth.clientId;
  const resultOf = (apis: readonly ApiReach[], make: typeof blocking): Result[] => {
    if (apis.length === 0) return [];
    const said = [...new Set(apis.map(({ refused }) => refused ?? ''))];
    const names = apis.map(({ api, method, apiPath }) => `${api} (${method} /api/${apiPath})`);
    const scopes = [...new Set(apis.flatMap(({ scope }) => scope ?? []))];
    const evidence = `The instance let OAuth client ${client} in, but not to: ${listed(names)} ("${said.join('", "')}"). That is decided before any role is looked at.`;
    return [make('auth-scope-missing', evidence, scopeRemedy(client, apis, scopes))];
  };
  const groups = Map.groupBy(closed, ({ api }) => indispensableApis.has(api));
  return [...resultOf(groups.get(true) ?? [], blocking), ...resultOf(groups.get(false) ?? [], warning)];
}

function scopeRemedy(client: string, apis: readonly ApiReach[], scopes: readonly string[]): string {
  const registry = `System OAuth › Application Registry › the client with the Client ID ${client} (/oauth_entity_list.do?sysparm_query=client_id=${client})`;
  if (scopes.length > 0) return `${registry} › Auth Scopes: add ${scopes.join(', ')}.`;
  const paths = [...new Set(apis.map(({ apiPath, method }) => `${apiPath} (${method})`))].join(', ');
  return `System Web Services › REST API Auth Scope › New, one for each of: ${paths}; then ${registry} › Auth Scopes: add them. Or add the scope useraccount, which opens every API.`;
}

/** The domain that everybody sees, and whose users see every domain. */
const globalDomain = 'global';

function domainOf(user: InstanceUser | undefined): string {
  return user === undefined || user.domain === '' ? globalDomain : user.domain;
}

/** Undefined where the domain is no question: an instance without separation, a user that sees all, or users that are not readable. */
async function domainResult(context: CheckContext, name: string): Promise<Result | undefined> {
  const { clients, signal, serviceNow, known } = context;
  const user = await readUser(context, name);
  const domain = domainOf(user);
  if (user === undefined || domain === globalDomain) return undefined;
  const written = await known?.written();
  const page = `User Administration › Users › ${name} (/sys_user.do?sys_id=${user.sysId}) › Domain`;
  const isHidden =
    written !== undefined &&
    (await (await context.facts.serviceNow()).table.get(written.table, written.sysId, ['sys_id'], signal)) === undefined;
  if (isHidden) {
    return blocking(
      'other-domain',
      `${name} is in domain ${domain} and does not see ${written.table} ${written.sysId}, which earlier runs wrote: it is in another domain, or deleted. A run would write everything a second time.`,
      `${page}: put the user back into the domain of that record (an administrator sees it in /${written.table}.do?sys_id=${written.sysId}), or give the deployment a user of that domain.`,
    );
  }
  const runAsUser = await clients.serviceNow.roles.findUser(serviceNow.runAs.user, signal);
  const runAs = domainOf(runAsUser);
  if (runAsUser !== undefined && (runAs === globalDomain || runAs === domain)) {
    return ok(`Signed in to ${serviceNow.url} as ${name}, in domain ${domain}: what it writes lands there.`);
  }
  return blocking(
    'other-domain',
    runAsUser === undefined
      ? `${name} is in domain ${domain} and does not see ${serviceNow.runAs.user}, as whom integration records run: that user is in another domain, so that neither sees what the other writes, or does not exist.`
      : `${name} is in domain ${domain}, and ${serviceNow.runAs.user}, as whom integration records run, in domain ${runAs}: neither sees what the other writes.`,
    `${page}: the domain of ${serviceNow.runAs.user}; or name a run-as user of domain ${domain} as serviceNow.runAs.user.`,
  );
}

async function readUser({ clients, signal }: CheckContext, name: string): Promise<InstanceUser | undefined> {
  try {
    return await clients.serviceNow.roles.findUser(name, signal);
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return undefined;
  }
}
