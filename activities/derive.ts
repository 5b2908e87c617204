import type { IntegrationInput } from '../workflows/contract.ts';
import { integrationOf } from '../src/integrations/index.ts';
import { tableSpecs } from '../src/integrations/tables.ts';
import { mappingVersion } from '../src/integrations/mapping-version.ts';
import {
  commitDerivedCis,
  commitDerivedGroups,
  dueCis,
  dueGroups,
  loadGroups,
  loadKind,
  loadRecords,
  makeWholeGroupDue,
  noticeMappingVersion,
  openRun,
  lastChangeMs,
  wholeGroupDerivedAtMs,
  type DueCi,
  type Rename,
  type RunHandle,
} from '../src/ledger/index.ts';
import {
  integrationNames,
  type DeriveContext,
  type DesiredRecord,
  type Integration,
  type JsonObject,
  type ObservedGroup,
  type ObservedKind,
  type ResolvedCi,
} from '../src/model.ts';
import type { ActivityContext } from './context.ts';
import { integrationInstanceKey } from './engine-records.ts';
import type { Left } from './observe.ts';
import type { StepScope } from './run-step.ts';

/** Groups loaded, derived and committed at a time: bounds memory and the length of a transaction. */
const groupsAtATime = 500;
const cisAtATime = 500;
const removedTables = tableSpecs.flatMap(({ name, removedFrom }) =>
  removedFrom === undefined ? [] : [{ table: name, from: removedFrom }],
);
const tablesOfMany = tableSpecs.filter((spec) => spec.yieldedByMany === true).map((spec) => spec.name);

/** Every commit ends what it took up, so a used-up time box has got on. How much is left is nobody's question. */
const moreToDerive: Left = { left: 1, readyInMs: 0, advanced: true };
const nothingLeft: Left = { left: 0, readyInMs: 0, advanced: false };

/**
 * Derives what should exist from what was observed. Earlier integrations are included: a later one can bring records that
 * they derive (metadata fetched key by key because an assessment uses it).
 */
export async function derive(context: ActivityContext, input: IntegrationInput, step: StepScope): Promise<Left> {
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  for (const name of integrationNames.slice(0, integrationNames.indexOf(input.integration) + 1)) {
    if (await deriveIntegration(context, run, integrationOf(name), step)) return moreToDerive;
  }
  return nothingLeft;
}

/** Returns true when the time box ended before the groups did. */
async function deriveIntegration(context: ActivityContext, run: RunHandle, integration: Integration, step: StepScope): Promise<boolean> {
  const { database, words } = context.ledger;
  await noticeMappingVersion(database, words, run, integration.name, mappingVersion);
  await noticeRelatedChanges(context, run, integration);
  const sources = createSources(context, run, integration);
  let done = 0;
  for (;;) {
    const due = await dueGroups(database, words, run, integration.name, groupsAtATime);
    if (due.length === 0) return false;
    step.signal.throwIfAborted();
    if (step.timeIsUp()) return true;
    const groups = await loadGroups(database, words, run, due, integration.derivesFrom);
    const deriveContext = await sources.contextFor(groups);
    const byId = new Map(groups.map((group) => [group.group, group]));
    const derived = due.map((group) => ({
      group,
      derived: integration.derive(byId.get(group.groupId) ?? { group: group.groupId, records: [] }, deriveContext),
    }));
    await context.failpoint('derive.before-commit');
    await commitDerivedGroups(
      database,
      words,
      run,
      { integration: integration.name, ciOfGroup: integration.ciOfGroup, tablesOfMany },
      derived,
    );
    await context.failpoint('derive.after-commit');
    done += due.length;
    step.at({ integration: integration.name, groups: done });
  }
}

/** Whole-derived integrations look at other kinds in full: a change there makes them due. */
async function noticeRelatedChanges(context: ActivityContext, run: RunHandle, integration: Integration): Promise<void> {
  const { database, words } = context.ledger;
  if (integration.deriveForCi !== undefined || integration.relatedKinds.length === 0) return;
  const changedMs = await lastChangeMs(database, words, run, integration.relatedKinds);
  if (changedMs > (await wholeGroupDerivedAtMs(database, words, run, integration.name))) {
    await makeWholeGroupDue(database, words, run, integration.name);
  }
}

/** Derives discovered items and results for groups whose CI is known. */
export async function deriveForCis(context: ActivityContext, input: IntegrationInput, step: StepScope): Promise<Left> {
  const integration = integrationOf(input.integration);
  const { deriveForCi } = integration;
  if (!deriveForCi) return nothingLeft;
  const run = await openRun(context.ledger.database, input.run.run, input.run.fence);
  const { database, words } = context.ledger;
  const sources = createSources(context, run, integration);
  let done = 0;
  for (;;) {
    const due = await dueCis(database, words, run, integration.name, cisAtATime);
    if (due.length === 0) return nothingLeft;
    step.signal.throwIfAborted();
    if (step.timeIsUp()) return moreToDerive;
    const groups = await loadGroups(
      database,
      words,
      run,
      due.flatMap((one) => one.groups),
      integration.derivesFrom,
    );
    const deriveContext = await sources.contextFor(groups);
    const byId = new Map(groups.map((group) => [group.group, group]));
    const groupsOf = (wanted: DueCi['groups']): ObservedGroup[] =>
      wanted.map((group) => byId.get(group.groupId)).filter((group) => group !== undefined);
    const derived = due.map((one) => ({
      due: one,
      derived: deriveForCi(one.ci, groupsOf(one.groups), deriveContext),
      renames: renamesOf(one, (ci, wanted) => deriveForCi(ci, groupsOf(wanted), deriveContext).records),
    }));
    await context.failpoint('derive.before-commit');
    await commitDerivedCis(database, words, run, { integration: integration.name, tablesOfMany, removedTables }, derived);
    await context.failpoint('derive.after-commit');
    done += due.length;
    step.at({ integration: integration.name, cis: done });
  }
}

/**
 * Some records carry their CI in the natural key. When it became another one, the record of the old key is the record of the new
 * one: deriving the same groups for both CIs tells which is which. Otherwise a second open result would stand beside the first.
 */
export function renamesOf(
  { ci, groups }: DueCi,
  recordsFor: (ci: ResolvedCi, groups: DueCi['groups']) => readonly DesiredRecord[],
): Rename[] {
  const former = new Set(groups.flatMap((group) => group.formerSysId ?? []));
  return [...former].flatMap((sysId) => {
    const moved = groups.filter((group) => group.formerSysId === sysId);
    const after = recordsFor(ci, moved);
    return recordsFor({ ...ci, sysId }, moved).flatMap((before, index): Rename[] => {
      const now = after[index];
      return now === undefined || now.table !== before.table || now.key === before.key
        ? []
        : [{ table: before.table, from: before.key, to: now.key }];
    });
  });
}

interface Sources {
  contextFor(groups: readonly ObservedGroup[]): Promise<DeriveContext>;
}

/** Loads what a derivation may look at: small related kinds once, linked records per batch. */
function createSources(context: ActivityContext, run: RunHandle, integration: Integration): Sources {
  const { database, words } = context.ledger;
  const whole = new Map<ObservedKind, ReadonlyMap<string, JsonObject>>();
  return {
    async contextFor(groups) {
      for (const kind of integration.relatedKinds) {
        if (!whole.has(kind)) whole.set(kind, await loadKind(database, words, run, kind));
      }
      const instanceModel = await context.instanceModelOf(run);
      return {
        deployment: run.deployment,
        source: instanceModel.source,
        integrationInstanceKey: integrationInstanceKey(run.deployment),
        related: { ...Object.fromEntries(whole), ...(await linkedRecords(context, run, groups, whole)) },
        scannedAtMs: run.startedAtMs,
        notApplicableResult: context.config.serviceNow.notApplicableResult,
      };
    },
  };
}

async function linkedRecords(
  context: ActivityContext,
  run: RunHandle,
  groups: readonly ObservedGroup[],
  whole: ReadonlyMap<ObservedKind, unknown>,
): Promise<Partial<Record<ObservedKind, ReadonlyMap<string, JsonObject>>>> {
  const wanted = new Map<ObservedKind, Set<string>>();
  for (const group of groups) {
    for (const record of group.records) {
      for (const link of record.links ?? []) {
        if (whole.has(link.kind)) continue;
        const ids = wanted.get(link.kind) ?? new Set<string>();
        wanted.set(link.kind, ids.add(link.id));
      }
    }
  }
  const linked: Partial<Record<ObservedKind, ReadonlyMap<string, JsonObject>>> = {};
  for (const [kind, ids] of wanted) linked[kind] = await loadRecords(context.ledger.database, context.ledger.words, run, kind, [...ids]);
  return linked;
}
