import type { FaultBook } from '../../kit/faults.ts';
import type { Row, Store } from '../store.ts';
import type { IreMessage, Quoting } from './messages.ts';
import type { ClassChange, PayloadItem, PayloadReference, PayloadRelation, SubItem } from './payload.ts';
import type { IreProperties } from './properties.ts';
import type { Dependency, IdentifierRule, RuleBook } from './rules.ts';

export type Operation = 'INSERT' | 'UPDATE' | 'NO_CHANGE' | `UPDATE_WITH_${ClassChange}`;

/** One try to find the record of an item, as the answer lists it. */
export interface Attempt {
  identifierName: string;
  attemptResult: 'MATCHED' | 'NO_MATCH' | 'MULTI_MATCH' | 'SKIPPED';
  attributes: string[];
  searchOnTable?: string;
  hybridEntryCiAttributes: string[];
  info?: string;
}

/** A relation of the payload that makes one item depend on another. */
export interface HostLink {
  /** Index of the host. */
  index: number;
  dependency: Dependency;
  relation: PayloadRelation;
}

/** What is to happen with a look-up or related record of an item. */
export interface SubPlan {
  kind: 'lookup' | 'related';
  sub: SubItem;
  /** Places in the payload that this record stands for: itself and merged duplicates. */
  subIndices: number[];
  /** The column that refers to the CI. */
  reference: string;
  /** What tells two records of one CI apart. */
  attributes: string[];
  values: Record<string, string>;
  errors: IreMessage[];
  operation: 'INSERT' | 'UPDATE' | 'NO_CHANGE' | undefined;
  sysId: string | undefined;
}

/** What is to happen with one item. Nothing is written while planning, so that a simulation is a plan without its commit. */
export interface ItemPlan {
  item: PayloadItem;
  /** Items of the payload that this one stands for: itself and merged duplicates. */
  inputIndices: number[];
  /** It came out of a partial payload that this call completes. */
  isAdditional: boolean;
  /** Partial payloads that went into this item. */
  mergedPayloadIds: string[];
  state: 'new' | 'planning' | 'done';
  rule: IdentifierRule | undefined;
  links: HostLink[];
  host: HostLink | undefined;
  operation: Operation | undefined;
  /** The class the record has, or will have. */
  className: string;
  /** The matched record. */
  row: Row | undefined;
  /** Of the matched record, or of the one to be inserted. */
  sysId: string;
  /** Further records that matched: they will point to the chosen one. */
  duplicates: Row[];
  entrySysId: string;
  attempts: Attempt[];
  errors: IreMessage[];
  warnings: IreMessage[];
  info: { code: string; message: string; ruleSysId?: string }[];
  values: Record<string, string>;
  /** Columns that a reconciliation rule speaks of: who wrote them is remembered. */
  governed: string[];
  /** The class change that the instance does not allow: a task tells a person. */
  refusedChange: { from: string; to: string } | undefined;
  subs: SubPlan[];
  mergedInto: number | undefined;
}

export interface RelationPlan {
  relation: PayloadRelation;
  isAdditional: boolean;
  errors: IreMessage[];
  /** It makes one item depend on the other. */
  isDependency: boolean;
  /** It says the same as an earlier one, and is not answered. */
  isMerged: boolean;
}

export interface PayloadPlan {
  items: ItemPlan[];
  relations: RelationPlan[];
  references: PayloadReference[];
  /** The whole payload is refused: nothing is committed. */
  refused: boolean;
}

/** What holds for one call. */
export interface IreCall {
  store: Store;
  rules: RuleBook;
  properties: IreProperties;
  faults: FaultBook;
  dataSource: string;
  quoting: Quoting;
  actor: string;
  enhanced: boolean;
  simulate: boolean;
  deduplicate: boolean;
  /** Errors of one item hold back only that item and what hangs on it. The plain endpoints commit all or nothing. */
  partialCommits: boolean;
  partialPayloads: boolean;
}

/** The plan that stands for an item: the one it was merged into, or itself. */
export function finalPlan(plan: PayloadPlan, index: number): ItemPlan | undefined {
  const item = plan.items[index];
  return item?.mergedInto === undefined ? item : finalPlan(plan, item.mergedInto);
}

/** An item with its host, the host's host and so on; ends at a loop. */
export function* hostsOf(plan: PayloadPlan, item: ItemPlan): Generator<ItemPlan> {
  const seen = new Set([item]);
  for (let link = item.host; link !== undefined;) {
    const host = finalPlan(plan, link.index);
    if (host === undefined || seen.has(host)) return;
    seen.add(host);
    yield host;
    link = host.host;
  }
}

/** Hosts before what hangs on them, else in the payload's order. */
export function hostsFirst(plan: PayloadPlan): ItemPlan[] {
  const depths = new Map(plan.items.map((item) => [item, [...hostsOf(plan, item)].length]));
  return plan.items.toSorted((left, right) => (depths.get(left) ?? 0) - (depths.get(right) ?? 0));
}
