import { newSysId } from '../store.ts';
import { checkLinks, linkHosts } from './dependency.ts';
import { findDuplicates } from './duplicates.ts';
import { identify, type Host } from './identify.ts';
import { messages, quoted } from './messages.ts';
import type { Payload, PayloadItem, PayloadRelation } from './payload.ts';
import { finalPlan, type IreCall, type ItemPlan, type PayloadPlan, type RelationPlan } from './plan-types.ts';
import { planClassChange } from './reclassify.ts';
import { planValues } from './reconcile.ts';
import { planSubs } from './sub-items.ts';
import { dataSourceError, insertIsBlocked, relationErrors, ruleErrors } from './validate.ts';

/** What the payload itself tells: is it well formed, what depends on what, what is there twice. Nothing is looked for yet. */
export function preparePayload(payload: Payload, call: IreCall): PayloadPlan {
  const plan: PayloadPlan = {
    items: payload.items.map((item) => emptyPlan(item)),
    relations: payload.relations.map((relation) => relationPlan(relation, call)),
    references: payload.references,
    refused: false,
  };
  const sourceError = dataSourceError(call.store, call.dataSource);
  if (sourceError !== undefined) {
    for (const item of plan.items) item.errors.push(sourceError);
    plan.refused = true;
  }
  return plan;
}

/** The second half, once stored partial payloads have joined. */
export function checkPayload(plan: PayloadPlan, call: IreCall): void {
  for (const item of plan.items) {
    item.rule = call.rules.ruleFor(item.item.className);
    item.errors.push(...ruleErrors(item, call.rules.chainFor(item.item.className)));
  }
  linkHosts(plan, call);
  findDuplicates(plan, call);
  checkLinks(plan, call);
}

export function emptyPlan(item: PayloadItem, isAdditional = false): ItemPlan {
  return {
    item,
    inputIndices: isAdditional ? [] : [item.index],
    isAdditional,
    mergedPayloadIds: [],
    state: 'new',
    rule: undefined,
    links: [],
    host: undefined,
    operation: undefined,
    className: item.className,
    row: undefined,
    sysId: '',
    duplicates: [],
    entrySysId: 'Unknown',
    attempts: [],
    errors: [],
    warnings: [],
    info: [],
    values: {},
    governed: [],
    refusedChange: undefined,
    subs: [],
    mergedInto: undefined,
  };
}

export function relationPlan(relation: PayloadRelation, call: IreCall, isAdditional = false): RelationPlan {
  return { relation, isAdditional, errors: relationErrors(relation, call.rules), isDependency: false, isMerged: false };
}

/** Identifies every item and decides what is to happen with it (servicenow.md §5.1). */
export function planItems(plan: PayloadPlan, call: IreCall): void {
  const withSources = plan.items.some(({ item }) => item.source !== undefined);
  for (const item of plan.items) planItem(item, plan, call, withSources);
  mergeRelations(plan, call);
  const isBad = plan.items.some(({ errors }) => errors.length > 0) || plan.relations.some(({ errors }) => errors.length > 0);
  if (isBad && !call.partialCommits) refuse(plan, call);
  for (const { relation, errors } of plan.relations) {
    const failed = [relation.parent, relation.child]
      .map((end) => (end === undefined ? undefined : finalPlan(plan, end.item)))
      .find((end) => end !== undefined && end.operation === undefined);
    if (failed !== undefined && errors.length === 0) errors.push(messages.abandonedRelation(quoted(failed.item, call.quoting)));
  }
}

/** Without partial commits the payload is committed whole or not at all; what had no error of its own is abandoned. */
function refuse(plan: PayloadPlan, call: IreCall): void {
  plan.refused = true;
  for (const item of plan.items) {
    item.operation = undefined;
    if (item.errors.length === 0) item.errors.push(messages.abandonedPayload(call.dataSource));
  }
}

/** Relations between merged items may say the same twice; a repeated relation that no item depends on is let through as one. */
function mergeRelations(plan: PayloadPlan, call: IreCall): void {
  const seen = new Set<string>();
  for (const relation of plan.relations) {
    const { parent, child, type } = relation.relation;
    if (parent === undefined || child === undefined || parent.sub !== undefined || child.sub !== undefined) continue;
    const key = JSON.stringify([finalPlan(plan, parent.item)?.item.index, finalPlan(plan, child.item)?.item.index, type]);
    relation.isMerged = seen.has(key) && (call.deduplicate || relation.isAdditional);
    seen.add(key);
  }
}

function planItem(plan: ItemPlan, payload: PayloadPlan, call: IreCall, withSources: boolean): void {
  if (plan.state !== 'new' || plan.mergedInto !== undefined) return;
  plan.state = 'planning';
  const host = plan.host === undefined ? undefined : finalPlan(payload, plan.host.index);
  if (host?.state === 'planning') plan.errors.push(messages.qualificationLoop(plan.host?.relation.type ?? ''));
  else if (host !== undefined) planItem(host, payload, call, withSources);
  fillReferences(plan, payload, call, withSources);
  plan.state = 'done';
  injectFault(plan, call);
  if (host !== undefined && host.operation === undefined && plan.errors.length === 0) {
    plan.errors.push(messages.abandoned(quoted(plan.item, call.quoting), quoted(host.item, call.quoting)));
  }
  if (plan.errors.length > 0 || plan.rule === undefined) return;
  const hostRow: Host | undefined =
    host === undefined || plan.host === undefined ? undefined : { row: host.row, dependency: plan.host.dependency };
  identify(plan, plan.rule, hostRow, call, withSources);
  if (plan.errors.length === 0) decide(plan, call);
}

/** References between main items are filled in before the referring item is identified (documentation of the API, referenceItems). */
function fillReferences(plan: ItemPlan, payload: PayloadPlan, call: IreCall, withSources: boolean): void {
  for (const { referenced, referencedBy, field } of payload.references) {
    if (referenced.sub !== undefined || finalPlan(payload, referencedBy.item) !== plan) continue;
    const target = finalPlan(payload, referenced.item);
    if (target === undefined || target === plan) continue;
    planItem(target, payload, call, withSources);
    if (target.sysId === '') continue;
    if (referencedBy.sub === undefined) plan.item = { ...plan.item, values: { ...plan.item.values, [field]: target.sysId } };
    else referencedBy.sub.values = { ...referencedBy.sub.values, [field]: target.sysId };
  }
}

function injectFault(plan: ItemPlan, call: IreCall): void {
  const fault = call.faults.take({ method: 'IRE', url: `ire:${plan.item.className}`, body: JSON.stringify(plan.item.raw) });
  if (fault?.errorCode === undefined) return;
  const text = quoted(plan.item, call.quoting);
  plan.errors.push(fault.errorCode === 'LOCK_TIMEOUT' ? messages.lockTimeout(text) : { error: fault.errorCode, message: text });
}

/** The operation and the values to write. */
function decide(plan: ItemPlan, call: IreCall): void {
  const { item, row } = plan;
  const classChange = row === undefined ? undefined : planClassChange(plan, row, call);
  if (plan.errors.length > 0) return;
  const isChanged = planValues(plan, call);
  planSubs(plan, call);
  if (row === undefined && insertIsBlocked(call, item.className))
    plan.errors.push(messages.insertNotAllowed(item.className, call.dataSource));
  if (plan.errors.length > 0) return;
  plan.sysId = row?.sysId ?? newSysId();
  plan.operation = row === undefined ? 'INSERT' : (classChange ?? (isChanged ? 'UPDATE' : 'NO_CHANGE'));
}
