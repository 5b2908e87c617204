/** What a claim's answers taught about the columns of its table goes into the ledger, after the outcomes: those may be lost less. */
import { digest, healColumns, learnColumns, noteReadBack } from '../src/ledger/index.ts';
import type { ClaimWork } from './claim-work.ts';
import { keptValues, type Judged, type Written } from './judge-writes.ts';

/** How long rules that run after a write are given before the record is read again; never longer than the platform is given to settle. */
const longestReadBackMs = 5_000;

export async function learnFrom(work: ClaimWork, { written, learned }: Judged): Promise<void> {
  const { publisher, claim, onTrial, undone } = work;
  const { run, context } = publisher;
  const { database, words } = context.ledger;
  await learnColumns(database, words, run, claim.table, learned);
  const triedWell = written.filter(({ isEnd, kept }) => isEnd && kept.some((column) => onTrial.has(column)));
  const kept = new Set(triedWell.flatMap((one) => one.kept).filter((column) => onTrial.has(column)));
  await healColumns(
    database,
    words,
    run,
    claim.table,
    [...kept].filter((column) => !undone.has(column)),
  );
  // That it is kept at first was never the trouble with a column that is undone.
  const [trial] = triedWell.filter((one) => one.kept.some((column) => undone.has(column)));
  if (trial !== undefined) await note(work, trial, true);
  else await noteFirst(work, written);
}

/** The first record of a table under its present definition. */
async function noteFirst(work: ClaimWork, written: readonly Written[]): Promise<void> {
  const { publisher, claim, mapped } = work;
  const noted = publisher.context.readBacksNoted;
  const one = `${publisher.run.instanceId}/${claim.table}/${mapped.definition}`;
  const first = written.find(({ isEnd, dropped }) => isEnd && dropped.length === 0);
  if (first === undefined || noted.has(one)) return;
  noted.add(one);
  await note(work, first, false);
}

async function note(work: ClaimWork, written: Written, again: boolean): Promise<void> {
  const { publisher, claim, mapped } = work;
  const { database, words } = publisher.context.ledger;
  const { key, content } = written.send.record;
  const record = { table: claim.table, key, content, sysId: written.sysId, sent: keptValues(work, written) };
  const afterMs = Math.min(longestReadBackMs, publisher.context.config.serviceNow.settleMs);
  await noteReadBack(database, words, publisher.run, digest(mapped.definition), record, { afterMs, again });
}
