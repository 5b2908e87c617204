/** Does anybody else write what we write: another ledger, the plugin's own integrations, or the off switch (design §2, §5)? */
import type { InstanceDictionary, Row } from '../servicenow/index.ts';
import { everything, query, valueOf } from '../servicenow/index.ts';
import { blocking, counted, listed, notChecked, notReadable, ok, warning } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

/** `id` of the engine's integration, and the name its records begin with. */
const engine = 'defender-sync';

export const serviceNowSecondLedger: Check = {
  id: 'servicenow.second-ledger',
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
        `The instance is kept by another ledger: record ${other.sysId} of ${table} names ledger ${other.ledger}, this one is ${own}. Two ledgers on one instance would write the same records twice.`,
        `Use that ledger: set ledger.url to the database that holds ${other.ledger}. If it is gone for good, empty the field Description of record ${other.sysId} (${context.serviceNow.url}/${table}.do?sys_id=${other.sysId}); the next run then puts its own mark there.`,
      ),
    ];
  },
};

const pluginName = /microsoft defender for cloud|azure security center/i;
const integrationTable = 'sn_vul_integration';

interface PluginRecord {
  readonly sysId: string;
  readonly name: string;
  readonly active: boolean;
  readonly runAs: string;
}

export const serviceNowPluginWriters: Check = {
  id: 'servicenow.plugin-writers',
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async (context) => {
    const dictionary = await context.facts.dictionary();
    if (dictionary.tables[integrationTable]?.state === 'absent')
      return [ok(`The instance has no ${integrationTable}, so no plugin writes here.`)];
    const hidden = await whyUnusable(context, integrationTable, ['name', 'active', 'run_as']);
    if (hidden !== undefined) return [hidden];
    const records = await readPluginRecords(context, dictionary);
    const writing = records.filter(({ active }) => active);
    const results = [...(writing.length === 0 ? [] : [twoWriters(writing)]), ...wrongRunAs(records, context.serviceNow.runAs.user)];
    if (results.length > 0) return results;
    return [
      ok(
        records.length === 0
          ? "No integration record of ServiceNow's own plugin for Defender for Cloud is on the instance."
          : `${counted(records.length, 'integration record')} of ServiceNow's own plugin for Defender for Cloud, none of them active.`,
      ),
    ];
  },
};

function twoWriters(writing: readonly PluginRecord[]): Result {
  return blocking(
    `ServiceNow's own integration for Defender for Cloud is active, too: ${listed(writing.map(named))}. Two writers would undo each other's work.`,
    `Let one of them write. To let it be this engine: open each record under All › ${integrationTable}.list, clear Active, Update (or switch off its integration instance in sn_sec_int_impl).`,
  );
}

function wrongRunAs(records: readonly PluginRecord[], user: string): Result[] {
  const wrong = records.filter(({ runAs }) => runAs.toLowerCase() !== user.toLowerCase());
  if (wrong.length === 0) return [];
  const names = wrong.map((record) => `${named(record)} runs as ${record.runAs === '' ? 'nobody readable' : record.runAs}`);
  return [
    warning(
      `Integration records of ServiceNow's own plugin do not run as ${user}: ${listed(names)}. Their runs leave attachments behind that every later run transforms again.`,
      `Open each record in ${integrationTable}.list and set Run as to ${user}.`,
    ),
  ];
}

function named({ name, sysId }: PluginRecord): string {
  return `"${name}" (${sysId})`;
}

/** Tens of records on a real instance; the platform has no search by part of a name that could be trusted, so all are read. */
async function readPluginRecords(context: CheckContext, dictionary: InstanceDictionary): Promise<readonly PluginRecord[]> {
  const client = await context.facts.serviceNow();
  const has = (table: string, column: string): boolean => dictionary.tables[table]?.columns[column] !== undefined;
  const viaIntegration =
    has(integrationTable, 'integration') && has('sn_sec_int_integration', 'name') && has('sn_sec_int_integration', 'id');
  const viaInstance = has(integrationTable, 'instance') && has('sn_sec_int_impl', 'name') && has('sn_sec_int_impl', 'active');
  const fields = [
    ...['name', 'active', 'run_as', 'run_as.user_name'],
    ...(viaIntegration ? ['integration.name', 'integration.id'] : []),
    ...(viaInstance ? ['instance.name', 'instance.active'] : []),
  ];
  const found: PluginRecord[] = [];
  for await (const row of client.table.listAll(integrationTable, { query: everything, fields }, context.signal)) {
    const ours = valueOf(row, 'integration.id') === engine || valueOf(row, 'name').startsWith(`${engine} `);
    const plugin = ['name', 'integration.name', 'instance.name'].some((column) => pluginName.test(valueOf(row, column)));
    if (ours || !plugin) continue;
    found.push({
      sysId: valueOf(row, 'sys_id'),
      name: valueOf(row, 'name'),
      // The instance's switch is the real one; the record's own says whether its schedule runs.
      active: isTrue(row, 'active') && valueOf(row, 'instance.active') !== 'false',
      runAs: valueOf(row, 'run_as.user_name') === '' ? valueOf(row, 'run_as') : valueOf(row, 'run_as.user_name'),
    });
  }
  return found;
}

export const serviceNowSwitchedOff: Check = {
  id: 'servicenow.switched-off',
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
async function whyUnusable(context: CheckContext, table: string, columns: readonly string[]): Promise<Result | undefined> {
  const found = (await context.facts.dictionary()).tables[table];
  if (found?.state === 'absent') return ok(`The instance has no ${table}.`);
  const missing = columns.filter((column) => found === undefined || !Object.hasOwn(found.columns, column));
  if (found?.state === 'present' && missing.length === 0) return undefined;
  const what = missing.length === 0 ? table : `${table} (${missing.join(', ')})`;
  return notReadable(
    `${what} is not readable for the integration user, so this cannot be checked.`,
    'Give the integration user the roles sn_sec_cmn.read, sn_vul.read_all and personalize_read_dictionary (User Administration › Users › the user › Roles › Edit).',
  );
}
