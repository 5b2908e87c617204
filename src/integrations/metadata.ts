/**
 * 2 · Assessment metadata → tests and their groups (mapping.md §2; azure.md §1.3).
 *
 *     assessment metadata ─▶ sn_vulc_test
 *     its policyDefinitionId ─▶ sn_vulc_policy_test (the policy's group)
 *     an assigned initiative with that policy ─▶ sn_vulc_policy_test (the initiative's group)
 *
 * Natural key: the assessment key. Individual recommendations (one key per image and package, "Update setuptools") are no
 * tests: containers are §5, the rest is out of scope.
 */
import type { Derived, DesiredRecord, Integration, JsonObject, ObservedId, ObservedKind, Read, ReadContext } from '../model.ts';
import { noteOnRekeyed } from './alias.ts';
import { asText, asTexts, flagged } from './fields.ts';
import { naturalKey } from './natural-key.ts';
import { chooseTestGroups } from './policies.ts';
import { subscriptionScope } from './reads.ts';
import { body, flag, looseRow, rowParser, text, texts } from './row.ts';
import { cleanLine, labelled, paragraphs, textOfHtml } from './text.ts';
import { serviceNowTimeOf } from './time.ts';

/** The latest stable version: the only one that knows severity Critical (azure.md §1.3). */
const apiVersion = '2025-05-04';

const metadataProperties = looseRow({
  displayName: text,
  policyDefinitionId: text,
  description: text,
  remediationDescription: text,
  categories: texts,
  severity: text,
  userImpact: text,
  implementationEffort: text,
  threats: texts,
  tactics: texts,
  techniques: texts,
  preview: flag,
  assessmentType: text,
  recommendationCategory: text,
  publishDates: looseRow({ GA: text, public: text }).optional(),
  plannedDeprecationDate: text,
});

export const parseMetadata = rowParser(
  'metadata',
  looseRow({ id: text, name: text, properties: metadataProperties }),
  ({ id, name }) => keyOf(name, id) ?? { problem: 'the row has neither name nor id' },
  ({ properties }, key) => ({
    group: '',
    body: body({
      name: cleanLine(properties.displayName ?? '') || key,
      description: textOfHtml(properties.description ?? ''),
      remediation: textOfHtml(properties.remediationDescription ?? ''),
      policy: properties.policyDefinitionId?.toLowerCase(),
      categories: (properties.categories ?? []).map(cleanLine),
      severity: properties.severity,
      type: properties.assessmentType,
      recommendationCategory: properties.recommendationCategory,
      published: serviceNowTimeOf(properties.publishDates?.GA) ?? serviceNowTimeOf(properties.publishDates?.public),
      preview: properties.preview,
      threats: (properties.threats ?? []).map(words).sort(),
      tactics: [...(properties.tactics ?? [])].sort(),
      techniques: [...(properties.techniques ?? [])].sort(),
      userImpact: properties.userImpact,
      effort: properties.implementationEffort,
      deprecation: properties.plannedDeprecationDate,
    }),
  }),
);

/** The name is the key; the id's last segment is the same where a row has no name. */
export function keyOf(name: string | undefined, id: string | undefined): string | undefined {
  const key = name ?? id?.replace(/\/+$/, '').split('/').at(-1);
  return key === undefined || key === '' ? undefined : key;
}

/** `maliciousInsider`, `MaliciousInsider` → `malicious insider`: threats come in both spellings (azure.md §1.3). */
function words(name: string): string {
  return cleanLine(name)
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toLowerCase();
}

/** Why assessments with this metadata make no test, or undefined when they do (mapping.md §4). */
export function reasonNoTest(recommendationCategory: string | undefined, assessmentType: string | undefined): string | undefined {
  const category = recommendationCategory?.toLowerCase() ?? '';
  if (['softwareupdate', 'systemupdate', 'serviceupgrade'].includes(category))
    return `out of scope: recommendation category ${String(recommendationCategory)}`;
  return assessmentType?.toLowerCase() === 'dynamicbuiltin' ? 'out of scope: individual recommendation (DynamicBuiltIn)' : undefined;
}

/** The key-by-key read: keys that results or citations use but no list of this run has brought (1,000 cap, azure.md §4). */
export function missingMetadataRead(): Read {
  return {
    name: 'metadata-keys',
    scope: { kind: 'keys', id: 'metadata' },
    source: {
      type: 'arm-keys',
      keys: { kind: 'metadata', which: 'missing' },
      pathOfKey: (key) => `/providers/Microsoft.Security/assessmentMetadata/${encodeURIComponent(key)}`,
      apiVersion,
    },
    stage: 2,
    parse: parseMetadata,
  };
}

/** The tenant's list, and each subscription's own: it adds that subscription's custom ones. */
function reads({ tenantId, subscriptions }: ReadContext): readonly Read[] {
  const list = (scope: Read['scope'], path: string): Read => ({
    name: 'metadata',
    scope,
    source: { type: 'arm-list', path: `${path}/providers/Microsoft.Security/assessmentMetadata`, apiVersion },
    parse: parseMetadata,
  });
  return [
    list({ kind: 'tenant', id: tenantId }, ''),
    ...subscriptions.map(subscriptionScope).map(({ scope, path }) => list(scope, path)),
    missingMetadataRead(),
  ];
}

/** ServiceNow's criticality words; the instance's own map may change them later (servicenow.md §2). */
const criticalities: ReadonlyMap<string, string> = new Map([
  ['critical', 'Critical'],
  ['high', 'High'],
  ['medium', 'Moderate'],
  ['low', 'Low'],
]);

function test(key: string, metadata: JsonObject, source: string): DesiredRecord {
  const [category, ...subCategories] = asTexts(metadata, 'categories');
  const severity = asText(metadata, 'severity');
  const criticality = criticalities.get(severity?.toLowerCase() ?? '');
  const published = asText(metadata, 'published');
  return {
    table: 'sn_vulc_test',
    key,
    fields: {
      source,
      source_id: key,
      short_description: asText(metadata, 'name') ?? key,
      description: paragraphs(
        flagged(metadata, 'preview') ? 'Preview' : '',
        asText(metadata, 'description'),
        [
          labelled('Threats', asTexts(metadata, 'threats')),
          labelled('Tactics', asTexts(metadata, 'tactics')),
          labelled('Techniques', asTexts(metadata, 'techniques')),
          labelled('User impact', asText(metadata, 'userImpact')),
          labelled('Implementation effort', asText(metadata, 'effort')),
          labelled('Planned deprecation', asText(metadata, 'deprecation')),
          noteOnRekeyed(key),
        ]
          .filter((line) => line !== undefined)
          .join('\n'),
      ),
      remediation: asText(metadata, 'remediation') ?? '',
      source_category: category ?? '',
      source_sub_category: subCategories.join(', '),
      source_criticality: severity ?? '',
      ...(criticality !== undefined && { criticality }),
      ...(published !== undefined && { source_created: published }),
    },
  };
}

/** A test for a key that Azure has no metadata for, so that its results have something to hang on (mapping.md §4). */
export function placeholderTest(key: string, name: string | undefined, source: string): DesiredRecord {
  return {
    table: 'sn_vulc_test',
    key,
    fields: {
      source,
      source_id: key,
      short_description: name === undefined || name === '' ? key : name,
      description: paragraphs('Microsoft Defender for Cloud publishes no metadata for this assessment.', noteOnRekeyed(key)),
    },
  };
}

function link(policy: string, key: string): DesiredRecord {
  return {
    table: 'sn_vulc_policy_test',
    key: naturalKey(policy, key),
    fields: { policy: { record: { table: 'sn_vulc_policy', key: policy } }, test: { record: { table: 'sn_vulc_test', key } } },
  };
}

export const metadata: Integration = {
  name: 'metadata',
  derivesFrom: ['metadata'],
  relatedKinds: ['policy-definition', 'policy-set', 'policy-assignment'],
  tables: ['sn_vulc_test', 'sn_vulc_policy_test'],
  reads,
  derive({ records }, { source, related }): Derived {
    const chosen = chooseTestGroups({
      definitions: related['policy-definition'] ?? new Map(),
      sets: related['policy-set'] ?? new Map(),
      assignments: related['policy-assignment']?.values() ?? [],
    });
    const initiativesOf = new Map<string, string[]>();
    for (const [initiative, members] of chosen.initiatives) {
      for (const member of members) initiativesOf.set(member, [...(initiativesOf.get(member) ?? []), initiative]);
    }
    const desired: DesiredRecord[] = [];
    const excluded: { kind: ObservedKind; id: ObservedId; because: string }[] = [];
    for (const { kind, id: key, body: row } of records) {
      const because = reasonNoTest(asText(row, 'recommendationCategory'), asText(row, 'type'));
      if (because !== undefined) {
        excluded.push({ kind, id: key, because });
        continue;
      }
      desired.push(test(key, row, source));
      const policy = asText(row, 'policy');
      if (policy === undefined) continue;
      if (chosen.policies.has(policy)) desired.push(link(policy, key));
      desired.push(...(initiativesOf.get(policy) ?? []).map((initiative) => link(initiative, key)));
    }
    return { records: desired, cis: [], excluded };
  },
};
