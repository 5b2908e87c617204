/** What the app registration asks for and what was granted to it, where the application may read that (azure.md §2.3, step 3). */
import { isAnswer } from './results.ts';
import type { PreflightInput } from './types.ts';
import { incidentRoles, microsoftGraph, microsoftThreatProtection, windowsDefenderAtp } from './graph-permissions.ts';

export interface DirectoryAnswer {
  readonly verdict:
    /** Requested as Scope only. */
    | 'delegated'
    /** Requested as Role, not granted. */
    | 'no-consent'
    /** Only another security API is requested; the permissions exist on Microsoft Graph alone. */
    | 'wrong-resource'
    | 'not-requested'
    /** Granted: the token is older than the grant. */
    | 'granted';
}

type Directory = NonNullable<PreflightInput['directory']>;

/**
 * Needs Application.Read.All, which few have. Undefined where the directory knows no such app registration (managed identities).
 * @throws SyncError `forbidden` where the permission is missing; everything else that Graph refuses
 */
export async function readDirectory(directory: Directory, clientId: string, signal: AbortSignal): Promise<DirectoryAnswer | undefined> {
  const query = { $filter: `appId eq '${clientId}'`, $select: 'appId,requiredResourceAccess' };
  const [application] = await readAll(directory, { path: '/v1.0/applications', query }, signal);
  if (application === undefined) return undefined;
  return { verdict: (await isGranted(directory, clientId, signal)) ? 'granted' : verdictOf(requestedOf(application)) };
}

/** The token carries no permission, so where grants are not readable the likelier answer is that there are none. */
async function isGranted(directory: Directory, clientId: string, signal: AbortSignal): Promise<boolean> {
  const path = `/v1.0/servicePrincipals(appId='${encodeURIComponent(clientId)}')/appRoleAssignments`;
  try {
    const assignments = await readAll(directory, { path }, signal);
    return assignments.some((item) => incidentRoles.some(({ role }) => role === textAt(item, 'appRoleId')));
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return false;
  }
}

/** Far more than one application has. */
const maxPages = 20;

async function readAll(
  directory: Directory,
  first: { readonly path: string; readonly query?: Readonly<Record<string, string>> },
  signal: AbortSignal,
): Promise<readonly unknown[]> {
  const items: unknown[] = [];
  let request: Parameters<Directory['getPage']>[0] = { ...first, apiVersion: '' };
  for (let page = 0; page < maxPages; page += 1) {
    const answer = await directory.getPage(request, signal);
    items.push(...answer.items);
    if (answer.nextLink === undefined) break;
    request = { nextLink: answer.nextLink };
  }
  return items;
}

interface Requested {
  readonly resource: string;
  readonly id: string;
  readonly type: string;
}

function requestedOf(application: unknown): readonly Requested[] {
  return listAt(application, 'requiredResourceAccess').flatMap((resource) =>
    listAt(resource, 'resourceAccess').map((access) => ({
      resource: textAt(resource, 'resourceAppId'),
      id: textAt(access, 'id'),
      type: textAt(access, 'type'),
    })),
  );
}

function verdictOf(requested: readonly Requested[]): DirectoryAnswer['verdict'] {
  const onGraph = requested.filter(({ resource }) => resource === microsoftGraph);
  const has = (type: string, id: (permission: (typeof incidentRoles)[number]) => string): boolean =>
    onGraph.some((entry) => entry.type === type && incidentRoles.some((permission) => id(permission) === entry.id));
  if (has('Role', ({ role }) => role)) return 'no-consent';
  if (has('Scope', ({ scope }) => scope)) return 'delegated';
  return requested.some(({ resource }) => otherSecurityApis.has(resource)) ? 'wrong-resource' : 'not-requested';
}

/** Where the permissions are looked for by mistake. */
const otherSecurityApis: ReadonlySet<string> = new Set([windowsDefenderAtp, microsoftThreatProtection]);

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}

function textAt(value: unknown, key: string): string {
  const found = at(value, key);
  return typeof found === 'string' ? found : '';
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const found = at(value, key);
  return Array.isArray(found) ? found : [];
}
