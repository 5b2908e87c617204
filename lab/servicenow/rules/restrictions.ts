import type { Caller, Operation, Restrictions } from '../access.ts';
import type { Schema, Table } from '../schema.ts';
import type { BusinessRule } from '../store.ts';
import { isPlatform } from './platform-users.ts';
import { SCRIPT_WRITER_ROLE, STRICT_FIELDS, STRICT_OPERATIONS, type FieldRestriction } from './strict-fields.ts';

/** The guards in force: those of profile `strict`, and those an administrator added by hand, which hold in every profile. */
export interface RestrictionBook extends Restrictions {
  add(restriction: FieldRestriction): void;
  list(): FieldRestriction[];
  clear(): void;
  /** Puts the columns of effect `revert` back. */
  rule: BusinessRule;
}

/** `isStrict` is asked at every write: the profile may change while the lab runs. */
export function createRestrictionBook(schema: Schema, isStrict: () => boolean): RestrictionBook {
  const added: FieldRestriction[] = [];
  const inForce = (): readonly FieldRestriction[] => (isStrict() ? [...STRICT_FIELDS, ...added] : added);
  // Asked for every column of every write: what guards a table is put together once.
  const guarded = new Map<string, ReadonlySet<string>>();
  const columnsUnder = (table: Table, effect: FieldRestriction['effect'], operation: Operation): ReadonlySet<string> => {
    const key = [isStrict() ? 'strict' : 'plain', table.name, effect, operation].join('/');
    let columns = guarded.get(key);
    if (columns === undefined) {
      const guards = inForce().filter(
        (guard) => guard.effect === effect && schema.isA(table.name, guard.table) && guard.on.some((one) => one === operation),
      );
      columns = new Set(guards.flatMap((guard) => guard.columns));
      guarded.set(key, columns);
    }
    return columns;
  };
  return {
    refusesOperation: (table, operation) =>
      isStrict() && STRICT_OPERATIONS.some((guard) => guard.operation === operation && schema.isA(table.name, guard.table)),
    refusesColumn: (caller, table, column, operation) =>
      columnsUnder(table, 'refuse', operation).has(column) && !opensScript(caller, table, column, schema),
    skipsColumn: (table, column, operation) => columnsUnder(table, 'skip', operation).has(column),
    add: (restriction) => {
      added.push(restriction);
      guarded.clear();
    },
    list: () => [...inForce()],
    clear: () => {
      added.length = 0;
      guarded.clear();
    },
    rule: {
      table: '*',
      apply: (values, before, { table, actor }) => {
        if (isPlatform(actor)) return;
        const operation = before === undefined ? 'create' : 'write';
        for (const column of columnsUnder(table, 'revert', operation)) values[column] = before?.[column] ?? '';
      },
    },
  };
}

function opensScript(caller: Caller, table: Table, column: string, schema: Schema): boolean {
  return schema.isA(table.name, 'sn_vul_integration') && /script|condition/.test(column) && caller.roles.has(SCRIPT_WRITER_ROLE);
}
