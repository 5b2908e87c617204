/** Whether tags are imported at all, and what to say about it (docs/decisions/host-tags.md). */
import { isSyncError } from '../src/errors.ts';
import { hostTagLinkTable, hostTagTable, maxHostTags, tagsOf, type Tag } from '../src/integrations/host-tags.ts';
import { placeholderClass, tagClass } from '../src/inventory/resource-class.ts';
import { hostTagCounts, listedResourcesOfCis, type RunHandle } from '../src/ledger/index.ts';
import type { CiKey, IntegrationName } from '../src/model.ts';
import { query, type MappedTable, type ServiceNowClient } from '../src/servicenow/index.ts';
import type { ActivityContext } from './context.ts';

/** Turns host tags off for every integration of the instance (servicenow.md §1.4). */
const property = 'sn_vul.import_host_tags';

/** Why host tags are not imported; undefined when they are. A property that cannot be read, or is not there, has its default: true. */
export async function reasonWithoutHostTags(
  client: ServiceNowClient,
  tables: ReadonlyMap<string, MappedTable>,
  wanted: boolean,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (!wanted) return 'hostTags is false in the configuration';
  const value = (await client.properties.read([property], signal)).get(property);
  if (value?.trim().toLowerCase() === 'false') return `the property ${property} of the instance is false`;
  for (const name of [hostTagTable, hostTagLinkTable]) {
    const table = tables.get(name);
    if (table?.state !== 'present') return `the table ${name} is ${table?.state ?? 'absent'} on the instance`;
    const [missing] = table.missingRequired;
    if (missing !== undefined) return `${name}: ${missing.because}`;
  }
  return undefined;
}

/** Whether tags may come along with a CI that the engine creates: only if the class's own identification rule says so. */
export async function placeholdersTakeTags(client: ServiceNowClient, signal?: AbortSignal): Promise<boolean> {
  try {
    const entries = await client.table.list(
      'cmdb_related_entry',
      {
        query: query().equals('table', tagClass).equals('identifier.applies_to', placeholderClass),
        fields: ['table', 'identifier.applies_to'],
      },
      signal,
    );
    return entries.length > 0;
  } catch (error) {
    if (isSyncError(error, 'forbidden')) return false;
    throw error;
  }
}

/** Tags of the resources behind CIs, for the payload that creates them. */
export async function tagsOfCis(
  context: ActivityContext,
  run: RunHandle,
  keys: readonly CiKey[],
): Promise<ReadonlyMap<CiKey, readonly Tag[]>> {
  const { takesTags } = await context.instanceModelOf(run);
  if (!takesTags || keys.length === 0) return new Map();
  const listed = await listedResourcesOfCis(context.ledger.database, context.ledger.words, run, keys);
  // Several ids of one CI: the first one's tags. Two values of one name would contradict each other.
  return new Map([...listed].map(([key, [body]]) => [key, tagsOf(body)]));
}

/** Both or nothing: tags that no item points at are no use to anybody. */
export const hostTagTables: readonly string[] = [hostTagTable, hostTagLinkTable];

/** What the report of the assessments says about tags. */
export async function hostTagNotes(context: ActivityContext, run: RunHandle, integration: IntegrationName): Promise<string[]> {
  if (integration !== 'assessments') return [];
  const { leftOut } = await context.instanceModelOf(run);
  const off = leftOut.get(hostTagTable);
  if (off !== undefined) return [`host tags are not imported: ${off}`];
  const { database, words } = context.ledger;
  const counts = await hostTagCounts(database, words, run, hostTagLinkTable);
  const say = (n: number, text: string): string[] => (n === 0 ? [] : [`${n} ${text}`]);
  return [
    ...say(counts.leftOut, `tags are not imported: a discovered item takes ${maxHostTags}, those first in the alphabet`),
    ...say(counts.unusable, 'tags cannot be host tags (no text, no name, or with characters that cannot be searched for)'),
    ...say(counts.removed, 'links to tags that are gone were removed'),
    ...counts.refused.map(({ n, because }) => `${n} links to tags that are gone could not be removed: ${because}`),
  ];
}
