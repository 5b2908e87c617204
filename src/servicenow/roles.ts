/** Who we are on the instance, which roles a user has, and as whom the integration records run (servicenow.md §6). */
import type { SysId } from '../model.ts';
import { query, type Query } from './query.ts';
import { valueOf, type Row, type TableApi } from './table.ts';

export interface UserRoles {
  /** Undefined when no role row was readable: then nothing is known of the roles either. */
  readonly user: { readonly sysId: SysId; readonly userName: string } | undefined;
  /** Effective roles, inherited ones included, sorted. */
  readonly roles: readonly string[];
}

export interface InstanceUser {
  readonly sysId: SysId;
  readonly userName: string;
  readonly active: boolean;
  readonly lockedOut: boolean;
  /** "Password needs reset" is checked: no sign-in but the one that changes the password. */
  readonly needsReset: boolean;
  /** sys_id of its domain; `global` or '' where it is in none. */
  readonly domain: string;
}

/** One integration of the plugin (`sn_vul_integration`). */
export interface IntegrationRecord {
  readonly sysId: SysId;
  readonly name: string;
  readonly active: boolean;
  /** `userName` is '' when the user is not readable; both are '' when no one is set. */
  readonly runAs: { readonly sysId: string; readonly userName: string };
  /** sys_id of the integration instance (`sn_sec_int_impl`), '' when none. */
  readonly instance: string;
  readonly runType: string;
}

const userFields = ['user_name', 'active', 'locked_out', 'password_needs_reset', 'sys_domain'];
/** Every instance has it: where it cannot be seen, a role that is not there says nothing. */
const knownRole = 'admin';

export interface RolesApi {
  readOwnRoles(signal?: AbortSignal): Promise<UserRoles>;
  readRolesOf(userName: string, signal?: AbortSignal): Promise<UserRoles>;
  findUser(userName: string, signal?: AbortSignal): Promise<InstanceUser | undefined>;
  /** Which of these roles the instance has (those of an application that is not installed do not exist); undefined where roles are not readable. */
  readExistingRoles(names: readonly string[], signal?: AbortSignal): Promise<ReadonlySet<string> | undefined>;
  /** Integration records that match; the table must be in the dictionary. */
  readIntegrationRecords(which: Query, signal?: AbortSignal): Promise<readonly IntegrationRecord[]>;
}

export function createRolesApi(table: TableApi): RolesApi {
  const readRoles = async (which: Query, signal: AbortSignal | undefined): Promise<UserRoles> => {
    const fields = ['user', 'user.user_name', 'role.name', 'inherited', 'state'];
    const roles = new Set<string>();
    let user: UserRoles['user'];
    for await (const row of table.listAll('sys_user_has_role', { query: which, fields }, signal)) {
      const state = valueOf(row, 'state');
      const role = valueOf(row, 'role.name');
      if (role === '' || (state !== '' && state !== 'active')) continue;
      roles.add(role);
      user ??= { sysId: valueOf(row, 'user') as SysId, userName: valueOf(row, 'user.user_name') };
    }
    return { user, roles: [...roles].sort() };
  };
  return {
    readOwnRoles: (signal) => readRoles(query().isCurrentUser('user'), signal),
    readRolesOf: (userName, signal) => readRoles(query().equals('user.user_name', userName), signal),
    findUser: async (userName, signal) => {
      const options = { query: query().equals('user_name', userName), fields: userFields, limit: 2 };
      const [row] = await table.list('sys_user', options, signal);
      if (row === undefined) return undefined;
      return {
        sysId: valueOf(row, 'sys_id') as SysId,
        userName: valueOf(row, 'user_name'),
        active: isTrue(row, 'active'),
        lockedOut: isTrue(row, 'locked_out'),
        needsReset: isTrue(row, 'password_needs_reset'),
        domain: valueOf(row, 'sys_domain'),
      };
    },
    readExistingRoles: async (names, signal) => {
      const wanted = query().in('name', [knownRole, ...names]);
      const rows = await table.list('sys_user_role', { query: wanted, fields: ['name'] }, signal);
      const found = new Set(rows.map((row) => valueOf(row, 'name')));
      return found.has(knownRole) ? found : undefined;
    },
    readIntegrationRecords: async (which, signal) => {
      const fields = ['name', 'active', 'run_as', 'run_as.user_name', 'run_type', 'instance'];
      const records: IntegrationRecord[] = [];
      for await (const row of table.listAll('sn_vul_integration', { query: which, fields }, signal)) {
        records.push({
          sysId: valueOf(row, 'sys_id') as SysId,
          name: valueOf(row, 'name'),
          active: isTrue(row, 'active'),
          runAs: { sysId: valueOf(row, 'run_as'), userName: valueOf(row, 'run_as.user_name') },
          instance: valueOf(row, 'instance'),
          runType: valueOf(row, 'run_type'),
        });
      }
      return records;
    },
  };
}

function isTrue(row: Row, column: string): boolean {
  return ['true', '1'].includes(valueOf(row, column).toLowerCase());
}
