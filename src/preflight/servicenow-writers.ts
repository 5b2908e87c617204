/** May we write at all: is there another ledger, or the off switch (design §2, §5)? */
import { engineName as engine, query, valueOf, type Row } from '../servicenow/index.ts';
import { blocking, counted, notChecked, notReadable, ok } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

export const serviceNowSecondLedger: Check = {
  id: 'servicenow.second-ledger',
  area: 'two writers',
  question: 'Does another ledger keep this instance?',
  fixedBy: 'Whoever runs defender-sync',
  permissions: [
    {
      feature: "seeing another ledger's mark, the off switch and the plugin's records",
      system: 'ServiceNow',
      permission: 'sn_sec_cmn.read and sn_vul.read_all',
      where: 'the integration user',
      grantedBy: 'A ServiceNow administrator',
    },
  ],
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async (context) => {
    const table = 'sn_sec_int_integration';
    if (context.ledgerId === undefined) return [notChecked('Not checked: the identity of this ledger is not known here.')];
    const hidden = await whyUnusable(context, table, ['id', 'description']);
    if (hidden !== undefined) return [hidden];
    const client = await context.facts.serviceNow();
    const own = context.ledgerId.toLowerCase();
    const marks: { readonly sysId: string; readonly ledger: string }[] = [];
    for await (const row of client.table.listAll(
      table,
      { query: query().equals('id', engine), fields: ['id', 'description'] },
      context.signal,
    )) {
      const ledger = /\bLedger ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b/i.exec(valueOf(row, 'description'))?.[1];
      if (ledger !== undefined) marks.push({ sysId: valueOf(row, 'sys_id'), ledger: ledger.toLowerCase() });
    }
    const other = marks.find(({ ledger }) => ledger !== own);
    if (other === undefined) {
      return [
        ok(marks.length === 0 ? 'The instance carries no mark of a ledger yet.' : `The instance carries the mark of this ledger (${own}).`),
      ];
    }
    return [
      blocking(
        'second-ledger',
        `The instance is kept by another ledger: record ${other.sysId} of ${table} names ledger ${other.ledger}, this one is ${own}. Two ledgers on one instance would write the same records twice.`,
        `Use that ledger: set ledger.url to the database that holds ${other.ledger}. If it is gone for good, empty the field Description of record ${other.sysId} (${context.serviceNow.url}/${table}.do?sys_id=${other.sysId}); the next run then puts its own mark there.`,
      ),
    ];
  },
};

export const serviceNowSwitchedOff: Check = {
  id: 'servicenow.switched-off',
  area: 'two writers',
  question: 'Is the deployment switched off on the instance?',
  fixedBy: 'A ServiceNow administrator',
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async (context) => {
    const table = 'sn_sec_int_impl';
    const hidden = await whyUnusable(context, table, ['name', 'active']);
    if (hidden !== undefined) return [hidden];
    const client = await context.facts.serviceNow();
    const name = `${engine} ${context.deployment.name}`;
    const rows = await client.table.list(
      table,
      { query: query().equals('name', name), fields: ['name', 'active'], limit: 10 },
      context.signal,
    );
    const [off] = rows.filter((row) => valueOf(row, 'name') === name && !isTrue(row, 'active'));
    if (off === undefined)
      return [ok(rows.length === 0 ? `No integration instance "${name}" yet.` : `The integration instance "${name}" is switched on.`)];
    const sysId = valueOf(off, 'sys_id');
    return [
      blocking(
        'switched-off',
        `Deployment ${context.deployment.name} is switched off in ServiceNow: the integration instance "${name}" (${sysId}) is not active.`,
        `If it is meant to run again: ${context.serviceNow.url}/${table}.do?sys_id=${sysId}, check Active, Update.`,
      ),
    ];
  },
};

function isTrue(row: Row, column: string): boolean {
  return ['true', '1'].includes(valueOf(row, column).toLowerCase());
}

/** Why these columns cannot be asked for; undefined when they can. A table that is absent holds nothing that could be wrong. */
export async function whyUnusable(context: CheckContext, table: string, columns: readonly string[]): Promise<Result | undefined> {
  const found = (await context.facts.dictionary()).tables[table];
  if (found?.state === 'absent') return ok(`The instance has no ${table}.`);
  const missing = columns.filter((column) => found === undefined || !Object.hasOwn(found.columns, column));
  if (found?.state === 'present' && missing.length === 0) return hiddenResult(table, await context.facts.hiddenRecords(table));
  const what = missing.length === 0 ? table : `${table} (${missing.join(', ')})`;
  return notReadable(
    'table-hidden',
    `${what} is not readable for the integration user, so this cannot be checked.`,
    'Give the integration user the roles sn_sec_cmn.read, sn_vul.read_all and personalize_read_dictionary (User Administration › Users › the user › Roles › Edit).',
    { fixedBy: 'A ServiceNow administrator' },
  );
}

/** A table whose records are hidden reads as empty, and empty would mean that nobody else is there. */
function hiddenResult(name: string, rows: number): Result | undefined {
  if (rows === 0) return undefined;
  return notReadable(
    'records-hidden',
    `A read ACL hides every record of ${name} from the integration user (${counted(rows, 'record')} counted, none shown), so this cannot be checked.`,
    `Give the integration user the roles sn_sec_cmn.read and sn_vul.read_all (User Administration › Users › the user › Roles › Edit); if it has them, System Security › Access Control (ACL), as security_admin: Name = ${name}, Operation = read shows what it asks for.`,
    { fixedBy: 'A ServiceNow administrator' },
  );
}

/** The integration records are hidden from several checks; `servicenow.plugin-writers` says so and how to show them, the others refer to it. */
export function onlyOnce(hidden: Result): Result {
  return hidden.verdict === 'ok'
    ? hidden
    : notChecked('Not checked: the integration records are not readable (servicenow.plugin-writers).');
}
