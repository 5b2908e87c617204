/** What a ServiceNow administrator does, for states of the instance. */
import type { ServiceNowAuth } from '../../../../src/servicenow/index.ts';
import { catalogue } from '../../../../src/preflight/index.ts';
import { add, rowOf, setProperty } from '../../lab-servicenow/admin-helper.ts';
import type { Labs } from '../labs.ts';
import type { Expected } from './state.ts';

export const administrator = 'A ServiceNow administrator';
export const operator = 'Whoever keeps the configuration of defender-sync';
export const engineUser = 'defender.sync';

type Give = (labs: Labs) => Promise<unknown>;

/** A route of `POST /play/administrator/…`. */
export function play(what: string, body: object): Give {
  return ({ serviceNow }) => serviceNow.admin('POST', `/servicenow/play/administrator/${what}`, body);
}

/** One after the other. */
export function all(...gives: readonly Give[]): Give {
  return async (labs) => {
    for (const give of gives) await give(labs);
  };
}

export function revoke(...roles: readonly string[]): Give {
  return all(...roles.map((role) => play('revoke-role', { user: engineUser, role })));
}

export function grant(...roles: readonly string[]): Give {
  return all(...roles.map((role) => play('grant-role', { user: engineUser, role })));
}

export function lock(user: string, change: { locked?: boolean; active?: boolean }): Give {
  return play('lock-user', { user, locked: false, ...change });
}

export function property(name: string, value: string): Give {
  return ({ serviceNow }) => setProperty(serviceNow, name, value);
}

export function edit(table: string, column: string, value: string, values: Record<string, string>): Give {
  return async ({ serviceNow }) => {
    const { sys_id: sysId } = await rowOf(serviceNow, table, column, value);
    await serviceNow.admin('PATCH', `/servicenow/rows/${table}/${sysId ?? ''}`, values);
  };
}

/** The lab's own client of a user. */
export function clientOf({ serviceNow }: Labs, userName: string): { readonly clientId: string; readonly clientSecret: string } {
  const client = serviceNow.lab.oauthClients.find((candidate) => candidate.userName === userName);
  if (client === undefined) throw new Error(`No OAuth client of ${userName}.`);
  return client;
}

export function passwordOf({ serviceNow }: Labs, userName: string): string {
  return serviceNow.lab.users.find((user) => user.userName === userName)?.password ?? '';
}

/** Signs in as the engine's user by the client of somebody else, whose own user may look why. */
export function byPassword(labs: Labs, change: Partial<Extract<ServiceNowAuth, { type: 'password' }>> = {}): ServiceNowAuth {
  const client = clientOf(labs, 'defender.readonly');
  const { clientId, clientSecret } = client;
  return { type: 'password', clientId, clientSecret, userName: engineUser, password: passwordOf(labs, engineUser), ...change };
}

export function byClient(labs: Labs, change: Partial<Extract<ServiceNowAuth, { type: 'client-credentials' }>> = {}): ServiceNowAuth {
  const { clientId, clientSecret } = clientOf(labs, engineUser);
  return { type: 'client-credentials', clientId, clientSecret, ...change };
}

/** Everything that is not checked where one check blocks, in the order of the catalogue; the ledger is none of these states' business. */
export function hangingOn(...blocked: readonly string[]): string[] {
  const hanging = new Set(blocked);
  for (const { id, needs } of catalogue) if (needs.some((need) => hanging.has(need))) hanging.add(id);
  return catalogue.map(({ id }) => id).filter((id) => hanging.has(id) && !blocked.includes(id) && !id.startsWith('ledger.'));
}

export function finding(check: string, verdict: Expected['verdict'], cause: string, rest: Partial<Expected> = {}): Expected {
  return { check, verdict, cause, fixedBy: administrator, remedy: [], ...rest };
}

/** Makes the engine's client securely scoped, with scopes for these paths. */
export function scoped(...apis: readonly { readonly path: string; readonly method?: string }[]): Give {
  return async (labs) => {
    const { serviceNow } = labs;
    const { clientId } = clientOf(labs, engineUser);
    const entity = await rowOf(serviceNow, 'oauth_entity', 'client_id', clientId);
    const { rows } = await serviceNow.admin('GET', '/servicenow/rows/oauth_entity_auth_scope_mapping');
    for (const row of rows.filter((link) => link['oauth_entity'] === entity['sys_id'])) {
      await serviceNow.admin('DELETE', `/servicenow/rows/oauth_entity_auth_scope_mapping/${row['sys_id'] ?? ''}`);
    }
    await edit('oauth_entity', 'client_id', clientId, { scope_restriction: 'securely_scoped' })(labs);
    for (const { path, method } of apis) {
      const scope = await protect(path, method)(labs);
      await add(serviceNow, 'oauth_entity_auth_scope_mapping', { oauth_entity: entity['sys_id'] ?? '', auth_scope: scope });
    }
  };
}

/** A REST API Auth Scope on a path; the sys_id of its scope. */
export function protect(apiPath: string, method?: string): (labs: Labs) => Promise<string> {
  return async ({ serviceNow }) => {
    const name = `defender_sync ${apiPath} ${method ?? ''}`.trim();
    const scope = await add(serviceNow, 'sys_auth_scope', { name });
    const which = method === undefined ? {} : { apply_all_methods: 'false', http_method: method };
    await add(serviceNow, 'sys_api_access_scope', { name, api_path: apiPath, auth_scope: scope['sys_id'] ?? '', ...which });
    return scope['sys_id'] ?? '';
  };
}
