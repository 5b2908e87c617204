/**
 * Which of the CIs that were found for a resource is the one (servicenow.md §1.5, §4). A live CI of the integration's own domain is
 * better than one of another domain, and both are better than a retired one; a class of Discovery's own is better than a
 * placeholder; then the first rule that hit; then the oldest. A duplicate stands for the CI that it is a duplicate of.
 */
import type { SysId } from '../model.ts';
import { placeholderClass } from './resource-class.ts';

/** The state of a CI, as far as it decides whether to take it. */
export interface CiState {
  readonly sysId: SysId;
  readonly className: string;
  readonly retired: boolean;
  /** It lies in a domain that is neither global nor the integration user's own. */
  readonly foreignDomain: boolean;
  /** sys_id of the CI that the platform says it is a duplicate of; '' when it is none. */
  readonly duplicateOf: string;
  readonly createdOn: string;
}

/** A CI that something names as a resource's. */
export interface Candidate {
  readonly ci: CiState;
  readonly by: 'discovered-item' | 'lookup-rule';
  /** Lower is looked at first: own items, other deployments' items, then the rules in their order. */
  readonly order: number;
  /** What found it, in words: the rule, the discovered item. */
  readonly evidence: string;
}

export interface Choice {
  readonly candidate: Candidate;
  /** What is worth knowing about the choice; undefined when it was plain. */
  readonly note: string | undefined;
}

/** install_status 7 and operational_status 6 mean Retired (examples/servicenow/dictionary/choices.json). */
export function isRetired(installStatus: string, operationalStatus: string): boolean {
  return installStatus === '7' || operationalStatus === '6';
}

/** An item of ours is reused before any rule is asked, if its CI can be taken at all (servicenow.md §4). */
export function isSound({ ci }: Candidate): boolean {
  return !ci.retired && !ci.foreignDomain && ci.duplicateOf === '';
}

/** The best of several; undefined only for none. */
export function choose(candidates: readonly Candidate[]): Choice | undefined {
  const [best] = [...candidates].sort(byWorth);
  if (best === undefined) return undefined;
  return { candidate: best, note: noteOn(best, candidates) };
}

function byWorth(left: Candidate, right: Candidate): number {
  return (
    healthOf(left) - healthOf(right) ||
    placeholderLast(left) - placeholderLast(right) ||
    left.order - right.order ||
    compare(left.ci.createdOn, right.ci.createdOn) ||
    compare(left.ci.sysId, right.ci.sysId)
  );
}

function healthOf({ ci }: Candidate): number {
  if (ci.duplicateOf !== '') return 3;
  if (ci.retired) return 2;
  return ci.foreignDomain ? 1 : 0;
}

/** An item that points at a placeholder was decided before, by us or by a person: only rules compare classes. */
function placeholderLast({ ci, by }: Candidate): number {
  return by === 'lookup-rule' && ci.className === placeholderClass ? 1 : 0;
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function noteOn(best: Candidate, candidates: readonly Candidate[]): string | undefined {
  const rivals = candidates.filter(
    (other) => other.ci.sysId !== best.ci.sysId && other.order === best.order && healthOf(other) === healthOf(best),
  );
  const others = [...new Set(rivals.map((other) => other.ci.sysId))].sort();
  const notes = [
    best.ci.duplicateOf !== '' ? `it is marked as a duplicate of ${best.ci.duplicateOf}, which cannot be read` : undefined,
    best.ci.retired ? 'it is retired, and no live CI was found' : undefined,
    best.ci.foreignDomain && !best.ci.retired ? 'it lies in another domain, and none of the own domain was found' : undefined,
    others.length === 0
      ? undefined
      : `${others.length + 1} CIs match; the oldest was taken, the others are ${others.slice(0, 5).join(', ')}`,
  ].filter((note) => note !== undefined);
  return notes.length === 0 ? undefined : notes.join('; ');
}
