import { randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Caller } from './access.ts';
import { propertyOf } from './query/evaluate.ts';
import type { Row, Store } from './store.ts';

/** An account that can sign in. */
export interface LabUser {
  userName: string;
  password: string;
  /** Roles granted directly; inherited ones are in sys_user_has_role. */
  roles: string[];
}

export interface LabOAuthClient {
  clientId: string;
  clientSecret: string;
  /** The OAuth Application User of the client credentials grant (servicenow.md §5.7). */
  userName: string;
}

export interface SeedUser {
  userName: string;
  firstName: string;
  lastName: string;
  roles: string[];
  login: boolean;
  oauthClient?: boolean;
}

interface Secrets {
  passwords: Record<string, string>;
  clients: Record<string, { clientId: string; clientSecret: string }>;
}

/** Accounts, passwords and OAuth clients of one lab. */
export interface Accounts {
  users: LabUser[];
  oauthClients: LabOAuthClient[];
  /** The account of a name and password; undefined where they do not fit or the account may not sign in. */
  byPassword(userName: string, password: string): Caller | undefined;
  /** The account of a name without a password, for tokens; undefined where it may not sign in. */
  byName(userName: string): Caller | undefined;
  /** True where basic authentication is restricted and the caller lacks the role (schema/basic_auth_restriction_properties.json). */
  basicRefused(caller: Caller): boolean;
}

/** Reads the secrets beside the data (mode 0600), or makes them; without a folder they live as long as the lab. */
export function createAccounts(store: Store, seeds: SeedUser[], dir: string | undefined): Accounts {
  const secrets = loadSecrets(dir);
  const users: LabUser[] = [];
  const oauthClients: LabOAuthClient[] = [];
  for (const { userName, roles, login, oauthClient } of seeds) {
    if (login) users.push({ userName, roles, password: (secrets.passwords[userName] ??= randomBytes(18).toString('base64url')) });
    if (oauthClient !== true) continue;
    const client = (secrets.clients[userName] ??= {
      clientId: randomBytes(16).toString('hex'),
      clientSecret: randomBytes(24).toString('base64url'),
    });
    oauthClients.push({ ...client, userName });
  }
  saveSecrets(dir, secrets);
  const passwords = new Map(users.map(({ userName, password }) => [userName.toLowerCase(), password]));
  const byName = (userName: string): Caller | undefined => {
    const row = store.equal('sys_user', 'user_name', [userName])[0];
    return row === undefined || !maySignIn(row) ? undefined : callerOf(store, row);
  };
  return {
    users,
    oauthClients,
    byName,
    byPassword: (userName, password) => {
      const expected = passwords.get(userName.toLowerCase());
      return expected !== undefined && sameText(expected, password) ? byName(userName) : undefined;
    },
    basicRefused: (caller) => {
      const prefix = 'glide.authenticate.basic_auth';
      if (propertyOf(store, `${prefix}.restriction.enforce`) !== 'true') return false;
      const allowed = propertyOf(store, `${prefix}.allowed_roles`).split(',');
      return !allowed.some((role) => caller.roles.has(role.trim()));
    },
  };
}

/** Compares without telling by time where two secrets differ. */
export function sameText(expected: string, given: string): boolean {
  const left = Buffer.from(expected);
  const right = Buffer.from(given);
  return left.length === right.length && timingSafeEqual(left, right);
}

function maySignIn(user: Row): boolean {
  const { active, locked_out: locked, password_needs_reset: reset } = user.values;
  return active === 'true' && locked !== 'true' && reset !== 'true';
}

function callerOf(store: Store, user: Row): Caller {
  const roles = new Set<string>();
  for (const grant of store.equal('sys_user_has_role', 'user', [user.sysId])) {
    if (grant.values['state'] !== 'active') continue;
    const role = store.find('sys_user_role', grant.values['role'] ?? '');
    if (role !== undefined) roles.add(role.values['name'] ?? '');
  }
  return { sysId: user.sysId, userName: user.values['user_name'] ?? '', roles };
}

function secretsFile(dir: string): string {
  return join(dir, 'credentials.json');
}

function loadSecrets(dir: string | undefined): Secrets {
  if (dir === undefined || !existsSync(secretsFile(dir))) return { passwords: {}, clients: {} };
  return JSON.parse(readFileSync(secretsFile(dir), 'utf8')) as Secrets;
}

function saveSecrets(dir: string | undefined, secrets: Secrets): void {
  if (dir === undefined) return;
  mkdirSync(dir, { recursive: true });
  writeFileSync(secretsFile(dir), `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
}
