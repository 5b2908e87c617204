import { subscriptionOf, type Access } from '../../access.ts';
import { rowsOf } from '../../estate/model.ts';
import { arrayAt, objectAt, textAt, type JsonObject } from '../../json.ts';
import { badRequest, notFound } from '../errors.ts';
import { readTop } from '../paging.ts';
import { managementGroupOf, scopeKindOf, type ScopeKind } from '../path.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';

const DEFINITION_VERSIONS = ['2025-03-01', '2023-04-01'];
const ASSIGNMENT_VERSIONS = ['2025-03-01', '2024-04-01'];
const EXEMPTION_VERSIONS = ['2022-07-01-preview'];
const VIEWS: readonly ScopeKind[] = ['tenant', 'managementGroup', 'subscription'];
const ANY_SCOPE: readonly ScopeKind[] = ['managementGroup', 'subscription', 'resourceGroup', 'resource'];
/** Azure Policy pages at most 1,000 rows, however large `$top` is. */
const MAX_TOP = 1000;

/** Azure Policy: azure.md §1.1. */
export function policyRoutes(): readonly ArmRoute[] {
  return [
    ...definitionRoutes(
      'policyDefinitions',
      'PolicyDefinitionNotFound',
      'policy definition',
      (call) => call.services.estate.policyDefinitions,
    ),
    ...definitionRoutes(
      'policySetDefinitions',
      'PolicySetDefinitionNotFound',
      'policy set definition',
      (call) => call.services.estate.policySetDefinitions,
    ),
    ...versionRoutes('policyDefinitions', (call) => call.services.estate.policyDefinitions),
    ...versionRoutes('policySetDefinitions', (call) => call.services.estate.policySetDefinitions),
    ...appliedRoutes(
      'policyAssignments',
      ASSIGNMENT_VERSIONS,
      'PolicyAssignmentNotFound',
      (call) => call.services.estate.policyAssignments,
    ),
    ...appliedRoutes('policyExemptions', EXEMPTION_VERSIONS, 'PolicyExemptionNotFound', (call) => call.services.estate.policyExemptions),
  ];
}

type Source = (call: ArmCall) => readonly JsonObject[];

/** Definitions and sets: a scope sees the built-ins, its own and those of the management groups above it. */
function definitionRoutes(type: string, missingCode: string, noun: string, source: Source): ArmRoute[] {
  const resourceType = `Microsoft.Authorization/${type}`;
  const common = { resourceType, scopes: VIEWS, apiVersions: DEFINITION_VERSIONS, action: `Microsoft.Authorization/${type}/read` };
  return [
    {
      ...common,
      form: 'list',
      handle: (call) => {
        const filter = readDefinitionFilter(call.query.get('$filter'));
        const homes = filter.atExactScope ? new Set([call.path.scope.toLowerCase()]) : scopesAbove(call.services.access, call.path.scope);
        const rows = source(call).filter((row) => homes.has(homeOf(row)) && filter.accepts(row));
        const pageSize = Math.min(readTop(call.query) ?? call.services.options.pageSizes.policies, MAX_TOP);
        return listAnswer(call, rowsOf(rows), { pageSize });
      },
    },
    {
      ...common,
      form: 'item',
      handle: (call) => {
        const name = call.path.names[0] ?? '';
        const home = call.path.scope.toLowerCase();
        const row = source(call).find(
          (candidate) => homeOf(candidate) === home && textAt(candidate, 'name').toLowerCase() === name.toLowerCase(),
        );
        if (row === undefined) throw notFound(missingCode, `The ${noun} '${name}' could not be found.`);
        return { body: row };
      },
    },
  ];
}

/** The versions of one definition: those it names, else the one it is (examples/azure/policy, listPolicyDefinitionVersions). */
function versionRoutes(type: string, source: Source): ArmRoute[] {
  const resourceType = `Microsoft.Authorization/${type}/versions`;
  const common = { resourceType, scopes: VIEWS, apiVersions: DEFINITION_VERSIONS, action: `Microsoft.Authorization/${type}/read` };
  return [
    {
      ...common,
      form: 'list',
      handle: (call) => listAnswer(call, rowsOf(versionsIn(call, type, source)), { pageSize: call.services.options.pageSizes.policies }),
    },
    {
      ...common,
      form: 'item',
      handle: (call) => {
        const [, version = ''] = call.path.names;
        const row = versionsIn(call, type, source).find((candidate) => candidate.name === version);
        if (row === undefined) throw notFound('PolicyDefinitionVersionNotFound', `The version '${version}' could not be found.`);
        return { body: row };
      },
    },
  ];
}

function versionsIn(call: ArmCall, type: string, source: Source): JsonObject[] {
  const [name = ''] = call.path.names;
  const home = call.path.scope.toLowerCase();
  const row = source(call).find(
    (candidate) => homeOf(candidate) === home && textAt(candidate, 'name').toLowerCase() === name.toLowerCase(),
  );
  if (row === undefined) throw notFound('PolicyDefinitionNotFound', `The definition '${name}' could not be found.`);
  const properties = objectAt(row, 'properties');
  const current = textAt(properties, 'version') || textAt(properties, 'metadata', 'version') || '1.0.0';
  const named = arrayAt(properties, 'versions').filter((version) => typeof version === 'string');
  return (named.length === 0 ? [current] : named).map((version) => ({
    ...row,
    properties: { ...properties, version, versions: undefined },
    id: `${textAt(row, 'id')}/versions/${version}`,
    type: `Microsoft.Authorization/${type}/versions`,
    name: version,
  }));
}

/** Assignments and exemptions: what applies at a scope, from above and, unless the filter says otherwise, from below. */
function appliedRoutes(type: string, apiVersions: readonly string[], missingCode: string, source: Source): ArmRoute[] {
  const common = {
    resourceType: `Microsoft.Authorization/${type}`,
    scopes: ANY_SCOPE,
    apiVersions,
    action: `Microsoft.Authorization/${type}/read`,
  };
  return [
    {
      ...common,
      form: 'list',
      handle: (call) => {
        const accepts = readAppliedFilter(call);
        const pageSize = Math.min(readTop(call.query) ?? call.services.options.pageSizes.policies, MAX_TOP);
        return listAnswer(call, rowsOf(source(call).filter(accepts)), { pageSize });
      },
    },
    {
      ...common,
      form: 'item',
      handle: (call) => {
        const name = call.path.names[0] ?? '';
        const wanted = `${call.path.scope}/providers/Microsoft.Authorization/${type}/${name}`.toLowerCase();
        const row = source(call).find((candidate) => textAt(candidate, 'id').toLowerCase() === wanted);
        if (row === undefined) throw notFound(missingCode, `The ${type} '${name}' is not found.`);
        return { body: row };
      },
    },
  ];
}

/** The scope a definition, assignment or exemption was made at, lower case; '' for built-ins. */
function homeOf(row: JsonObject): string {
  const id = textAt(row, 'id').toLowerCase();
  return id.slice(0, Math.max(0, id.lastIndexOf('/providers/')));
}

/** The scope itself and everything above it, lower case, with '' for the tenant. */
function scopesAbove(access: Access, scope: string): Set<string> {
  const scopes = new Set(['', scope.toLowerCase()]);
  const groupNames: string[] = [];
  if (scopeKindOf(scope) === 'managementGroup') groupNames.push(managementGroupOf(scope));
  const subscription = subscriptionOf(scope);
  if (subscription !== undefined) {
    scopes.add(`/subscriptions/${subscription}`);
    const group = /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+/i.exec(scope)?.[0];
    if (group !== undefined) scopes.add(group.toLowerCase());
    groupNames.push(...access.groupOfSubscription(subscription));
  }
  for (const name of groupNames) {
    for (const group of access.ancestors(name)) scopes.add(`/providers/microsoft.management/managementgroups/${group.name.toLowerCase()}`);
  }
  return scopes;
}

interface DefinitionFilter {
  atExactScope: boolean;
  accepts(row: JsonObject): boolean;
}

function readDefinitionFilter(filter: string | null): DefinitionFilter {
  if (filter === null || filter.trim() === '') return { atExactScope: false, accepts: () => true };
  let atExactScope = false;
  const tests: ((row: JsonObject) => boolean)[] = [];
  for (const clause of filter.split(/\s+and\s+/i)) {
    const comparison = /^\s*(policyType|category)\s+-?eq\s+'?([^']*?)'?\s*$/i.exec(clause);
    if (/^\s*atExactScope\(\)\s*$/i.test(clause)) atExactScope = true;
    else if (comparison !== null) tests.push(definitionTest(comparison[1] ?? '', comparison[2] ?? ''));
    else throw badRequest('InvalidFilterInQueryString', `Invalid $filter '${filter}' specified in the query string.`);
  }
  return { atExactScope, accepts: (row) => tests.every((test) => test(row)) };
}

function definitionTest(field: string, value: string): (row: JsonObject) => boolean {
  const path = field.toLowerCase() === 'category' ? ['properties', 'metadata', 'category'] : ['properties', 'policyType'];
  return (row) => textAt(row, ...path).toLowerCase() === value.toLowerCase();
}

function readAppliedFilter(call: ArmCall): (row: JsonObject) => boolean {
  const filter = (call.query.get('$filter') ?? '').trim();
  const scope = call.path.scope.toLowerCase();
  const above = scopesAbove(call.services.access, call.path.scope);
  const below = (home: string): boolean => home.startsWith(`${scope}/`);
  if (/^atExactScope\(\)$/i.test(filter)) return (row) => homeOf(row) === scope;
  if (/^atScope\(\)$/i.test(filter)) return (row) => above.has(homeOf(row));
  const definition = /^policyDefinitionId\s+eq\s+'([^']+)'$/i.exec(filter)?.[1]?.toLowerCase();
  if (filter !== '' && definition === undefined) {
    throw badRequest('InvalidFilterInQueryString', `Invalid $filter '${filter}' specified in the query string.`);
  }
  return (row) => {
    if (!above.has(homeOf(row)) && !below(homeOf(row))) return false;
    return definition === undefined || textAt(row, 'properties', 'policyDefinitionId').toLowerCase() === definition;
  };
}
