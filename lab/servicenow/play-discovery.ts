import { AdminError, type AdminHandlers } from '../kit/admin-api.ts';
import { asObject, optionalText, raw, recordIn, tableNamed, textIn, writtenValues } from './admin-input.ts';
import { deleteWithReferences, relationsOf } from './references.ts';
import type { Row, Store } from './store.ts';
import { dateTime } from './values.ts';

/** Discovery writes as the platform itself. */
const ACTOR = 'system';
const DISCOVERY_SOURCE = 'ServiceNow';

type Fields = Record<string, unknown>;

/**
 * Plays Discovery, which enriches the CI of a cloud resource or creates another one (servicenow.md §4). A CI is named by
 * `sys_id`, or by `objectId` (compared case-insensitively) and `class`.
 */
export function discoveryHandlers(store: Store): AdminHandlers {
  const plays: Record<string, (fields: Fields) => unknown> = {
    enrich: (fields) => enrich(store, fields),
    reclassify: (fields) => reclassify(store, fields),
    'create-beside': (fields) => createBeside(store, fields),
    // Retired in both life-cycle columns; 7 and 6 are the documented values.
    retire: (fields) => changed(store, configurationItem(store, fields), { install_status: '7', operational_status: '6' }),
    'mark-duplicate': (fields) => {
      const original = recordIn(store, { table: 'cmdb_ci', sys_id: textIn(fields, 'of') });
      return changed(store, configurationItem(store, fields), { duplicate_of: original.sysId });
    },
    delete: (fields) => {
      deleteWithReferences(store, configurationItem(store, fields), ACTOR);
    },
  };
  const routes = Object.entries(plays).map(([name, play]) => [
    `POST /play/discovery/${name}`,
    ({ body }: { body: unknown }) => play(asObject(body)),
  ]);
  return Object.fromEntries(routes) as AdminHandlers;
}

/** The same object_id found in the mapped class: fields are set, the record stays what it is. */
function enrich(store: Store, fields: Fields): Record<string, string> {
  const row = configurationItem(store, fields);
  return changed(store, row, { ...discovered(store), ...writtenValues(store, row.table, asObject(fields['values'] ?? {})) });
}

/** The placeholder becomes a CI of a specific class and keeps its sys_id: everything that refers to it still does. */
function reclassify(store: Store, fields: Fields): Record<string, string> {
  const row = configurationItem(store, { ...fields, class: undefined });
  const target = ciClass(store, textIn(fields, 'class'));
  const values = writtenValues(store, target, asObject(fields['values'] ?? {}));
  store.reclassify(row, target, ACTOR);
  return changed(store, row, { ...discovered(store), ...values });
}

/** A second CI of the specific class for the same resource, hosted where the first one is; `objectId` is written as Discovery spells it. */
function createBeside(store: Store, fields: Fields): Record<string, string> {
  const placeholder = configurationItem(store, { sys_id: textIn(fields, 'sys_id') });
  const target = ciClass(store, textIn(fields, 'class'));
  const { name = '', object_id: known = '' } = placeholder.values;
  const given = writtenValues(store, target, asObject(fields['values'] ?? {}));
  const objectId = optionalText(fields, 'objectId') ?? known;
  const created = store.insert(
    target,
    { name, object_id: objectId, install_status: '1', operational_status: '1', ...discovered(store), ...given },
    ACTOR,
  );
  for (const { values } of relationsOf(store, placeholder)) {
    if (values['parent'] !== placeholder.sysId) continue;
    store.insert('cmdb_rel_ci', { parent: created.sysId, child: values['child'] ?? '', type: values['type'] ?? '' }, ACTOR);
  }
  return raw(created);
}

function configurationItem(store: Store, fields: Fields): Row {
  if (fields['sys_id'] !== undefined) return recordIn(store, { table: 'cmdb_ci', sys_id: fields['sys_id'] });
  const className = ciClass(store, optionalText(fields, 'class') ?? 'cmdb_ci');
  const objectId = textIn(fields, 'objectId');
  const [row] = store.equal(className, 'object_id', [objectId]);
  if (row === undefined) throw new AdminError(404, `No ${className} with object_id "${objectId}".`);
  return row;
}

function ciClass(store: Store, name: string): string {
  if (store.schema.isA(tableNamed(store, name), 'cmdb_ci')) return name;
  throw new AdminError(400, `${name} is no class of CIs.`);
}

function discovered(store: Store): Record<string, string> {
  return { last_discovered: dateTime(store.clock.now()), discovery_source: DISCOVERY_SOURCE };
}

function changed(store: Store, row: Row, values: Record<string, string>): Record<string, string> {
  store.update(row, values, ACTOR);
  return raw(row);
}
