/** Does Resource Graph show what ARM shows (azure.md §1.7, §1.9)? It leaves out what it does not know yet, and says nothing. */
import { splitSubscriptions, type AzureClients } from '../azure/index.ts';
import { scansImages } from './azure-plans.ts';
import { identityOf, securityReader, securityReaderOn } from './azure-roles.ts';
import { isReadable, managementGroupPath } from './azure-scopes.ts';
import { counted, listed, ok, warning } from './results.ts';
import type { Check } from './types.ts';

type ResourceGraph = AzureClients['resourceGraph'];

const maxPages = 200;

/** All rows of a short result. */
async function rowsOf(graph: ResourceGraph, query: string, subscriptions: readonly string[], signal: AbortSignal): Promise<unknown[]> {
  const rows: unknown[] = [];
  for (const group of splitSubscriptions(subscriptions)) {
    let skipToken: string | undefined;
    for (let page = 0; page < maxPages; page += 1) {
      const answer = await graph.queryPage(
        { query, subscriptions: group, top: 1_000, ...(skipToken !== undefined && { skipToken }) },
        signal,
      );
      rows.push(...answer.rows);
      ({ skipToken } = answer);
      if (skipToken === undefined) break;
    }
  }
  return rows;
}

/** Assessments by subscription (lower case), as far as Resource Graph shows them; one row a subscription. */
export async function countAssessments(
  graph: ResourceGraph,
  subscriptions: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const query = [
    'securityresources',
    `where type =~ 'microsoft.security/assessments'`,
    'summarize assessments = count() by subscriptionId',
    'project id = subscriptionId, assessments',
    'order by id asc',
  ].join('\n| ');
  const rows = await rowsOf(graph, query, subscriptions, signal);
  return new Map(rows.map((row) => [textAt(row, 'id').toLowerCase(), Number((row as Record<string, unknown>)['assessments'] ?? 0)]));
}

export const azureResourceGraph: Check = {
  id: 'azure.resource-graph',
  area: 'Azure RBAC',
  question: 'Does Resource Graph show the same subscriptions as Resource Manager?',
  fixedBy: 'An Owner or User Access Administrator of the subscription',
  needs: ['azure.scopes'],
  whenRefused: 'not-readable',
  run: async (context) => {
    const readable = (await context.facts.scopes()).subscriptions.filter(isReadable).map(({ id }) => id);
    const query = [
      'resourcecontainers',
      `where type =~ 'microsoft.resources/subscriptions'`,
      'project id, subscriptionId',
      'order by id asc',
    ].join('\n| ');
    const rows = await rowsOf(context.clients.azure.resourceGraph, query, readable, context.signal);
    const shown = new Set(rows.map((row) => textAt(row, 'subscriptionId').toLowerCase()));
    const missing = readable.filter((id) => !shown.has(id));
    if (missing.length === 0) return [ok(`Resource Graph shows all ${counted(readable.length, 'subscription')}.`)];
    const who = await identityOf(context);
    return [
      warning(
        'fewer-subscriptions',
        `Resource Graph shows ${readable.length - missing.length} of ${counted(readable.length, 'subscription')} that Resource Manager shows; missing: ${listed(missing)}.`,
        `Resource Graph follows a new role within the hour. If it stays so: az graph query -q "resourcecontainers | where type =~ 'microsoft.resources/subscriptions'" --subscriptions ${missing[0] ?? ''}, and ${securityReaderOn(
          missing.map((id) => `/subscriptions/${id}`),
          who,
        )}`,
        {
          follows: 'A run goes on; container images, tags and regions of these subscriptions are not found, and nothing of them is closed.',
        },
      ),
    ];
  },
};

export const azureCveDetails: Check = {
  id: 'azure.cve-details',
  area: 'Azure RBAC',
  question: 'Does the application see the details of CVEs (microsoft.security/cvedetails)?',
  fixedBy: 'An Owner or User Access Administrator of the management group',
  permissions: [
    {
      feature: 'scores and dates of CVEs that ServiceNow does not know',
      system: 'Azure RBAC',
      permission: `Security Reader (${securityReader})`,
      where: 'a management group above the subscriptions, best the tenant root group',
    },
  ],
  needs: ['azure.read'],
  whenRefused: 'not-readable',
  run: async (context) => {
    const plans = [...(await context.facts.plans()).values()];
    const hasImages = plans.some((reading) => 'plans' in reading && reading.plans.some(scansImages));
    if (!hasImages) return [ok('Not needed: no plan that scans container images is on anywhere.')];
    const { scope, azure } = context.deployment;
    const groups = scope.type === 'management-groups' ? scope.managementGroups : [];
    const query = ['securityresources', `where type =~ 'microsoft.security/cvedetails'`, 'project id', 'order by id asc'].join('\n| ');
    const { rows } = await context.clients.azure.resourceGraph.queryPage(
      { query, top: 1, ...(groups.length > 0 && { managementGroups: groups }) },
      context.signal,
    );
    if (rows.length > 0) return [ok('Details of CVEs are visible.')];
    const who = await identityOf(context);
    const target = groups[0] ?? azure.tenantId;
    return [
      warning(
        'cve-details-hidden',
        `Resource Graph shows no microsoft.security/cvedetails: they are visible only with Security Reader at a management group (the tenant root group ${azure.tenantId} or one below it), not with a role on subscriptions.`,
        `${securityReaderOn([managementGroupPath(target)], who)}${groups.length > 0 ? '' : ' A role below the tenant root group is seen only where scope.managementGroups of the deployment names its group.'}`,
        { follows: 'A run goes on; CVEs that ServiceNow does not know itself come without scores and dates.' },
      ),
    ];
  },
};

function textAt(row: unknown, key: string): string {
  const value = typeof row === 'object' && row !== null ? (row as Readonly<Record<string, unknown>>)[key] : undefined;
  return typeof value === 'string' ? value : '';
}
