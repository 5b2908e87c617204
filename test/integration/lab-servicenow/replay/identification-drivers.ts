import { differences } from './compare.ts';
import { Presupposed } from './presuppose.ts';
import { replayAll, send, withLab, type Driver } from './send.ts';

/** The printed payload against a lab with nothing but its seed, under a registered data source. */
const identify: Driver = (payload) =>
  withLab(new Presupposed(), async (started) => {
    const { request, response } = payload.exchanges[0]!;
    const [path = '', search = ''] = request!.url.split('?', 2);
    const query = [search, 'sysparm_data_source=ServiceNow'].filter((part) => part !== '').join('&');
    return differences(response, await send(started, { ...request!, url: `${path}?${query}` }));
  });

interface Outcome {
  items: { operation?: string; sysId: string; incompleteSysIds?: string[]; errors: { error: string }[] }[];
  relations: { operation?: string }[];
  hasError?: boolean;
}

/** The recorded steps that need one or two computers: first sight, second sight, relation, the same again, an unregistered source. */
const rerun: Driver = () =>
  withLab(new Presupposed(), async (started) => {
    const computer = (name: string, recency: string): object => ({
      className: 'cmdb_ci_computer',
      values: { name, serial_number: name, last_discovered: recency },
      sys_object_source_info: { source_name: 'ServiceNow', source_native_key: name },
    });
    const post = async (payload: object, source = 'ServiceNow'): Promise<Outcome> =>
      (await started.ire(payload, '/enhanced', source)).json.result as Outcome;
    const found: string[] = [];
    const expect = (what: string, actual: unknown, wanted: unknown): void => {
      if (JSON.stringify(actual) !== JSON.stringify(wanted))
        found.push(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(wanted)}`);
    };
    const first = await post({ items: [computer('c1', '2026-08-19 10:00:00')] });
    const second = await post({ items: [computer('c1', '2026-08-19 11:00:00')] });
    expect('first', first.items[0]?.operation, 'INSERT');
    expect('again', [second.items[0]?.operation, second.items[0]?.sysId], ['UPDATE', first.items[0]?.sysId]);
    const pair = (recency: string): object => ({
      items: [computer('c2', recency), computer('c3', recency)],
      relations: [{ type: 'Owns::Owned by', parent: 0, child: 1 }],
    });
    const related = await post(pair('2026-08-19 10:00:00'));
    const repeated = await post(pair('2026-08-19 11:00:00'));
    expect('relation', related.relations[0]?.operation, 'INSERT');
    expect('relation again', repeated.relations[0]?.operation, 'NO_CHANGE');
    const refused = await post({ items: [computer('c4', '2026-08-19 10:00:00')] }, 'Nobody');
    const [item] = refused.items;
    expect(
      'unregistered source',
      [item?.operation, item?.incompleteSysIds?.length, item?.errors[0]?.error, refused.hasError],
      ['INSERT_AS_INCOMPLETE', 1, 'INVALID_INPUT_DATA', true],
    );
    return found;
  });

/** The recorded endpoint is the CMDB Instance API. */
const cmdbInstance: Driver = (payload) => withLab(new Presupposed(), (started) => replayAll(started, payload.exchanges));

export const identificationDrivers: Record<string, Driver> = {
  'identifyreconcile/identifyreconcile_enhanced_generate_summary_insert.json': identify,
  'identifyreconcile/identifyreconcile_enhanced_insert_as_partial.json': identify,
  'identifyreconcile/identifyreconcile_query_update_two_items.json': identify,
  'identifyreconcile/identifyreconcile_queryenhanced_generate_summary_insert.json': identify,
  'identifyreconcile/identifyreconcile_queryenhanced_insert_as_partial.json': identify,
  'identifyreconcile/identifyreconcile_update_two_items_with_lookup_and_relation.json': identify,
  'identifyreconcile/invalid_data_source_400.json': cmdbInstance,
  'identifyreconcile/queryenhanced_find_sys_id_by_name.json': identify,
  'identifyreconcile/rerun_insert_update_no_change.json': rerun,
  'identifyreconcile/vcenter_insert_with_related_item.json': identify,
};
