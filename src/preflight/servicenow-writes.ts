/** What would be refused is named before the first write, wherever it can be known without one (servicenow.md §5.2). */
import type { SysId, TableSpec } from '../model.ts';
import { classifyWrite, rightTo, writeRights, type ServiceNowClient, type WriteRight } from '../servicenow/index.ts';
import { blocking, counted, isAnswer, ok, warning } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

export type Proof = 'allowed' | 'denied' | 'unknown';

/** Whether a table takes updates, with the remedy where it does not. */
export interface WriteTrial {
  readonly proof: Proof;
  readonly remedy: string | null;
}

/** A sys_id that no record has. */
const nobody = '0'.repeat(32) as SysId;

/**
 * Changes nothing: an empty change of a record that does not exist is answered with 404 to those who may write and with 403 to all
 * others. One batch for all tables.
 */
export async function tryWrites(
  client: ServiceNowClient,
  tables: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, WriteTrial>> {
  const items = tables.map((table, index) => client.table.updateItem(String(index), table, nobody, {}));
  try {
    const answers = await client.batch.sendBatch(items, { kind: 'serviceNowReads', effect: 'read', signal });
    return new Map(tables.map((table, index) => [table, trialOf(table, answers[index] ?? { outcome: 'unserviced' })]));
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return new Map();
  }
}

function trialOf(table: string, answer: Parameters<typeof classifyWrite>[0]): WriteTrial {
  const result = classifyWrite(answer, { table, operation: 'update' });
  if (result.result === 'gone') return { proof: 'allowed', remedy: null };
  return result.result === 'refused' && result.status === 403
    ? { proof: 'denied', remedy: result.remedy }
    : { proof: 'unknown', remedy: null };
}

export const serviceNowWrites: Check = {
  id: 'servicenow.writes',
  area: 'ServiceNow write',
  question: 'Do the tables take updates?',
  fixedBy: 'A ServiceNow administrator',
  permissions: Object.values<WriteRight>(writeRights).map(({ feature, roles }) => ({
    feature,
    system: 'ServiceNow',
    permission: roles.join(' or '),
    where: 'the integration user',
  })),
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async (context) => {
    const trials = await context.facts.writeTrials();
    const held = await heldRoles(context);
    const tried = context.tableSpecs.filter(({ name }) => trials.has(name));
    const denied = tried.filter(({ name }) => trials.get(name)?.proof === 'denied' && !isNamedByRoles(name, held));
    if (denied.length > 0) return denied.map((spec) => refused(spec, trials.get(spec.name)?.remedy ?? null));
    const taken = tried.filter(({ name }) => trials.get(name)?.proof === 'allowed').length;
    return [
      ok(
        `${counted(taken, 'table')} of ${tried.length} take updates (an empty change of a record that does not exist; nothing written). Whether they take new records, only the first one shows.`,
      ),
    ];
  },
};

/** What the sync cannot do without would park the run at its first change: it is said before (activities/table-refusal.ts). */
function refused({ name, traffic }: TableSpec, remedy: string | null): Result {
  const evidence = `${name} refuses updates (a try without effect was answered with 403).`;
  if (rightTo(name)?.indispensable === true) return { ...blocking('update-refused', evidence, remedy), about: name };
  const what = traffic === 'data' ? 'its changed records are parked' : "this part of the engine's own records is missing";
  return { ...warning('update-refused', evidence, remedy, { follows: `A run goes on; ${what}.` }), about: name };
}

/** Undefined where no role row is readable. */
async function heldRoles({ facts }: CheckContext): Promise<readonly string[] | undefined> {
  try {
    const { user, roles } = await facts.ownRoles();
    return user === undefined ? undefined : roles;
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return undefined;
  }
}

/** A right whose roles are missing is one finding of `servicenow.roles`, whatever number of tables hangs on it. */
function isNamedByRoles(table: string, held: readonly string[] | undefined): boolean {
  const right = rightTo(table);
  return right !== undefined && !right.roles.some((role) => held?.includes(role)) && held?.includes('admin') !== true;
}
