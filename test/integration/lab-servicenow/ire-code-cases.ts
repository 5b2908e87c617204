import {
  account,
  addHosting,
  addRow,
  chain,
  changeRow,
  CONTAINS,
  datacenter,
  ENGINE_PROPERTY,
  HOSTED,
  image,
  resource,
  rows,
  ruleOf,
  server,
  setProperty,
  type IreBody,
  type IreItem,
} from './ire-payloads.ts';
import { ENGINE_SOURCE, type StartedLab } from './start.ts';

/** Every code of servicenow.md §5.1, brought about by a request and at most by what an administrator may configure. */
export interface CodeCase {
  code: string;
  /** Position in the list of the code's documented messages. */
  template?: number;
  /** Plays the administrator first; what it answers undoes it. */
  given?: (lab: StartedLab) => Promise<unknown>;
  payload: IreBody;
  dataSource?: string;
  /** The codes of each item on the plain endpoint, and of each relation where one is refused by itself. */
  items: string[][];
  relations?: string[][];
  /** The operation of each item on the enhanced endpoint. */
  enhanced: (string | undefined)[];
  /** Where the enhanced endpoint reports the code; it merges what is there twice. */
  enhancedFinds?: 'errors' | 'warnings' | 'nothing' | 'relations';
}

export const INCOMPLETE = 'INSERT_AS_INCOMPLETE';
const PARTIAL = 'INSERT_AS_PARTIAL';
const link = (parent: number, child: number, type = HOSTED): object => ({ parent, child, type });
const tag = (key: string): object => ({ className: 'cmdb_key_value', values: { key, value: 'x' } });
const serial = (number: string): object => ({
  className: 'cmdb_serial_number',
  values: { serial_number: number, serial_number_type: 'system', valid: 'true' },
});
const subnet: IreItem = { className: 'cmdb_ci_cloud_subnet', values: { object_id: '/s/1' } };
const removeLater = (lab: StartedLab, table: string, sysId: string) => () => lab.admin('DELETE', `/servicenow/rows/${table}/${sysId}`);

async function withEntry(lab: StartedLab, className: string, values: Record<string, string>): Promise<() => Promise<unknown>> {
  const entry = { identifier: await ruleOf(lab, className), order: '900', active: 'true', table: className, ...values };
  return removeLater(lab, 'cmdb_identifier_entry', await addRow(lab, 'cmdb_identifier_entry', entry));
}

export function codeCases(): CodeCase[] {
  return [
    {
      code: 'IDENTIFICATION_RULE_MISSING',
      payload: { items: [account('c1'), subnet] },
      items: [['ABANDONED'], ['IDENTIFICATION_RULE_MISSING']],
      enhanced: ['INSERT', INCOMPLETE],
    },
    {
      code: 'MISSING_MATCHING_ATTRIBUTES',
      payload: { items: [{ className: 'cmdb_ci_docker_image', values: { name: 'no id' } }, image('c2')] },
      items: [['MISSING_MATCHING_ATTRIBUTES'], ['ABANDONED']],
      enhanced: [INCOMPLETE, 'INSERT'],
    },
    {
      code: 'NO_CLASS_NAME_FOR_INDEPENDENT_CI',
      given: (lab) => withEntry(lab, 'cmdb_ci_docker_image', { attributes: 'name,sys_class_name' }),
      payload: { items: [image('c3')] },
      items: [['NO_CLASS_NAME_FOR_INDEPENDENT_CI']],
      enhanced: [INCOMPLETE],
    },
    {
      code: 'IDENTIFICATION_RULE_FOR_LOOKUP_MISSING',
      payload: { items: [{ ...account('c4'), lookup: [serial('1')] }] },
      items: [['IDENTIFICATION_RULE_FOR_LOOKUP_MISSING']],
      enhanced: [INCOMPLETE],
    },
    {
      code: 'IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING',
      payload: chain('c5', [{ ...resource('/c5'), related: [tag('env')] }]),
      items: [['ABANDONED'], ['ABANDONED'], ['IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING']],
      enhanced: ['INSERT', 'INSERT', INCOMPLETE],
    },
    {
      code: 'NO_LOOKUP_RULES_FOR_DEPENDENT_CI',
      given: (lab) => withEntry(lab, 'cmdb_ci_cmp_resource', { table: 'cmdb_serial_number', attributes: 'serial_number' }),
      payload: chain('c6', [resource('/c6')]),
      items: [['ABANDONED'], ['ABANDONED'], ['NO_LOOKUP_RULES_FOR_DEPENDENT_CI']],
      enhanced: ['INSERT', 'INSERT', INCOMPLETE],
    },
    {
      code: 'INVALID_INPUT_DATA',
      template: 0,
      payload: { items: [account('c7', { sys_id: 'f'.repeat(32) })] },
      items: [['INVALID_INPUT_DATA']],
      enhanced: [INCOMPLETE],
    },
    {
      code: 'INVALID_INPUT_DATA',
      template: 1,
      dataSource: '',
      payload: { items: [image('c8')] },
      items: [['INVALID_INPUT_DATA']],
      enhanced: [INCOMPLETE],
    },
    {
      code: 'INVALID_INPUT_DATA',
      template: 2,
      dataSource: ENGINE_SOURCE.toLowerCase(),
      payload: chain('c9', [resource('/c9')]),
      items: [['INVALID_INPUT_DATA'], ['INVALID_INPUT_DATA'], ['INVALID_INPUT_DATA']],
      enhanced: [INCOMPLETE, INCOMPLETE, INCOMPLETE],
    },
    {
      code: 'INVALID_INPUT_DATA',
      template: 3,
      payload: { items: [account('c10'), image('c10')], relations: [link(0, 1, 'Loves::Loved by')] },
      items: [['ABANDONED'], ['ABANDONED']],
      relations: [['INVALID_INPUT_DATA']],
      enhanced: ['INSERT', 'INSERT'],
      enhancedFinds: 'relations',
    },
    {
      code: 'INVALID_INPUT_DATA',
      template: 4,
      payload: { items: [account('c11')], relations: [link(9, 0)] },
      items: [['ABANDONED']],
      relations: [['INVALID_INPUT_DATA']],
      enhanced: ['INSERT'],
      enhancedFinds: 'relations',
    },
    {
      code: 'INVALID_INPUT_DATA',
      template: 5,
      payload: { items: [account('c12')], relations: [link(0, 9)] },
      items: [['ABANDONED']],
      relations: [['INVALID_INPUT_DATA']],
      enhanced: ['INSERT'],
      enhancedFinds: 'relations',
    },
    {
      code: 'DUPLICATE_RELATIONSHIP_TYPES',
      given: async (lab) => removeLater(lab, 'cmdb_rel_type', await addRow(lab, 'cmdb_rel_type', { name: 'Uses::Used by' })),
      payload: { items: [account('c13'), image('c13')], relations: [link(0, 1, 'Uses::Used by')] },
      items: [['ABANDONED'], ['ABANDONED']],
      relations: [['DUPLICATE_RELATIONSHIP_TYPES']],
      enhanced: ['INSERT', 'INSERT'],
      enhancedFinds: 'relations',
    },
    {
      code: 'DUPLICATE_PAYLOAD_RECORDS',
      payload: chain('c14', [resource('/c14'), resource('/C14'), resource('/c14/b')]),
      items: [['ABANDONED'], ['ABANDONED'], ['DUPLICATE_PAYLOAD_RECORDS'], ['DUPLICATE_PAYLOAD_RECORDS'], ['ABANDONED']],
      enhanced: ['INSERT', 'INSERT', 'INSERT', 'INSERT'],
      enhancedFinds: 'nothing',
    },
    {
      code: 'MULTIPLE_DUPLICATE_RECORDS',
      given: async (lab) => {
        for (let copy = 0; copy < 6; copy += 1) await addRow(lab, 'cmdb_ci_docker_image', { image_id: 'c15', name: `copy ${copy}` });
      },
      payload: { items: [image('c15'), image('c15 other')] },
      items: [['MULTIPLE_DUPLICATE_RECORDS'], ['ABANDONED']],
      enhanced: [INCOMPLETE, 'INSERT'],
    },
    {
      code: 'REQUIRED_ATTRIBUTE_EMPTY',
      payload: { items: [account('c16', { datacenter_type: '' }), datacenter()], relations: [link(1, 0)] },
      items: [['REQUIRED_ATTRIBUTE_EMPTY'], ['ABANDONED']],
      enhanced: [PARTIAL, PARTIAL],
      enhancedFinds: 'warnings',
    },
    {
      code: 'MISSING_DEPENDENCY',
      payload: { items: [account('c17'), resource('/c17')] },
      items: [['ABANDONED'], ['MISSING_DEPENDENCY']],
      enhanced: ['INSERT', PARTIAL],
      enhancedFinds: 'warnings',
    },
    {
      code: 'METADATA_RULE_MISSING',
      given: async (lab) => {
        const identifier = await addRow(lab, 'cmdb_identifier', {
          name: 'Service',
          applies_to: 'cmdb_ci_lb_service',
          active: 'true',
          independent: 'false',
        });
        await addRow(lab, 'cmdb_identifier_entry', {
          identifier,
          table: 'cmdb_ci_lb_service',
          attributes: 'name',
          order: '1',
          active: 'true',
        });
      },
      payload: { items: [{ className: 'cmdb_ci_lb_service', values: { name: 'c18' } }] },
      items: [['METADATA_RULE_MISSING']],
      enhanced: [INCOMPLETE],
    },
    {
      code: 'MULTIPLE_DEPENDENCIES',
      template: 0,
      payload: { items: [account('c19'), datacenter(), account('c19b')], relations: [link(1, 0), link(1, 2)] },
      items: [['ABANDONED'], ['MULTIPLE_DEPENDENCIES'], ['ABANDONED']],
      enhanced: ['INSERT', INCOMPLETE, 'INSERT'],
    },
    {
      code: 'MULTIPLE_DEPENDENCIES',
      template: 1,
      payload: { items: [account('c20'), datacenter(), resource('/c20')], relations: [link(1, 0), link(2, 1), link(2, 0)] },
      items: [['ABANDONED'], ['ABANDONED'], ['MULTIPLE_DEPENDENCIES']],
      enhanced: ['INSERT', 'INSERT', INCOMPLETE],
    },
    {
      code: 'ABANDONED',
      template: 0,
      payload: { items: [account('c21', { sys_id: 'e'.repeat(32) }), datacenter()], relations: [link(1, 0)] },
      items: [['INVALID_INPUT_DATA'], ['ABANDONED']],
      enhanced: [INCOMPLETE, INCOMPLETE],
    },
    {
      code: 'ABANDONED',
      template: 1,
      given: async (lab) => {
        const gone = await addRow(lab, 'cmdb_ci_linux_server', { name: 'gone' });
        await addRow(lab, 'cmdb_serial_number', { serial_number: 'c22', serial_number_type: 'system', cmdb_ci: gone });
        await lab.admin('DELETE', `/servicenow/rows/cmdb_ci_linux_server/${gone}`);
      },
      payload: { items: [{ ...server('c22'), lookup: [serial('c22')] }] },
      items: [['ABANDONED']],
      enhanced: [INCOMPLETE],
    },
    {
      code: 'ABANDONED',
      template: 3,
      payload: { items: [subnet, account('c23')] },
      items: [['IDENTIFICATION_RULE_MISSING'], ['ABANDONED']],
      enhanced: [INCOMPLETE, 'INSERT'],
      enhancedFinds: 'nothing',
    },
    {
      code: 'ABANDONED',
      template: 4,
      payload: { items: [subnet, account('c24')], relations: [link(0, 1, CONTAINS)] },
      items: [['IDENTIFICATION_RULE_MISSING'], ['ABANDONED']],
      relations: [['ABANDONED']],
      enhanced: [INCOMPLETE, 'INSERT'],
      enhancedFinds: 'relations',
    },
    {
      code: 'MULTI_MATCH',
      template: 0,
      given: async (lab) => {
        await lab.ire(chain('c25', [resource('/c25'), resource('/c25/b')]));
        const [twin] = await rows(lab, 'cmdb_ci_cmp_resource', 'object_id=/c25/b');
        await changeRow(lab, 'cmdb_ci_cmp_resource', twin?.['sys_id'] ?? '', { object_id: '/c25' });
        return setProperty(lab, `${ENGINE_PROPERTY}.skip_duplicates`, 'false');
      },
      payload: chain('c25', [resource('/c25')]),
      items: [['ABANDONED'], ['ABANDONED'], ['MULTI_MATCH']],
      enhanced: ['NO_CHANGE', 'NO_CHANGE', INCOMPLETE],
    },
    {
      code: 'MULTI_MATCH',
      template: 1,
      payload: { items: [account('c26'), datacenter()], relations: [link(1, 0), link(1, 0)] },
      items: [['ABANDONED'], ['MULTI_MATCH']],
      enhanced: ['INSERT', 'INSERT'],
      enhancedFinds: 'nothing',
    },
    {
      code: 'MULTI_MATCH',
      template: 2,
      given: async (lab) => {
        for (const name of ['c27 a', 'c27 b']) {
          const ci = await addRow(lab, 'cmdb_ci_linux_server', { name });
          await addRow(lab, 'cmdb_serial_number', { serial_number: 'c27', serial_number_type: 'system', cmdb_ci: ci });
        }
        return setProperty(lab, `${ENGINE_PROPERTY}.skip_duplicates`, 'false');
      },
      payload: { items: [{ ...server('c27'), lookup: [serial('c27')] }] },
      items: [['MULTI_MATCH']],
      enhanced: [INCOMPLETE],
    },
    {
      code: 'QUALIFICATION_LOOP',
      given: async (lab) => {
        const rule = await addHosting(lab, 'cmdb_ci_logical_datacenter', 'cmdb_ci_logical_datacenter', HOSTED);
        return removeLater(lab, 'cmdb_metadata_hosting', rule);
      },
      payload: { items: [datacenter('eastus'), datacenter('westus'), account('c28')], relations: [link(0, 1), link(1, 0)] },
      items: [['ABANDONED'], ['QUALIFICATION_LOOP'], ['ABANDONED']],
      enhanced: [INCOMPLETE, INCOMPLETE, 'INSERT'],
    },
    {
      code: 'TYPE_CONFLICT_IN_QUALIFICATION',
      given: async (lab) => {
        const rule = await addHosting(lab, 'cmdb_ci_cmp_resource', 'cmdb_ci_logical_datacenter', 'Runs on::Runs');
        return removeLater(lab, 'cmdb_metadata_hosting', rule);
      },
      payload: {
        items: [account('c29'), datacenter(), resource('/c29')],
        relations: [link(1, 0), link(2, 1), link(2, 1, 'Runs on::Runs')],
      },
      items: [['ABANDONED'], ['ABANDONED'], ['TYPE_CONFLICT_IN_QUALIFICATION']],
      enhanced: ['INSERT', 'INSERT', INCOMPLETE],
    },
    {
      code: 'RECLASSIFICATION_NOT_ALLOWED',
      given: async (lab) => {
        await lab.ire({ items: [server('c30', 'cmdb_ci_server')] });
        return setProperty(lab, 'glide.class.upgrade.enabled', 'false');
      },
      payload: { items: [server('c30', 'cmdb_ci_linux_server'), image('c30')] },
      items: [['RECLASSIFICATION_NOT_ALLOWED'], ['ABANDONED']],
      enhanced: [INCOMPLETE, 'INSERT'],
    },
    {
      code: 'DUPLICATE_RELATED_PAYLOAD',
      payload: {
        items: [
          {
            className: 'cmdb_ci_vcenter',
            values: { name: 'c31' },
            related: ['one', 'two'].map((name) => ({
              className: 'samp_vmware_license_key',
              values: { license_key: 'K', product_name: name },
            })),
          },
        ],
      },
      items: [['DUPLICATE_RELATED_PAYLOAD']],
      enhanced: ['INSERT'],
      enhancedFinds: 'nothing',
    },
    {
      code: 'DUPLICATE_LOOKUP_PAYLOAD',
      payload: { items: [{ ...server('c32'), lookup: [serial('c32'), serial('C32')] }] },
      items: [['DUPLICATE_LOOKUP_PAYLOAD']],
      enhanced: ['INSERT'],
      enhancedFinds: 'nothing',
    },
    {
      code: 'INSERT_NOT_ALLOWED_FOR_SOURCE',
      given: async (lab) => {
        const rule = { applies_to: 'cmdb_ci_docker_image', data_source: ENGINE_SOURCE };
        return removeLater(lab, 'cmdb_ire_data_source_rule', await addRow(lab, 'cmdb_ire_data_source_rule', rule));
      },
      payload: { items: [image('c33'), account('c33')] },
      items: [['INSERT_NOT_ALLOWED_FOR_SOURCE'], ['ABANDONED']],
      enhanced: [PARTIAL, 'INSERT'],
      enhancedFinds: 'warnings',
    },
  ];
}
