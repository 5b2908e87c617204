/** Whether known CIs are still what the ledger knows of them: what is to be asked, and what follows (design §5). */
import { republishReferences } from './ci-references.ts';
import type { Database } from './database.ts';
import { ciKeyDigest } from './groups.ts';
import { appendMatches } from './history.ts';
import { assertFence, fenced, type RunHandle } from './runs.ts';
import type { CiIdentity, CiKey, SysId } from '../model.ts';

/** A CI as the ledger knows it. */
export interface KnownCi {
  readonly key: CiKey;
  readonly identity: CiIdentity;
  readonly sysId: SysId;
  readonly className: string;
  readonly note: string | undefined;
}

export type CiFinding =
  /** It is another record now (merged, or replaced by a live one); it is not ours even if the one before was. */
  | {
      readonly key: CiKey;
      readonly from: SysId;
      readonly finding: 'moved';
      readonly sysId: SysId;
      readonly className: string;
      readonly evidence: string;
      readonly note: string | undefined;
    }
  /** It is the same record, in another class or with something to say about it. */
  | { readonly key: CiKey; readonly from: SysId; readonly finding: 'same'; readonly className: string; readonly note: string | undefined }
  /** The record is gone: it is looked for, and if need be made, like a new one. */
  | { readonly key: CiKey; readonly from: SysId; readonly finding: 'deleted' };

/** Up to when changes were read, UTC milliseconds; undefined before the first time. */
export async function ciChangesReadAtMs(database: Database, run: RunHandle): Promise<number | undefined> {
  const [row] = await database.query<{ at: Date | null }>('SELECT ci_changes_read_at AS at FROM instance WHERE instance_id = $1', [
    run.instanceId,
  ]);
  return row?.at?.getTime();
}

/** The ledger's time, UTC milliseconds: the moment up to which a reading that begins now will have read. */
export async function ledgerNowMs(database: Database): Promise<number> {
  const [row] = await database.query<{ now: Date }>('SELECT ledger_now() AS now', []);
  return row?.now.getTime() ?? Date.now();
}

/** Remembers how far changes were read; never backwards. */
export async function rememberCiChangesRead(database: Database, run: RunHandle, upToMs: number): Promise<void> {
  await fenced(
    database,
    run,
    `UPDATE instance SET ci_changes_read_at = greatest(ci_changes_read_at, to_timestamp($2::double precision / 1000)) WHERE instance_id = $1`,
    [run.instanceId, upToMs],
  );
}

/** Known CIs among these records. */
export async function knownCisOf(database: Database, run: RunHandle, sysIds: readonly string[]): Promise<KnownCi[]> {
  const rows = await database.query<KnownRow>(
    `SELECT key_text, identity, sys_id, class_name, note FROM ci WHERE instance_id = $1 AND state = 'resolved' AND sys_id = ANY($2::text[]) ORDER BY ci_key`,
    [run.instanceId, sysIds],
  );
  return rows.map(knownCi);
}

/**
 * A night's part of the known CIs, those that were not looked at for the longest: after `nights` of them every one was. Whoever asks
 * first takes it; the others get none until `everyMs` has passed.
 */
export async function takeCiSlice(database: Database, run: RunHandle, nights: number, everyMs: number): Promise<KnownCi[]> {
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const taken = await tx.query(
      `UPDATE instance SET ci_slice_at = ledger_now() WHERE instance_id = $1 AND (ci_slice_at IS NULL OR ci_slice_at <= ledger_now() - $2 * interval '1 millisecond')`,
      [run.instanceId, everyMs],
    );
    if (taken.rowCount === 0) return [];
    const rows = await tx.query<KnownRow>(
      `SELECT key_text, identity, sys_id, class_name, note FROM ci WHERE instance_id = $1 AND state = 'resolved'
       ORDER BY checked_at NULLS FIRST, ci_key
       LIMIT (SELECT ceil(count(*) / $2::double precision)::bigint FROM ci WHERE instance_id = $1 AND state = 'resolved')`,
      [run.instanceId, nights],
    );
    return rows.rows.map(knownCi);
  });
}

interface KnownRow {
  readonly key_text: string;
  readonly identity: CiIdentity;
  readonly sys_id: string;
  readonly class_name: string | null;
  readonly note: string | null;
}

function knownCi(row: KnownRow): KnownCi {
  return {
    key: row.key_text as CiKey,
    identity: row.identity,
    sysId: row.sys_id as SysId,
    className: row.class_name ?? '',
    note: row.note ?? undefined,
  };
}

/** Marks these CIs as looked at. */
export async function markCisChecked(database: Database, run: RunHandle, keys: readonly CiKey[]): Promise<void> {
  if (keys.length === 0) return;
  await fenced(database, run, 'UPDATE ci SET checked_at = ledger_now() WHERE instance_id = $1 AND ci_key = ANY($2::bytea[])', [
    run.instanceId,
    keys.map(ciKeyDigest),
  ]);
}

/**
 * Writes what was found and the history of it, where the CI still is the record that was looked at. Records that refer to a moved CI
 * are published again.
 */
export async function applyCiFindings(database: Database, run: RunHandle, findings: readonly CiFinding[]): Promise<void> {
  if (findings.length === 0) return;
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    const keys = findings.map((one) => ciKeyDigest(one.key));
    const from = findings.map((one) => one.from);
    const kinds = findings.map((one) => one.finding);
    const moved = await tx.query<{ ci_key: Buffer }>(
      `SELECT ci.ci_key FROM ci JOIN unnest($2::bytea[], $3::text[], $4::text[]) AS t(ci_key, from_sys_id, finding) USING (ci_key)
       WHERE ci.instance_id = $1 AND ci.sys_id = t.from_sys_id AND ci.state = 'resolved' AND t.finding = 'moved' ORDER BY ci.ci_key FOR UPDATE OF ci`,
      [run.instanceId, keys, from, kinds],
    );
    await tx.query(
      `WITH settled AS (UPDATE ci SET
         state = CASE t.finding WHEN 'deleted' THEN 'wanted' ELSE ci.state END,
         tries = CASE t.finding WHEN 'deleted' THEN 0 ELSE ci.tries END,
         sys_id = coalesce(t.sys_id, ci.sys_id), class_name = coalesce(t.class_name, ci.class_name),
         match = CASE t.finding WHEN 'moved' THEN 'lookup-rule' ELSE ci.match END,
         created_by_engine = ci.created_by_engine AND t.finding = 'same', note = t.note, checked_at = ledger_now()
       FROM unnest($2::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
         AS t(ci_key, from_sys_id, finding, sys_id, class_name, evidence, note)
       WHERE ci.instance_id = $1 AND ci.ci_key = t.ci_key AND ci.sys_id = t.from_sys_id AND ci.state = 'resolved'
       RETURNING ci.ci_key, CASE t.finding WHEN 'deleted' THEN t.finding ELSE 'resolved' END AS outcome, ci.sys_id, ci.class_name, ci.match,
         NULL::text AS reason, t.evidence)${appendMatches}`,
      [
        run.instanceId,
        keys,
        run.runId,
        from,
        kinds,
        findings.map((one) => (one.finding === 'moved' ? one.sysId : null)),
        findings.map((one) => (one.finding === 'deleted' ? null : one.className)),
        findings.map((one) => (one.finding === 'deleted' ? null : evidenceOf(one))),
        findings.map((one) => (one.finding === 'deleted' ? null : (one.note ?? null))),
      ],
    );
    await republishReferences(
      tx,
      run,
      moved.rows.map((row) => row.ci_key),
    );
  });
}

function evidenceOf(finding: Exclude<CiFinding, { finding: 'deleted' }>): string {
  return finding.finding === 'moved' ? finding.evidence : (finding.note ?? `it is a ${finding.className}`);
}
