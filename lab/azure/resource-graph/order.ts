import { firstIndexWhere, type GraphPartition } from '../estate/model.ts';
import { textAt, type JsonObject } from '../json.ts';
import { holds } from './evaluate.ts';
import type { Expression } from './syntax.ts';

/** Where a page starts. The service's own tokens are opaque too. */
export type Position =
  | { readonly kind: 'start' }
  /** After this lower-case id, and after so many rows that share it. */
  | { readonly kind: 'after-id'; readonly id: string; readonly ties: number }
  | { readonly kind: 'partition'; readonly partition: number; readonly row: number }
  | { readonly kind: 'offset'; readonly offset: number };

/** A partition that may hold rows of a result. */
export interface Candidate {
  readonly index: number;
  readonly partition: GraphPartition;
  /** What is left to ask of each row. */
  readonly conditions: readonly Expression[];
}

/** A row that meets the conditions, and where the next page would start after it. */
export interface SourceRow {
  readonly row: JsonObject;
  readonly position: Position;
}

/** The rows of the partitions one after the other. */
export function* inPartitionOrder(candidates: readonly Candidate[], from: Position): Generator<SourceRow> {
  const start = from.kind === 'partition' ? from : { partition: -1, row: -1 };
  for (const { index, partition, conditions } of candidates) {
    if (index < start.partition) continue;
    for (let row = index === start.partition ? start.row + 1 : 0; row < partition.rows.size; row += 1) {
      const value = partition.rows.at(row);
      if (conditions.every((condition) => holds(condition, value)))
        yield { row: value, position: { kind: 'partition', partition: index, row } };
    }
  }
}

/**
 * Merges the partitions, each of which is in order by lower-case id. Those of one subscription are opened when it is reached: a
 * page costs a page, not a look into every subscription of the tenant.
 */
export function* inIdOrder(candidates: readonly Candidate[], from: Position): Generator<SourceRow> {
  const after = from.kind === 'after-id' ? from : undefined;
  for (const { prefix, candidates: group } of inPrefixOrder(candidates)) {
    if (after === undefined || prefix >= after.id || after.id.startsWith(prefix)) yield* merged(group, after);
  }
}

interface PrefixGroup {
  readonly prefix: string;
  readonly candidates: readonly Candidate[];
}

/** Groups whose ids do not interleave, in order; one group where some partition does not say what its ids start with. */
function inPrefixOrder(candidates: readonly Candidate[]): PrefixGroup[] {
  const groups = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const prefix = candidate.partition.idPrefix;
    if (prefix === undefined) return [{ prefix: '', candidates }];
    const group = groups.get(prefix);
    if (group === undefined) groups.set(prefix, [candidate]);
    else group.push(candidate);
  }
  return [...groups.keys()].sort().map((prefix) => ({ prefix, candidates: groups.get(prefix) ?? [] }));
}

function* merged(candidates: readonly Candidate[], after: Extract<Position, { kind: 'after-id' }> | undefined): Generator<SourceRow> {
  const heads = candidates.map((candidate) => headOf(candidate, after?.id));
  let lastId = after?.id ?? '';
  let ties = 0;
  let skipTies = after?.ties ?? 0;
  for (;;) {
    let smallest: Head | undefined;
    for (const head of heads) {
      if (head.current !== undefined && (smallest === undefined || head.id < smallest.id)) smallest = head;
    }
    if (smallest?.current === undefined) return;
    const { current: row, id } = smallest;
    ties = id === lastId ? ties + 1 : 1;
    lastId = id;
    advance(smallest);
    if (skipTies > 0 && id === after?.id) {
      skipTies -= 1;
      continue;
    }
    yield { row, position: { kind: 'after-id', id, ties } };
  }
}

interface Head {
  readonly candidate: Candidate;
  next: number;
  current: JsonObject | undefined;
  id: string;
}

/** Starts at the first row whose id is not below `fromId`: rows with that very id may be partly read. */
function headOf(candidate: Candidate, fromId: string | undefined): Head {
  const head: Head = { candidate, next: fromId === undefined ? 0 : lowerBound(candidate, fromId), current: undefined, id: '' };
  advance(head);
  return head;
}

function advance(head: Head): void {
  const { rows } = head.candidate.partition;
  while (head.next < rows.size) {
    const row = rows.at(head.next);
    head.next += 1;
    if (!head.candidate.conditions.every((condition) => holds(condition, row))) continue;
    head.current = row;
    head.id = textAt(row, 'id').toLowerCase();
    return;
  }
  head.current = undefined;
}

function lowerBound({ partition }: Candidate, id: string): number {
  return firstIndexWhere(partition.rows.size, (index) => textAt(partition.rows.at(index), 'id').toLowerCase() >= id);
}
