/** Whether pages of earlier runs pile up on the plugin's data sources (servicenow.md §6). */
import type { IntegrationDataSource } from '../servicenow/index.ts';
import { counted, listed, notReadable, ok, warning } from './results.ts';
import { onlyOnce, whyUnusable } from './servicenow-writers.ts';
import type { Check, CheckContext, Result } from './types.ts';

/**
 * What one run leaves on its data source at most: a page is attached, transformed and removed, so that more than one outside a run is the
 * symptom (servicenow.md §6).
 */
export const expectedAttachments = 1;
/** Counts shown of a data source: enough to see growth. */
const countsShown = 5;

export const serviceNowAttachments: Check = {
  id: 'servicenow.attachments',
  area: 'run-as',
  question: "Do attachments pile up on the plugin's data sources?",
  fixedBy: 'A ServiceNow administrator, and whoever runs defender-sync',
  permissions: [
    {
      feature: "counting, listing and deleting attachments of the plugin's data sources",
      system: 'ServiceNow',
      permission: 'sn_vul.vr_import_admin',
      where: 'the integration user',
    },
  ],
  needs: ['servicenow.sign-in'],
  follows: {
    warning: 'A run goes on; every run of the plugin transforms the old pages again, and old values overwrite newer ones.',
    'not-readable': 'A run goes on without knowing.',
  },
  whenRefused: 'not-readable',
  run: async (context) => {
    const hidden = await whyUnusable(context, 'sn_vul_integration', ['name', 'active', 'run_as']);
    if (hidden !== undefined) return [onlyOnce(hidden)];
    const read = await context.facts.dataSources();
    if ('notReadable' in read) return [dataSourcesHidden(read.notReadable)];
    if (read.dataSources.length === 0)
      return [ok("ServiceNow's own plugin has no integration for Defender for Cloud here, so no data source either.")];
    return judge(context, read.dataSources);
  },
};

function dataSourcesHidden(what: string): Result {
  return notReadable(
    'data-sources-not-readable',
    `The data sources of the plugin's integrations are not readable, so nobody can say whether attachments pile up there: ${what}.`,
    'Give the integration user the role sn_vul.vr_import_admin (User Administration › Users › the user › Roles › Edit).',
  );
}

interface Counted extends IntegrationDataSource {
  readonly count: number;
  /** Of earlier runs, the oldest first. */
  readonly earlier: readonly number[];
}

async function judge({ clients, attachmentLog, signal }: CheckContext, dataSources: readonly IntegrationDataSource[]): Promise<Result[]> {
  const counts = await clients.serviceNow.attachments.countPerRecord(
    'sys_data_source',
    dataSources.map(({ sysId }) => sysId),
    signal,
  );
  const earlier = (await attachmentLog?.earlier()) ?? new Map<string, readonly number[]>();
  const all = dataSources.map((source): Counted => ({
    ...source,
    count: counts.get(source.sysId) ?? 0,
    earlier: earlier.get(source.sysId) ?? [],
  }));
  const settled = all.filter(({ running }) => !running);
  await attachmentLog?.remember(new Map(settled.map(({ sysId, count }) => [sysId, count])));
  const piled = settled.filter(({ count }) => count > expectedAttachments);
  const growing = piled.filter(isGrowing);
  const results = [
    ...(growing.length === 0 ? [] : [growth(growing)]),
    ...(growing.length === piled.length ? [] : [surplus(piled.filter((source) => !isGrowing(source)))]),
  ];
  return results.length > 0
    ? results
    : [ok(`${counted(all.length, 'data source')} of the plugin, none with more than ${expectedAttachments} attachment${underWay(all)}.`)];
}

/** The plugin need not have run between two runs of ours. */
function isGrowing({ count, earlier }: Counted): boolean {
  return earlier.slice(1 - countsShown).some((before) => before < count);
}

function growth(growing: readonly Counted[]): Result {
  return warning(
    'attachments-pile-up',
    `Attachments pile up on ${counted(growing.length, 'data source')} of the plugin: ${listed(growing.map(described), 6)}. One run leaves ${expectedAttachments} at most.`,
    `First put "Run as" right (servicenow.run-as), or they come back. ${commands}`,
  );
}

function surplus(still: readonly Counted[]): Result {
  return warning(
    'attachments-surplus',
    `${counted(still.length, 'data source')} of the plugin ${still.length === 1 ? 'holds' : 'hold'} attachments of earlier runs: ${listed(still.map(described), 6)}. One run leaves ${expectedAttachments} at most.`,
    commands,
  );
}

const commands =
  'Look at them with "defender-sync attachments list"; "defender-sync attachments delete <list>" deletes the surplus as it was shown, and leaves the newest.';

/** `"name" (sys_id): 1 → 2 → 3`: what earlier runs counted, then now. */
function described({ name, sysId, count, earlier }: Counted): string {
  const series = [...earlier, count].slice(-countsShown);
  return `"${name}" (${sysId}): ${series.join(' → ')}`;
}

function underWay(all: readonly Counted[]): string {
  const running = all.filter(({ running }) => running);
  return running.length === 0 ? '' : `; not judged while a run is in progress: ${listed(running.map(({ name }) => `"${name}"`))}`;
}
