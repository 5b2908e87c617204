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
  reconcileCis: 'reconcileCis',
  holdDeployment: 'holdDeployment',
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

/** One reconcile of a list of pairs at a time, and one that takes a reconcile back. */
export function reconcileWorkflowId(request: ReconcileRequest): string {
  return request.type === 'apply' ? `cis-reconcile/${request.setId}` : `cis-reconcile/undo/${request.reconcileId}`;
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
  /** Set by a parked run alone, when its history has grown long and it goes on under a new one. */
  readonly resume?: ParkedRun;
}

/** Where a parked run stands: all that it takes along when it continues as new. */
export interface ParkedRun {
  readonly run: RunRef;
  /** Integrations that are done. */
  readonly results: readonly IntegrationResult[];
  /** The integration that waits, and how often it was started; absent when preflight has not passed yet. */
  readonly blocked?: {
    readonly because: string;
    readonly attempt: number;
    readonly integration: IntegrationName;
    /** Of its first refusal, in milliseconds since the epoch. */
    readonly refusedSinceMs?: number;
  };
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** What a run answers while it is parked: names of an update and a query. */
export const parkMessages = { recheck: 'recheck', parked: 'parked' } as const;

/** Why a run waits; the answer of the query `parked`, null while it does not. */
export interface ParkedState {
  readonly sinceMs: number;
  readonly nextCheckAtMs: number;
  readonly blocking: readonly CheckFinding[];
}

/** What a check on demand found; the answer of the update `recheck`. */
export type RecheckResult =
  { readonly outcome: 'goes-on' } | { readonly outcome: 'still-parked' | 'given-up'; readonly blocking: readonly CheckFinding[] };

/** How long a run waits for a person, and how often it looks by itself. */
export interface ParkSettings {
  readonly recheckEveryMs: number;
  readonly giveUpAfterMs: number;
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
  /** Stable word for what was found; absent in what runs of older versions found, as the next two are. */
  readonly cause?: string;
  readonly evidence: string;
  /** What a run does about it. */
  readonly follows?: string | null;
  /** Who can do what the remedy says. */
  readonly fixedBy?: string | null;
  readonly remedy: string | null;
}

export interface IntegrationInput {
  readonly run: RunRef;
  readonly integration: IntegrationName;
  /** 2 and more: it goes on after waiting for a person. Default 1. */
  readonly attempt?: number;
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

/** How the workflow of one integration ends: `blocked` needs a person first, and nothing of it is recorded yet. */
export type IntegrationEnd = IntegrationResult | BlockedIntegration;

export interface BlockedIntegration {
  readonly integration: IntegrationName;
  readonly outcome: 'blocked';
  readonly because: string;
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

// ------------------------------------------------------------------------------------------------------------- reconcile

/** What is to be re-pointed: the pairs of a list (or the one of a resource), as they were shown; or a reconcile is taken back. */
export type ReconcileRequest =
  | { readonly type: 'apply'; readonly setId: string; readonly only: string | null }
  | { readonly type: 'undo'; readonly reconcileId: string };

export interface ReconcileInput {
  readonly request: ReconcileRequest;
  /** Who asked: `cli`, `script`. */
  readonly startedBy: string;
}

/** Memo of a reconcile, and of the locks that it holds: what somebody who meets one of them is told. */
export interface ReconcileMemo {
  readonly mode: 'reconcile';
  /** The list of pairs, or the reconcile that is taken back. */
  readonly planId: string;
  readonly only: string | null;
}

export function reconcileMemo(request: ReconcileRequest): ReconcileMemo {
  if (request.type === 'undo') return { mode: 'reconcile', planId: request.reconcileId, only: null };
  return { mode: 'reconcile', planId: request.setId, only: request.only };
}

export function reconcileSummary(request: ReconcileRequest): string {
  if (request.type === 'undo') return `Undo reconcile ${request.reconcileId}`;
  return `Reconcile pairs ${request.setId}${request.only === null ? '' : ' (one of them)'}`;
}

/** One deployment's part in a reconcile: the run under which its records are written, and the fence that it holds. */
export interface ReconcileRun {
  readonly deployment: string;
  readonly run: string;
  readonly fence: number;
}

export interface ReconcileRef {
  readonly reconcile: string;
  /** In configured order. */
  readonly runs: readonly ReconcileRun[];
  readonly undo: boolean;
}

export interface ReconcileCounts {
  /** Pairs whose items point at the other CI now; were there before; were refused, because something changed; failed on the way. */
  readonly moved: number;
  readonly unchanged: number;
  readonly refused: number;
  readonly parked: number;
  /** Records that the engine re-pointed, and results that are left to the platform. */
  readonly items: number;
  readonly results: number;
  readonly leftToPlatform: number;
}

export type ReconcileResult = ReconcileCounts & {
  /** Null when it was refused before it began. */
  readonly reconcile: string | null;
  readonly outcome: 'succeeded' | 'degraded' | 'failed' | 'refused' | 'cancelled';
  readonly because: string | null;
  readonly deployments: readonly string[];
  /** Workflow id of the lock that somebody else holds, where that is why it was refused. */
  readonly heldBy: string | null;
};

/** Told to a held lock when the work is done. */
export const releaseSignalName = 'release';

export interface HoldInput {
  readonly deployment: string;
  readonly request: ReconcileRequest;
}

// ------------------------------------------------------------------------------------------------------ search attributes

/** Value of {@link searchAttributes.phase} while a run waits for a person. */
export const phaseParked = 'parked';

export const searchAttributes = {
  deployment: defineSearchAttributeKey('DefenderSyncDeployment', SearchAttributeType.KEYWORD),
  phase: defineSearchAttributeKey('DefenderSyncPhase', SearchAttributeType.KEYWORD),
  outcome: defineSearchAttributeKey('DefenderSyncOutcome', SearchAttributeType.KEYWORD),
  /** Check ids that block a run, within {@link blockedByLimits}. */
  blockedBy: defineSearchAttributeKey('DefenderSyncBlockedBy', SearchAttributeType.KEYWORD_LIST),
} as const;

/** What a KeywordList holds: more fails the workflow itself and releases its id (measured: 2,071 bytes did, temporal.md §8). */
export const blockedByLimits = { values: 20, bytesPerValue: 255, bytes: 1_900 } as const;
