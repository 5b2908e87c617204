import { arrayAt, textAt, type JsonObject } from '../json.ts';
import type { EstateTruth } from './model.ts';

interface PolicyTruthInput {
  readonly definitions: readonly JsonObject[];
  readonly sets: readonly JsonObject[];
  readonly assignments: readonly JsonObject[];
  /** Lower-case scopes in view, the tenant apart. */
  readonly scopes: ReadonlySet<string>;
}

/** Policies and initiatives in view of some scopes: built-ins, and what was made at one of them. */
export function policyTruth(input: PolicyTruthInput): Pick<EstateTruth, 'policies' | 'policySets'> {
  const inView = (row: JsonObject): boolean => {
    const home = homeScope(row);
    return home === '' || input.scopes.has(home);
  };
  const definitions = distinct(input.definitions.filter(inView));
  const sets = distinct(input.sets.filter(inView));
  const assigned = new Set(input.assignments.filter(inView).map((row) => textAt(row, 'properties', 'policyDefinitionId').toLowerCase()));
  const assignedSets = sets.filter((row) => assigned.has(idOf(row)));
  const members = new Set(
    assignedSets
      .flatMap((row) => arrayAt(row, 'properties', 'policyDefinitions'))
      .map((member) => textAt(member, 'policyDefinitionId').toLowerCase()),
  );
  const isCustom = (row: JsonObject): boolean => homeScope(row) !== '';
  const isSecurityCenter = (row: JsonObject): boolean =>
    textAt(row, 'properties', 'metadata', 'category').toLowerCase() === 'security center';
  return {
    policies: {
      definitions: definitions.length,
      custom: definitions.filter(isCustom).length,
      categorySecurityCenter: definitions.filter(isSecurityCenter).length,
      membersOfAssignedSets: members.size,
      membersReadable: definitions.filter((row) => members.has(idOf(row))).length,
      inMappingScope: definitions.filter((row) => isCustom(row) || isSecurityCenter(row) || members.has(idOf(row))).length,
    },
    policySets: {
      all: sets.length,
      custom: sets.filter(isCustom).length,
      categorySecurityCenter: sets.filter(isSecurityCenter).length,
      assigned: assignedSets.length,
      inMappingScope: sets.filter((row) => isCustom(row) || isSecurityCenter(row) || assigned.has(idOf(row))).length,
    },
  };
}

function idOf(row: JsonObject): string {
  return textAt(row, 'id').toLowerCase();
}

function homeScope(row: JsonObject): string {
  const id = idOf(row);
  return id.slice(0, Math.max(0, id.lastIndexOf('/providers/')));
}

function distinct(rows: readonly JsonObject[]): JsonObject[] {
  return [...new Map(rows.map((row) => [idOf(row), row])).values()];
}
