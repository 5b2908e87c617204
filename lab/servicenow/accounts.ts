import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Caller } from './access.ts';
import type { Credentials } from './credentials.ts';
import { propertyOf } from './query/evaluate.ts';
import type { Row, Store } from './store.ts';

/** An account that can sign in. */
export interface LabUser {
  userName: string;
  password: string;
  /** Roles granted directly; inherited ones are in sys_user_has_role. */
  roles: string[];
}

export interface SeedUser {
  userName: string;
  firstName: string;
  lastName: string;
  roles: string[];
  login: boolean;
  oauthClient?: boolean;
}

/** Accounts and passwords of one lab. */
export interface Accounts {
  users: LabUser[];
  /** The account of a name and password; undefined where they do not fit or the account may not sign in. */
  byPassword(userName: string, password: string): Caller | undefined;
  /** The account of a name without a password, for tokens; undefined where it may not sign in. */
  byName(userName: string): Caller | undefined;
  /** The same by a column of sys_user (JWT: User Field); undefined where no account, or more than one, has the value. */
  byField(column: string, value: string): Caller | undefined;
  /** True where basic authentication is restricted and the caller is not let through (schema/basic_auth_restriction_properties.json). */
  basicRefused(caller: Caller): boolean;
}

/** Reads the passwords from the credentials, or makes them there. */
export function createAccounts(store: Store, seeds: SeedUser[], credentials: Credentials): Accounts {
  const users: LabUser[] = seeds
    .filter(({ login }) => login)
    .map(({ userName, roles }) => ({
      userName,
      roles,
      password: (credentials.passwords[userName] ??= randomBytes(18).toString('base64url')),
    }));
  const passwords = new Map(users.map(({ userName, password }) => [userName.toLowerCase(), password]));
  const byField = (column: string, value: string): Caller | undefined => {
    if (value === '' || store.schema.get('sys_user')?.columns.has(column) !== true) return undefined;
    const [row, ...others] = store.equal('sys_user', column, [value]);
    return row === undefined || others.length > 0 || !maySignIn(row) ? undefined : callerOf(store, row);
  };
  const byName = (userName: string): Caller | undefined => byField('user_name', userName);
  return {
    users,
    byName,
    byField,
    byPassword: (userName, password) => {
      const expected = passwords.get(userName.toLowerCase());
      return expected !== undefined && sameText(expected, password) ? byName(userName) : undefined;
    },
    basicRefused: (caller) => {
      const prefix = 'glide.authenticate.basic_auth';
      if (propertyOf(store, `${prefix}.restriction.enforce`) !== 'true') return false;
      const isAllowedUser = listOf(propertyOf(store, `${prefix}.allowed_users`)).includes(caller.userName);
      return !isAllowedUser && !listOf(propertyOf(store, `${prefix}.allowed_roles`)).some((role) => caller.roles.has(role));
    },
  };
}

function listOf(text: string): string[] {
  return text.split(',').map((part) => part.trim());
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

/** A user with every role it holds. */
export function callerOf(store: Store, user: Row): Caller {
  const roles = new Set<string>();
  for (const grant of store.equal('sys_user_has_role', 'user', [user.sysId])) {
    if (grant.values['state'] !== 'active') continue;
    const role = store.find('sys_user_role', grant.values['role'] ?? '');
    if (role !== undefined) roles.add(role.values['name'] ?? '');
  }
  return { sysId: user.sysId, userName: user.values['user_name'] ?? '', roles };
}
