import { AdminError, type AdminHandlers } from '../kit/admin-api.ts';
import { asObject, flagIn, optionalNumber, optionalText, recordNamed, textIn } from './admin-input.ts';
import { AVAILABILITY_MODES, type Availability } from './availability.ts';
import type { Clones } from './clone.ts';
import type { Domains } from './domains.ts';
import type { LatencyModel, Pace } from './latency.ts';
import type { OAuth } from './oauth.ts';
import type { Quotas } from './transaction.ts';
import type { RateLimits } from './rate-limits.ts';
import type { Sessions } from './sessions.ts';
import type { Snapshots } from './snapshot.ts';
import type { Store } from './store.ts';

/** What the instance as a whole can do: be slow, be away, go back in time, be copied. */
export interface InstanceContext {
  store: Store;
  oauth: OAuth;
  availability: Availability;
  pace: Pace;
  sessions: Sessions;
  rateLimits: RateLimits;
  domains: Domains;
  quotas: Quotas;
  snapshots: Snapshots;
  clones: Clones;
}

export function instanceHandlers(context: InstanceContext): AdminHandlers {
  return {
    ...availabilityHandlers(context),
    ...limitHandlers(context),
    ...copyHandlers(context),
    'POST /tokens/revoke': ({ body }) => revokeTokens(context, body),
    'GET /domains': () => ({ enabled: context.domains.isEnabled() }),
    'POST /domains': ({ body }) => setDomains(context, body),
  };
}

function availabilityHandlers({ availability, pace }: InstanceContext): AdminHandlers {
  const latency = (): object => ({ ...pace.model(), ...pace.busy() });
  return {
    'GET /availability': () => availability.state(),
    'POST /availability': ({ body }) => {
      const fields = asObject(body);
      const mode = AVAILABILITY_MODES.find((known) => known === fields['mode']);
      if (mode === undefined) throw new AdminError(400, `Send {"mode":"${AVAILABILITY_MODES.join('|')}","durationMs":60000}.`);
      availability.set(mode, optionalNumber(fields, 'durationMs'));
      return availability.state();
    },
    'GET /latency': latency,
    'POST /latency': ({ body }) => {
      pace.set(latencyModel(asObject(body)));
      return latency();
    },
    'POST /slow-queries': ({ body }) => {
      const fields = asObject(body);
      pace.occupy(optionalNumber(fields, 'requests') ?? 1, optionalNumber(fields, 'durationMs') ?? 10_000);
      return latency();
    },
  };
}

/** The whole model: what is left out is back at its default. */
function latencyModel(fields: Record<string, unknown>): LatencyModel {
  const names = ['perRequestMs', 'perWriteMs', 'threads', 'queueLimit'] as const;
  const stranger = Object.keys(fields).find((name) => !names.some((known) => known === name));
  if (stranger !== undefined) throw new AdminError(400, `Latency has no "${stranger}"; it has ${names.join(', ')}.`);
  const given = names.map((name) => [name, optionalNumber(fields, name)] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function limitHandlers({ sessions, rateLimits, quotas }: InstanceContext): AdminHandlers {
  const quotaState = (): Quotas => ({ transactionQuotaMs: quotas.transactionQuotaMs, batchQuotaMs: quotas.batchQuotaMs });
  const sessionState = (): object => ({ ...sessions.settings, sessions: sessions.count(), dropped: sessions.dropped() });
  const rateState = (): object => ({ ...rateLimits.settings, counts: rateLimits.counts() });
  return {
    'GET /sessions': sessionState,
    'POST /sessions': ({ body }) => {
      const fields = asObject(body);
      sessions.settings.queueLimit = optionalNumber(fields, 'queueLimit') ?? sessions.settings.queueLimit;
      sessions.settings.waitMs = optionalNumber(fields, 'waitMs') ?? sessions.settings.waitMs;
      return sessionState();
    },
    'GET /quotas': quotaState,
    'POST /quotas': ({ body }) => {
      const fields = asObject(body);
      quotas.transactionQuotaMs = optionalNumber(fields, 'transactionQuotaMs') ?? quotas.transactionQuotaMs;
      quotas.batchQuotaMs = optionalNumber(fields, 'batchQuotaMs') ?? quotas.batchQuotaMs;
      return quotaState();
    },
    'GET /rate-limits': rateState,
    'POST /rate-limits': ({ body }) => {
      const fields = asObject(body);
      rateLimits.settings.flushMs = optionalNumber(fields, 'flushMs') ?? rateLimits.settings.flushMs;
      rateLimits.settings.countsBatchItems = flagIn(fields, 'countsBatchItems', rateLimits.settings.countsBatchItems);
      return rateState();
    },
  };
}

function copyHandlers({ snapshots, clones }: InstanceContext): AdminHandlers {
  return {
    'GET /snapshots': () => ({ snapshots: snapshots.list() }),
    'POST /snapshot': ({ body }) => {
      const { name, takenAt, rows } = snapshots.take(textIn(asObject(body), 'name'));
      return { name, takenAt, rows: rows.length };
    },
    'POST /restore': ({ body }) => {
      const name = textIn(asObject(body), 'name');
      const snapshot = snapshots.restore(name);
      if (snapshot === undefined) throw new AdminError(404, `There is no snapshot "${name}". Take one first: POST /snapshot.`);
      return { name, takenAt: snapshot.takenAt, rows: snapshot.rows.length };
    },
    'GET /clones': () => ({ clones: clones.list() }),
    'POST /clone': ({ body }) => clones.make(textIn(asObject(body), 'name')),
    'DELETE /clones/:name': async ({ params }) => {
      const name = params['name'] ?? '';
      if (!(await clones.remove(name))) throw new AdminError(404, `There is no clone "${name}".`);
    },
  };
}

/** No field: every token. `userName`, `clientId`, `token`: those that fit all that is given. */
function revokeTokens({ oauth, store }: InstanceContext, body: unknown): object {
  const fields = body === undefined ? {} : asObject(body);
  const [userName, clientId, given] = ['userName', 'clientId', 'token'].map((name) => optionalText(fields, name));
  const client = clientId === undefined ? undefined : recordNamed(store, 'oauth_entity', 'client_id', clientId).sysId;
  const revoked = oauth.tokens.revoke(
    (token) =>
      (userName === undefined || token.userName === userName) &&
      (client === undefined || token.clientSysId === client) &&
      (given === undefined || token.access === given || token.refresh === given),
  );
  return { revoked };
}

/** `{"domains":[{"name","parent"?}],"users":{"<user name>":"<domain name or global>"}}`: switches separation on, makes domains, moves users. */
function setDomains({ domains, store }: InstanceContext, body: unknown): object {
  const { domains: wanted = [], users = {} } = asObject(body);
  if (!Array.isArray(wanted)) throw new AdminError(400, '"domains" is a list of {"name","parent"}.');
  domains.enable();
  for (const domain of (wanted as unknown[]).map(asObject)) {
    const parent = optionalText(domain, 'parent');
    const parentId = parent === undefined ? '' : recordNamed(store, 'domain', 'name', parent).sysId;
    store.insert('domain', { name: textIn(domain, 'name'), parent: parentId }, 'admin');
  }
  for (const [userName, domain] of Object.entries(asObject(users))) {
    const sysDomain = domain === 'global' ? 'global' : recordNamed(store, 'domain', 'name', String(domain)).sysId;
    store.update(recordNamed(store, 'sys_user', 'user_name', userName), { sys_domain: sysDomain }, 'admin');
  }
  return { enabled: true, domains: [...store.rows('domain')].map(({ sysId, values }) => ({ sys_id: sysId, name: values['name'] ?? '' })) };
}
