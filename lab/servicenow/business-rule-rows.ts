import { seedSysId } from './seed-rows.ts';
import type { BusinessRule, Store } from './store.ts';

/**
 * Puts rules into force, each with a row of sys_script. An administrator who deactivates the row stops the rule.
 * A rule without a name of its own is called after its table.
 */
export function installBusinessRules(store: Store, rules: readonly (BusinessRule & { name?: string })[]): void {
  const counts = new Map<string, number>();
  for (const rule of rules) {
    const count = (counts.get(rule.table) ?? 0) + 1;
    counts.set(rule.table, count);
    const sysId = putRow(store, rule, rule.name ?? `${rule.table} ${String(count)}`);
    store.addRule({
      ...rule,
      apply: (...write: Parameters<BusinessRule['apply']>) => {
        if (store.find('sys_script', sysId)?.values['active'] !== 'false') rule.apply(...write);
      },
    });
  }
}

function putRow(store: Store, { table }: BusinessRule, name: string): string {
  const root = store.schema.get('sys_script')?.root;
  const sysId = seedSysId(root ?? 'sys_script', `sys_script/${name}`);
  if (root === undefined || store.find('sys_script', sysId) !== undefined) return sysId;
  const values = {
    name,
    collection: table,
    when: 'before',
    active: 'true',
    sys_id: sysId,
    sys_class_name: 'sys_script',
    sys_mod_count: '0',
  };
  store.load({ table: 'sys_script', sysId, values });
  return sysId;
}
