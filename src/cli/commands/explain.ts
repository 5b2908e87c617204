/** `defender-sync explain <resource>` */
import type { Configuration } from '../../config/index.ts';
import { SyncError } from '../../errors.ts';
import { findBySysId, idsOfCi, nearMisses, readStory, type Ledger, type ResourceName, type ResourceStory } from '../../ledger/index.ts';
import { askedFor } from '../asked-for.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { renderStory } from '../render/story.ts';
import { openLedgerOf } from '../ledger-server.ts';

export interface ExplainOptions {
  readonly resource: string;
  readonly json: boolean;
}

const suggestions = 5;
const progressAfterMs = 2_000;

/** Tells the story of a resource from the ledger; no worker is needed. Errors: SyncError `usage` for what the ledger does not know. */
export async function explainCommand(context: CliContext, { resource, json }: ExplainOptions): Promise<ExitCode> {
  const configuration = configurationOf(context, 'nothing-secret');
  const { output } = context;
  const story = await withReleases(async (releases) => {
    const { ledger } = await openLedgerOf(configuration, releases);
    const slow = setTimeout(() => output.showProgress(['reading the ledger']), progressAfterMs);
    releases.defer(() => {
      clearTimeout(slow);
      output.showProgress([]);
    });
    return storyOf(ledger, configuration, resource);
  });
  if (json) output.print(JSON.stringify({ instance: configuration.serviceNow.url, ...story }, null, 2));
  else output.print(renderStory(story, configuration.serviceNow.url, output.style));
  return exitCodes.inSync;
}

async function storyOf(ledger: Ledger, { serviceNow }: Configuration, typed: string): Promise<ResourceStory> {
  const { database, words } = ledger;
  const name = await nameOf(ledger, serviceNow.url, typed);
  const story = await readStory(database, words, serviceNow.url, name);
  if (story !== undefined) return story;
  throw await unknownResource(ledger, serviceNow.url, typed, 'No deployment has seen it, and nothing of it is quarantined.');
}

async function nameOf(ledger: Ledger, instanceUrl: string, typed: string): Promise<ResourceName> {
  const { database } = ledger;
  const asked = askedFor(typed);
  if (asked.type === 'resource') return asked.name;
  if (asked.type === 'unusable')
    throw await unknownResource(ledger, instanceUrl, typed, `As an id it is not complete: it ${asked.because}.`);
  const found = await findBySysId(database, instanceUrl, asked.sysId);
  if (found === undefined) {
    throw new SyncError({
      kind: 'usage',
      message: `No CI and no record that the ledger knows has the sys_id ${asked.sysId}.`,
      remedy: 'The engine knows CIs that it matched or created and records that it wrote. Ask with the resource id instead.',
    });
  }
  if (found.found === 'other') {
    throw new SyncError({
      kind: 'usage',
      message: `${asked.sysId} is ${found.table} ${found.key}, which belongs to no single resource.`,
      remedy: 'explain tells the story of a resource: give its id, or the sys_id of its CI, its discovered item or one of its results.',
    });
  }
  return { ciKey: found.ciKey, ids: await idsOfCi(database, instanceUrl, found.ciKey) };
}

async function unknownResource({ database }: Ledger, instanceUrl: string, typed: string, because: string): Promise<SyncError> {
  const near = await nearMisses(database, instanceUrl, typed.trim().toLowerCase(), suggestions);
  return new SyncError({
    kind: 'usage',
    message: `The ledger does not know ${JSON.stringify(typed)}. ${because}`,
    remedy:
      near.length === 0
        ? 'Nothing like it is known either. Resources are known after the first run that read them: defender-sync status'
        : ['Did you mean', ...near.map((id) => `  ${id}`)].join('\n'),
  });
}
