import type { CiState } from '../src/inventory/candidates.ts';
import {
  applyCiFindings,
  ciChangesReadAtMs,
  knownCisOf,
  ledgerNowMs,
  markCisChecked,
  rememberCiChangesRead,
  takeCiSlice,
  type CiFinding,
  type KnownCi,
  type RunHandle,
} from '../src/ledger/index.ts';
import type { SysId } from '../src/model.ts';
import { query, valueOf, type Query } from '../src/servicenow/index.ts';
import type { ActivityContext } from './context.ts';
import { readStates, rootClass, standFor, stateColumns, stateOf } from './ci-states.ts';
import { findByRules, type Finder } from './find-cis.ts';
import { lookUp } from './look-up.ts';
import type { StepScope } from './run-step.ts';

/** Changes are read again for this long: clocks differ, and an instance may take a query's times for its own time zone's. */
const overlapMs = 26 * 3_600_000;
/** After so many nights every known CI was looked up once: only that finds deletions and changes of class. */
const nightsPerRound = 7;
const sliceEveryMs = 20 * 3_600_000;
/** So many CIs, and not one of them there: that is a right that we lost, not a deletion. */
const suspiciouslyMany = 20;

const retiredNote = 'it is retired, and no live CI was found';

/**
 * Asks the instance what became of known CIs (design §5): one question about those that were retired or merged since the last run,
 * and a look at a seventh of all. A merged CI becomes its survivor; a retired one another live one that the rules find, else it stays
 * and says so; a deleted one is looked for, and if need be made, like a new one; one of another class stays.
 */
export async function revalidateCis(context: ActivityContext, run: RunHandle, finder: Finder, step: StepScope): Promise<void> {
  const { database } = context.ledger;
  const readAtMs = await ciChangesReadAtMs(database, run);
  // Both integrations that hang on CIs come by here; once a run is enough.
  if (readAtMs !== undefined && readAtMs >= run.startedAtMs) return;
  const upToMs = await ledgerNowMs(database);
  if (readAtMs !== undefined) {
    const changed = await changedSince(finder, readAtMs - overlapMs);
    await follow(context, run, finder, await knownCisOf(database, run, [...changed.keys()]), changed);
    step.at({ changedCis: changed.size });
  }
  const slice = await takeCiSlice(database, run, nightsPerRound, sliceEveryMs);
  if (slice.length > 0) await lookAt(context, run, finder, slice);
  await rememberCiChangesRead(database, run, upToMs);
}

/** CIs of whatever class that are retired or duplicates, and were touched since. */
async function changedSince(finder: Finder, sinceMs: number): Promise<Map<SysId, CiState>> {
  const { client, model, signal } = finder;
  const since = new Date(sinceMs).toISOString().slice(0, 19).replace('T', ' ');
  const questions: readonly (readonly [string, (from: Query) => Query])[] = [
    ['install_status', (from) => from.equals('install_status', '7')],
    ['operational_status', (from) => from.equals('operational_status', '6')],
    ['duplicate_of', (from) => from.isNotEmpty('duplicate_of')],
  ];
  if (!model.hasColumn(rootClass, 'sys_updated_on')) return new Map();
  const fields = stateColumns(model, rootClass);
  const lookUps = questions
    .filter(([column]) => model.hasColumn(rootClass, column))
    .map(([, ask]) => ({ table: rootClass, query: ask(query().greaterThan('sys_updated_on', since)), fields }));
  const rows = (await lookUp(client, lookUps, signal)).flat();
  return new Map(
    rows.map((row) => {
      const sysId = valueOf(row, 'sys_id') as SysId;
      return [sysId, stateOf(row, sysId, model)];
    }),
  );
}

async function lookAt(context: ActivityContext, run: RunHandle, finder: Finder, cis: readonly KnownCi[]): Promise<void> {
  const states = await readStates(finder, [...new Set(cis.map((ci) => ci.sysId))]);
  if (states.size === 0 && cis.length >= suspiciouslyMany) {
    context.log.warn(
      { deployment: run.deployment, cis: cis.length },
      'none of the known CIs can be read any more; nothing is concluded from that. Check that the integration user may read cmdb_ci.',
    );
    return;
  }
  const gone = cis.filter((ci) => !states.has(ci.sysId));
  await applyCiFindings(
    context.ledger.database,
    run,
    gone.map((ci) => ({ key: ci.key, from: ci.sysId, finding: 'deleted' })),
  );
  const there = cis.filter((ci) => states.has(ci.sysId));
  await follow(context, run, finder, there, states as Map<SysId, CiState>);
  await markCisChecked(
    context.ledger.database,
    run,
    there.map((ci) => ci.key),
  );
  if (gone.length > 0) context.log.info({ deployment: run.deployment, cis: gone.length }, 'known CIs were deleted on the instance');
}

/** Draws the conclusions for CIs whose state was read. */
async function follow(
  context: ActivityContext,
  run: RunHandle,
  finder: Finder,
  cis: readonly KnownCi[],
  states: ReadonlyMap<SysId, CiState>,
): Promise<void> {
  const seen = cis.flatMap((ci) => {
    const state = states.get(ci.sysId);
    return state === undefined ? [] : [{ ci, state }];
  });
  const merged = seen.filter(({ state }) => state.duplicateOf !== '');
  const survivors = await standFor(
    finder,
    merged.map(({ state }) => state),
  );
  const ailing = seen.filter(({ ci, state }) => state.retired || (state.duplicateOf !== '' && !isBetter(survivors.get(ci.sysId), ci)));
  const better = await findByRules(
    finder,
    ailing.map(({ ci }) => ci),
  );
  const findings = seen.flatMap(({ ci, state }): CiFinding[] => {
    const common = { key: ci.key, from: ci.sysId };
    const survivor = survivors.get(ci.sysId);
    if (survivor !== undefined && isBetter(survivor, ci)) {
      const { sysId, className } = survivor;
      return [{ ...common, finding: 'moved', sysId, className, evidence: `a merge: ${ci.sysId} became its duplicate`, note: undefined }];
    }
    const live = better.get(ci.key);
    if (live !== undefined && live.isSound && live.sysId !== ci.sysId) {
      return [{ ...common, finding: 'moved', sysId: live.sysId, className: live.className, evidence: live.evidence, note: live.note }];
    }
    return same(ci, state);
  });
  await applyCiFindings(context.ledger.database, run, findings);
  const moved = findings.filter(({ finding }) => finding === 'moved').length;
  if (moved > 0) context.log.info({ deployment: run.deployment, cis: moved }, 'known CIs became others: merged, or replaced by live ones');
}

function isBetter(survivor: CiState | undefined, ci: KnownCi): boolean {
  return survivor !== undefined && survivor.sysId !== ci.sysId && !survivor.retired && survivor.duplicateOf === '';
}

/** Nothing is written where nothing is new. */
function same(ci: KnownCi, state: CiState): CiFinding[] {
  const note = noteOf(ci, state);
  const className = state.className === '' ? ci.className : state.className;
  if (note === ci.note && className === ci.className) return [];
  return [{ key: ci.key, from: ci.sysId, finding: 'same', className, note }];
}

function noteOf(ci: KnownCi, state: CiState): string | undefined {
  if (state.duplicateOf !== '') return `it is marked as a duplicate of ${state.duplicateOf}, which cannot be taken`;
  if (state.retired) return retiredNote;
  return ci.note === retiredNote || ci.note?.startsWith('it is marked as a duplicate') === true ? undefined : ci.note;
}
