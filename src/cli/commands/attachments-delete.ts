/** `defender-sync attachments delete <list>` */
import { SyncError } from '../../errors.ts';
import { usableAttachmentList } from '../../ledger/index.ts';
import { configurationOf } from '../configuration.ts';
import { agreed } from '../confirm.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { deletionSentence, isWhole, renderDeletions } from '../render/attachments.ts';
import { openLedgerOf } from '../ledger-server.ts';

export interface AttachmentsDeleteOptions {
  readonly listId: string | undefined;
  readonly yes: boolean;
  readonly json: boolean;
}

/** Deletes the surplus exactly as a list shows it, and prints what was deleted. */
export async function attachmentsDeleteCommand(context: CliContext, { listId, yes, json }: AttachmentsDeleteOptions): Promise<ExitCode> {
  if (listId === undefined) {
    throw new SyncError({
      kind: 'usage',
      message: 'Nothing says what to delete.',
      remedy: 'Name a list of attachments: defender-sync attachments list',
    });
  }
  const configuration = configurationOf(context, 'secrets');
  const { output, engine, interrupts } = context;
  return withReleases(async (releases) => {
    const { ledger } = await openLedgerOf(configuration, releases);
    output.note(deletionSentence(await usableAttachmentList(ledger.database, configuration.serviceNow.url, listId)));
    if (!yes && !(await agreed(context, 'Nothing was deleted'))) return exitCodes.usage;
    releases.defer(() => output.showProgress([]));
    const deletions = await engine.deleteAttachments({
      configuration,
      ledger,
      listId,
      signal: interrupts.signal,
      onProgress: ({ done, of }) => output.showProgress([`${done} of ${of} attachments`]),
    });
    output.showProgress([]);
    if (json) output.print(JSON.stringify({ list: listId, dataSources: deletions }, null, 2));
    else output.print(renderDeletions(deletions, output.style));
    return isWhole(deletions) ? exitCodes.inSync : exitCodes.degraded;
  });
}
