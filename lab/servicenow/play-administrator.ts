import { AdminError, type AdminHandlers } from '../kit/admin-api.ts';
import type { Access, Operation } from './access.ts';
import { asObject, flagIn, optionalText, raw, recordIn, recordNamed, tableNamed, textIn, writtenValues } from './admin-input.ts';
import { deleteWithReferences } from './references.ts';
import { deriveRoles, grantRole, holdersOf, membersOf, revokeRole } from './role-grants.ts';
import { uninstallHandlers } from './play-uninstall.ts';
import type { Row, Store } from './store.ts';

const ACTOR = 'admin';
const OPERATIONS: readonly Operation[] = ['read', 'create', 'write', 'delete'];

/** Plays an administrator who works in the instance by hand. */
export function administratorHandlers({ store, access }: { store: Store; access: Access }): AdminHandlers {
  return prefixed({
    ...recordHandlers(store),
    ...roleHandlers(store),
    ...configurationHandlers(store),
    ...uninstallHandlers(store),
    'POST /acl': (body) => {
      const operation = OPERATIONS.find((known) => known === body['operation']);
      if (operation === undefined) throw new AdminError(400, `"operation" is one of ${OPERATIONS.join(', ')}.`);
      access.setActive(tableNamed(store, textIn(body, 'table')), operation, flagIn(body, 'active', false));
    },
  });
}

type Play = (body: Record<string, unknown>) => unknown;

function prefixed(plays: Record<`POST /${string}`, Play>): AdminHandlers {
  const routes = Object.entries(plays).map(([route, play]) => [
    route.replace('POST /', 'POST /play/administrator/'),
    ({ body }: { body: unknown }) => play(asObject(body)),
  ]);
  return Object.fromEntries(routes) as AdminHandlers;
}

function recordHandlers(store: Store): Record<`POST /${string}`, Play> {
  return {
    'POST /edit': (body) => {
      const row = recordIn(store, body);
      store.update(row, writtenValues(store, row.table, asObject(body['values'])), ACTOR);
      return raw(row);
    },
    'POST /delete': (body) => {
      deleteWithReferences(store, recordIn(store, body), ACTOR);
    },
    'POST /re-point': (body) => ({ changed: repoint(store, body) }),
  };
}

/** One record (`sys_id`) or all that refer to `from`. */
function repoint(store: Store, body: Record<string, unknown>): number {
  const table = tableNamed(store, textIn(body, 'table'));
  const column = textIn(body, 'column');
  if (store.schema.get(table)?.columns.get(column)?.reference === undefined) {
    throw new AdminError(400, `${table}.${column} is no reference.`);
  }
  const to = textIn(body, 'to');
  const rows = body['sys_id'] === undefined ? store.equal(table, column, [textIn(body, 'from')]) : [recordIn(store, body)];
  return rows.filter((row) => store.update(row, { [column]: to }, ACTOR)).length;
}

function roleHandlers(store: Store): Record<`POST /${string}`, Play> {
  const user = (body: Record<string, unknown>): Row => recordNamed(store, 'sys_user', 'user_name', textIn(body, 'user'));
  const role = (body: Record<string, unknown>, name = 'role'): Row => recordNamed(store, 'sys_user_role', 'name', textIn(body, name));
  const group = (body: Record<string, unknown>): Row => recordNamed(store, 'sys_user_group', 'name', textIn(body, 'group'));
  const rolesOf = (row: Row): object => ({ roles: roleNames(store, row.sysId) });
  return {
    'POST /grant-role': (body) => {
      if (body['group'] !== undefined) return groupRole(store, group(body), role(body), true);
      grantRole(store, user(body), role(body), ACTOR);
      return rolesOf(user(body));
    },
    'POST /revoke-role': (body) => {
      if (body['group'] !== undefined) return groupRole(store, group(body), role(body), false);
      if (!revokeRole(store, user(body), role(body), ACTOR)) {
        throw new AdminError(409, 'The user was not given this role by hand: revoke it from the group or role that it comes from.');
      }
      return rolesOf(user(body));
    },
    'POST /group-member': (body) => {
      const [member, of] = [user(body).sysId, group(body).sysId];
      setLink(store, 'sys_user_grmember', { user: member, group: of }, flagIn(body, 'member', true));
      deriveRoles(store, member, ACTOR);
      return rolesOf(user(body));
    },
    'POST /contain-role': (body) => {
      const container = role(body).sysId;
      setLink(
        store,
        'sys_user_role_contains',
        { role: container, contains: role(body, 'contains').sysId },
        flagIn(body, 'contained', true),
      );
      const holders = holdersOf(store, container);
      for (const holder of holders) deriveRoles(store, holder, ACTOR);
      return { users: holders.length };
    },
    'POST /lock-user': (body) => {
      const row = user(body);
      const active = flagIn(body, 'active', row.values['active'] === 'true');
      store.update(row, { locked_out: String(flagIn(body, 'locked', true)), active: String(active) }, ACTOR);
    },
  };
}

function groupRole(store: Store, group: Row, role: Row, isGiven: boolean): object {
  setLink(store, 'sys_group_has_role', { group: group.sysId, role: role.sysId }, isGiven);
  const members = membersOf(store, group.sysId);
  for (const member of members) deriveRoles(store, member, ACTOR);
  return { users: members.length };
}

/** Makes the one row that links two records exist, or not. */
function setLink(store: Store, table: string, values: Record<string, string>, isWanted: boolean): void {
  const [[column, value] = ['', '']] = Object.entries(values);
  const links = store
    .equal(table, column, [value])
    .filter((row) => Object.entries(values).every(([name, text]) => row.values[name] === text));
  if (!isWanted) for (const link of links) store.delete(link);
  else if (links.length === 0) store.insert(table, values, ACTOR);
}

function roleNames(store: Store, userSysId: string): string[] {
  const grants = store.equal('sys_user_has_role', 'user', [userSysId]);
  return grants.map(({ values }) => store.find('sys_user_role', values['role'] ?? '')?.values['name'] ?? '').sort();
}

function configurationHandlers(store: Store): Record<`POST /${string}`, Play> {
  return {
    'POST /business-rule': (body) => {
      const active = String(flagIn(body, 'active', false));
      const name = optionalText(body, 'name');
      const rules =
        name === undefined
          ? store.equal('sys_script', 'collection', [tableNamed(store, textIn(body, 'table'))])
          : [recordNamed(store, 'sys_script', 'name', name)];
      for (const rule of rules) store.update(rule, { active }, ACTOR);
      return { rules: rules.map(({ values }) => values['name'] ?? '') };
    },
    'POST /lookup-rule': (body) => putNamed(store, 'sn_sec_cmn_ci_lookup_rule', body),
    'POST /identifier-rule': (body) => raw(identifierRule(store, body)),
    'POST /property': (body) => {
      const name = textIn(body, 'name');
      const value = body['value'];
      if (typeof value !== 'string') throw new AdminError(400, '"value" is missing: a text.');
      const [existing] = store.equal('sys_properties', 'name', [name]);
      if (existing === undefined) store.insert('sys_properties', { name, value }, ACTOR);
      else store.update(existing, { value }, ACTOR);
    },
  };
}

/** Changes the record of this name, or adds one: `{"name","values":{…}}`. */
function putNamed(store: Store, table: string, body: Record<string, unknown>): Record<string, string> {
  const name = textIn(body, 'name');
  const values = writtenValues(store, table, asObject(body['values']));
  const [existing] = store.equal(table, 'name', [name]);
  if (existing === undefined) return raw(store.insert(table, { ...values, name }, ACTOR));
  store.update(existing, values, ACTOR);
  return raw(existing);
}

/**
 * `{"class","attributes","order"?}` adds an entry to the identification rule of a class (and the rule where there is none);
 * `{"class","attributes","active":false}` switches one off; `{"class","active"}` the whole rule; `{"class","relatedTable","referencedField"}`
 * lets records of another table come as related items.
 */
function identifierRule(store: Store, body: Record<string, unknown>): Row {
  const className = tableNamed(store, textIn(body, 'class'));
  const attributes = optionalText(body, 'attributes');
  const active = String(flagIn(body, 'active', true));
  const [rule = addIdentifier(store, className, body)] = store.equal('cmdb_identifier', 'applies_to', [className]);
  const relatedTable = optionalText(body, 'relatedTable');
  if (relatedTable !== undefined) {
    const related = { identifier: rule.sysId, table: tableNamed(store, relatedTable), referenced_field: textIn(body, 'referencedField') };
    return store.insert('cmdb_related_entry', related, ACTOR);
  }
  if (attributes === undefined) {
    store.update(rule, { active }, ACTOR);
    return rule;
  }
  const existing = store
    .equal('cmdb_identifier_entry', 'identifier', [rule.sysId])
    .find(({ values }) => values['attributes'] === attributes);
  if (existing !== undefined) {
    store.update(existing, { active }, ACTOR);
    return existing;
  }
  const order = String(typeof body['order'] === 'number' ? body['order'] : 100);
  const entry = { identifier: rule.sysId, table: className, attributes, order, active, allow_null_attribute: 'false' };
  return store.insert('cmdb_identifier_entry', entry, ACTOR);
}

function addIdentifier(store: Store, className: string, body: Record<string, unknown>): Row {
  const independent = String(flagIn(body, 'independent', true));
  return store.insert('cmdb_identifier', { name: `${className} rule`, applies_to: className, active: 'true', independent }, ACTOR);
}
