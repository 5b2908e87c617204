/** `defender-sync cis pairs` */
import { readPairs } from '../../ledger/index.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { pairsAsJson, renderNoPairs, renderPairs, shownPairs } from '../render/pairs.ts';
import { openLedgerOf } from '../ledger-server.ts';
import { formatCount } from '../table.ts';

const progressAfterMs = 2_000;

/** Lists placeholders that have a class-specific CI beside them. Reads the instance and remembers what it shows, so that it can be applied. */
export async function cisPairsCommand(context: CliContext, { json }: { readonly json: boolean }): Promise<ExitCode> {
  const configuration = configurationOf(context, 'secrets');
  const { output, engine, interrupts, clock } = context;
  await withReleases(async (releases) => {
    const { ledger } = await openLedgerOf(configuration, releases);
    const startedMs = clock.nowMs();
    releases.defer(() => output.showProgress([]));
    const { looked, set } = await engine.findPairs({
      configuration,
      ledger,
      signal: interrupts.signal,
      onProgress: (progress) => {
        if (clock.nowMs() - startedMs < progressAfterMs) return;
        output.showProgress([
          `${formatCount(progress.looked)} of ${formatCount(progress.of)} placeholders · pairs ${formatCount(progress.pairs)}`,
        ]);
      },
    });
    output.showProgress([]);
    const pairs = set === undefined ? [] : await readPairs(ledger.database, set.id, json ? set.pairs : shownPairs);
    if (json) output.print(JSON.stringify(pairsAsJson(set, pairs, looked), null, 2));
    else output.print(set === undefined ? renderNoPairs(looked) : renderPairs(set, pairs, output.style));
  });
  return exitCodes.inSync;
}
