import { seedSysId } from './seed-rows.ts';
import type { Token, TokenBook } from './oauth-tokens.ts';
import type { Row, Store } from './store.ts';

/** What an instance held at one moment. */
export interface Snapshot {
  name: string;
  /** Lab time, ISO. */
  takenAt: string;
  rows: Row[];
  tokens: Token[];
}

/** Named states that an instance can go back to, as a restored backup does: the instance is older than its clients remember. */
export interface Snapshots {
  take(name: string): Snapshot;
  /** Goes back to a snapshot; undefined where there is none of that name. */
  restore(name: string): Snapshot | undefined;
  list(): { name: string; takenAt: string; rows: number }[];
}

export function createSnapshots(store: Store, tokens: TokenBook): Snapshots {
  const snapshots = new Map<string, Snapshot>();
  return {
    take: (name) => {
      const snapshot = { name, takenAt: store.clock.now().toISOString(), rows: copyRows(store), tokens: tokens.all() };
      snapshots.set(name, snapshot);
      return snapshot;
    },
    restore: (name) => {
      const snapshot = snapshots.get(name);
      if (snapshot === undefined) return undefined;
      store.replaceAll(snapshot.rows);
      // The token table is as old as the rest: what was handed out since then is unknown, what has ended since then lives again.
      tokens.restore(snapshot.tokens);
      return snapshot;
    },
    list: () => [...snapshots.values()].map(({ name, takenAt, rows }) => ({ name, takenAt, rows: rows.length })),
  };
}

/** Every record. `values` objects are never changed in place, so they need no copy. */
export function copyRows(store: Store): Row[] {
  const roots = [...store.schema.tables.values()].filter((table) => table.extends === undefined);
  return roots.flatMap((root) => [...store.rows(root.name)].map(({ table, sysId, values }) => ({ table, sysId, values })));
}

/** Tables that a clone does not take from its source: each instance registers its own clients. */
const KEPT_BY_TARGET = ['oauth_entity', 'oauth_entity_auth_scope_mapping', 'oauth_jwt_claims', 'jwt_verifier_map', 'sys_certificate'];

/** What a clone is made of: the source's records without those that belong to the target. */
export function cloneRows(store: Store): Row[] {
  return copyRows(store).filter((row) => !KEPT_BY_TARGET.some((table) => store.schema.isA(row.table, table)));
}

/** Sets properties that say which instance this is; no write of anybody, so no counter moves. */
export function setInstanceProperties(store: Store, properties: Record<string, string>): void {
  const root = store.schema.get('sys_properties')?.root;
  if (root === undefined) return;
  for (const [name, value] of Object.entries(properties)) {
    const existing = store.equal('sys_properties', 'name', [name])[0];
    const sysId = existing?.sysId ?? seedSysId(root, `sys_properties/${name}`);
    const values = existing?.values ?? { sys_id: sysId, sys_class_name: 'sys_properties', name, sys_mod_count: '0' };
    store.load({ table: 'sys_properties', sysId, values: { ...values, value } });
  }
}
