/**
 * 1 · Policy definitions and initiatives → test groups (mapping.md §1; azure.md §1.1).
 *
 *     policy definition of category "Security Center"   ┐
 *     custom policy definition in scope                 ├─▶ sn_vulc_policy
 *     member of an initiative assigned in scope         │
 *     that initiative                                   ┘
 *
 * Natural key: the definition's or initiative's id. The same id in several clouds' folders is one record.
 */
import { z } from 'zod';
import type { Derived, DesiredRecord, Integration, JsonObject, ObservedId, ObservedKind, Read, ReadContext } from '../model.ts';
import { asText, asTexts, flagged } from './fields.ts';
import { armScopes } from './reads.ts';
import type { ArmScope } from './reads.ts';
import { armId, body, flag, looseRow, rowParser, text } from './row.ts';
import { cleanLine, paragraphs, textOfHtml } from './text.ts';
import { serviceNowTimeOf } from './time.ts';

const definitionsApiVersion = '2023-04-01';
const assignmentsApiVersion = '2024-04-01';

const definition = looseRow({
  id: z.string(),
  name: text,
  properties: looseRow({
    displayName: text,
    description: text,
    policyType: text,
    metadata: looseRow({ category: text, deprecated: flag, preview: flag }).optional(),
    policyDefinitions: z.array(looseRow({ policyDefinitionId: z.string() })).optional(),
  }),
  systemData: looseRow({ createdAt: text, lastModifiedAt: text }).optional(),
});
type Definition = z.infer<typeof definition>;

/** What definitions and initiatives have in common. */
function definitionBody({ id, name, properties, systemData }: Definition): JsonObject {
  const { displayName, description, policyType, metadata } = properties;
  return body({
    name: cleanLine(displayName ?? '') || (name ?? id.slice(id.lastIndexOf('/') + 1)),
    description: textOfHtml(description ?? ''),
    category: metadata?.category?.toLowerCase(),
    // Built-in ones live at the tenant; a scope's own are custom even where a row does not say so.
    custom: policyType?.toLowerCase() === 'custom' || !id.toLowerCase().startsWith('/providers/microsoft.authorization/'),
    deprecated: metadata?.deprecated,
    preview: metadata?.preview,
    created: serviceNowTimeOf(systemData?.createdAt),
    updated: serviceNowTimeOf(systemData?.lastModifiedAt),
  });
}

export const parsePolicyDefinition = rowParser(
  'policy-definition',
  definition,
  armId('microsoft.authorization/policydefinitions'),
  (row) => ({ group: '', body: definitionBody(row) }),
);

export const parsePolicySet = rowParser('policy-set', definition, armId('microsoft.authorization/policysetdefinitions'), (row) => {
  const members = new Set((row.properties.policyDefinitions ?? []).map((member) => member.policyDefinitionId.toLowerCase()));
  return { group: '', body: { ...definitionBody(row), members: [...members].sort() } };
});

export const parsePolicyAssignment = rowParser(
  'policy-assignment',
  looseRow({ id: z.string(), properties: looseRow({ policyDefinitionId: z.string() }) }),
  armId('microsoft.authorization/policyassignments'),
  (row) => ({ group: '', body: { assigned: row.properties.policyDefinitionId.toLowerCase() } }),
);

/** Built-in definitions live at the tenant and are read once; scopes add their custom ones and their assignments. */
function reads(context: ReadContext): readonly Read[] {
  const tenant: ArmScope = { scope: { kind: 'tenant', id: context.tenantId }, path: '' };
  const scopes = armScopes(context);
  return [
    ...definitionReads(tenant),
    ...scopes.flatMap((scope) => definitionReads(scope, { $filter: 'policyType -eq Custom' })),
    ...scopes.map(({ scope, path }): Read => ({
      name: 'policy-assignments',
      scope,
      source: {
        type: 'arm-list',
        path: `${path}/providers/Microsoft.Authorization/policyAssignments`,
        apiVersion: assignmentsApiVersion,
        // A subscription's plain list has what is assigned above, at and below it; a management group needs to be told.
        ...(scope.kind === 'management-group' && { query: { $filter: 'atScope()' } }),
      },
      parse: parsePolicyAssignment,
    })),
  ];
}

function definitionReads({ scope, path }: ArmScope, query?: Readonly<Record<string, string>>): readonly Read[] {
  const list = (name: string, type: string, parse: Read['parse']): Read => ({
    name,
    scope,
    source: {
      type: 'arm-list',
      path: `${path}/providers/Microsoft.Authorization/${type}`,
      apiVersion: definitionsApiVersion,
      ...(query && { query }),
    },
    parse,
  });
  return [
    list('policy-definitions', 'policyDefinitions', parsePolicyDefinition),
    list('policy-sets', 'policySetDefinitions', parsePolicySet),
  ];
}

/** Observed definitions, initiatives and assignments, by id. */
export interface Policies {
  readonly definitions: ReadonlyMap<string, JsonObject>;
  readonly sets: ReadonlyMap<string, JsonObject>;
  readonly assignments: Iterable<JsonObject>;
}

/** Which definitions and initiatives are test groups; also says which links the tests have (mapping.md §2). */
export function chooseTestGroups({ definitions, sets, assignments }: Policies): {
  readonly policies: ReadonlySet<string>;
  /** Assigned initiatives with their members. */
  readonly initiatives: ReadonlyMap<string, readonly string[]>;
} {
  const initiatives = new Map<string, readonly string[]>();
  for (const assignment of assignments) {
    const assigned = asText(assignment, 'assigned') ?? '';
    const set = sets.get(assigned);
    if (set) initiatives.set(assigned, asTexts(set, 'members'));
  }
  const members = new Set([...initiatives.values()].flat());
  const policies = new Set<string>();
  for (const [id, policy] of definitions) {
    if (asText(policy, 'category') === 'security center' || flagged(policy, 'custom') || members.has(id)) policies.add(id);
  }
  return { policies, initiatives };
}

function testGroup(id: string, policy: JsonObject, source: string): DesiredRecord {
  const marks = [flagged(policy, 'deprecated') ? 'Deprecated' : '', flagged(policy, 'preview') ? 'Preview' : ''].filter(
    (mark) => mark !== '',
  );
  const created = asText(policy, 'created');
  const updated = asText(policy, 'updated');
  return {
    table: 'sn_vulc_policy',
    key: id,
    fields: {
      source,
      source_id: id,
      short_description: asText(policy, 'name') ?? id,
      description: paragraphs(marks.join(', '), asText(policy, 'description')),
      ...(created !== undefined && { source_created: created }),
      ...(updated !== undefined && { source_updated: updated }),
    },
  };
}

export const policies: Integration = {
  name: 'policies',
  derivesFrom: ['policy-definition', 'policy-set', 'policy-assignment'],
  relatedKinds: [],
  tables: ['sn_vulc_policy'],
  reads,
  derive({ records }, { source }): Derived {
    const byKind = (kind: ObservedKind): Map<string, JsonObject> =>
      new Map(records.filter((record) => record.kind === kind).map((record) => [record.id, record.body]));
    const [definitions, sets] = [byKind('policy-definition'), byKind('policy-set')];
    const chosen = chooseTestGroups({ definitions, sets, assignments: byKind('policy-assignment').values() });
    const desired: DesiredRecord[] = [];
    const excluded: { kind: ObservedKind; id: ObservedId; because: string }[] = [];
    for (const { kind, id, body: policy } of records) {
      if (kind === 'policy-assignment') continue;
      if (chosen.policies.has(id) || chosen.initiatives.has(id)) desired.push(testGroup(id, policy, source));
      else
        excluded.push({
          kind,
          id,
          because: kind === 'policy-set' ? 'initiative that is not assigned in scope' : 'policy that no assigned initiative uses',
        });
    }
    return { records: desired, cis: [], excluded };
  },
};
