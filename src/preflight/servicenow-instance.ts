/** Is the instance set up for what the engine writes: tables, columns, data source, identification (servicenow.md §5.1, §9)? */
import type { TableSpec } from '../model.ts';
import { mapTable, type InstanceDictionary, type MappedTable } from '../servicenow/index.ts';
import { applicationOf, type Application } from './servicenow-applications.ts';
import { blocking, counted, listed, notReadable, ok, warning } from './results.ts';
import type { Check, Result } from './types.ts';

const dictionaryRemedy =
  'In ServiceNow, User Administration › Users › the integration user › Roles › Edit: add personalize_read_dictionary.';

interface Problem {
  readonly application: Application;
  readonly kind: 'absent' | 'hidden' | 'columns' | 'unreadable-columns';
  readonly what: string;
  readonly stops: boolean;
}

export const serviceNowTables: Check = {
  id: 'servicenow.tables',
  needs: ['servicenow.sign-in'],
  run: async ({ facts, tableSpecs }) => {
    const dictionary = await facts.dictionary();
    if (!dictionary.readable.tables || !dictionary.readable.columns) {
      const hidden = dictionary.readable.columns ? 'sys_db_object' : 'sys_dictionary';
      const evidence = `The dictionary of the instance is not readable for the integration user (${hidden} reads as empty), so no table or column can be used.`;
      return [blocking(evidence, dictionaryRemedy)];
    }
    const problems = tableSpecs.flatMap((spec) => problemsOf(spec, mapTable(spec, dictionary), dictionary));
    const results = [...Map.groupBy(problems, groupKey).values()].map(resultOf);
    const choices = dictionary.readable.choices ? [] : [choicesHidden()];
    if (results.length > 0) return [...results, ...choices];
    return [ok(`All ${counted(tableSpecs.length, 'table')} that the engine writes have the columns it needs.`), ...choices];
  },
};

function groupKey({ application, kind, stops }: Problem): string {
  return `${application.name}\n${kind}\n${String(stops)}`;
}

function problemsOf(spec: TableSpec, table: MappedTable, dictionary: InstanceDictionary): readonly Problem[] {
  const application = applicationOf(spec.name);
  const base = { application, stops: spec.ifMissing === 'stop' };
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

function resultOf(problems: readonly Problem[]): Result {
  const [first] = problems;
  if (first === undefined) return ok('');
  const { application, kind, stops } = first;
  const names = listed(problems.map(({ what }) => what));
  const consequence = stops ? `${application.feature} cannot be written` : `the run leaves out: ${application.feature}`;
  const result = stops ? blocking : warning;
  switch (kind) {
    case 'absent':
      return result(
        `Absent on the instance: ${names}; ${consequence}.`,
        `Install ${application.name} (scope ${application.scope}): System Applications › All Available Applications › All, search for it, Install; needs the role admin.`,
      );
    case 'hidden':
      return result(
        `Not readable for the integration user: ${names}; ${consequence}.`,
        `Give the integration user the role ${application.readRole} (User Administration › Users › the user › Roles › Edit).`,
      );
    case 'columns':
      return result(
        `Required columns are missing: ${names}; ${consequence}.`,
        `Update ${application.name} (scope ${application.scope}) to a version that has them: System Applications › All Available Applications › Installed.`,
      );
    case 'unreadable-columns':
      return warning(
        `A field ACL hides ${names} from the integration user: what is written there cannot be compared.`,
        `Give the integration user a role that reads them (System Security › Access Control (ACL), for example ${application.readRole}).`,
      );
  }
}

function choicesHidden(): Result {
  return notReadable(
    'The choices of the instance (sys_choice) are not readable for the integration user: values are sent as they are, without knowing whether the instance offers them.',
    'Let the integration user read name, element and value of sys_choice.',
  );
}

const sourceTable = 'cmdb_ci';
const sourceColumn = 'discovery_source';

export const serviceNowDataSource: Check = {
  id: 'servicenow.data-source',
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async ({ facts, serviceNow: { dataSource } }) => {
    const dictionary = await facts.dictionary();
    const column = dictionary.tables[sourceTable]?.columns[sourceColumn];
    if (column === undefined || !dictionary.readable.choices) {
      const hidden = column === undefined ? `the dictionary of ${sourceTable}` : 'sys_choice';
      return [
        notReadable(
          `Whether ${sourceTable}.${sourceColumn} offers the choice "${dataSource}" is not known: ${hidden} is not readable. The dry run (servicenow.ire) tells.`,
          column === undefined ? dictionaryRemedy : 'Let the integration user read name, element and value of sys_choice.',
        ),
      ];
    }
    const values = (column.choices ?? []).map(({ value }) => value);
    if (values.includes(dataSource)) return [ok(`"${dataSource}" is a choice of ${sourceTable}.${sourceColumn}.`)];
    const alike = values.find((value) => value.trim().toLowerCase() === dataSource.trim().toLowerCase());
    const add = `open ${sourceTable}_list.do, right-click the label Discovery source of a record › Configure Choices (or System Definition › Choice Lists › New: Table ${sourceTable}, Element ${sourceColumn}), and add the value "${dataSource}"`;
    if (alike !== undefined) {
      return [
        blocking(
          `${sourceTable}.${sourceColumn} offers "${alike}", not "${dataSource}": only the spelling differs, and the identification engine compares it exactly.`,
          `Set serviceNow.dataSource to "${alike}"; or ${add}.`,
        ),
      ];
    }
    return [
      blocking(
        `${sourceTable}.${sourceColumn} does not offer "${dataSource}" (${counted(values.length, 'choice')}): CIs would end in cmdb_ire_incomplete_payloads.`,
        `In ServiceNow ${add}; or set serviceNow.dataSource to one of the instance's own: ${listed(values, 10)}.`,
      ),
    ];
  },
};

export const serviceNowIre: Check = {
  id: 'servicenow.ire',
  needs: ['servicenow.sign-in'],
  run: async ({ facts }) => {
    const outcomes = await facts.dryRun();
    const refused = outcomes.find((outcome) => outcome.outcome === 'refused');
    if (refused !== undefined) {
      const said = refused.message === '' ? '' : `: ${refused.message}`;
      return [
        blocking(
          `The identification engine would refuse a cloud resource with its datacenter and account (dry run, nothing written): ${refused.code}${said}`,
          refused.remedy,
        ),
      ];
    }
    const unclear = outcomes.find((outcome) => outcome.outcome === 'retry');
    if (unclear !== undefined) {
      return [
        warning(`The dry run of the identification engine ended with ${unclear.code}: ${unclear.message} It says nothing yet.`, null),
      ];
    }
    return [
      ok(
        `The identification engine would take a cloud resource with its datacenter and account (dry run, ${outcomes.length} items, nothing written).`,
      ),
    ];
  },
};
