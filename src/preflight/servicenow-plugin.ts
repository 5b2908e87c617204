/** Does ServiceNow's own plugin write what we write (design §5)? Only the same scope is two writers. */
import { isSyncError } from '../errors.ts';
import { readPluginScopes, type Integration, type PluginScope } from '../servicenow/index.ts';
import { blocking, counted, isAnswer, listed, ok } from './results.ts';
import { whyUnusable } from './servicenow-writers.ts';
import type { Check, CheckContext, Result } from './types.ts';

const recordTable = 'sn_vul_integration';

export const serviceNowPluginWriters: Check = {
  id: 'servicenow.plugin-writers',
  area: 'two writers',
  question: "Does ServiceNow's own plugin write the same records?",
  fixedBy: 'A ServiceNow administrator',
  permissions: [
    {
      feature: "seeing whether ServiceNow's own plugin imports the same scope",
      system: 'ServiceNow',
      permission: 'sn_sec_cmn.read and sn_vul.read_all',
      where: 'the integration user',
    },
  ],
  needs: ['servicenow.sign-in'],
  whenRefused: 'not-readable',
  run: async (context) => {
    const dictionary = await context.facts.dictionary();
    if (dictionary.tables[recordTable]?.state === 'absent') return [ok(`The instance has no ${recordTable}, so no plugin writes here.`)];
    const hidden = await whyUnusable(context, recordTable, ['name', 'active', 'run_as']);
    if (hidden !== undefined) return [hidden];
    const ofPlugin = (await context.facts.integrations()).filter(({ owner }) => owner === 'plugin');
    const writing = ofPlugin.filter(({ active }) => active);
    if (ofPlugin.length === 0) return [ok("No integration record of ServiceNow's own plugin for Defender for Cloud is on the instance.")];
    const records = `${counted(ofPlugin.length, 'integration record')} of ServiceNow's own plugin for Defender for Cloud`;
    if (writing.length === 0) return [ok(`${records}, none of them active.`)];
    const compared = await compareAll(context, writing);
    const of = (scope: Comparison['scope']): readonly Compared[] => compared.filter((one) => one.scope === scope);
    const results = [
      ...(of('same').length === 0 ? [] : [sameScope(of('same'))]),
      ...(of('unknown').length === 0 ? [] : [unknownScope(of('unknown'))]),
    ];
    return results.length > 0 ? results : [ok(`${records}; those that are active import another scope: ${because(compared)}.`)];
  },
};

interface Comparison {
  readonly scope: 'same' | 'other' | 'unknown';
  readonly because: string;
}

/** Integrations of one instance share its scope. */
interface Compared extends Comparison {
  readonly records: readonly Integration[];
}

function sameScope(compared: readonly Compared[]): Result {
  return blocking(
    'plugin-active',
    `ServiceNow's own integration for Defender for Cloud is active for the same scope (${because(compared)}): ${listed(compared.flatMap(named), 6)}. Two writers would undo each other's work.`,
    switchOff,
  );
}

function unknownScope(compared: readonly Compared[]): Result {
  return blocking(
    'plugin-scope-not-readable',
    `ServiceNow's own integration for Defender for Cloud is active, and its scope is not readable (${because(compared)}): ${listed(compared.flatMap(named), 6)}. Two writers of one scope would undo each other's work.`,
    `${switchOff} If it imports another tenant or other subscriptions: let the integration user read them (sn_sec_int_config and sn_sec_int_impl_config), and fill in Tenant ID and the scope under Microsoft Defender for Cloud Integration › Administration › Configuration.`,
  );
}

const switchOff = `Let one of them write. To let it be this engine: open each record under All › ${recordTable}.list, clear Active, Update (or switch off its integration instance in sn_sec_int_impl).`;

function named({ records }: Compared): string[] {
  return records.map(({ name, sysId }) => `"${name}" (${sysId})`);
}

function because(compared: readonly Compared[]): string {
  return [...new Set(compared.map((one) => one.because))].join('; ');
}

async function compareAll(context: CheckContext, writing: readonly Integration[]): Promise<readonly Compared[]> {
  const byInstance = Map.groupBy(writing, ({ instance }) => instance);
  const instances = [...byInstance.keys()].filter((sysId) => sysId !== '');
  const scopes = await scopesOrNone(context, instances);
  return Promise.all([...byInstance].map(async ([instance, records]) => ({ records, ...(await compare(context, scopes.get(instance))) })));
}

/** A scope that may not be read is unknown, which is an answer. */
async function scopesOrNone({ facts, signal }: CheckContext, instances: readonly string[]): Promise<ReadonlyMap<string, PluginScope>> {
  try {
    return await readPluginScopes(await facts.serviceNow(), await facts.dictionary(), instances, signal);
  } catch (error) {
    if (isSyncError(error, 'forbidden', 'not-found', 'misconfigured')) return new Map();
    throw error;
  }
}

async function compare(context: CheckContext, scope: PluginScope | undefined): Promise<Comparison> {
  const { tenantId } = context.deployment.azure;
  if (scope?.tenantId === undefined) return { scope: 'unknown', because: 'no Tenant ID of its integration instance is readable' };
  if (scope.tenantId !== tenantId.toLowerCase()) return { scope: 'other', because: `tenant ${scope.tenantId} instead of ${tenantId}` };
  if (scope.importFrom === 'everything') return { scope: 'same', because: `tenant ${tenantId}, the whole of it` };
  const theirs = await subscriptionsOf(context, scope);
  const ours = await ownSubscriptions(context);
  const tenant = `tenant ${tenantId}`;
  if (theirs === undefined) {
    const groups = scope.managementGroups.join(', ');
    return { scope: 'unknown', because: `${tenant}, and which subscriptions its management groups ${groups} hold cannot be read` };
  }
  if (ours === undefined) return { scope: 'unknown', because: `${tenant}, and which subscriptions this deployment reads is not known` };
  const shared = ours.filter((id) => theirs.includes(id));
  return shared.length > 0
    ? { scope: 'same', because: `${tenant}, ${shared.length === 1 ? 'subscription' : 'subscriptions'} ${listed(shared, 3)}` }
    : { scope: 'other', because: `${tenant}, but other subscriptions: ${listed(theirs, 3)}` };
}

/** Lower-case ids; undefined where a management group cannot be expanded. */
async function subscriptionsOf({ clients, signal }: CheckContext, scope: PluginScope): Promise<readonly string[] | undefined> {
  if (scope.importFrom === 'subscriptions') return scope.subscriptions;
  const found: string[] = [];
  for (const group of scope.managementGroups) {
    try {
      const { subscriptions } = await clients.azure.discovery.listManagementGroupSubscriptions(group, signal);
      found.push(...subscriptions.map(({ subscriptionId }) => subscriptionId.toLowerCase()));
    } catch (error) {
      if (!isAnswer(error)) throw error;
      return undefined;
    }
  }
  return found;
}

/** What the configuration names needs no Azure to be known. */
async function ownSubscriptions({ deployment, facts }: CheckContext): Promise<readonly string[] | undefined> {
  if (deployment.scope.type === 'subscriptions') return deployment.scope.subscriptions.map((id) => id.toLowerCase());
  try {
    const { subscriptions, managementGroups } = await facts.scopes();
    return managementGroups.some(({ refused }) => refused !== undefined) ? undefined : subscriptions.map(({ id }) => id.toLowerCase());
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return undefined;
  }
}
