/** The words of preflight: what a check is handed, what it says, and how one is described in the catalogue. */
import type { ArmClient, AzureClients, TokenSource } from '../azure/index.ts';
import type { DeploymentSettings, ServiceNowSettings } from '../config/index.ts';
import type { RunScope } from '../ledger/index.ts';
import type { Gate, TableSpec } from '../model.ts';
import type { ServiceNowClient } from '../servicenow/index.ts';
import type { Facts } from './facts.ts';

/**
 * `ok`; `warning`: the run goes on, and this is worth knowing; `blocking`: the run would fail or do harm; `not-readable`: we may
 * not see what would answer it; `not-checked`: something that has to be right first is not.
 */
export type Verdict = 'ok' | 'warning' | 'blocking' | 'not-readable' | 'not-checked';

/** One sentence of one check. The same shape as `CheckFinding` of workflows/contract.ts. */
export interface Finding {
  /** Stable id of the check, for example `entra.sign-in`; checks per scope append the scope: `azure.read.<subscription id>`. */
  readonly check: string;
  readonly verdict: Verdict;
  /** What was seen. Never contains a secret. */
  readonly evidence: string;
  /** The exact steps that fix it, with the real ids; null where there is nothing to do. */
  readonly remedy: string | null;
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
  /** Identity of our ledger; without it nobody can say whether the instance's marks are ours. */
  readonly ledgerId?: string | undefined;
  /** Stands before token requests too, where given. */
  readonly gate?: Gate | undefined;
  /** Microsoft Graph by path: tells a permission added as Delegated from one without consent, where the application may read that. */
  readonly directory?: Pick<ArmClient, 'getPage'> | undefined;
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
  readonly evidence: string;
  readonly remedy: string | null;
  /** Appended to the check's id, for checks that speak of one scope at a time. */
  readonly about?: string;
}

export interface CheckContext extends Pick<
  PreflightInput,
  'deployment' | 'serviceNow' | 'clients' | 'tokens' | 'tableSpecs' | 'nowMs' | 'ledgerId' | 'gate' | 'directory'
> {
  /** Ends with the run, or when a check had to give up on something that may pass. */
  readonly signal: AbortSignal;
  /** What several checks look at, read once. */
  readonly facts: Facts;
}

/** One verification. Add it to a file of its area and to catalogue.ts. */
export interface Check {
  readonly id: string;
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
