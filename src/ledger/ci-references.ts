import type { Transaction } from './database.ts';
import { ciStageKey, stageKey } from './desired.ts';
import type { RunHandle } from './runs.ts';
import type { IntegrationName, SysId } from '../model.ts';

interface ReferringGroup {
  readonly deployment_id: number;
  readonly group_key: Buffer;
  readonly ci_sys_id: string | null;
  readonly integration: string;
}

/**
 * Makes every record that refers to one of these CIs due again, in all deployments of the instance: a reference is kept by the CI's
 * key, so its content is the same although it means another record now. Called in the transaction that changes the CI.
 */
export async function republishReferences(tx: Transaction, run: RunHandle, ciKeys: readonly Buffer[]): Promise<void> {
  if (ciKeys.length === 0) return;
  const groups = await tx.query<ReferringGroup>(
    `SELECT g.deployment_id, g.group_key, g.ci_sys_id, w.word AS integration FROM observed_group g
     JOIN deployment d USING (deployment_id) JOIN word w ON w.word_id = g.integration
     WHERE g.ci_key = ANY($2::bytea[]) AND d.instance_id = $1`,
    [run.instanceId, ciKeys],
  );
  const owners = groups.rows.flatMap((row) => [
    { deploymentId: row.deployment_id, key: stageKey('group', row.group_key) },
    ...(row.ci_sys_id === null
      ? []
      : [{ deploymentId: row.deployment_id, key: ciStageKey(row.integration as IntegrationName, row.ci_sys_id as SysId) }]),
  ]);
  // One that somebody is writing in this moment is taken from them: what they send points at the CI of before, and would pass for published.
  await tx.query(
    `UPDATE record r SET published = NULL, claim_token = NULL, claim_deployment = NULL, claim_until = NULL FROM (
       SELECT DISTINCT o.instance_id, o.table_id, o.key FROM unnest($2::integer[], $3::bytea[]) AS t(deployment_id, group_key)
       JOIN record_owner o ON o.deployment_id = t.deployment_id AND o.group_key = t.group_key AND o.gone_at IS NULL
       WHERE o.instance_id = $1 AND o.fields::text LIKE '%{"ci": %') AS referring
     WHERE r.instance_id = referring.instance_id AND r.table_id = referring.table_id AND r.key = referring.key AND (r.published IS NOT NULL OR r.claim_token IS NOT NULL)`,
    [run.instanceId, owners.map((owner) => owner.deploymentId), owners.map((owner) => owner.key)],
  );
  // What stays on the CI that was left has to be derived without what went.
  await tx.query(
    `UPDATE observed_group g SET ci_derived_seq = g.derived_seq - 1 FROM deployment d
     WHERE d.deployment_id = g.deployment_id AND d.instance_id = $1 AND g.ci_sys_id = ANY($2::text[]) AND NOT g.ci_key = ANY($3::bytea[])
       AND g.ci_derived_seq >= g.derived_seq`,
    [run.instanceId, [...new Set(groups.rows.flatMap((row) => row.ci_sys_id ?? []))], ciKeys],
  );
}
