import type { DeploymentName, DesiredRecord, IntegrationName } from '../src/model.ts';
import { integrationNames } from '../src/model.ts';

/**
 * The engine's own records on the instance (design §5): one integration (shared by all deployments), one integration
 * instance per deployment, five inactive, scriptless, on-demand integration records per deployment, and one run record per
 * run and integration. They go through the ledger like everything else, so that a crash leaves no doubles.
 */
export const engineTables = ['sn_sec_int_integration', 'sn_sec_int_impl', 'sn_vul_integration'] as const;
export const runRecordTable = 'sn_vul_integration_run';

const integrationKey = 'defender-sync';
/** Name of the engine's own integration on the instance. */
export const integrationName = 'defender-sync';

/** Natural key of a deployment's integration instance. */
export function integrationInstanceKey(deployment: DeploymentName): string {
  return `defender-sync/${deployment}`;
}

/** The deployment whose integration instance has this key; undefined for keys that are none of ours. */
export function deploymentOfInstanceKey(key: string): string | undefined {
  return /^defender-sync\/(.+)$/.exec(key)?.[1];
}

export function integrationRecordKey(deployment: DeploymentName, integration: IntegrationName): string {
  return `${integrationInstanceKey(deployment)}/${integration}`;
}

const labels: Readonly<Record<IntegrationName, string>> = {
  policies: 'Policy Definitions',
  metadata: 'Assessment Metadata',
  standards: 'Compliance Standards & Controls',
  assessments: 'Assessments',
  'container-images': 'Container Image Vulnerabilities',
};

/**
 * @param runAsSysId sys_id of the user that the integration records run as (VR.System)
 * @param ledgerId says whose records these are; a second ledger on the same instance is refused by preflight
 */
export function engineRecords(deployment: DeploymentName, runAsSysId: string, ledgerId: string): DesiredRecord[] {
  const integration = { record: { table: 'sn_sec_int_integration', key: integrationKey } };
  const instance = { record: { table: 'sn_sec_int_impl', key: integrationInstanceKey(deployment) } };
  return [
    {
      table: 'sn_sec_int_integration',
      key: integrationKey,
      fields: {
        name: integrationName,
        id: integrationKey,
        short_description: 'Microsoft Defender for Cloud, kept true by defender-sync',
        description: `Ledger ${ledgerId}`,
      },
    },
    {
      table: 'sn_sec_int_impl',
      key: integrationInstanceKey(deployment),
      fields: { name: `defender-sync ${deployment}`, integration, active: true },
    },
    ...integrationNames.map((name): DesiredRecord => ({
      table: 'sn_vul_integration',
      key: integrationRecordKey(deployment, name),
      fields: {
        name: `defender-sync ${deployment}: ${labels[name]}`,
        integration,
        instance,
        // ServiceNow itself must never start these: the engine is the one writer.
        active: false,
        run_type: 'on_demand',
        run_as: runAsSysId,
      },
    })),
  ];
}

/** The record of one integration of one run, written once at its end. */
export function runRecord(facts: {
  readonly deployment: DeploymentName;
  readonly integration: IntegrationName;
  readonly runId: string;
  readonly sequence: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly succeeded: boolean;
  readonly notes: string;
  readonly source: string;
}): DesiredRecord {
  return {
    table: runRecordTable,
    key: `${facts.runId}/${facts.integration}`,
    fields: {
      integration: { record: { table: 'sn_vul_integration', key: integrationRecordKey(facts.deployment, facts.integration) } },
      implementation: { record: { table: 'sn_sec_int_impl', key: integrationInstanceKey(facts.deployment) } },
      source: facts.source,
      state: 'complete',
      substate: facts.succeeded ? 'success' : 'failed',
      start_datetime: facts.startedAt,
      end_datetime: facts.endedAt,
      notes: `defender-sync run ${facts.runId}, integration ${facts.integration}, ledger sequence ${facts.sequence}. ${facts.notes}`,
    },
  };
}
