/** The words of preflight: what a check is handed, what it says, and how one is described in the catalogue. */
import type { ArmClient, AzureClients, TokenSource } from '../azure/index.ts';
import type { DeploymentSettings, ServiceNowSettings } from '../config/index.ts';
import type { LedgerMemory, LedgerProbe, RunScope } from '../ledger/index.ts';
import type { Gate, SysId, TableSpec } from '../model.ts';
import type { ServiceNowClient } from '../servicenow/index.ts';
import type { TemporalProbe } from '../temporal/probe.ts';
import type { Facts } from './facts.ts';

/**
 * `ok`; `warning`: the run goes on, and this is worth knowing; `blocking`: the run would fail or do harm; `not-readable`: we may
 * not see what would answer it; `not-checked`: something that has to be right first is not.
 */
export type Verdict = 'ok' | 'warning' | 'blocking' | 'not-readable' | 'not-checked';

/** The rows of the permissions page and of the catalogue, in the order in which they are reported. */
export const areas = [
  'Entra sign-in',
  'Graph permissions',
  'Azure RBAC',
  'Defender plan',
  'ServiceNow sign-in',
  'ServiceNow roles',
  'ServiceNow model',
  'ServiceNow write',
  'two writers',
  'run-as',
  'ledger, Temporal',
] as const;
export type Area = (typeof areas)[number];

/** One sentence of one check. The same shape as `CheckFinding` of workflows/contract.ts. */
export interface Finding {
  /** Stable id of the check, for example `entra.sign-in`; checks per scope append the scope: `azure.read.<subscription id>`. */
  readonly check: string;
  readonly verdict: Verdict;
  /** Stable word for what was found, for scripts: `delegated-only`, `secret-expired`; `ok` where nothing is wrong. */
  readonly cause: string;
  /** What was seen: claim, status, error code, roles, sys_id. Never contains a secret. */
  readonly evidence: string;
  /** What a run does about it as long as it is so; null where nothing is wrong. */
  readonly follows: string | null;
  /** Who can do what the remedy says; null where there is nothing to do. */
  readonly fixedBy: string | null;
  /** The exact steps that fix it, with the real ids; null where there is nothing to do. */
  readonly remedy: string | null;
}

/** The engine's own servers. What is left out is not asked about: within a run they answer, or there would be no run. */
export interface EngineProbes {
  readonly ledger?: LedgerProbe | undefined;
  /** Of a ledger that may not be readable, or may have no tables yet. */
  readonly memory?:
    | {
        /** Undefined when the ledger has no tables yet. */
        readonly read: () => Promise<LedgerMemory | undefined>;
        readonly isOwnRun: (runId: string) => Promise<boolean>;
      }
    | undefined;
  readonly temporal?: TemporalProbe | undefined;
}

export interface PreflightInput {
  readonly deployment: DeploymentSettings;
  readonly serviceNow: ServiceNowSettings;
  /** Every request of these already passes the gate. */
  readonly clients: { readonly azure: AzureClients; readonly serviceNow: ServiceNowClient };
  /** For the claims of the tokens: diagnosis only. */
  readonly tokens: TokenSource;
  /** What the engine writes (src/integrations/tables.ts). */
  readonly tableSpecs: readonly TableSpec[];
  readonly signal: AbortSignal;
  /** Called when a check begins, with its id. */
  readonly onCheck: (check: string) => void;
  readonly nowMs: () => number;
  /**
   * What becomes of trouble that may pass (throttling, no connection): a run tries the whole preflight again, which is the default;
   * a person who asks wants to see it beside everything else.
   */
  readonly passing?: 'retry' | 'report' | undefined;
  /** Identity of our ledger; without it nobody can say whether the instance's marks are ours. */
  readonly ledgerId?: string | undefined;
  /** What the ledger knows of the instance; without it checks go by what they see. */
  readonly known?: KnownToLedger | undefined;
  /** Stands before token requests too, where given. */
  readonly gate?: Gate | undefined;
  /** Microsoft Graph by path: tells a permission added as Delegated from one without consent, where the application may read that. */
  readonly directory?: Pick<ArmClient, 'getPage'> | undefined;
  /** The ledger and Temporal, where somebody asks about them. */
  readonly engine?: EngineProbes | undefined;
  /** Without it nobody can say whether attachments grow. */
  readonly attachmentLog?: AttachmentLog | undefined;
}

/** Attachments of data sources as earlier runs counted them: growth shows only over time. */
export interface AttachmentLog {
  /** sys_id of a data source → counts of earlier runs, the oldest first. */
  earlier(): Promise<ReadonlyMap<string, readonly number[]>>;
  /** Keeps the counts of this run; whoever asks without a run keeps nothing. */
  remember(counts: ReadonlyMap<string, number>): Promise<void>;
}

/** Asked only by checks that need it. */
export interface KnownToLedger {
  /** Records that the deployment wants on the instance, and CIs that are known there. */
  counts(): Promise<{ readonly records: number; readonly cis: number }>;
  /** A record that this engine wrote to the instance; undefined before the first run. */
  written(): Promise<{ readonly table: string; readonly sysId: SysId } | undefined>;
}

export interface PreflightResult {
  /** In the order of the catalogue. */
  readonly findings: readonly Finding[];
  /** What is to be read: subscriptions (those that are disabled left out) and management groups. */
  readonly scopes: readonly RunScope[];
}

/** What a check says: a finding whose id the catalogue knows. */
export interface Result {
  readonly verdict: Verdict;
  /** Stable word for what was found: {@link Finding.cause}. */
  readonly cause: string;
  readonly evidence: string;
  readonly remedy: string | null;
  /** Where the words of the check itself do not fit. */
  readonly follows?: string;
  readonly fixedBy?: string;
  /** Appended to the check's id, for checks that speak of one scope at a time. */
  readonly about?: string;
}

export interface CheckContext extends Pick<
  PreflightInput,
  | 'deployment'
  | 'serviceNow'
  | 'clients'
  | 'tokens'
  | 'tableSpecs'
  | 'nowMs'
  | 'ledgerId'
  | 'known'
  | 'gate'
  | 'directory'
  | 'passing'
  | 'engine'
  | 'attachmentLog'
> {
  /** Ends with the run, or when a check had to give up on something that may pass. */
  readonly signal: AbortSignal;
  /** What several checks look at, read once. */
  readonly facts: Facts;
}

/** Something that has to be granted, for the least that a feature needs (docs/permissions.md is made of these). */
export interface RequiredPermission {
  /** What does not work without it. */
  readonly feature: string;
  readonly system: 'Microsoft Graph' | 'Azure RBAC' | 'ServiceNow' | 'PostgreSQL' | 'Temporal';
  /** Its name, and its id where it has one: `Security Reader (39bc4728-…)`. */
  readonly permission: string;
  /** Where it has to be granted. */
  readonly where: string;
  /** Who can grant it, where that is somebody else than who puts the check right. */
  readonly grantedBy?: string;
}

/** One verification. Add it to a file of its area and to catalogue.ts. */
export interface Check {
  readonly id: string;
  readonly area: Area;
  /** The question that it answers, in a few words. */
  readonly question: string;
  /** Who can put it right, for results that do not say it themselves. */
  readonly fixedBy: string;
  /** What a run does, for results that do not say it themselves; the usual words stand in results.ts. */
  readonly follows?: Readonly<Partial<Record<Verdict, string>>>;
  /** The least that the features it speaks of need. */
  readonly permissions?: readonly RequiredPermission[];
  /**
   * Ids of checks that come first. If one of them is blocking or was not checked itself, this one is `not-checked`; a warning
   * or something not readable does not stop it.
   */
  readonly needs: readonly string[];
  /** False: nothing is said about it at all (a feature that is switched off). Default: always. */
  readonly applies?: (context: CheckContext) => boolean;
  /** Verdict when what it asks is forbidden or absent (default `blocking`); a wrong password is blocking everywhere. */
  readonly whenRefused?: 'blocking' | 'not-readable' | 'warning';
  /** At least one result. May throw SyncErrors: they become a result, but for those that may pass, which end the whole preflight. */
  readonly run: (context: CheckContext) => Promise<readonly Result[]>;
}
