/**
 * The configuration as the rest of the engine sees it: validated, defaults filled in, paths absolute, durations in milliseconds,
 * secrets as {@link Secret}.
 */
import type { DeploymentName } from '../model.ts';
import type { Secret } from './secret.ts';

export interface Configuration {
  /** Absolute path of the file it was read from. */
  readonly file: string;
  /** Absolute path of the folder for local servers, caches and records of running processes. */
  readonly stateDir: string;
  readonly temporal: TemporalSettings;
  readonly ledger: LedgerSettings;
  readonly serviceNow: ServiceNowSettings;
  readonly park: ParkSettings;
  /** At least one. The order is the precedence for records that several deployments see (design §2). */
  readonly deployments: readonly DeploymentSettings[];
}

/** A run that a person has to help waits (design §4). */
export interface ParkSettings {
  /** How often it looks by itself whether it may go on. Default 300,000. */
  readonly recheckEveryMs: number;
  /** After so long it ends as `parked`, and the next run starts afresh. Default a week. */
  readonly giveUpAfterMs: number;
}

export interface TemporalSettings {
  /** `host:port`; undefined: a local development server in the state folder. */
  readonly address: string | undefined;
  readonly namespace: string;
  readonly taskQueue: string;
  /** undefined: plain TCP, unless an API key is given. */
  readonly tls: TlsSettings | undefined;
  readonly apiKey: Secret | undefined;
  /** Base URL of the Web UI without a trailing slash, only for what is printed. */
  readonly uiUrl: string | undefined;
}

/** All files are absolute paths of PEM files. */
export interface TlsSettings {
  readonly caFile: string | undefined;
  readonly certificateFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly serverName: string | undefined;
}

export interface LedgerSettings {
  /** A PostgreSQL URL; undefined: the embedded server in the state folder. */
  readonly url: Secret | undefined;
  /** How long the history of writes is kept, for `explain`. */
  readonly historyDays: number;
}

export type ServiceNowAuth =
  | { readonly type: 'client-credentials'; readonly clientId: string; readonly clientSecret: Secret }
  | {
      readonly type: 'password';
      readonly clientId: string;
      readonly clientSecret: Secret;
      readonly userName: string;
      readonly password: Secret;
    }
  | { readonly type: 'basic'; readonly userName: string; readonly password: Secret };

export interface ServiceNowSettings {
  /** Origin of the instance, no trailing slash: `https://acme.service-now.com`. */
  readonly url: string;
  readonly auth: ServiceNowAuth;
  /** Absolute path of a PEM file with further authorities to trust. */
  readonly caFile: string | undefined;
  /** `source` of all records; undefined: what the instance's records say, else "Microsoft Defender for Cloud". */
  readonly source: string | undefined;
  /** Choice of `discovery_source` that IRE is called with. */
  readonly dataSource: string;
  readonly runAs: { readonly mode: 'enforce' | 'report'; readonly user: string };
  /** Requests to the instance at a time, all workers together. */
  readonly concurrentRequests: number;
  readonly batchTransactionQuotaMs: number;
  readonly transactionQuotaMs: number;
  /** Added to the quota before a request without an outcome is looked up (design §2). */
  readonly settleMs: number;
  /** Value of `result` for NotApplicable assessments (mapping.md §4); undefined: existing records stay as they are. */
  readonly notApplicableResult: string | undefined;
  /** False: tags are not imported, whatever the instance's property says (docs/decisions/host-tags.md). */
  readonly hostTags: boolean;
}

export const azureClouds = ['public', 'usgovernment', 'custom'] as const;
export type AzureCloud = (typeof azureClouds)[number];

export type AzureCredential =
  | { readonly type: 'client-secret'; readonly clientSecret: Secret }
  /** Absolute path of a PEM file with certificate and private key. */
  | { readonly type: 'certificate'; readonly certificateFile: string }
  /** Absolute path of a file with a token of a federated identity provider, read at each use. */
  | { readonly type: 'federated-token'; readonly federatedTokenFile: string }
  | { readonly type: 'managed-identity' };

export interface AzureSettings {
  readonly cloud: AzureCloud;
  /** Entra, Azure Resource Manager, Microsoft Graph: origins without a trailing slash. */
  readonly authorityHost: string;
  readonly resourceManager: string;
  readonly graph: string;
  readonly caFile: string | undefined;
  readonly tenantId: string;
  /** Undefined only for a system-assigned managed identity. */
  readonly clientId: string | undefined;
  readonly credential: AzureCredential;
}

/** What of the tenant is synced. Ids in lower case, without duplicates, at least one. */
export type DeploymentScope =
  | { readonly type: 'subscriptions'; readonly subscriptions: readonly string[] }
  | { readonly type: 'management-groups'; readonly managementGroups: readonly string[] };

export interface ScheduleSettings {
  /** At least one. */
  readonly cron: readonly string[];
  /** IANA name. */
  readonly timeZone: string;
  readonly jitterMs: number;
  /** How late a missed start is still made up for; undefined: one interval of the schedule. */
  readonly catchUpMs: number | undefined;
  readonly paused: boolean;
}

export interface DeploymentSettings {
  readonly name: DeploymentName;
  /** Place in the configured order, from 0. */
  readonly precedence: number;
  readonly azure: AzureSettings;
  readonly scope: DeploymentScope;
  /** Whether incidents are read from Microsoft Graph, which needs a permission of its own. */
  readonly incidents: boolean;
  /** Whether the cloud still answers sub-assessments (mapping.md §5). */
  readonly subAssessments: boolean;
  /** Requests to this tenant at a time, all workers together. */
  readonly concurrentRequests: number;
  readonly schedule: ScheduleSettings | undefined;
}
