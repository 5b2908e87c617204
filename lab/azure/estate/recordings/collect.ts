import { objectAt, textAt, type Json, type JsonObject } from '../../json.ts';
import type { Mapping, ServedFile } from './mapping.ts';
import { readItems } from './payloads.ts';

/** What was loaded, by collection. An id that several files hold is one row: the first file of the mapping wins. */
export interface Collections {
  readonly rows: ReadonlyMap<string, readonly JsonObject[]>;
  /** Rows of lists that hang below something their ids do not say: by lower-case scope, or by the path above the list. */
  readonly below: ReadonlyMap<string, readonly JsonObject[]>;
}

/** Collections whose lists are told apart by the path they were read from. */
const BELOW = new Set([
  'pricings',
  'securityStandards',
  'standardAssignments',
  'customRecommendations',
  'regulatoryStandards',
  'regulatoryControls',
  'regulatoryAssessments',
]);

export async function collect(dir: string, mapping: Mapping): Promise<Collections> {
  const rows = new Map<string, Map<string, JsonObject>>();
  const below = new Map<string, Map<string, JsonObject>>();
  const put = (into: Map<string, Map<string, JsonObject>>, key: string, row: JsonObject): void => {
    const list = into.get(key) ?? new Map<string, JsonObject>();
    into.set(key, list);
    const id = textAt(row, 'id').toLowerCase();
    const known = list.get(id);
    list.set(id, known === undefined ? row : merged(known, row));
  };
  for (const entry of mapping.served) {
    if (entry.becomes === 'behaviour' || entry.becomes === 'queries') continue;
    for (const item of await readItems(dir, entry)) {
      const row = rowFor(entry, item);
      if (BELOW.has(entry.becomes)) put(below, listKey(entry), row);
      else put(rows, entry.becomes === 'derivedPolicies' ? 'policyDefinitions' : entry.becomes, row);
    }
  }
  for (const { becomes, row } of mapping.assembled) put(rows, becomes, row);
  const lists = (from: Map<string, Map<string, JsonObject>>): Map<string, JsonObject[]> =>
    new Map([...from].map(([key, list]) => [key, [...list.values()]]));
  return { rows: lists(rows), below: lists(below) };
}

/** `<collection>|<scope or path above the list>`, lower case. */
function listKey(entry: ServedFile): string {
  const route = (entry.route ?? '').toLowerCase();
  const types = /\/providers\/microsoft\.security\/(?:[^/]+)(?=\/|$)/g;
  const last = [...route.matchAll(types)].at(-1);
  const scope = route.slice(0, last?.index ?? 0);
  if (!entry.becomes.startsWith('regulatory')) return `${entry.becomes}|${scope}`;
  return `${entry.becomes}|${regulatoryPath(route)}`;
}

/** The part of a regulatory path that names the standard and control above a list: `/subscriptions/x|pci-dss-3.2|1.1`. */
function regulatoryPath(route: string): string {
  const [, subscription = '', standard, control] =
    /^(\/subscriptions\/[^/]+)\/providers\/microsoft\.security\/regulatorycompliancestandards(?:\/([^/]+)\/regulatorycompliancecontrols(?:\/([^/]+)\/regulatorycomplianceassessments)?)?/.exec(
      route,
    ) ?? [];
  return [subscription, standard, control].filter((part) => part !== undefined).join('|');
}

/** The same row from several examples: what the first has stays, what it lacks is added (links, dates). */
function merged(known: JsonObject, row: JsonObject): JsonObject {
  return { ...row, ...known, properties: { ...objectAt(row, 'properties'), ...objectAt(known, 'properties') } };
}

function rowFor(entry: ServedFile, item: JsonObject): JsonObject {
  if (entry.becomes === 'derivedPolicies') return derivedDefinition(item);
  if (entry.becomes === 'policyDefinitions' || entry.becomes === 'policySetDefinitions') {
    return { type: `Microsoft.Authorization/${entry.becomes}`, ...item };
  }
  if (entry.becomes === 'graphRows' && entry.home !== undefined) return { ...item, [HOME]: entry.home };
  return item;
}

/** Marks the subscription that shows a row which names none; it is taken off before the row is served. */
export const HOME = '\u0000home';

/** A definition from a line of the derived table: id, name, category, mark and the assessment it is bound to; nothing else is known. */
function derivedDefinition(line: JsonObject): JsonObject {
  const metadata: Record<string, Json | undefined> = {
    version: textAt(line, 'version'),
    category: textAt(line, 'category'),
    deprecated: line.deprecated === true ? true : undefined,
  };
  return {
    properties: {
      displayName: textAt(line, 'displayName'),
      policyType: 'BuiltIn',
      mode: 'All',
      metadata,
      version: textAt(line, 'version').split('-', 1)[0],
      parameters: {},
      policyRule: {
        if: { field: 'type', exists: 'true' },
        then: { effect: 'AuditIfNotExists', details: { type: 'Microsoft.Security/assessments', name: textAt(line, 'assessmentKey') } },
      },
    },
    id: textAt(line, 'policyDefinitionId'),
    type: 'Microsoft.Authorization/policyDefinitions',
    name: textAt(line, 'policyName'),
  };
}
