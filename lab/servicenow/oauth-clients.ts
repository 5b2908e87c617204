import { selfSignedPair } from '../kit/tls.ts';
import type { SeedUser } from './accounts.ts';
import { newClientId, newSecret, type Credentials, type JwtClientSecrets } from './credentials.ts';
import { seedSysId } from './seed-rows.ts';
import type { BusinessRule, Row, Store } from './store.ts';
import { dateTime } from './values.ts';

export interface LabOAuthClient {
  clientId: string;
  clientSecret: string;
  /** The OAuth Application User of the client credentials grant (servicenow.md §5.7). */
  userName: string;
  /** A second client for the jwt-bearer grant; its assertions are signed with `privateKey` (ES256) and have the user name as `sub`. */
  jwtBearer?: Omit<JwtClientSecrets, 'certificate'>;
}

/** Registers the clients of the seed users: rows that an administrator may change afterwards, never overwritten by a restart. */
export async function registerSeedClients(store: Store, seeds: SeedUser[], credentials: Credentials): Promise<LabOAuthClient[]> {
  const clients: LabOAuthClient[] = [];
  for (const { userName } of seeds.filter(({ oauthClient }) => oauthClient === true)) {
    const client = (credentials.clients[userName] ??= { clientId: newClientId(), clientSecret: newSecret() });
    const jwt = (credentials.jwtClients[userName] ??= await newJwtClient(userName));
    const user = store.equal('sys_user', 'user_name', [userName])[0]?.sysId ?? '';
    const entity = { name: `${userName} client`, client_id: client.clientId, client_secret: client.clientSecret, user };
    linkScope(store, loadIfNew(store, 'oauth_entity', userName, entity));
    registerJwtClient(store, userName, jwt);
    const { clientId, clientSecret, kid, privateKey } = jwt;
    clients.push({ ...client, userName, jwtBearer: { clientId, clientSecret, kid, privateKey } });
  }
  return clients;
}

async function newJwtClient(userName: string): Promise<JwtClientSecrets> {
  const { key, cert } = await selfSignedPair(`${userName} JWT client`);
  return { clientId: newClientId(), clientSecret: newSecret(), kid: newClientId(), privateKey: key, certificate: cert };
}

function registerJwtClient(store: Store, userName: string, jwt: JwtClientSecrets): void {
  const certificate = loadIfNew(store, 'sys_certificate', userName, { name: `${userName} JWT client`, pem_certificate: jwt.certificate });
  const client = loadIfNew(store, 'oauth_jwt', userName, {
    name: `${userName} JWT client`,
    client_id: jwt.clientId,
    client_secret: jwt.clientSecret,
    inbound_grant_type: 'jwt',
    user_field: 'user_name',
  });
  loadIfNew(store, 'jwt_verifier_map', userName, { name: userName, oauth_jwt: client, kid: jwt.kid, sys_certificate: certificate });
  linkScope(store, client);
}

/** The clients of the lab hold `useraccount`, the scope that opens every API (documented with REST API Auth Scope). */
function linkScope(store: Store, client: string): void {
  const scope = store.equal('sys_auth_scope', 'name', ['useraccount'])[0]?.sysId ?? '';
  loadIfNew(store, 'oauth_entity_auth_scope_mapping', client, { oauth_entity: client, auth_scope: scope });
}

function loadIfNew(store: Store, table: string, key: string, values: Record<string, string>): string {
  const definition = store.schema.get(table);
  const sysId = seedSysId(definition?.root ?? table, `${table}/${key}`);
  if (store.find(table, sysId) !== undefined) return sysId;
  const now = dateTime(store.clock.now());
  const defaults = [...(definition?.columns.values() ?? [])].flatMap(({ name, default: value }) =>
    value === undefined ? [] : [[name, value]],
  );
  const stamp = { sys_id: sysId, sys_class_name: table, sys_created_on: now, sys_created_by: 'system', sys_updated_on: now };
  const system = { ...stamp, sys_updated_by: 'system', sys_mod_count: '0' };
  store.load({ table, sysId, values: { ...(Object.fromEntries(defaults) as Record<string, string>), ...values, ...system } });
  return sysId;
}

/** The client id and secret of a new registry record are made by the instance where they are left empty (create-jwt-endpoint). */
export const generateClientCredentials: BusinessRule = {
  table: 'oauth_entity',
  apply: (values, before) => {
    if (before !== undefined) return;
    values['client_id'] ??= newClientId();
    values['client_secret'] ??= newSecret();
  },
};

/** A registered OAuth client, read from its row at every request: what an administrator changes holds at once. */
export interface OAuthClient {
  row: Row;
  clientId: string;
  secret: string;
  isPublic: boolean;
  accessMs: number;
  refreshMs: number;
  isSecurelyScoped: boolean;
}

/** The active client of an id (`oauth_entity` and what extends it). */
export function findClient(store: Store, clientId: string): OAuthClient | undefined {
  const row =
    clientId === '' ? undefined : store.equal('oauth_entity', 'client_id', [clientId]).find(({ values }) => values['active'] === 'true');
  return row === undefined ? undefined : clientOf(row);
}

/** The client behind a token; undefined once it is gone or inactive. */
export function clientBySysId(store: Store, sysId: string): OAuthClient | undefined {
  const row = store.find('oauth_entity', sysId);
  return row === undefined || row.values['active'] !== 'true' ? undefined : clientOf(row);
}

function clientOf(row: Row): OAuthClient {
  const { values } = row;
  return {
    row,
    clientId: values['client_id'] ?? '',
    secret: values['client_secret'] ?? '',
    isPublic: values['public_client'] === 'true',
    accessMs: secondsOf(values['access_token_lifespan'], 1800) * 1000,
    refreshMs: secondsOf(values['refresh_token_lifespan'], 8_640_000) * 1000,
    isSecurelyScoped: values['scope_restriction'] === 'securely_scoped',
  };
}

function secondsOf(text: string | undefined, fallback: number): number {
  const seconds = Number(text ?? '');
  return Number.isFinite(seconds) && seconds > 0 ? seconds : fallback;
}

/** The names of the scopes linked to a client (`oauth_entity_auth_scope_mapping`). */
export function scopesOf(store: Store, client: OAuthClient): Set<string> {
  const links = store.equal('oauth_entity_auth_scope_mapping', 'oauth_entity', [client.row.sysId]);
  const names = links.map(({ values }) => store.find('sys_auth_scope', values['auth_scope'] ?? '')?.values['name'] ?? '');
  return new Set(names.filter((name) => name !== ''));
}
