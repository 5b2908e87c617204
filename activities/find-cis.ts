import { choose, isSound, type Candidate, type CiState } from '../src/inventory/candidates.ts';
import type { LookupRule, ResourceIdentity } from '../src/inventory/lookup-rules.ts';
import { placeholderClass } from '../src/inventory/resource-class.ts';
import { resourceNormalForm } from '../src/inventory/resource-id.ts';
import type { CiIdentity, CiKey, CiMatch, SysId } from '../src/model.ts';
import { isQueryable, query, valueOf } from '../src/servicenow/index.ts';
import { rootClass, standFor, stateColumns, stateOf, type CiReader } from './ci-states.ts';
import { lookUp, lookUpsOf, queryBytes } from './look-up.ts';

export interface FoundCi {
  readonly sysId: SysId;
  readonly className: string;
  readonly match: CiMatch;
  /** By which item or rule, in words: kept as history. */
  readonly evidence: string;
  /** Why the choice is worth a look: several CIs match, the only one is retired. */
  readonly note: string | undefined;
}

/** Something whose CI is looked for. */
export interface Wanted {
  readonly key: CiKey;
  readonly identity: CiIdentity;
}

export interface Finder extends CiReader {
  /** The deployment's own integration instance on ServiceNow, once it is there: its items come before those of others. */
  readonly integrationInstance: SysId | undefined;
}

type Resource = Wanted & { readonly identity: ResourceIdentity };
type Candidates = Map<CiKey, Candidate[]>;

/**
 * Finds CIs that exist already (design §5): discovered items of any integration instance first, then the instance's lookup rules in
 * their order, placeholders last. What is found here is never sent to IRE. Images are identified by IRE alone.
 */
export async function findCis(finder: Finder, cis: readonly Wanted[]): Promise<Map<CiKey, FoundCi>> {
  const resources = resourcesOf(cis);
  const candidates = await byDiscoveredItem(finder, resources);
  // An item's CI that is retired or another's duplicate is only better than none: the rules may know a live one.
  const open = resources.filter((resource) => !(candidates.get(resource.key) ?? []).some(isSound));
  for (const [key, found] of await byRules(finder, open)) candidates.set(key, [...(candidates.get(key) ?? []), ...found]);
  return chosen(candidates);
}

/** Finds CIs by the lookup rules alone: whether there is a better one than the CI that is known. */
export async function findByRules(finder: Finder, cis: readonly Wanted[]): Promise<Map<CiKey, FoundCi & { readonly isSound: boolean }>> {
  const candidates = await byRules(finder, resourcesOf(cis));
  const found = chosen(candidates);
  const sound = (key: CiKey, sysId: SysId) => (candidates.get(key) ?? []).some((one) => one.ci.sysId === sysId && isSound(one));
  return new Map([...found].map(([key, ci]) => [key, { ...ci, isSound: sound(key, ci.sysId) }]));
}

function resourcesOf(cis: readonly Wanted[]): Resource[] {
  return cis.filter((ci): ci is Resource => ci.identity.type === 'resource');
}

function chosen(candidates: Candidates): Map<CiKey, FoundCi> {
  const found = new Map<CiKey, FoundCi>();
  for (const [key, list] of candidates) {
    const choice = choose(list);
    if (choice === undefined) continue;
    const { ci, by, evidence } = choice.candidate;
    const { note } = choice;
    found.set(key, {
      sysId: ci.sysId,
      className: ci.className,
      match: by,
      evidence: note === undefined ? evidence : `${evidence}; ${note}`,
      note,
    });
  }
  return found;
}

async function byDiscoveredItem(
  { client, model, signal, integrationInstance }: Finder,
  resources: readonly Resource[],
): Promise<Candidates> {
  const table = model.tables.get('sn_sec_cmn_src_ci');
  const sourceId = table?.column('source_id');
  const cmdbCi = table?.column('cmdb_ci');
  const source = table?.column('source');
  if (!table || sourceId === undefined || cmdbCi === undefined || resources.length === 0) return new Map();
  const shaped = new Map<string, Resource>();
  for (const ci of resources) {
    const value = table.shape({ source_id: ci.identity.resourceId }, { create: true }).values[sourceId];
    if (value !== undefined) shaped.set(value.toLowerCase(), ci);
  }
  const prefix = `${cmdbCi}.`;
  const fields = [
    sourceId,
    cmdbCi,
    ...(source === undefined ? [] : [source]),
    ...stateColumns(model, rootClass).map((column) => prefix + column),
  ];
  const lookUps = lookUpsOf(table.name, sourceId, [...shaped.keys()], fields, query().isNotEmpty(cmdbCi));
  const hits: Hit[] = [];
  for (const row of (await lookUp(client, lookUps, signal)).flat()) {
    const resource = shaped.get(valueOf(row, sourceId).toLowerCase());
    const ci = stateOf(row, valueOf(row, cmdbCi) as SysId, model, prefix);
    // The item outlived its CI: it says nothing any more.
    if (!resource || ci.className === '') continue;
    const isOwn = source !== undefined && integrationInstance !== undefined && valueOf(row, source) === integrationInstance;
    const evidence = `discovered item ${valueOf(row, 'sys_id')}${isOwn ? '' : ' of another integration instance'}`;
    hits.push({ key: resource.key, ci, by: 'discovered-item', order: isOwn ? -2 : -1, evidence });
  }
  return resolveHits({ client, model, signal }, hits);
}

type Hit = Candidate & { readonly key: CiKey };

/** One place where one rule looks: a class and a column, for many resources. */
interface Place {
  readonly rule: LookupRule;
  readonly order: number;
  readonly className: string;
  /** Compared form of a value → the resources that look for it. */
  readonly wanted: Map<string, Resource[]>;
  /** The values as they are asked for. */
  readonly asked: Set<string>;
}

/** Behind all rules: the class that this engine makes, whatever the resource's type is mapped to. */
const placeholderRule: LookupRule = {
  name: 'placeholder',
  targetClass: () => placeholderClass,
  targetField: 'object_id',
  valueOf: ({ displayId }) => displayId,
};

async function byRules(finder: Finder, resources: readonly Resource[]): Promise<Candidates> {
  const { client, model, signal } = finder;
  const places = placesOf(finder, resources);
  const lookUps = places.flatMap((place) => {
    const fields = [...new Set([place.rule.targetField, ...stateColumns(model, place.className)])];
    return lookUpsOf(place.className, place.rule.targetField, [...place.asked], fields).map((one) => ({ ...one, place }));
  });
  const answers = await lookUp(client, lookUps, signal);
  const hits: Hit[] = [];
  for (const [index, rows] of answers.entries()) {
    const place = lookUps[index]?.place;
    if (place === undefined) continue;
    for (const row of rows) {
      const value = comparedForm(place.rule.targetField, valueOf(row, place.rule.targetField));
      const ci = stateOf(row, valueOf(row, 'sys_id') as SysId, model);
      for (const { key } of place.wanted.get(value) ?? []) {
        hits.push({ key, ci, by: 'lookup-rule', order: place.order, evidence: evidenceOf(place) });
      }
    }
  }
  return resolveHits(finder, hits);
}

function evidenceOf({ rule, className }: Place): string {
  const where = `${rule.targetField} in ${className}`;
  return rule === placeholderRule ? where : `rule ${rule.name}: ${where}`;
}

function placesOf({ model }: Finder, resources: readonly Resource[]): Place[] {
  const places = new Map<string, Place>();
  const asked = new Set<string>();
  for (const [order, rule] of [...model.ciRules.lookup.rules, placeholderRule].entries()) {
    for (const resource of resources) {
      const className = rule.targetClass(resource.identity);
      const value = rule.valueOf(resource.identity);
      if (value === undefined || !isAskable(value) || !model.hasColumn(className, rule.targetField)) continue;
      const form = comparedForm(rule.targetField, value);
      // A later rule that asks the same question about a resource cannot be the first to hit.
      const question = `${resource.key}\n${className}\n${rule.targetField}\n${form}`;
      if (asked.has(question)) continue;
      asked.add(question);
      const at = `${order}/${className}`;
      const place = places.get(at) ?? { rule, order, className, wanted: new Map<string, Resource[]>(), asked: new Set<string>() };
      place.wanted.set(form, [...(place.wanted.get(form) ?? []), resource]);
      place.asked.add(value);
      places.set(at, place);
    }
  }
  return [...places.values()];
}

/** What no query can carry is not looked for by this rule; its CI is then found, or made, by IRE. */
function isAskable(value: string): boolean {
  return isQueryable(value) && encodeURIComponent(value).length < queryBytes / 2;
}

/** Ids are compared as we compare ids, everything else without case, as the instance's database does. */
function comparedForm(field: string, value: string): string {
  return field === 'object_id' ? resourceNormalForm(value) : value.toLowerCase();
}

/** Puts the CI that each hit stands for in its place. */
async function resolveHits(reader: CiReader, hits: readonly Hit[]): Promise<Candidates> {
  const distinct = new Map<SysId, CiState>(hits.map(({ ci }) => [ci.sysId, ci]));
  const ends = await standFor(reader, [...distinct.values()]);
  const candidates: Candidates = new Map();
  for (const { key, ...hit } of hits) {
    const ci = ends.get(hit.ci.sysId);
    if (ci !== undefined) candidates.set(key, [...(candidates.get(key) ?? []), { ...hit, ci }]);
  }
  return candidates;
}
