import type { Database, Transaction } from './database.ts';
import { canonicalJson, digest, packDigests } from './digest.ts';
import { assertFence, type RunHandle } from './runs.ts';
import { held, type ClaimedScan } from './scans.ts';
import type { Words } from './words.ts';
import type { IntegrationName, JsonObject, ObservedKind, ObservedRecord, RowOutcome } from '../model.ts';

/** One page as it was read: outcome per row, and where the next page is. */
export interface PageToCommit {
  readonly outcomes: readonly RowOutcome[];
  /** undefined = this was the last page. */
  readonly nextCursor: JsonObject | undefined;
  /** What the service says the total is, where it says so. */
  readonly totalRecords?: number | undefined;
  /** Keys that were asked for one by one and do not exist. */
  readonly absentKeys?: { readonly kind: ObservedKind; readonly ids: readonly string[] } | undefined;
}

export interface PageResult {
  readonly changed: number;
  readonly observed: number;
  readonly excluded: number;
  readonly quarantined: number;
}

/** Kinds whose change makes other groups due again, found through `observed_link`. */
const kindsThatWakeGroups: ReadonlySet<ObservedKind> = new Set(['cve']);
/** A scan that quarantines more rows than this keeps only the first ones; the count stays exact. */
const quarantineRowsPerPage = 200;

/** Digest of an observed record's identity; the same in the manifest and in `observed`. */
export function observedKey(kind: ObservedKind, id: string): Buffer {
  return digest(`${kind}\n${id}`);
}

export function groupKey(integration: IntegrationName, group: string): Buffer {
  return digest(`${integration}\n${group}`);
}

/**
 * Commits one page: changed rows, quarantined rows and the manifest row in one transaction (design §2). Rows whose content
 * the ledger has already are not written. `familyOf` names the integration that derives a kind.
 * Throws `fenced-out` when the run is stale, `overtaken` when the claim is; a page committed twice is refused by the manifest's key.
 */
export async function commitPage(
  database: Database,
  words: Words,
  run: RunHandle,
  claim: ClaimedScan,
  pageNo: number,
  page: PageToCommit,
  familyOf: (kind: ObservedKind) => IntegrationName,
): Promise<PageResult> {
  const rows = await prepareRows(words, page.outcomes, familyOf);
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const excluded = page.outcomes.filter((one) => one.outcome === 'excluded').length;
    const quarantined = page.outcomes.filter((one) => one.outcome === 'quarantined').length;
    await advanceScan(tx, claim, pageNo, page);
    await tx.query(
      `INSERT INTO scan_page (scan_id, attempt, page_no, next_cursor, rows_total, rows_excluded, rows_quarantined, digests, committed_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, ledger_now())`,
      [
        claim.scanId,
        claim.attempt,
        pageNo,
        page.nextCursor ? JSON.stringify(page.nextCursor) : null,
        page.outcomes.length,
        excluded,
        quarantined,
        packDigests(rows.map((row) => row.key)),
      ],
    );
    const { changed, leftGroups } = await writeChanged(tx, run, rows);
    await wakeGroups(tx, run, changed);
    await wakeLeftGroups(tx, run, leftGroups);
    await noteLinks(tx, words, run, changed);
    await noteAbsent(tx, words, run, page);
    await writeQuarantine(tx, run, claim, pageNo, page);
    return { changed: changed.length, observed: rows.length, excluded, quarantined };
  });
}

interface PreparedRow {
  readonly record: ObservedRecord;
  readonly kindId: number;
  readonly familyId: number;
  readonly key: Buffer;
  readonly content: Buffer;
  readonly group: Buffer;
  readonly body: string;
}

async function prepareRows(
  words: Words,
  outcomes: readonly RowOutcome[],
  familyOf: (kind: ObservedKind) => IntegrationName,
): Promise<PreparedRow[]> {
  // A key that is twice on one page counts once; the last row wins, as it would over two pages.
  const byKey = new Map<string, PreparedRow>();
  for (const one of outcomes) {
    if (one.outcome !== 'observed') continue;
    const { record } = one;
    const family = familyOf(record.kind);
    const body = canonicalJson(record.body);
    const linked = canonicalJson((record.links ?? []).map((link) => [link.kind, link.id]));
    const key = observedKey(record.kind, record.id);
    byKey.set(key.toString('latin1'), {
      record,
      kindId: await words.idOf(record.kind),
      familyId: await words.idOf(family),
      key,
      content: digest(`${record.group}\n${linked}\n${body}`),
      group: groupKey(family, record.group),
      body,
    });
  }
  return [...byKey.values()];
}

async function advanceScan(tx: Transaction, claim: ClaimedScan, pageNo: number, page: PageToCommit): Promise<void> {
  const advanced = await tx.query(
    `UPDATE scan SET cursor = $5, cursor_at = ledger_now(), page_count = $3, rows_read = rows_read + $6,
       total_moved = total_moved OR (total_records IS NOT NULL AND $7::bigint IS NOT NULL AND total_records <> $7::bigint),
       total_records = coalesce($7::bigint, total_records)
     WHERE scan_id = $1 AND claim_token = $2 AND attempt = $4 AND state = 'open' AND page_count = $3 - 1 RETURNING scan_id`,
    [
      claim.scanId,
      claim.token,
      pageNo,
      claim.attempt,
      page.nextCursor ? JSON.stringify(page.nextCursor) : null,
      page.outcomes.length,
      page.totalRecords ?? null,
    ],
  );
  held(advanced.rows[0]);
}

interface Changes {
  readonly changed: readonly PreparedRow[];
  /** Groups that a changed row was in before, and is not any more. */
  readonly leftGroups: readonly Buffer[];
}

async function writeChanged(tx: Transaction, run: RunHandle, rows: readonly PreparedRow[]): Promise<Changes> {
  if (rows.length === 0) return { changed: [], leftGroups: [] };
  const known = await tx.query<{ kind: number; key: Buffer; content: Buffer; group_key: Buffer }>(
    `SELECT o.kind, o.key, o.content, o.group_key FROM observed o JOIN unnest($2::smallint[], $3::bytea[]) AS t(kind, key) USING (kind, key) WHERE o.deployment_id = $1`,
    [run.deploymentId, rows.map((row) => row.kindId), rows.map((row) => row.key)],
  );
  const knownRows = new Map(known.rows.map((row) => [`${row.kind}/${row.key.toString('latin1')}`, row]));
  const knownOf = (row: PreparedRow) => knownRows.get(`${row.kindId}/${row.key.toString('latin1')}`);
  const changed = rows.filter((row) => knownOf(row)?.content.equals(row.content) !== true);
  if (changed.length === 0) return { changed, leftGroups: [] };
  await tx.query(
    `INSERT INTO observed (deployment_id, kind, key, content, group_key, id, body, links, changed_at)
     SELECT $1, t.*, ledger_now() FROM unnest($2::smallint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::text[], $7::jsonb[], $8::jsonb[]) AS t
     ON CONFLICT (deployment_id, kind, key) DO UPDATE SET
       content = excluded.content, group_key = excluded.group_key, id = excluded.id, body = excluded.body, links = excluded.links,
       excluded = NULL, changed_at = excluded.changed_at`,
    [
      run.deploymentId,
      changed.map((row) => row.kindId),
      changed.map((row) => row.key),
      changed.map((row) => row.content),
      changed.map((row) => row.group),
      changed.map((row) => row.record.id),
      changed.map((row) => row.body),
      changed.map((row) => (row.record.links ? JSON.stringify(row.record.links) : null)),
    ],
  );
  const leftGroups = changed.flatMap((row) => {
    const before = knownOf(row)?.group_key;
    return before === undefined || before.equals(row.group) ? [] : [before];
  });
  return { changed, leftGroups };
}

/** A group that lost a row derives something else without it. */
async function wakeLeftGroups(tx: Transaction, run: RunHandle, leftGroups: readonly Buffer[]): Promise<void> {
  if (leftGroups.length === 0) return;
  await tx.query('UPDATE observed_group SET due_seq = due_seq + 1 WHERE deployment_id = $1 AND group_key = ANY($2::bytea[])', [
    run.deploymentId,
    leftGroups,
  ]);
}

/** Makes the groups of changed rows due, and the groups that link to changed rows of waking kinds. */
async function wakeGroups(tx: Transaction, run: RunHandle, changed: readonly PreparedRow[]): Promise<void> {
  if (changed.length === 0) return;
  const groups = new Map(changed.map((row) => [row.group.toString('latin1'), row]));
  await tx.query(
    `INSERT INTO observed_group AS g (deployment_id, integration, group_key, group_id)
     SELECT $1, t.* FROM unnest($2::smallint[], $3::bytea[], $4::text[]) AS t ORDER BY 3
     ON CONFLICT (deployment_id, integration, group_key) DO UPDATE SET due_seq = g.due_seq + 1`,
    [
      run.deploymentId,
      [...groups.values()].map((row) => row.familyId),
      [...groups.values()].map((row) => row.group),
      [...groups.values()].map((row) => row.record.group),
    ],
  );
  const waking = changed.filter((row) => kindsThatWakeGroups.has(row.record.kind));
  if (waking.length === 0) return;
  await tx.query(
    `UPDATE observed_group g SET due_seq = due_seq + 1 FROM (
       SELECT DISTINCT l.group_key FROM observed_link l JOIN unnest($2::smallint[], $3::bytea[]) AS t(kind, key) ON l.to_kind = t.kind AND l.to_key = t.key
       WHERE l.deployment_id = $1) AS woken
     WHERE g.deployment_id = $1 AND g.group_key = woken.group_key`,
    [run.deploymentId, waking.map((row) => row.kindId), waking.map((row) => row.key)],
  );
}

async function noteLinks(tx: Transaction, words: Words, run: RunHandle, changed: readonly PreparedRow[]): Promise<void> {
  const used = new Map<string, { kindId: number; key: Buffer; id: string }>();
  const wakers = new Map<string, { kindId: number; key: Buffer; group: Buffer }>();
  for (const row of changed) {
    for (const link of row.record.links ?? []) {
      const kindId = await words.idOf(link.kind);
      const key = observedKey(link.kind, link.id);
      const name = `${kindId}/${key.toString('latin1')}`;
      used.set(name, { kindId, key, id: link.id });
      if (kindsThatWakeGroups.has(link.kind)) wakers.set(`${name}/${row.group.toString('latin1')}`, { kindId, key, group: row.group });
    }
  }
  if (used.size === 0) return;
  const keys = [...used.values()];
  await tx.query(
    `INSERT INTO used_key (deployment_id, kind, key, id) SELECT $1, t.* FROM unnest($2::smallint[], $3::bytea[], $4::text[]) AS t ORDER BY 2, 3 ON CONFLICT DO NOTHING`,
    [run.deploymentId, keys.map((k) => k.kindId), keys.map((k) => k.key), keys.map((k) => k.id)],
  );
  const links = [...wakers.values()];
  await tx.query(
    `INSERT INTO observed_link (deployment_id, to_kind, to_key, group_key) SELECT $1, t.* FROM unnest($2::smallint[], $3::bytea[], $4::bytea[]) AS t ORDER BY 2, 3, 4 ON CONFLICT DO NOTHING`,
    [run.deploymentId, links.map((l) => l.kindId), links.map((l) => l.key), links.map((l) => l.group)],
  );
}

async function noteAbsent(tx: Transaction, words: Words, run: RunHandle, page: PageToCommit): Promise<void> {
  if (!page.absentKeys || page.absentKeys.ids.length === 0) return;
  const { kind, ids } = page.absentKeys;
  await tx.query('UPDATE used_key SET absent_in_run = $4 WHERE deployment_id = $1 AND kind = $2 AND key = ANY($3::bytea[])', [
    run.deploymentId,
    await words.idOf(kind),
    ids.map((id) => observedKey(kind, id)),
    run.runId,
  ]);
}

async function writeQuarantine(tx: Transaction, run: RunHandle, claim: ClaimedScan, pageNo: number, page: PageToCommit): Promise<void> {
  const rows: { rowNo: number; id: string | null; because: string }[] = [];
  for (const [rowNo, one] of page.outcomes.entries()) {
    if (one.outcome === 'quarantined' && rows.length < quarantineRowsPerPage)
      rows.push({ rowNo, id: one.id ?? null, because: one.because });
  }
  if (rows.length === 0) return;
  await tx.query(
    `INSERT INTO quarantine (run_id, scan_id, attempt, page_no, integration, read_name, row_no, row_id, because)
     SELECT $1, s.scan_id, $3, $4, s.integration, s.read_name, t.* FROM scan s, unnest($5::integer[], $6::text[], $7::text[]) AS t WHERE s.scan_id = $2`,
    [run.runId, claim.scanId, claim.attempt, pageNo, rows.map((r) => r.rowNo), rows.map((r) => r.id), rows.map((r) => r.because)],
  );
}

/**
 * Keys of a kind that observed records use, after `afterId`, in id order. `missing`: only those that no scan of this run
 * has brought and that were not found absent in this run.
 */
export async function nextUsedKeys(
  database: Database,
  words: Words,
  run: RunHandle,
  selection: { readonly kind: ObservedKind; readonly which: 'all' | 'missing' },
  readNames: readonly string[],
  afterId: string,
  limit: number,
): Promise<string[]> {
  const kindId = await words.idOf(selection.kind);
  const rows = await database.query<{ id: string }>(
    `SELECT u.id FROM used_key u WHERE u.deployment_id = $1 AND u.kind = $2 AND u.id > $3 COLLATE "C"
       AND ($4 OR (u.absent_in_run IS DISTINCT FROM $5 AND u.key NOT IN (
         SELECT unpack_digests(p.digests) FROM scan s JOIN scan_page p ON p.scan_id = s.scan_id AND p.attempt = s.attempt
         WHERE s.run_id = $5 AND s.read_name = ANY($6::text[]))))
     ORDER BY u.id COLLATE "C" LIMIT $7`,
    [run.deploymentId, kindId, afterId, selection.which === 'all', run.runId, readNames, limit],
  );
  return rows.map((row) => row.id);
}

/** How many keys of a kind are in use although this run's single GETs did not find them. */
export async function countAbsentKeys(database: Database, words: Words, run: RunHandle, kind: ObservedKind): Promise<number> {
  const [row] = await database.query<{ n: string }>(
    'SELECT count(*) AS n FROM used_key WHERE deployment_id = $1 AND kind = $2 AND absent_in_run = $3',
    [run.deploymentId, await words.idOf(kind), run.runId],
  );
  return Number(row?.n ?? 0);
}
