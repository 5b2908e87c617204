/** `defender-sync attachments list` */
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { attachmentsAsJson, renderAttachments } from '../render/attachments.ts';
import { openLedgerOf } from '../ledger-server.ts';

/** Lists what hangs on the plugin's data sources. Reads the instance and remembers what it shows, so that it can be deleted. */
export async function attachmentsListCommand(context: CliContext, { json }: { readonly json: boolean }): Promise<ExitCode> {
  const configuration = configurationOf(context, 'secrets');
  const { output, engine, interrupts } = context;
  await withReleases(async (releases) => {
    const { ledger } = await openLedgerOf(configuration, releases);
    releases.defer(() => output.showProgress([]));
    const found = await engine.listAttachments({
      configuration,
      ledger,
      signal: interrupts.signal,
      onProgress: ({ done, of }) => output.showProgress([`${done} of ${of} data sources`]),
    });
    output.showProgress([]);
    if (json) output.print(JSON.stringify(attachmentsAsJson(found), null, 2));
    else output.print(renderAttachments(found, output.style));
  });
  return exitCodes.inSync;
}
