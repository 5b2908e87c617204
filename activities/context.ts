import type { AzureClients, TokenSource } from '../src/azure/index.ts';
import type { Configuration, DeploymentSettings } from '../src/config/index.ts';
import type { Ledger, RunHandle } from '../src/ledger/index.ts';
import type { Clock } from '../src/observability/clock.ts';
import type { Failpoints } from '../src/observability/failpoints.ts';
import type { Logger } from '../src/observability/logger.ts';
import type { Gate } from '../src/model.ts';
import type { BatchPaces, ServiceNowClient } from '../src/servicenow/index.ts';
import type { InstanceModel } from './instance-model.ts';

/** Everything the activities are given once, by the worker: no activity makes its own connection. */
export interface ActivityContext {
  readonly config: Configuration;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly failpoint: Failpoints;
  /** Settings of a configured deployment. @throws SyncError `usage` when the configuration does not name it */
  readonly deployment: (name: string) => DeploymentSettings;
  /** Clients whose every request passes the gate of this run. */
  readonly clientsOf: (run: RunHandle) => Promise<DeploymentClients>;
  /** The same before the instance's tables are known: for checks that must work when nothing else does. */
  readonly bareClientsOf: (run: RunHandle) => Promise<DeploymentClients>;
  /** How many records a Batch request carries, by what this process has measured. */
  readonly batchPaces: BatchPaces;
  /** Tables (with their definition) whose first record this process knows to be noted for reading again. */
  readonly readBacksNoted: Set<string>;
  /** `<run>/<table>` of tables that took a new record in that run, as far as this process knows. */
  readonly createsTaken: Set<string>;
  /** What the instance has: tables, columns, choices. Read once per run and process. */
  readonly instanceModelOf: (run: RunHandle) => Promise<InstanceModel>;
}

export interface DeploymentClients {
  readonly azure: AzureClients;
  readonly tokens: TokenSource;
  /** The gate that Azure requests pass, for token requests made by themselves. */
  readonly azureGate: Gate;
  readonly serviceNow: ServiceNowClient;
}
