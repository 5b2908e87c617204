/** Can the identification engine tell CIs apart by what we send (servicenow.md §5.1; dictionary/identifiers.json)? */
import { query, valueOf, type Row, type ServiceNowClient } from '../servicenow/index.ts';
import { placeholderClass } from '../inventory/index.ts';
import { blocking, counted, isAnswer, notReadable, ok, warning } from './results.ts';
import { columnsSent } from './servicenow-dry-run.ts';
import type { Check, CheckContext, Result } from './types.ts';

const rulesTable = 'cmdb_identifier';
const entriesTable = 'cmdb_identifier_entry';

export const serviceNowIdentifiers: Check = {
  id: 'servicenow.identifiers',
  area: 'ServiceNow model',
  question: 'Does the identification engine have a rule for what is sent?',
  fixedBy: 'A ServiceNow administrator',
  permissions: [
    {
      feature: `reading identification rules (${rulesTable}, ${entriesTable})`,
      system: 'ServiceNow',
      permission: 'itil',
      where: 'the integration user',
    },
  ],
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async (context) => {
    const { facts, clients, signal } = context;
    const { tables } = await facts.dictionary();
    const sent = [...columnsSent()].map(([className, columns]) => ({
      className,
      columns,
      lineage: [className, ...(tables[className]?.superClasses ?? [])],
    }));
    const book = await readRules(clients.serviceNow, [...new Set(sent.flatMap(({ lineage }) => lineage))], signal);
    if (book === undefined) return [hidden()];
    const problems = sent.flatMap((one) => problemOf(one, book) ?? []);
    if (problems.length === 0) {
      return [ok(`The identification rules of ${sent.map(({ className }) => className).join(', ')} are active, and go by what is sent.`)];
    }
    const taken = await takesResources(context);
    return problems.map((problem) => resultOf(problem, taken));
  },
};

interface Rule {
  readonly sysId: string;
  readonly name: string;
  readonly active: boolean;
  readonly entries: readonly { readonly sysId: string; readonly attributes: readonly string[]; readonly active: boolean }[];
}

/** Rules by class; undefined where none can be seen at all, which no instance is without. */
async function readRules(
  { table }: ServiceNowClient,
  classes: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Rule[]> | undefined> {
  const [known] = await table.list(rulesTable, { query: query().isNotEmpty('applies_to'), fields: ['applies_to'], limit: 1 }, signal);
  if (known === undefined) return undefined;
  const rules = await table.list(
    rulesTable,
    { query: query().in('applies_to', classes), fields: ['name', 'applies_to', 'active'] },
    signal,
  );
  const ids = rules.map((row) => valueOf(row, 'sys_id'));
  const fields = ['identifier', 'attributes', 'active'];
  const entries = ids.length === 0 ? [] : await table.list(entriesTable, { query: query().in('identifier', ids), fields }, signal);
  const entriesOf = Map.groupBy(entries, (row) => valueOf(row, 'identifier'));
  return Map.groupBy(
    rules.map((row) => ({ className: valueOf(row, 'applies_to'), ...ruleOf(row, entriesOf.get(valueOf(row, 'sys_id')) ?? []) })),
    ({ className }) => className,
  );
}

function ruleOf(row: Row, entries: readonly Row[]): Rule {
  return {
    sysId: valueOf(row, 'sys_id'),
    name: valueOf(row, 'name'),
    active: valueOf(row, 'active') === 'true',
    entries: entries.map((entry) => ({
      sysId: valueOf(entry, 'sys_id'),
      attributes: valueOf(entry, 'attributes')
        .split(',')
        .filter((name) => name !== ''),
      active: valueOf(entry, 'active') === 'true',
    })),
  };
}

interface Sent {
  readonly className: string;
  readonly columns: readonly string[];
  /** The class, then its super classes. */
  readonly lineage: readonly string[];
}

interface Problem {
  readonly className: string;
  readonly cause: string;
  readonly what: string;
  readonly remedy: string;
}

/** The rule of the class, or of the nearest super class that has one with an active entry, decides. */
function problemOf({ className, columns, lineage }: Sent, book: ReadonlyMap<string, readonly Rule[]>): Problem | undefined {
  const rules = lineage.flatMap((name) => book.get(name) ?? []);
  const inForce = rules.find(({ active, entries }) => active && entries.some((entry) => entry.active));
  const open = (table: string, sysId: string): string =>
    `Configuration › CI Class Manager › ${className} › Identification Rule (/${table}.do?sys_id=${sysId})`;
  if (inForce !== undefined) {
    const entries = inForce.entries.filter(({ active }) => active);
    if (entries.some(({ attributes }) => attributes.every((name) => columns.includes(name)))) return undefined;
    const by = entries.map(({ attributes }) => attributes.join(' and ')).join('; or ');
    return {
      className,
      cause: 'identifier-attributes',
      what: `the rule "${inForce.name}" (${inForce.sysId}) goes by ${by}, and what is sent has ${columns.join(', ')}`,
      remedy: `${open(rulesTable, inForce.sysId)}: add an identifier entry on object_id (images: image_id), or switch on the one that was delivered.`,
    };
  }
  const [rule] = rules;
  if (rule === undefined) {
    return {
      className,
      cause: 'identifier-rule-missing',
      what: `neither ${className} nor a class above it has an identification rule`,
      remedy: `Configuration › CI Class Manager › ${className} › Identification Rule › Add: ${identity(className)}; or repair CMDB CI Class Models, which brings it.`,
    };
  }
  if (!rule.active) {
    return {
      className,
      cause: 'identifier-rule-inactive',
      what: `the rule "${rule.name}" (${rule.sysId}) is not active`,
      remedy: `${open(rulesTable, rule.sysId)}: check Active.`,
    };
  }
  const [entry] = rule.entries;
  return {
    className,
    cause: 'identifier-entry-inactive',
    what: `the rule "${rule.name}" (${rule.sysId}) has no active identifier entry`,
    remedy:
      entry === undefined
        ? `${open(rulesTable, rule.sysId)}: add an identifier entry: ${identity(className)}.`
        : `${open(entriesTable, entry.sysId)}: check Active of the entry on ${entry.attributes.join(', ')}.`,
  };
}

function identity(className: string): string {
  if (className === 'cmdb_ci_docker_image') return 'independent, on image_id';
  return className === 'cmdb_ci_cloud_service_account' ? 'independent, on object_id and on account_id' : 'dependent, on object_id';
}

/** Rules have more to them than is read here: the engine's own answer counts for more. */
async function takesResources({ facts }: CheckContext): Promise<boolean> {
  try {
    return (await facts.dryRun()).every(({ outcome }) => outcome === 'inserted' || outcome === 'matched' || outcome === 'updated');
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return false;
  }
}

function resultOf({ className, cause, what, remedy }: Problem, taken: boolean): Result {
  const isImage = className === 'cmdb_ci_docker_image';
  if (isImage) {
    const evidence = `CIs of class ${className} cannot be identified: ${what}.`;
    return warning(cause, evidence, remedy, {
      follows: 'A run goes on; container images, and findings on them, stay parked for want of a CI.',
    });
  }
  if (taken) {
    const evidence = `For ${className}, ${what}; yet the engine would take one (dry run).`;
    return warning(cause, evidence, remedy);
  }
  const evidence = `CIs of class ${className} cannot be identified: ${what}. ${className === placeholderClass ? 'No' : 'So no'} cloud resource that Discovery does not know gets a CI, and without a CI no result can be written.`;
  return blocking(cause, evidence, remedy);
}

function hidden(): Result {
  return notReadable(
    'identifiers-hidden',
    `No identification rule is readable (${rulesTable} reads as empty, and no instance is without): whether ${counted(columnsSent().size, 'class', 'classes')} have one is not known. The dry run (servicenow.ire) tells for cloud resources.`,
    `Let the integration user read ${rulesTable} and ${entriesTable}: the role itil.`,
  );
}
