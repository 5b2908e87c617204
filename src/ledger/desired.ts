import type { Database, Transaction } from './database.ts';
import { digest, recordKey } from './digest.ts';
import { ciKeyDigest, type DueCi, type DueGroup } from './groups.ts';
import { abandonStages, carryOver } from './renames.ts';
import { writeOwned } from './owners.ts';
import { observedKey } from './pages.ts';
import { assertFence, type RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { CiKey, CiRequest, Derived, DesiredRecord, IntegrationName } from '../model.ts';

/** What one group became. */
export interface DerivedGroup {
  readonly group: DueGroup;
  readonly derived: Derived;
}

/** Who derived records of known CIs, as far as storing them needs to know. */
export interface CiDeriver {
  readonly integration: IntegrationName;
  /** Tables whose records many CIs yield: one CI yielding a record no longer does not mean that it is gone. */
  readonly tablesOfMany: readonly string[];
  /** Tables whose records are removed when they are gone, with the field that names the record they hang on. */
  readonly removedTables: readonly { readonly table: string; readonly from: string }[];
}

/** Who derived, as far as storing it needs to know. */
export interface Deriver {
  readonly integration: IntegrationName;
  /** The CI that a group's records hang on, also when the group asks for none (any more). */
  readonly ciOfGroup: ((group: string) => CiKey) | undefined;
  /** Tables whose records many groups yield: one group yielding a record no longer does not mean that it is gone. */
  readonly tablesOfMany: readonly string[];
}

export interface DesiredResult {
  readonly records: number;
  readonly changed: number;
  readonly cis: number;
}

/**
 * Stores what groups became: wanted CIs, owned records, exclusions; and marks the groups as derived, all in one
 * transaction. Records that a group no longer yields lose this owner (`gone_at`); nothing is closed here.
 */
export async function commitDerivedGroups(
  database: Database,
  words: Words,
  run: RunHandle,
  deriver: Deriver,
  groups: readonly DerivedGroup[],
): Promise<DesiredResult> {
  const records = groups.flatMap(({ group, derived }) =>
    derived.records.map((record) => ({ record, groupKey: stageKey('group', group.groupKey) })),
  );
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const cis = groups.flatMap(({ derived }) => derived.cis);
    await wantCis(tx, run, cis);
    const changed = await writeOwned(
      tx,
      words,
      run,
      records,
      groups.map(({ group }) => stageKey('group', group.groupKey)),
      await Promise.all(deriver.tablesOfMany.map((table) => words.idOf(table))),
    );
    await writeExclusions(tx, words, run, groups);
    await tx.query(
      `UPDATE observed_group g SET derived_seq = t.seq, derived_at = ledger_now(), ci_key = t.ci_key FROM unnest($3::bytea[], $4::bigint[], $5::bytea[]) AS t(group_key, seq, ci_key)
       WHERE g.deployment_id = $1 AND g.integration = $2 AND g.group_key = t.group_key`,
      [
        run.deploymentId,
        await words.idOf(deriver.integration),
        groups.map(({ group }) => group.groupKey),
        groups.map(({ group }) => group.dueSeq),
        groups.map(({ group, derived }) => ciOf(group, derived, deriver)),
      ],
    );
    return { records: records.length, changed, cis: cis.length };
  });
}

/** A group that asks for no CI may still have records on one: an assessment that no longer applies changes its result. */
function ciOf(group: DueGroup, derived: Derived, { ciOfGroup }: Deriver): Buffer | null {
  const key = derived.cis[0]?.key ?? (group.groupId === '' ? undefined : ciOfGroup?.(group.groupId));
  return key === undefined ? null : ciKeyDigest(key);
}

/** A record whose natural key changed because its CI became another one: it stays the same record on the instance. */
export interface Rename {
  readonly table: string;
  readonly from: string;
  readonly to: string;
}

/** What became of all groups of one CI. */
export interface DerivedCi {
  readonly due: DueCi;
  readonly derived: Derived;
  readonly renames: readonly Rename[];
}

/** Stores what the groups of known CIs became (discovered items, results, links to tags). */
export async function commitDerivedCis(
  database: Database,
  words: Words,
  run: RunHandle,
  { integration, tablesOfMany, removedTables }: CiDeriver,
  cis: readonly DerivedCi[],
): Promise<DesiredResult> {
  const records = cis.flatMap(({ due, derived }) =>
    derived.records.map((record) => ({ record, groupKey: ciStageKey(integration, due.ci.sysId) })),
  );
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const changed = await writeOwned(
      tx,
      words,
      run,
      records,
      cis.map(({ due }) => ciStageKey(integration, due.ci.sysId)),
      await Promise.all(tablesOfMany.map((table) => words.idOf(table))),
      new Map(await Promise.all(removedTables.map(async ({ table, from }) => [await words.idOf(table), from] as const))),
    );
    const groups = cis.flatMap(({ due }) => due.groups.map((group) => ({ group, sysId: due.ci.sysId })));
    await tx.query(
      `UPDATE observed_group g SET ci_derived_seq = t.seq, ci_sys_id = t.sys_id FROM unnest($3::bytea[], $4::bigint[], $5::text[]) AS t(group_key, seq, sys_id)
       WHERE g.deployment_id = $1 AND g.integration = $2 AND g.group_key = t.group_key`,
      [
        run.deploymentId,
        await words.idOf(integration),
        groups.map(({ group }) => group.groupKey),
        groups.map(({ group }) => group.derivedSeq),
        groups.map(({ sysId }) => sysId),
      ],
    );
    await leaveFormerCis(tx, words, run, integration, cis);
    return { records: records.length, changed, cis: 0 };
  });
}

async function leaveFormerCis(
  tx: Transaction,
  words: Words,
  run: RunHandle,
  integration: IntegrationName,
  cis: readonly DerivedCi[],
): Promise<void> {
  const former = new Set(cis.flatMap(({ due }) => due.groups.flatMap((group) => group.formerSysId ?? [])));
  if (former.size === 0) return;
  const renames = cis.flatMap((ci) => ci.renames);
  const rows = await Promise.all(
    renames.map(async ({ table, from, to }) => ({ tableId: await words.idOf(table), from: recordKey(from), to: recordKey(to) })),
  );
  await carryOver(tx, run, rows);
  const stages = [...former].map((sysId) => ({ sysId, stage: ciStageKey(integration, sysId) }));
  await abandonStages(tx, run, await words.idOf(integration), stages);
}

/** One group yields records in two stages; each stage owns its own, so that one does not drop the other's. */
export function stageKey(stage: string, groupKey: Buffer): Buffer {
  return digest(`${stage}\n${groupKey.toString('hex')}`);
}
export function ciStageKey(integration: IntegrationName, sysId: string): Buffer {
  return digest(`ci-stage\n${integration}\n${sysId}`);
}

async function wantCis(tx: Transaction, run: RunHandle, cis: readonly CiRequest[]): Promise<void> {
  const distinct = new Map(cis.map((ci) => [ci.key, ci]));
  if (distinct.size === 0) return;
  const list = [...distinct.values()];
  await tx.query(
    `INSERT INTO ci (instance_id, ci_key, key_text, identity)
     SELECT $1, t.* FROM unnest($2::bytea[], $3::text[], $4::jsonb[]) AS t(ci_key, key_text, identity)
     WHERE NOT EXISTS (SELECT 1 FROM ci c WHERE c.instance_id = $1 AND c.ci_key = t.ci_key) ORDER BY t.ci_key ON CONFLICT DO NOTHING`,
    [run.instanceId, list.map((ci) => ciKeyDigest(ci.key)), list.map((ci) => ci.key), list.map((ci) => JSON.stringify(ci.identity))],
  );
}

async function writeExclusions(tx: Transaction, words: Words, run: RunHandle, groups: readonly DerivedGroup[]): Promise<void> {
  const excluded = groups.flatMap(({ derived }) => derived.excluded);
  await tx.query(
    'UPDATE observed SET excluded = NULL WHERE deployment_id = $1 AND group_key = ANY($2::bytea[]) AND excluded IS NOT NULL AND NOT key = ANY($3::bytea[])',
    [run.deploymentId, groups.map(({ group }) => group.groupKey), excluded.map((one) => observedKey(one.kind, one.id))],
  );
  if (excluded.length === 0) return;
  await tx.query(
    `UPDATE observed o SET excluded = t.because FROM unnest($2::smallint[], $3::bytea[], $4::text[]) AS t(kind, key, because)
     WHERE o.deployment_id = $1 AND o.kind = t.kind AND o.key = t.key AND o.excluded IS DISTINCT FROM t.because`,
    [
      run.deploymentId,
      await Promise.all(excluded.map((one) => words.idOf(one.kind))),
      excluded.map((one) => observedKey(one.kind, one.id)),
      excluded.map((one) => one.because),
    ],
  );
}

/**
 * Stores the engine's own records (integration instance, run records), owned by this deployment under a name of their own.
 */
export async function commitEngineRecords(
  database: Database,
  words: Words,
  run: RunHandle,
  owner: string,
  records: readonly DesiredRecord[],
): Promise<void> {
  const groupKey = digest(`engine\n${run.deployment}\n${owner}`);
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await writeOwned(
      tx,
      words,
      run,
      records.map((record) => ({ record, groupKey })),
      [groupKey],
    );
  });
}
