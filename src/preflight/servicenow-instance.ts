/** Does the identification engine know the data source, and take what is sent (servicenow.md §5.1)? */
import { isSyncError, type SyncError } from '../errors.ts';
import type { IreOutcome } from '../servicenow/index.ts';
import { dictionaryRemedy } from './servicenow-tables.ts';
import { blocking, counted, evidenceOf, listed, notChecked, notReadable, ok, warning } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

const sourceTable = 'cmdb_ci';
const sourceColumn = 'discovery_source';

export const serviceNowDataSource: Check = {
  id: 'servicenow.data-source',
  area: 'ServiceNow model',
  question: 'Is the data source one that the identification engine knows?',
  fixedBy: 'A ServiceNow administrator',
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async ({ facts, serviceNow: { dataSource } }) => {
    const dictionary = await facts.dictionary();
    const column = dictionary.tables[sourceTable]?.columns[sourceColumn];
    if (column === undefined || !dictionary.readable.choices) {
      const hidden = column === undefined ? `the dictionary of ${sourceTable}` : 'sys_choice';
      return [
        notReadable(
          'choices-hidden',
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
          'data-source-spelling',
          `${sourceTable}.${sourceColumn} offers "${alike}", not "${dataSource}": only the spelling differs, and the identification engine compares it exactly.`,
          `Set serviceNow.dataSource to "${alike}"; or ${add}.`,
        ),
      ];
    }
    return [
      blocking(
        'data-source-absent',
        `${sourceTable}.${sourceColumn} does not offer "${dataSource}" (${counted(values.length, 'choice')}): CIs would end in cmdb_ire_incomplete_payloads.`,
        `In ServiceNow ${add}; or set serviceNow.dataSource to one of the instance's own: ${listed(values, 10)}.`,
      ),
    ];
  },
};

export const serviceNowIre: Check = {
  id: 'servicenow.ire',
  area: 'ServiceNow write',
  question: 'Would the identification engine take a cloud resource?',
  fixedBy: 'A ServiceNow administrator',
  permissions: [{ feature: 'CIs of cloud resources', system: 'ServiceNow', permission: 'itil or asset', where: 'the integration user' }],
  needs: ['servicenow.sign-in', 'servicenow.identifiers'],
  run: async (context) => {
    let outcomes: readonly IreOutcome[];
    try {
      outcomes = await context.facts.dryRun();
    } catch (error) {
      // A closed auth scope has its own words.
      if (!isSyncError(error, 'forbidden') || error.code === 'oauth-scope') throw error;
      return [await forbidden(context, error)];
    }
    const refused = outcomes.find((outcome) => outcome.outcome === 'refused');
    if (refused !== undefined) {
      const said = refused.message === '' ? '' : `: ${refused.message}`;
      return [
        blocking(
          'identification-refused',
          `The identification engine would refuse a cloud resource with its datacenter and account (dry run, nothing written): ${refused.code}${said}`,
          refused.remedy,
        ),
      ];
    }
    const unclear = outcomes.find((outcome) => outcome.outcome === 'retry');
    if (unclear !== undefined) {
      return [
        warning(
          'dry-run-unclear',
          `The dry run of the identification engine ended with ${unclear.code}: ${unclear.message} It says nothing yet.`,
          null,
        ),
      ];
    }
    return [
      ok(
        `The identification engine would take a cloud resource with its datacenter and account (dry run, ${outcomes.length} items, nothing written).`,
      ),
    ];
  },
};

/** A missing role is the finding of `servicenow.roles`; with it, something else closes the API. */
async function forbidden({ facts }: CheckContext, error: SyncError): Promise<Result> {
  const { roles } = await facts.ownRoles().catch((refused: unknown) => {
    if (!isSyncError(refused, 'forbidden')) throw refused;
    return { roles: [] };
  });
  if (!roles.some((role) => ['itil', 'asset', 'admin'].includes(role))) {
    return notChecked('Not checked, because the identification engine lets in only who has the role itil or asset (servicenow.roles).');
  }
  return blocking(
    'identification-forbidden',
    `The identification engine refuses the integration user although it has itil or asset: ${evidenceOf(error)}`,
    'System Web Services › REST › REST API ACLs, and System Security › Access Control (ACL), Type = REST_Endpoint, Name = identifyreconcile: which role they ask for beside.',
  );
}
