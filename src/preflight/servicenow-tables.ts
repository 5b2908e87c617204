/** Does the instance have the tables, columns and choices that the engine writes (servicenow.md §2, §9; design §5)? */
import type { TableSpec } from '../model.ts';
import { isFeatureAbsent, mapTable, type InstanceDictionary, type MappedTable } from '../servicenow/index.ts';
import { applicationOf, type Application } from './servicenow-applications.ts';
import { blocking, counted, listed, notReadable, ok, warning } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

export const dictionaryRemedy =
  'In ServiceNow, User Administration › Users › the integration user › Roles › Edit: add personalize_read_dictionary.';

interface Problem {
  readonly application: Application;
  readonly kind: 'absent' | 'hidden' | 'columns' | 'unreadable-columns';
  readonly what: string;
  readonly stops: boolean;
}

export const serviceNowTables: Check = {
  id: 'servicenow.tables',
  area: 'ServiceNow model',
  question: 'Does the instance have the tables and columns?',
  fixedBy: 'A ServiceNow administrator',
  permissions: [
    {
      feature: 'the dictionary: which tables and columns there are',
      system: 'ServiceNow',
      permission: 'personalize_read_dictionary, personalize_dictionary or sn_sec_core.read_dictionary',
      where: 'the integration user',
    },
    {
      feature: 'choices: which values columns offer',
      system: 'ServiceNow',
      permission: 'personalize_choices, or another role that reads name, element and value of sys_choice',
      where: 'the integration user',
    },
  ],
  needs: ['servicenow.sign-in'],
  run: async (context) => {
    const { facts, tableSpecs } = context;
    const dictionary = await facts.dictionary();
    if (!dictionary.readable.tables || !dictionary.readable.columns) {
      const hidden = dictionary.readable.columns ? 'sys_db_object' : 'sys_dictionary';
      const evidence = `The dictionary of the instance is not readable for the integration user (${hidden} reads as empty), so no table or column can be used.`;
      return [blocking('dictionary-hidden', evidence, dictionaryRemedy)];
    }
    const problems = tableSpecs.flatMap((spec) => problemsOf(spec, mapTable(spec, dictionary), dictionary));
    const results = [
      ...[...Map.groupBy(problems, groupKey).values()].map((group) => resultOf(group, tableSpecs)),
      ...(await hiddenRecords(context, dictionary)),
      ...choiceResults(context, dictionary),
    ];
    if (results.length > 0) return results;
    return [ok(`All ${counted(tableSpecs.length, 'table')} that the engine writes have the columns it needs.`)];
  },
};

/** One visit each: what one application lacks is one finding, and the worst of it decides. */
function groupKey({ application, kind }: Problem): string {
  return `${application.scope}\n${kind}`;
}

function problemsOf(spec: TableSpec, table: MappedTable, dictionary: InstanceDictionary): readonly Problem[] {
  const application = applicationOf(spec.name);
  const base = { application, stops: spec.ifMissing === 'stop' && !isFeatureAbsent(spec, dictionary) };
  if (table.state !== 'present') return [{ ...base, kind: table.state, what: spec.name }];
  const missing = table.missingRequired.map(({ column, because }) => `${spec.name}.${column} (${because})`);
  const unreadable = Object.entries(spec.columns).flatMap(([logical, { required }]) => {
    const real = table.column(logical);
    const hidden = real !== undefined && dictionary.tables[spec.name]?.columns[real]?.readable === false;
    return required === true && hidden ? [`${spec.name}.${real}`] : [];
  });
  return [
    ...(missing.length > 0 ? [{ ...base, kind: 'columns' as const, what: missing.join(', ') }] : []),
    // It can be written all the same, so nothing stops.
    ...(unreadable.length > 0 ? [{ ...base, kind: 'unreadable-columns' as const, what: unreadable.join(', '), stops: false }] : []),
  ];
}

function resultOf(problems: readonly Problem[], specs: readonly TableSpec[]): Result {
  const [first] = problems;
  if (first === undefined) return ok('');
  const { application, kind } = first;
  const stops = problems.some((problem) => problem.stops);
  const isWhole = specs.filter(({ name }) => applicationOf(name).scope === application.scope).length === problems.length;
  const names = listed(problems.map(({ what }) => what));
  const consequence = stops ? `${application.feature} cannot be written` : `the run leaves out: ${application.feature}`;
  const result = stops ? blocking : warning;
  switch (kind) {
    case 'absent':
      return result(
        isWhole ? 'application-absent' : 'table-absent',
        `Absent on the instance: ${isWhole ? `${application.name}, that is ${names}` : names}; ${consequence}.`,
        `Install ${application.name} (scope ${application.scope}): System Applications › All Available Applications › All, search for it, Install; needs the role admin.`,
      );
    case 'hidden':
      return result(
        'table-hidden',
        `Not readable for the integration user: ${names}; ${consequence}.`,
        `Give the integration user the role ${application.readRole} (User Administration › Users › the user › Roles › Edit).`,
      );
    case 'columns':
      return result(
        'column-absent',
        `Required columns are missing: ${names}; ${consequence}.`,
        `Update ${application.name} (scope ${application.scope}) to a version that has them: System Applications › All Available Applications › Installed.`,
      );
    case 'unreadable-columns':
      return warning(
        'column-hidden',
        `A field ACL hides ${names} from the integration user: what is written there cannot be compared.`,
        `Give the integration user a role that reads them (System Security › Access Control (ACL), for example ${application.readRole}).`,
      );
  }
}

function choicesHidden(): Result {
  return notReadable(
    'choices-hidden',
    'The choices of the instance (sys_choice) are not readable for the integration user: values are sent as they are, without knowing whether the instance offers them.',
    'Let the integration user read name, element and value of sys_choice.',
  );
}

/** A table whose records are hidden reads as empty, and everything in it would be written a second time. */
async function hiddenRecords({ facts, tableSpecs }: CheckContext, dictionary: InstanceDictionary): Promise<readonly Result[]> {
  const hidden: { name: string; counted: number; stops: boolean }[] = [];
  for (const { name, traffic, ifMissing } of tableSpecs) {
    if (traffic !== 'data' || dictionary.tables[name]?.state !== 'present') continue;
    const rows = await facts.hiddenRecords(name);
    if (rows > 0) hidden.push({ name, counted: rows, stops: ifMissing === 'stop' });
  }
  return [...Map.groupBy(hidden, ({ name, stops }) => `${applicationOf(name).scope} ${String(stops)}`).values()].map((tables) => {
    const application = applicationOf(tables[0]?.name ?? '');
    const names = listed(tables.map(({ name, counted: rows }) => `${name} (${counted(rows, 'record')} counted, none shown)`));
    return (tables.some(({ stops }) => stops) ? blocking : warning)(
      'records-hidden',
      `A read ACL hides every record of ${names} from the integration user: what is there already would be written a second time.`,
      `Give the integration user the role ${application.readRole} (User Administration › Users › the user › Roles › Edit); if it has that, System Security › Access Control (ACL), as security_admin: Name = ${tables.map(({ name }) => name).join(', ')}, Operation = read shows what they ask for.`,
    );
  });
}

/** Values without which a record says nothing: those of the result of a test (servicenow.md §2). */
const resultTable = 'sn_vulc_result';
const resultValues = ['passed', 'failed'];

function choiceResults(
  { tableSpecs, serviceNow: { notApplicableResult } }: CheckContext,
  dictionary: InstanceDictionary,
): readonly Result[] {
  if (!dictionary.readable.choices) return [choicesHidden()];
  const spec = tableSpecs.find(({ name }) => name === resultTable);
  const column = spec === undefined ? undefined : mapTable(spec, dictionary).column('result');
  const offered = dictionary.tables[resultTable]?.columns[column ?? '']?.choices;
  // Without a list of choices the column takes any text.
  if (column === undefined || offered === undefined) return [];
  const wanted = [...resultValues, ...(notApplicableResult === undefined ? [] : [notApplicableResult])];
  const absent = wanted.filter((value) => !offered.some((choice) => choice.value === value));
  if (absent.length === 0) return [];
  return [
    blocking(
      'choice-absent',
      `${resultTable}.${column} does not offer ${absent.map((value) => `"${value}"`).join(', ')}, but ${listed(
        offered.map(({ value }) => value),
        10,
      )}: test results with that value cannot be written.`,
      `System Definition › Choice Lists › New: Table ${resultTable}, Element ${column}, Value ${absent.join(' and ')}${notApplicableResult !== undefined && absent.includes(notApplicableResult) ? '; or correct serviceNow.notApplicableResult' : ''}.`,
    ),
  ];
}
