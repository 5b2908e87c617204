/** The test result: what Defender found for one test on one CI (mapping.md §4; servicenow.md §2). */
import type { DeriveContext, DesiredRecord, FieldValue, JsonObject, ObservedId, ResolvedCi } from '../model.ts';
import { asText, asTexts } from './fields.ts';
import { maxActualValues } from './assessment-row.ts';
import { naturalKey } from './natural-key.ts';
import { cut, labelled, paragraphs } from './text.ts';
import { serviceNowTime } from './time.ts';

/** An assessment on a CI, with the item of its resource. */
export interface AssessmentOfCi {
  readonly id: ObservedId;
  readonly body: JsonObject;
  readonly discoveredItemKey: string;
}

/** What decides first: one failure fails the result, one pass outweighs what does not apply. */
const weight: Readonly<Record<string, number>> = { Unhealthy: 0, Healthy: 1, NotApplicable: 2 };

/** Causes of NotApplicable that are a person's decision, not a finding (mapping.md §4). */
const ignoredCauses: ReadonlySet<string> = new Set(['exempt', 'offbypolicy']);

/**
 * One result of a CI and a test. Several assessments meet on it when several resource ids are one CI: failed if any
 * failed, all named.
 * @param assessments at least one
 */
export function resultRecord(ci: ResolvedCi, test: string, assessments: readonly AssessmentOfCi[], context: DeriveContext): DesiredRecord {
  const ordered = [...assessments].sort((a, b) => weightOf(a) - weightOf(b) || (a.id < b.id ? -1 : 1));
  const [decisive] = ordered;
  const status = decisive === undefined ? '' : asText(decisive.body, 'status');
  const firstSeen = ordered
    .map(({ body }) => asText(body, 'firstEvaluated'))
    .filter((time) => time !== undefined)
    .sort()[0];
  const riskLevel = ordered.map(({ body }) => asText(body, 'riskLevel')).find((level) => level !== undefined);
  const scanned = serviceNowTime(context.scannedAtMs);
  const fields: Record<string, FieldValue> = {
    source: context.source,
    source_id: decisive?.id ?? '',
    integration_instance: { record: { table: 'sn_sec_int_impl', key: context.integrationInstanceKey } },
    cmdb_ci: { ci: ci.key },
    src_ci: { record: { table: 'sn_sec_cmn_src_ci', key: decisive?.discoveredItemKey ?? '' } },
    control: { record: { table: 'sn_vulc_test', key: test } },
    actual_values: cut(ordered.map((one) => actualValues(one, ordered.length > 1)).join('\n\n'), maxActualValues),
    result_details: [...new Set(ordered.map(({ body }) => details(body)))].filter((text) => text !== '').join('\n\n'),
    // False must be said as well: a lifted exemption would stay ignored for ever.
    is_ignored: status === 'NotApplicable' && ordered.every(({ body }) => ignoredCauses.has(asText(body, 'cause')?.toLowerCase() ?? '')),
    ...(firstSeen !== undefined && { first_seen: firstSeen }),
    ...(riskLevel !== undefined && { source_risk_score: riskLevel }),
  };
  const record = { table: 'sn_vulc_result', key: naturalKey(context.integrationInstanceKey, ci.sysId, test) };
  switch (status) {
    case 'Unhealthy':
      return { ...record, fields: { ...fields, result: 'failed' }, volatile: { last_seen: scanned } };
    case 'Healthy':
      return { ...record, fields: { ...fields, result: 'passed' }, volatile: { last_pass: scanned } };
    default: {
      const choice = context.notApplicableResult;
      return { ...record, fields: { ...fields, ...(choice !== undefined && { result: choice }) }, onlyIfExists: true };
    }
  }
}

function weightOf({ body }: AssessmentOfCi): number {
  return weight[asText(body, 'status') ?? ''] ?? 3;
}

/** Cause and description first, then what Defender says about the resource. */
function actualValues({ id, body }: AssessmentOfCi, named: boolean): string {
  const cause = [asText(body, 'cause'), asText(body, 'reason')].filter((part) => part !== undefined).join(': ');
  return paragraphs(named ? `${asText(body, 'status') ?? ''}: ${id}` : undefined, cause, asText(body, 'data'));
}

function details(body: JsonObject): string {
  return [
    labelled('Risk', asText(body, 'riskLevel')),
    labelled('Risk factors', asTexts(body, 'riskFactors')),
    labelled('Portal', asText(body, 'portal')),
  ]
    .filter((line) => line !== undefined)
    .join('\n');
}
