/** CVE details → the CVE library's entry, only where it lacks the CVE (mapping.md §5; azure.md §1.7). */
import { z } from 'zod';
import type { DesiredRecord, FieldValue, JsonObject, Read, ReadContext } from '../model.ts';
import { asNumber, asObject, asText, flagged } from './fields.ts';
import { kql, kqlText } from './reads.ts';
import { body, flag, looseRow, rowParser, text } from './row.ts';
import { cut, textOfHtml } from './text.ts';
import { serviceNowTimeOf } from './time.ts';

const score = looseRow({ base: z.union([z.number(), z.string().transform(Number)]).optional(), cvssVectorString: text }).optional();

export const parseCve = rowParser(
  'cve',
  looseRow({
    id: text,
    name: text,
    properties: looseRow({
      cveId: text,
      severity: text,
      status: text,
      publishedDate: text,
      lastModifiedDate: text,
      description: text,
      cvss: looseRow({ '4.0': score, '3.1': score, '3.0': score, '2.0': score }).optional(),
      exploitabilityDetails: looseRow({
        isPubliclyDisclosed: flag,
        isInExploitKit: flag,
        isVerified: flag,
        epss: looseRow({ score: z.number().optional() }).optional(),
      }).optional(),
    }),
  }),
  ({ name, properties }) => {
    const id = properties.cveId ?? name ?? '';
    return /^cve-\d{4}-\d{4,}$/i.test(id) ? id : { problem: 'cveId is no CVE id' };
  },
  ({ properties }, id) => {
    const { cvss, exploitabilityDetails: exploit } = properties;
    return {
      group: id,
      body: body({
        severity: properties.severity,
        rejected: properties.status?.toLowerCase() === 'reject',
        published: serviceNowTimeOf(properties.publishedDate),
        modified: serviceNowTimeOf(properties.lastModifiedDate),
        summary: cut(textOfHtml(properties.description ?? ''), 4_000),
        // A 3.1 vector sits under "3.0" (azure.md §1.7); should a "3.1" ever come, it is the better one.
        v4: scoreBody(cvss?.['4.0']),
        v3: scoreBody(cvss?.['3.1'] ?? cvss?.['3.0']),
        v2: scoreBody(cvss?.['2.0']),
        epss: exploit?.epss?.score,
        exploit: exploit?.isInExploitKit === true || exploit?.isPubliclyDisclosed === true || exploit?.isVerified === true,
      }),
    };
  },
);

function scoreBody(scored: z.infer<typeof score>): JsonObject | undefined {
  const base = scored?.base;
  return base === undefined || !Number.isFinite(base) ? undefined : body({ base, vector: scored?.cvssVectorString });
}

/** All CVEs in use, 500 a query; a join inside Resource Graph fails at scale (azure.md §1.7). */
export function cveRead({ managementGroups }: ReadContext): Read {
  return {
    name: 'cve',
    scope: { kind: 'keys', id: 'cve' },
    stage: 2,
    source: {
      type: 'resource-graph-keys',
      keys: { kind: 'cve', which: 'all' },
      queryOfKeys: (keys) =>
        kql(
          'securityresources',
          [`type =~ 'microsoft.security/cvedetails'`, `name in~ (${keys.map(kqlText).join(', ')})`],
          ['name', 'type', 'properties'],
        ),
      keysPerQuery: 500,
      ...(managementGroups.length > 0 && { managementGroups }),
    },
    parse: parseCve,
    emptyMeans: 'no CVE details are readable (Security Reader at a management group): CVEs unknown to ServiceNow come without scores',
    optional: true,
  };
}

/** Severity words to ServiceNow's scale, 1 Critical … 5 None (servicenow.md §3). */
const severities: ReadonlyMap<string, number> = new Map([
  ['critical', 1],
  ['high', 2],
  ['medium', 3],
  ['moderate', 3],
  ['low', 4],
  ['informational', 4],
  ['none', 5],
]);

export function severityOf(word: string | undefined): number | undefined {
  return severities.get(word?.toLowerCase() ?? '');
}

/** The library's entry. The table is create-only: an entry that NVD or a scanner wrote is never touched. */
export function cveEntry(id: string, details: JsonObject): DesiredRecord {
  const scores = (['v4', 'v3', 'v2'] as const).flatMap((version) => {
    const scored = asObject(details, version);
    const base = asNumber(scored, 'base');
    return base === undefined ? [] : [{ version, base, vector: asText(scored, 'vector') }];
  });
  const fields: Record<string, FieldValue> = { id: id.toUpperCase() };
  const summary = [flagged(details, 'rejected') ? 'Rejected.' : '', asText(details, 'summary') ?? '']
    .filter((part) => part !== '')
    .join(' ');
  if (summary !== '') fields['summary'] = summary;
  for (const { version, base, vector } of scores) {
    fields[`${version}_base_score`] = base;
    if (vector !== undefined) fields[`${version}_vector_string`] = vector;
  }
  // Instances without a column per version have one: the newest version that exists counts.
  const [best] = scores;
  if (best) fields['score'] = best.base;
  const optional: readonly (readonly [string, FieldValue | undefined])[] = [
    ['source_severity', asText(details, 'severity')],
    ['date_published', asText(details, 'published')],
    ['last_modified', asText(details, 'modified')],
    ['epss_score', asNumber(details, 'epss')],
    ['exploit', flagged(details, 'exploit') ? true : undefined],
  ];
  for (const [column, value] of optional) if (value !== undefined) fields[column] = value;
  return { table: 'sn_vul_nvd_entry', key: id, fields };
}
