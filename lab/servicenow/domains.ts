import type { Caller } from './access.ts';
import type { ApiRequest } from './http.ts';
import type { Column, Schema, Table } from './schema.ts';
import { seedSysId } from './seed-rows.ts';
import type { Row, Store } from './store.ts';

/** The domain that everybody sees, and whose users see every domain. */
export const GLOBAL_DOMAIN = 'global';

/** Roots of the tables that a domain-separated instance keeps apart by domain. */
const SEPARATED = /^(?:cmdb$|cmdb_rel_ci$|cmdb_key_value$|sn_)/;

/** Domain separation: records land in the domain of the user who inserts them; those of foreign domains are not there (servicenow.md §11). */
export interface Domains {
  isEnabled(): boolean;
  /** Separates the data from now on; what is there already is global. Cannot be undone, as on the platform. */
  enable(): void;
  /** The records as this caller sees and writes them, for one request. */
  viewFor(caller: Caller, request: ApiRequest): Store;
}

export function createDomains(store: Store, enabled: boolean): Domains {
  let isEnabled = false;
  const domains: Domains = {
    isEnabled: () => isEnabled,
    enable: () => {
      if (isEnabled) return;
      isEnabled = true;
      for (const table of store.schema.tables.values()) {
        if (table.extends !== undefined || !SEPARATED.test(table.name)) continue;
        addDomainColumn(store, table);
        for (const row of [...store.rows(table.name)]) {
          if (row.values['sys_domain'] === undefined) store.load({ ...row, values: { ...row.values, sys_domain: GLOBAL_DOMAIN } });
        }
      }
    },
    viewFor: (caller, request) => {
      if (!isEnabled) return store;
      // For administrators only (c_TableAPI); for others the parameter has no effect.
      if (request.query.get('sysparm_query_no_domain') === 'true' && caller.roles.has('admin')) return store;
      return view(store, domainOf(store, caller));
    },
  };
  if (enabled) domains.enable();
  return domains;
}

function addDomainColumn(store: Store, root: Table): void {
  const { schema } = store;
  const column: Column = {
    name: 'sys_domain',
    label: 'Domain',
    type: 'domain_id',
    maxLength: 32,
    default: GLOBAL_DOMAIN,
    grade: 'documented',
  };
  const isNew = !root.columns.has(column.name);
  for (const member of root.family) schema.get(member)?.columns.set(column.name, column);
  if (!isNew) return;
  root.ownColumns.push(column);
  const dictionary = schema.get('sys_dictionary');
  const [like] = store.equal('sys_dictionary', 'name', [root.name]);
  if (dictionary === undefined || like === undefined) return;
  const sysId = seedSysId(dictionary.root, `sys_dictionary/${root.name}.sys_domain`);
  const described = { name: root.name, element: 'sys_domain', column_label: column.label, internal_type: column.type, max_length: '32' };
  store.load({ table: 'sys_dictionary', sysId, values: { ...like.values, ...described, default_value: GLOBAL_DOMAIN, sys_id: sysId } });
}

function domainOf(store: Store, caller: Caller): string {
  return store.find('sys_user', caller.sysId)?.values['sys_domain'] ?? GLOBAL_DOMAIN;
}

/** A store without the records of foreign domains. A user sees the own domain, those below it, and global; global sees all. */
function view(store: Store, domain: string): Store {
  const visible = domain === GLOBAL_DOMAIN ? undefined : new Set([GLOBAL_DOMAIN, domain, ...domainsBelow(store, domain)]);
  const sees = (row: Row): boolean => visible?.has(row.values['sys_domain'] ?? GLOBAL_DOMAIN) ?? true;
  return {
    ...store,
    find: (table, sysId) => {
      const row = store.find(table, sysId);
      return row === undefined || !sees(row) ? undefined : row;
    },
    rows: function* (table) {
      for (const row of store.rows(table)) if (sees(row)) yield row;
    },
    count: (table) => {
      let count = 0;
      for (const row of store.rows(table)) if (sees(row)) count += 1;
      return count;
    },
    equal: (table, column, values) => store.equal(table, column, values).filter(sees),
    insert: (table, values, actor, options) => store.insert(table, inDomain(store.schema, table, values, domain), actor, options),
  };
}

function inDomain(schema: Schema, table: string, values: Record<string, string>, domain: string): Record<string, string> {
  return SEPARATED.test(schema.get(table)?.root ?? table) ? { ...values, sys_domain: domain } : values;
}

function domainsBelow(store: Store, domain: string): Set<string> {
  const below = new Set<string>();
  const wanted = [domain];
  for (const parent of wanted) {
    for (const { sysId } of store.equal('domain', 'parent', [parent])) {
      if (below.has(sysId)) continue;
      below.add(sysId);
      wanted.push(sysId);
    }
  }
  return below;
}
