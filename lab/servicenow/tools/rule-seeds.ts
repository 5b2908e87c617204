import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface IdentifierRule {
  class: string;
  rule_name?: string;
  independent?: boolean;
  entries: { order?: number; attributes: string[] }[];
  hosting?: Relation[];
  containment?: Relation[];
  other_dependency?: Relation[];
  related_entries?: { table: string; referenced_field: string }[];
  grade: string;
  note?: string;
}

export interface Relation {
  parent: string;
  relation: string;
  child: string;
}

interface ChoiceEntry {
  values?: Record<string, string>;
  labels?: string[];
  grade: string;
}

export interface ColumnChoices {
  /** `table.column` */
  key: string;
  values: Record<string, string>;
  grade: string;
}

interface Options {
  dictionaryDir: string;
  seedDir: string;
  choices: Record<string, Record<string, string>>;
  columnChoices: ColumnChoices[];
  hasColumn: (table: string, column: string) => boolean;
}

/** Writes choices.json, roles.json and cmdb-rules.json. */
export function writeRuleSeeds(options: Options): void {
  const read = (file: string): unknown => JSON.parse(readFileSync(join(options.dictionaryDir, file), 'utf8'));
  writeLines(join(options.seedDir, 'choices.json'), 'choices', choiceSeeds(read('choices.json') as Record<string, ChoiceEntry>, options));
  const { roles } = read('roles.json') as { roles: { role: string; contains: string[]; contained_in?: string[]; grade: string }[] };
  writeLines(
    join(options.seedDir, 'roles.json'),
    'roles',
    roles.map(({ role, contains, contained_in: containedIn, grade }) => ({
      name: role,
      contains,
      ...(containedIn === undefined ? {} : { containedIn }),
      grade,
    })),
  );
  const relationTypes = (
    read('relation-types.json') as { types: { name: string; parent_descriptor: string; child_descriptor: string; grade: string }[] }
  ).types;
  const { rules } = read('identifiers.json') as { rules: IdentifierRule[] };
  const text = [
    section('relationTypes', [
      ...relationTypes.map(({ name, parent_descriptor: parent, child_descriptor: child, grade }) => ({ name, parent, child, grade })),
      { name: 'IP Connection::IP Connection', parent: 'IP Connection', child: 'IP Connection', grade: 'documented' },
    ]),
    section('identifiers', [...rules.filter(isSeeded).map(identifierSeed), ...PUBLISHED_IDENTIFIERS]),
    section('dependencies', [...rules.flatMap(dependencySeeds), ...LAB_DEPENDENCIES]),
  ];
  writeFileSync(join(options.seedDir, 'cmdb-rules.json'), `{\n${text.join(',\n')}\n}\n`);
}

/** Rules that published identification answers show at work: name, search table and attributes of every attempt (identifyreconcile/*.json). */
const PUBLISHED_IDENTIFIERS = [
  {
    class: 'cmdb_ci_hardware',
    name: 'Hardware Rule',
    independent: true,
    entries: [
      { order: 100, table: 'cmdb_serial_number', attributes: ['serial_number', 'serial_number_type'] },
      { order: 200, attributes: ['serial_number'] },
      { order: 300, attributes: ['name'] },
      { order: 400, table: 'cmdb_ci_network_adapter', attributes: ['mac_address', 'name'] },
    ],
    grade: 'documented',
  },
  {
    class: 'cmdb_ci_spkg',
    name: 'Software',
    independent: true,
    entries: [{ order: 100, attributes: ['key'] }],
    // That installed_on is part of it follows from the one related item that stays partial without it.
    related: [{ table: 'cmdb_software_instance', referencedField: 'software', attributes: ['installed_on', 'name'] }],
    grade: 'documented',
  },
  {
    class: 'cmdb_ci_vcenter',
    name: 'VMWare VCenter Ref CI',
    independent: true,
    entries: [{ order: 100, attributes: ['name'] }],
    related: [{ table: 'samp_vmware_license_key', referencedField: 'vcenter', attributes: ['license_key'] }],
    grade: 'documented',
  },
  {
    class: 'cmdb_ci_appl',
    name: 'Application Rule',
    independent: false,
    entries: [
      { order: 100, attributes: ['cl_port', 'sys_class_name'] },
      { order: 200, attributes: ['running_process_command', 'running_process_key_parameters', 'sys_class_name'], allowNull: true },
    ],
    grade: 'documented',
  },
  {
    class: 'cmdb_ci_db_instance',
    name: 'Database instance rule',
    independent: false,
    entries: [
      { order: 100, attributes: ['serial_number'], fallback: true },
      { order: 200, attributes: ['edition', 'name', 'tcp_port'], fallback: true },
    ],
    grade: 'documented',
  },
  {
    class: 'cmdb_ci_db_db2_instance',
    name: 'DB2',
    independent: false,
    entries: [{ order: 100, attributes: ['db_name', 'installed_dir', 'sys_class_name', 'tcp_port'], fallback: true }],
    grade: 'documented',
  },
];

/** Global resources: the documented variant that relates them straight to the service account (servicenow.md §5.1). */
const LAB_DEPENDENCIES = [
  {
    kind: 'hosting',
    dependent: 'cmdb_ci_cmp_resource',
    on: 'cmdb_ci_cloud_service_account',
    relation: 'Hosted on::Hosts',
    dependentEnd: 'parent',
    grade: 'documented',
  },
  // An application runs on its host (script_api_insert_related_reference_items.json).
  {
    kind: 'hosting',
    dependent: 'cmdb_ci_appl',
    on: 'cmdb_ci_hardware',
    relation: 'Runs on::Runs',
    dependentEnd: 'parent',
    grade: 'documented',
  },
];

/** The Azure datacenter has no rule of its own: it inherits the logical datacenter's. */
function isSeeded(rule: IdentifierRule): boolean {
  return rule.entries.length > 0 && rule.note !== 'inherited from the logical datacenter';
}

function identifierSeed(rule: IdentifierRule): object {
  const dependent = rule.hosting ?? rule.containment ?? rule.other_dependency;
  return {
    class: rule.class,
    name: rule.rule_name ?? `${rule.class} rule`,
    independent: rule.independent ?? dependent === undefined,
    entries: rule.entries.map(({ order, attributes }, index) => ({ order: order ?? (index + 1) * 100, attributes })),
    ...(rule.related_entries === undefined
      ? {}
      : { related: rule.related_entries.map(({ table, referenced_field: referencedField }) => ({ table, referencedField })) }),
    grade: rule.grade,
  };
}

function dependencySeeds(rule: IdentifierRule): object[] {
  if (rule.note === 'inherited from the logical datacenter') return [];
  const of = (kind: string, relations: Relation[] | undefined): object[] =>
    (relations ?? []).map((relation) => {
      const isParent = relation.parent === rule.class;
      return {
        kind,
        dependent: rule.class,
        on: isParent ? relation.child : relation.parent,
        relation: relation.relation,
        dependentEnd: isParent ? 'parent' : 'child',
        grade: rule.grade,
      };
    });
  return [...of('hosting', rule.hosting), ...of('containment', rule.containment), ...of('hosting', rule.other_dependency)];
}

function choiceSeeds(evidenced: Record<string, ChoiceEntry>, options: Options): object[] {
  const seeds: { table: string; column: string; value: string; label: string; grade: string }[] = [];
  const add = (key: string, values: Record<string, string>, grade: string): void => {
    const [table = '', column = ''] = key.split('.', 2);
    if (!options.hasColumn(table, column)) return;
    for (const [value, label] of Object.entries(values)) {
      if (seeds.some((seed) => seed.table === table && seed.column === column && seed.value === value)) continue;
      seeds.push({ table, column, value, label: label.startsWith('(') ? value : label, grade });
    }
  };
  for (const [key, { values, grade }] of Object.entries(evidenced)) add(key, values ?? {}, grade);
  for (const { key, values, grade } of options.columnChoices) add(key, values, grade);
  add('cmdb_ci.discovery_source', { 'IBM Guardium': 'IBM Guardium' }, 'seen-in-code');
  add(
    'sn_vul_entry.normalized_severity',
    { 1: '1 - Critical', 2: '2 - High', 3: '3 - Medium', 4: '4 - Low', 5: '5 - None' },
    'seen-in-code',
  );
  for (const [key, values] of Object.entries(options.choices)) add(key, values, 'lab');
  return seeds;
}

function section(key: string, entries: object[]): string {
  return `  ${JSON.stringify(key)}: [\n${entries.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n')}\n  ]`;
}

function writeLines(file: string, key: string, entries: object[]): void {
  writeFileSync(file, `{\n${section(key, entries)}\n}\n`);
}
