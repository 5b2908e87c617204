/** Who saw a resource: what was observed, and in which scans (the manifests of the newest runs say). */
import type { Database } from './database.ts';
import type { StoryGroup } from './story.ts';
import type { JsonObject, ScanState, Scope } from '../model.ts';

/** One observed row about the resource. */
export interface ObservedAs {
  readonly kind: string;
  readonly id: string;
  readonly body: JsonObject;
  /** Why it makes no record on the instance. */
  readonly excluded: string | null;
  /** When its content last changed. */
  readonly changedAt: string;
}

/** A scan of the lists in which the resource was seen. */
export interface ScanStory {
  readonly run: string;
  readonly readName: string;
  readonly scope: Scope;
  readonly state: ScanState;
  readonly because: string | null;
  readonly endedAt: string | null;
  /** How many of the resource's rows were in it. */
  readonly rows: number;
}

export interface Sighting {
  readonly deployment: string;
  /** Null where the ledger is older than the memory of it. */
  readonly firstSeenAt: string | null;
  /** End of the newest scan that had it; null when none of the kept scans did. */
  readonly lastSeenAt: string | null;
  readonly observed: readonly ObservedAs[];
  /** Of the newest runs, newest first; a scan of a list that had it before and has it no longer is there with 0 rows. */
  readonly scans: readonly ScanStory[];
}

export interface Quarantined {
  readonly deployment: string;
  readonly run: string;
  readonly readName: string;
  readonly rowId: string;
  readonly because: string;
}

/** More rows of one resource than this are not a story any more. */
const rowsShown = 5_000;
const quarantinedShown = 50;

/** @param groups in the order of the deployments */
export async function readSightings(database: Database, groups: readonly StoryGroup[]): Promise<Sighting[]> {
  const byDeployment = new Map<number, StoryGroup[]>();
  for (const group of groups) byDeployment.set(group.deploymentId, [...(byDeployment.get(group.deploymentId) ?? []), group]);
  const sightings: Sighting[] = [];
  for (const own of byDeployment.values()) sightings.push(await sightingOf(database, own));
  return sightings;
}

async function sightingOf(database: Database, groups: readonly StoryGroup[]): Promise<Sighting> {
  const [first] = groups;
  const deploymentId = first?.deploymentId ?? 0;
  const rows = await database.query<{ kind: string; key: Buffer; id: string; body: JsonObject; excluded: string | null; changed_at: Date }>(
    `SELECT w.word AS kind, o.key, o.id, o.body, o.excluded, o.changed_at FROM observed o JOIN word w ON w.word_id = o.kind
     WHERE o.deployment_id = $1 AND o.group_key = ANY($2::bytea[]) ORDER BY w.word, o.id COLLATE "C" LIMIT $3`,
    [deploymentId, groups.map((group) => group.groupKey), rowsShown],
  );
  const keys = rows.map((row) => row.key);
  const scans = await readScans(database, deploymentId, [...new Set(groups.map(({ integration }) => integration))], keys);
  const firsts = groups.flatMap(({ firstSeenAt }) => firstSeenAt ?? []).sort((left, right) => left.getTime() - right.getTime());
  return {
    deployment: first?.deployment ?? '',
    firstSeenAt: firsts[0]?.toISOString() ?? null,
    lastSeenAt: scans.find((scan) => scan.rows > 0 && scan.endedAt !== null)?.endedAt ?? null,
    observed: rows.map(({ kind, id, body, excluded, changed_at }) => ({ kind, id, body, excluded, changedAt: changed_at.toISOString() })),
    scans,
  };
}

interface ScanRow {
  run_id: string;
  read_name: string;
  scope_kind: Scope['kind'];
  scope_id: string;
  state: ScanState;
  because: string | null;
  ended_at: Date | null;
  rows: string;
}

/** The kept scans whose list had one of these rows in any of them. */
async function readScans(
  database: Database,
  deploymentId: number,
  integrations: readonly string[],
  keys: readonly Buffer[],
): Promise<ScanStory[]> {
  if (keys.length === 0) return [];
  const rows = await database.query<ScanRow>(
    `WITH seen AS (
       SELECT s.scan_id, s.run_id, s.read_name, s.scope_kind, s.scope_id, s.state, s.because, s.ended_at,
         (SELECT count(DISTINCT d) FROM scan_page p, unpack_digests(p.digests) AS d
          WHERE p.scan_id = s.scan_id AND p.attempt = s.attempt AND d = ANY($3::bytea[])) AS rows
       FROM scan s WHERE s.deployment_id = $1 AND s.integration = ANY($2::text[]))
     SELECT * FROM seen WHERE EXISTS (
       SELECT 1 FROM seen o WHERE o.read_name = seen.read_name AND o.scope_kind = seen.scope_kind AND o.scope_id = seen.scope_id AND o.rows > 0)
     ORDER BY scan_id DESC`,
    [deploymentId, integrations, keys],
  );
  return rows.map((row) => ({
    run: row.run_id,
    readName: row.read_name,
    scope: { kind: row.scope_kind, id: row.scope_id },
    state: row.state,
    because: row.because,
    endedAt: row.ended_at?.toISOString() ?? null,
    rows: Number(row.rows),
  }));
}

/** Rows about the resource that could not be used, of the newest run of each deployment that has any. */
export async function readQuarantined(database: Database, instanceId: number, ids: readonly string[]): Promise<Quarantined[]> {
  const rows = await database.query<{ name: string; run_id: string; read_name: string; row_id: string; because: string }>(
    `SELECT d.name, r.run_id, q.read_name, q.row_id, q.because
     FROM quarantine q JOIN run r USING (run_id) JOIN deployment d USING (deployment_id)
     WHERE d.instance_id = $1 AND EXISTS (
         SELECT 1 FROM unnest($2::text[]) AS t(id) WHERE lower(q.row_id) = t.id OR starts_with(lower(q.row_id), t.id || '/'))
       AND r.run_id = (SELECT n.run_id FROM run n WHERE n.deployment_id = d.deployment_id AND n.mode <> 'reconcile' ORDER BY n.started_at DESC LIMIT 1)
     ORDER BY d.position, q.quarantine_id LIMIT $3`,
    [instanceId, ids, quarantinedShown],
  );
  return rows.map((row) => ({
    deployment: row.name,
    run: row.run_id,
    readName: row.read_name,
    rowId: row.row_id,
    because: row.because,
  }));
}
