/** The shape of an assessment row, from REST and from Resource Graph (azure.md §1.4, §1.7, §1.9), and what is kept of it. */
import { z } from 'zod';
import type { ResourceDetails } from '../inventory/resource-details.ts';
import type { JsonObject, ObservedId } from '../model.ts';
import type { Problem } from './row.ts';
import { body, looseRow, text, texts } from './row.ts';
import { clean, cleanLine, cut, paragraphs } from './text.ts';
import { serviceNowTimeOf } from './time.ts';

const resourceDetails = looseRow({
  source: text,
  id: text,
  resourceId: text,
  azureResourceId: text,
  awsResourceId: text,
  gcpResourceId: text,
  nativeResourceId: text,
  nativeCloudUniqueIdentifier: text,
  resourceType: text,
  resourceName: text,
  hierarchyId: text,
  accountId: text,
  region: text,
  workspaceId: text,
  vmuuid: text,
  sourceComputerId: text,
  machineName: text,
  serverName: text,
  databaseName: text,
});

export const assessmentProperties = looseRow({
  displayName: text,
  status: looseRow({ code: z.string(), cause: text, description: text, firstEvaluationDate: text }),
  resourceDetails: resourceDetails.optional(),
  resourceAdditionalData: z.unknown().optional(),
  additionalData: z.record(z.string(), z.unknown()).optional(),
  links: looseRow({ azurePortalUri: text, azurePortal: text }).optional(),
  risk: looseRow({ level: text, riskFactors: texts }).optional(),
  metadata: looseRow({ assessmentType: text, recommendationCategory: text, severity: text }).optional(),
});

export type AssessmentProperties = z.infer<typeof assessmentProperties>;

export const assessmentRow = looseRow({ id: z.string(), properties: assessmentProperties });

/**
 * `{resource id}/providers/Microsoft.Security/assessments/{key}`: the key, and the resource as spelled.
 * @param id the same id, checked and in lower case
 */
export function assessmentId(id: ObservedId, spelled: string): { readonly key: ObservedId; readonly assessed: string } | undefined {
  const [tail = '', key] = /\/providers\/microsoft\.security\/assessments\/([^/]+)$/.exec(id) ?? [];
  if (key === undefined) return undefined;
  return { key: key as ObservedId, assessed: spelled.replace(/\/+$/, '').slice(0, -tail.length) };
}

/** Folds the field names that the sources use for one thing. */
export function detailsOf(details: z.infer<typeof resourceDetails> | undefined): ResourceDetails {
  if (details === undefined) return {};
  return {
    source: details.source,
    id: details.id ?? details.resourceId ?? details.azureResourceId,
    nativeResourceId: details.awsResourceId ?? details.gcpResourceId ?? details.nativeResourceId ?? details.nativeCloudUniqueIdentifier,
    accountId: details.accountId ?? details.hierarchyId,
    region: details.region,
    workspaceId: details.workspaceId,
    vmUuid: details.vmuuid,
    sourceComputerId: details.sourceComputerId,
    machineName: details.machineName,
    serverName: details.serverName,
    databaseName: details.databaseName,
  };
}

const statuses: ReadonlyMap<string, string> = new Map(['Healthy', 'Unhealthy', 'NotApplicable'].map((code) => [code.toLowerCase(), code]));

/** `Healthy`, `Unhealthy` or `NotApplicable`; anything else decides nothing and is a problem of the row. */
export function statusOf(code: string): string | Problem {
  return (
    statuses.get(code.toLowerCase()) ?? {
      problem: `properties.status.code is ${cut(cleanLine(code), 60) || 'empty'}, not Healthy, Unhealthy or NotApplicable`,
    }
  );
}

/** What a test result needs of an assessment, and nothing that changes by itself (change dates, scan times). */
export function contentOf(properties: AssessmentProperties): { readonly body: JsonObject } | Problem {
  const { displayName, status, additionalData, links, risk } = properties;
  const code = statusOf(status.code);
  if (typeof code !== 'string') return code;
  return {
    body: body({
      name: cleanLine(displayName ?? ''),
      status: code,
      cause: cleanLine(status.cause ?? ''),
      reason: clean(status.description ?? ''),
      firstEvaluated: serviceNowTimeOf(status.firstEvaluationDate),
      data: additionalText(additionalData),
      riskLevel: risk?.level,
      riskFactors: [...(risk?.riskFactors ?? [])].map(cleanLine).sort(),
      portal: clean(links?.azurePortalUri ?? links?.azurePortal ?? ''),
    }),
  };
}

/** Longest text of actual values: what partner integrations store as well (servicenow.md §2). */
export const maxActualValues = 3_000;

/** `name: value` lines in name order; the list's order is not stable. */
function additionalText(data: Readonly<Record<string, unknown>> | undefined): string {
  const lines = Object.entries(data ?? {})
    .filter(([name, value]) => value !== undefined && value !== null && value !== '' && name.toLowerCase() !== 'subassessmentslink')
    .map(([name, value]) => `${cleanLine(name)}: ${typeof value === 'string' ? clean(value) : JSON.stringify(sortedKeys(value))}`)
    .sort();
  return cut(paragraphs(lines.join('\n')), maxActualValues);
}

/** Key order is not content. */
function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, child]): [string, unknown] => [key, sortedKeys(child)]),
  );
}
