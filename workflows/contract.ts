/**
 * All that clients, schedules, workers and workflows share: names, ids, inputs, results, search attributes.
 * A leaf: imports nothing but Temporal's own definitions, so that the workflow bundle and every client can have it.
 */
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** The workflow types, by the names under which Temporal knows them. */
export const workflowTypes = {
  syncDeployment: 'syncDeployment',
  runIntegration: 'runIntegration',
  dispatch: 'dispatch',
} as const;

export const defaultTaskQueue = 'defender-sync';

/** In the order in which they must run. The same five as src/model.ts; repeated because workflows import nothing from src. */
export const integrationOrder = ['policies', 'metadata', 'standards', 'assessments', 'container-images'] as const;
export type IntegrationName = (typeof integrationOrder)[number];

export type RunMode = 'sync' | 'plan';
export type RunOutcome = 'succeeded' | 'degraded' | 'failed' | 'parked' | 'cancelled';

// ------------------------------------------------------------------------------------------------------------------ ids

/** The lock: one workflow of this id can be open at a time, whoever starts it. */
export function syncWorkflowId(deployment: string): string {
  return `sync/${deployment}`;
}

/** `sync/<deployment>/<1–5>-<integration>`. */
export function integrationWorkflowId(deployment: string, integration: IntegrationName): string {
  return `sync/${deployment}/${integrationOrder.indexOf(integration) + 1}-${integration}`;
}

/** What a Schedule starts; Temporal appends the scheduled time to it. */
export function dispatchWorkflowId(deployment: string): string {
  return `dispatch/${deployment}`;
}

export function scheduleId(deployment: string): string {
  return `${scheduleIdPrefix}${deployment}`;
}
export const scheduleIdPrefix = 'defender-sync/';

// ------------------------------------------------------------------------------------------------- inputs and results

/** Memo of a sync workflow: what an already running one is compared with before a client attaches to it. */
export interface SyncMemo {
  readonly mode: RunMode;
  readonly planId: string | null;
}

export interface SyncInput {
  readonly deployment: string;
  readonly mode: RunMode;
  /** Set only when a stored plan is applied. */
  readonly planId: string | null;
  /** Who asked: `cli`, `schedule`, `script`. */
  readonly startedBy: string;
}

/** One line for the Web UI, as a run's static summary. */
export function syncSummary({ deployment, mode, startedBy }: SyncInput): string {
  return `${mode === 'plan' ? 'Plan' : 'Sync'} ${deployment} (${startedBy})`;
}

/** Markdown for the Web UI, as a run's static details: what such a run is, for someone who never saw one. */
export function syncDetails(deployment: string): string {
  return [
    `Reads **${deployment}** from Microsoft Defender for Cloud and makes ServiceNow equal to it, where they differ.`,
    'The five integrations run in order, one child workflow each; the report is kept in the ledger (`defender-sync report`).',
  ].join('\n\n');
}

/** What every activity of a run is handed: ids only. */
export interface RunRef {
  readonly deployment: string;
  readonly run: string;
  /** Rising number; an activity that holds an older one stops at its next ledger transaction or request. */
  readonly fence: number;
  readonly mode: RunMode;
}

export interface CheckFinding {
  /** Stable id, for example `entra.sign-in`. */
  readonly check: string;
  readonly verdict: 'ok' | 'warning' | 'blocking' | 'not-readable' | 'not-checked';
  readonly evidence: string;
  readonly remedy: string | null;
}

export interface IntegrationInput {
  readonly run: RunRef;
  readonly integration: IntegrationName;
}

export interface IntegrationResult {
  readonly integration: IntegrationName;
  readonly outcome: 'succeeded' | 'degraded' | 'failed' | 'not-run';
  readonly because: string | null;
  readonly scopes: { readonly complete: number; readonly partial: number; readonly failed: number; readonly notApplicable: number };
  readonly read: number;
  readonly created: number;
  readonly updated: number;
  readonly parked: number;
}

export interface SyncResult {
  readonly deployment: string;
  readonly run: string;
  readonly outcome: RunOutcome;
  readonly because: string | null;
  readonly integrations: readonly IntegrationResult[];
}

export interface DispatchInput {
  readonly deployment: string;
}

export type DispatchResult =
  | { readonly dispatched: 'started'; readonly workflowId: string }
  | { readonly dispatched: 'already-running'; readonly workflowId: string; readonly because: string };

// ------------------------------------------------------------------------------------------------------ search attributes

export const searchAttributes = {
  deployment: defineSearchAttributeKey('DefenderSyncDeployment', SearchAttributeType.KEYWORD),
  phase: defineSearchAttributeKey('DefenderSyncPhase', SearchAttributeType.KEYWORD),
  outcome: defineSearchAttributeKey('DefenderSyncOutcome', SearchAttributeType.KEYWORD),
  /** Check ids that block a run, within {@link blockedByLimits}. */
  blockedBy: defineSearchAttributeKey('DefenderSyncBlockedBy', SearchAttributeType.KEYWORD_LIST),
} as const;

/** What a KeywordList holds: more fails the workflow itself and releases its id (measured: 2,071 bytes did, temporal.md §8). */
export const blockedByLimits = { values: 20, bytesPerValue: 255, bytes: 1_900 } as const;
