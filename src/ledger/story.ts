/** The story of a resource: who saw it and as what, which CI it is, and what was written for it. Only reads; no worker is needed. */
import type { Database } from './database.ts';
import { ciKeyDigest } from './groups.ts';
import { groupKey } from './pages.ts';
import { readRecordStories, type RecordStory } from './story-records.ts';
import { readSightings, type Quarantined, type Sighting, readQuarantined } from './story-sightings.ts';
import type { Words } from './words.ts';
import type { CiIdentity, CiKey, CiMatch, IntegrationName, SysId } from '../model.ts';

/** What a person asked for, normalised (src/inventory). */
export interface ResourceName {
  readonly ciKey: CiKey;
  /** Normal forms under which it may have been observed: the resource id, for an image also `sha256:<hex>`. */
  readonly ids: readonly string[];
}

/** The CI that a resource is now. */
export interface CiStory {
  readonly key: CiKey;
  readonly identity: CiIdentity;
  readonly state: 'wanted' | 'resolved' | 'parked';
  readonly sysId: SysId | null;
  readonly className: string | null;
  readonly match: CiMatch | null;
  readonly createdByEngine: boolean;
  /** Why it is parked, or tried again. */
  readonly reason: string | null;
  /** Oldest first. */
  readonly history: readonly MatchEvent[];
  /** Other resources that are the same CI on the instance; the first ten ids. */
  readonly alsoStandsFor: { readonly count: number; readonly ids: readonly string[] };
}

/** One change of which CI a resource is. */
export interface MatchEvent {
  readonly at: string;
  readonly deployment: string;
  readonly run: string;
  readonly what: 'matched' | 'parked' | 'reconciled' | 'put-back';
  readonly sysId: SysId | null;
  readonly className: string | null;
  readonly match: CiMatch | null;
  /** The rule, the discovered item, what the identification engine did; the reason of a parked one. */
  readonly evidence: string | null;
}

export interface ResourceStory {
  readonly ids: readonly string[];
  readonly ci: CiStory | null;
  /** One per deployment that sees or saw it, in configured order. */
  readonly seenBy: readonly Sighting[];
  readonly records: readonly RecordStory[];
  readonly quarantined: readonly Quarantined[];
}

/** A group of observed records that belongs to the resource. */
export interface StoryGroup {
  readonly deployment: string;
  readonly deploymentId: number;
  readonly integration: IntegrationName;
  readonly groupKey: Buffer;
  readonly groupId: string;
  readonly firstSeenAt: Date | null;
}

const integrationsOfResources = ['assessments', 'container-images'] as const;

/** Everything that the ledger knows of a resource; undefined when it has never heard of it. */
export async function readStory(
  database: Database,
  words: Words,
  instanceUrl: string,
  name: ResourceName,
): Promise<ResourceStory | undefined> {
  const [instance] = await database.query<{ instance_id: number }>('SELECT instance_id FROM instance WHERE url = $1', [instanceUrl]);
  if (!instance) return undefined;
  const instanceId = instance.instance_id;
  const groups = await readGroups(database, words, instanceId, name);
  const [ci, quarantined] = await Promise.all([readCi(database, instanceId, name.ciKey), readQuarantined(database, instanceId, name.ids)]);
  if (groups.length === 0 && ci === null && quarantined.length === 0) return undefined;
  const sysIds = new Set((ci?.history ?? []).flatMap(({ sysId }) => sysId ?? []));
  if (ci !== null && ci.sysId !== null) sysIds.add(ci.sysId);
  const ids = groups.length === 0 ? name.ids : [...new Set(groups.map(({ groupId }) => groupId))];
  const seenBy = await readSightings(database, groups);
  const tests = new Set(
    seenBy.flatMap(({ observed }) => observed.flatMap(({ body }) => (typeof body['test'] === 'string' ? [body['test']] : []))),
  );
  const alone = (ci?.alsoStandsFor.count ?? 0) > 0 ? { ids, tests } : undefined;
  return {
    ids,
    ci,
    seenBy,
    records: await readRecordStories(database, instanceId, { ciKey: name.ciKey, groups, sysIds: [...sysIds], alone }),
    quarantined,
  };
}

interface GroupRow {
  name: string;
  deployment_id: number;
  integration: IntegrationName;
  group_key: Buffer;
  group_id: string;
  first_seen_at: Date | null;
}

/** Groups that hang on the CI, and groups of that very id that ask for none. */
async function readGroups(database: Database, words: Words, instanceId: number, { ciKey, ids }: ResourceName): Promise<StoryGroup[]> {
  const named = integrationsOfResources.flatMap((integration) => ids.map((id) => ({ integration, key: groupKey(integration, id) })));
  const rows = await database.query<GroupRow>(
    `SELECT d.name, d.deployment_id, w.word AS integration, g.group_key, g.group_id, g.first_seen_at
     FROM deployment d JOIN observed_group g USING (deployment_id) JOIN word w ON w.word_id = g.integration
     WHERE d.instance_id = $1 AND (g.ci_key = $2 OR (g.integration, g.group_key) IN (SELECT * FROM unnest($3::smallint[], $4::bytea[])))
     ORDER BY d.position, d.deployment_id, g.integration, g.group_id`,
    [
      instanceId,
      ciKeyDigest(ciKey),
      await Promise.all(named.map(({ integration }) => words.idOf(integration))),
      named.map(({ key }) => key),
    ],
  );
  return rows.map((row) => ({
    deployment: row.name,
    deploymentId: row.deployment_id,
    integration: row.integration,
    groupKey: row.group_key,
    groupId: row.group_id,
    firstSeenAt: row.first_seen_at,
  }));
}

interface CiRow {
  key_text: CiKey;
  identity: CiIdentity;
  state: CiStory['state'];
  sys_id: SysId | null;
  class_name: string | null;
  match: CiMatch | null;
  created_by_engine: boolean;
  reason: string | null;
}

async function readCi(database: Database, instanceId: number, ciKey: CiKey): Promise<CiStory | null> {
  const [row] = await database.query<CiRow>(
    'SELECT key_text, identity, state, sys_id, class_name, match, created_by_engine, reason FROM ci WHERE instance_id = $1 AND ci_key = $2',
    [instanceId, ciKeyDigest(ciKey)],
  );
  if (!row) return null;
  const others = await database.query<{ key_text: string; n: string }>(
    `SELECT key_text, count(*) OVER () AS n FROM ci WHERE instance_id = $1 AND sys_id = $2 AND ci_key <> $3 ORDER BY key_text LIMIT 10`,
    [instanceId, row.sys_id, ciKeyDigest(ciKey)],
  );
  return {
    key: row.key_text,
    identity: row.identity,
    state: row.state,
    sysId: row.sys_id,
    className: row.class_name,
    match: row.match,
    createdByEngine: row.created_by_engine,
    reason: row.reason,
    history: await readMatches(database, instanceId, ciKey),
    alsoStandsFor: { count: Number(others[0]?.n ?? 0), ids: others.map(({ key_text }) => key_text.replace(/^[a-z]+:/, '')) },
  };
}

async function readMatches(database: Database, instanceId: number, ciKey: CiKey): Promise<MatchEvent[]> {
  const rows = await database.query<{
    at: Date;
    name: string;
    run_id: string;
    what: MatchEvent['what'];
    sys_id: SysId | null;
    class_name: string | null;
    match: CiMatch | null;
    evidence: string | null;
  }>(
    `SELECT e.at, d.name, r.run_id, e.what, e.sys_id, e.class_name, e.match, e.evidence
     FROM ci_event e JOIN run r USING (run_no) JOIN deployment d USING (deployment_id)
     WHERE e.instance_id = $1 AND e.ci_key = $2 ORDER BY e.ci_event_id`,
    [instanceId, ciKeyDigest(ciKey)],
  );
  return rows.map((row) => ({
    at: row.at.toISOString(),
    deployment: row.name,
    run: row.run_id,
    what: row.what,
    sysId: row.sys_id,
    className: row.class_name,
    match: row.match,
    evidence: row.evidence,
  }));
}
