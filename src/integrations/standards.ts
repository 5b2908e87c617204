/**
 * 3 · Compliance standards and controls → authoritative sources and citations (mapping.md §3; azure.md §1.2, §1.8).
 *
 *     regulatory standard, or security standard without one ─▶ sn_vulc_auth_src
 *     regulatory assessment of a control                     ─▶ sn_vulc_citation (standard + control + test)
 *     assessment key of a security standard without controls ─▶ sn_vulc_citation (standard + test)
 *
 * Standard key: the lower-case regulatory name, else the security standard's GUID; never the scoped id, because every
 * subscription has its own. States and counters are results, not requirements: they are not stored, so that they never
 * make a write.
 */
import { z } from 'zod';
import type { Derived, DesiredRecord, Integration, JsonObject, ObservedId, ObservedKind, Read, ReadContext, RowOutcome } from '../model.ts';
import { joinStandards } from './alias.ts';
import { asText, asTexts } from './fields.ts';
import { keyOf, missingMetadataRead, placeholderTest, reasonNoTest } from './metadata.ts';
import { naturalKey, observedId } from './natural-key.ts';
import { kql, subscriptionGroups, subscriptionScope } from './reads.ts';
import { armId, body, looseRow, rowParser, text } from './row.ts';
import { cleanLine, cut, textOfHtml } from './text.ts';

const regulatoryApiVersion = '2019-01-01-preview';
const securityStandardsApiVersion = '2024-08-01';
const regulatoryTypes = {
  standard: 'microsoft.security/regulatorycompliancestandards',
  control: 'microsoft.security/regulatorycompliancestandards/regulatorycompliancecontrols',
  assessment: 'microsoft.security/regulatorycompliancestandards/regulatorycompliancecontrols/regulatorycomplianceassessments',
} as const;

const regulatoryRow = looseRow({ id: z.string(), name: text, properties: looseRow({ description: text }).optional() });
type RegulatoryRow = z.infer<typeof regulatoryRow>;

/** `…/regulatoryComplianceStandards/{standard}[/regulatoryComplianceControls/{control}[/regulatoryComplianceAssessments/{key}]]` */
const regulatoryPath =
  /\/providers\/microsoft\.security\/regulatorycompliancestandards\/([^/]+)(?:\/regulatorycompliancecontrols\/([^/]+)(?:\/regulatorycomplianceassessments\/([^/]+))?)?\/*$/i;

interface RegulatoryNames {
  readonly standard: string;
  readonly control?: string | undefined;
  readonly assessment?: string | undefined;
}

/** A list may carry rows of other controls (seen in published examples): the row's own id says where it belongs. */
function namesIn(id: string): RegulatoryNames | undefined {
  const [, standard, control, assessment] = regulatoryPath.exec(id) ?? [];
  return standard === undefined ? undefined : { standard, control, assessment };
}

const regulatoryParser = (
  kind: ObservedKind,
  bodyOf: (row: RegulatoryRow, names: RegulatoryNames) => JsonObject | undefined,
): Read['parse'] =>
  rowParser(
    kind,
    regulatoryRow,
    (row) => row.id,
    (row) => {
      const names = namesIn(row.id);
      const fields = names && bodyOf(row, names);
      if (!fields) return { problem: `id is not that of a ${kind.replace('-', ' ')}` };
      const key = asText(fields, 'test');
      const link = key === undefined ? undefined : observedId(key);
      if (link && 'invalid' in link) return { problem: `assessment key ${link.invalid}` };
      return { group: '', body: fields, ...(link && { links: [{ kind: 'metadata', id: link.id }] }) };
    },
  );

export const parseRegulatoryStandard = regulatoryParser('regulatory-standard', (_row, { standard, control }) =>
  control === undefined ? body({ standard: standard.toLowerCase(), name: standard }) : undefined,
);

export const parseRegulatoryControl = regulatoryParser('regulatory-control', ({ properties }, { standard, control, assessment }) =>
  control === undefined || assessment !== undefined
    ? undefined
    : body({
        standard: standard.toLowerCase(),
        control: control.toLowerCase(),
        name: control,
        description: textOfHtml(properties?.description ?? ''),
      }),
);

export const parseRegulatoryAssessment = regulatoryParser('regulatory-assessment', ({ properties }, { standard, control, assessment }) =>
  control === undefined || assessment === undefined
    ? undefined
    : body({
        standard: standard.toLowerCase(),
        control: control.toLowerCase(),
        controlName: control,
        test: assessment.toLowerCase(),
        name: cleanLine(properties?.description ?? ''),
      }),
);

/** Resource Graph and the REST tree deliver all three kinds mixed. */
export function parseRegulatory(row: unknown): RowOutcome {
  const id = typeof row === 'object' && row !== null ? ((row as { id?: unknown }).id ?? (row as { Id?: unknown }).Id) : undefined;
  const names = typeof id === 'string' && id.length <= 4_096 ? namesIn(id) : undefined;
  if (names?.assessment !== undefined) return parseRegulatoryAssessment(row);
  return names?.control !== undefined ? parseRegulatoryControl(row) : parseRegulatoryStandard(row);
}

export const parseSecurityStandard = rowParser(
  'security-standard',
  looseRow({
    id: z.string(),
    name: text,
    properties: looseRow({
      displayName: text,
      description: text,
      assessments: z.array(looseRow({ assessmentKey: z.string() })).optional(),
    }),
  }),
  armId('microsoft.security/securitystandards'),
  ({ id, properties }) => {
    // The id's last segment, not the name: the two differ in a published example (azure.md §1.2).
    const standard = keyOf(undefined, id)?.toLowerCase() ?? '';
    const keys = [...new Set((properties.assessments ?? []).map((assessment) => assessment.assessmentKey.toLowerCase()))].sort();
    const links = keys.map(observedId);
    const invalid = links.find((link) => 'invalid' in link);
    if (invalid) return { problem: `properties.assessments: an assessmentKey ${invalid.invalid}` };
    return {
      group: '',
      body: body({
        standard,
        name: cleanLine(properties.displayName ?? '') || standard,
        description: textOfHtml(properties.description ?? ''),
        tests: keys,
      }),
      links: links.flatMap((link) => ('id' in link ? [{ kind: 'metadata', id: link.id } as const] : [])),
    };
  },
);

/** Without a paid plan the list answers 400 (azure.md §1.8): a state of the subscription, not a fault. */
function planOff(error: {
  readonly status?: number | undefined;
  readonly code?: string | undefined;
  readonly message: string;
}): string | undefined {
  const said = `${error.code ?? ''} ${error.message}`.toLowerCase();
  return error.status === 400 && said.includes('no standard pricing bundle')
    ? 'regulatory compliance needs a paid Defender plan, and none is on for this subscription'
    : undefined;
}

/**
 * Standards are listed per subscription by REST, because only REST says that the plan is off; controls and assessments
 * come from Resource Graph in one query for many subscriptions, because REST needs a call per control. A cloud whose
 * Resource Graph has none is configured to walk the REST tree.
 */
function reads(context: ReadContext): readonly Read[] {
  const tree = context.regulatorySource === 'rest';
  return [
    ...context.subscriptions.map(subscriptionScope).flatMap(({ scope, path }): readonly Read[] => {
      const standardsPath = `${path}/providers/Microsoft.Security/regulatoryComplianceStandards`;
      return [
        {
          name: 'regulatory-standards',
          scope,
          source: tree
            ? { type: 'arm-tree', path: standardsPath, apiVersion: regulatoryApiVersion, childPaths: regulatoryChildPaths }
            : { type: 'arm-list', path: standardsPath, apiVersion: regulatoryApiVersion },
          parse: tree ? parseRegulatory : parseRegulatoryStandard,
          notApplicable: planOff,
        },
        {
          name: 'security-standards',
          scope,
          source: {
            type: 'arm-list',
            path: `${path}/providers/Microsoft.Security/securityStandards`,
            apiVersion: securityStandardsApiVersion,
          },
          parse: parseSecurityStandard,
        },
      ];
    }),
    ...(tree ? [] : subscriptionGroups(context)).map((subscriptions, index): Read => ({
      name: index === 0 ? 'regulatory-controls' : `regulatory-controls-${index + 1}`,
      scope: { kind: 'tenant', id: context.tenantId },
      source: {
        type: 'resource-graph',
        query: kql(
          'securityresources',
          [`type in~ ('${regulatoryTypes.control}', '${regulatoryTypes.assessment}')`],
          ['name', 'type', 'properties'],
        ),
        subscriptions,
      },
      parse: parseRegulatory,
    })),
    missingMetadataRead(),
  ];
}

/** Where a standard's controls and a control's assessments are listed. */
export function regulatoryChildPaths(row: unknown, path: string): readonly string[] {
  const name = typeof row === 'object' && row !== null ? ((row as { name?: unknown }).name ?? (row as { Name?: unknown }).Name) : undefined;
  if (typeof name !== 'string' || name === '' || !name.isWellFormed()) return [];
  const child = /\/regulatoryComplianceStandards$/i.test(path)
    ? 'regulatoryComplianceControls'
    : /\/regulatoryComplianceControls$/i.test(path)
      ? 'regulatoryComplianceAssessments'
      : undefined;
  return child === undefined ? [] : [`${path}/${encodeURIComponent(name)}/${child}`];
}

/** A standard as ServiceNow sees it, joined from its two descriptions. */
interface Standard {
  readonly name: string;
  readonly description: string;
}

interface Citation {
  readonly standard: string;
  readonly control: string;
  readonly test: string;
  readonly section: string;
  readonly sectionName: string;
}

interface Observed {
  readonly kind: ObservedKind;
  readonly id: ObservedId;
  readonly body: JsonObject;
}

/** Joins the two id spaces and lists the standards by their key. */
function standardsOf(records: readonly Observed[]): {
  readonly byKey: ReadonlyMap<string, Standard>;
  readonly regulatoryOf: ReadonlyMap<string, string>;
} {
  const regulatory = new Map<string, Standard>();
  const security = new Map<string, Standard>();
  for (const { kind, body: row } of records) {
    const key = asText(row, 'standard') ?? '';
    const standard = { name: asText(row, 'name') ?? key, description: asText(row, 'description') ?? '' };
    if (kind === 'regulatory-standard') regulatory.set(key, standard);
    if (kind === 'security-standard') security.set(key, standard);
    // A control or an assessment is proof of its standard, even where the standard's own row was not readable.
    if ((kind === 'regulatory-control' || kind === 'regulatory-assessment') && !regulatory.has(key))
      regulatory.set(key, { name: key, description: '' });
  }
  const regulatoryOf = joinStandards(
    regulatory.keys(),
    [...security].map(([id, { name }]) => ({ id, displayName: name })),
  );
  const byKey = new Map([...regulatory, ...[...security].filter(([id]) => !regulatoryOf.has(id))]);
  for (const [id, name] of regulatoryOf) byKey.set(name, security.get(id) ?? { name, description: '' });
  return { byKey, regulatoryOf };
}

/** Distinct citations: many subscriptions list the same control. The first by id gives the wording. */
function citationsOf(records: readonly Observed[], regulatoryOf: ReadonlyMap<string, string>): readonly Citation[] {
  const controls = new Map<string, string>();
  for (const { kind, body: row } of records) {
    if (kind !== 'regulatory-control') continue;
    const key = naturalKey(asText(row, 'standard') ?? '', asText(row, 'control') ?? '');
    if (!controls.has(key)) controls.set(key, asText(row, 'description') ?? '');
  }
  const citations = new Map<string, Citation>();
  const add = (citation: Citation): void => {
    const key = naturalKey(citation.standard, citation.control, citation.test);
    if (!citations.has(key)) citations.set(key, citation);
  };
  for (const { kind, body: row } of records) {
    const standard = asText(row, 'standard') ?? '';
    if (kind === 'regulatory-assessment') {
      const control = asText(row, 'control') ?? '';
      const sectionName = controls.get(naturalKey(standard, control)) ?? '';
      add({ standard, control, test: asText(row, 'test') ?? '', section: asText(row, 'controlName') ?? control, sectionName });
    } else if (kind === 'security-standard' && !regulatoryOf.has(standard)) {
      for (const test of asTexts(row, 'tests')) add({ standard, control: '', test, section: '', sectionName: asText(row, 'name') ?? '' });
    }
  }
  return [...citations.values()];
}

export const standards: Integration = {
  name: 'standards',
  derivesFrom: ['regulatory-standard', 'regulatory-control', 'regulatory-assessment', 'security-standard'],
  relatedKinds: ['metadata'],
  tables: ['sn_vulc_auth_src', 'sn_vulc_test', 'sn_vulc_citation'],
  reads,
  derive({ records }, { source, related }): Derived {
    const metadata = related.metadata ?? new Map<string, JsonObject>();
    const { byKey, regulatoryOf } = standardsOf(records);
    const desired: DesiredRecord[] = [...byKey].map(([key, { name, description }]) => ({
      table: 'sn_vulc_auth_src',
      key,
      fields: { source, source_id: key, short_description: name, description },
    }));
    const names = new Map<string, string>();
    for (const { kind, body: row } of records) {
      const test = kind === 'regulatory-assessment' ? asText(row, 'test') : undefined;
      const name = asText(row, 'name');
      if (test !== undefined && name !== undefined && !names.has(test)) names.set(test, cut(name, 300));
    }
    const placeholders = new Set<string>();
    for (const citation of citationsOf(records, regulatoryOf)) {
      const known = metadata.get(citation.test);
      // Individual recommendations have no test to cite.
      if (known && reasonNoTest(asText(known, 'recommendationCategory'), asText(known, 'type')) !== undefined) continue;
      if (!known && !placeholders.has(citation.test)) {
        placeholders.add(citation.test);
        desired.push(placeholderTest(citation.test, names.get(citation.test), source));
      }
      desired.push(citationRecord(citation, source));
    }
    return { records: desired, cis: [], excluded: [] };
  },
};

function citationRecord({ standard, control, test, section, sectionName }: Citation, source: string): DesiredRecord {
  return {
    table: 'sn_vulc_citation',
    key: naturalKey(standard, control, test),
    fields: {
      source,
      auth_src: { record: { table: 'sn_vulc_auth_src', key: standard } },
      control: { record: { table: 'sn_vulc_test', key: test } },
      section,
      section_name: sectionName,
    },
  };
}
