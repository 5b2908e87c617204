/** What the app registration asks for and what was granted to it, where the application may read that (azure.md §2.3, step 3). */
import type { PreflightInput } from './types.ts';
import { incidentRoles, microsoftGraph } from './graph-permissions.ts';

export interface DirectoryAnswer {
  readonly verdict:
    /** Requested as Scope only. */
    | 'delegated'
    /** Requested as Role, not granted. */
    | 'no-consent'
    /** The ids are requested on another API than Microsoft Graph, or other permissions of another security API. */
    | 'wrong-resource'
    | 'not-requested'
    /** Granted: the token is older than the grant. */
    | 'granted';
}

type Directory = NonNullable<PreflightInput['directory']>;

/**
 * Needs Application.Read.All, which few have.
 * @throws SyncError `forbidden` where it is missing; everything that Graph answers
 */
export async function readDirectory(
  directory: Directory,
  clientId: string,
  objectId: string | undefined,
  signal: AbortSignal,
): Promise<DirectoryAnswer | undefined> {
  const applications = await directory.getPage(
    {
      path: '/v1.0/applications',
      apiVersion: '',
      query: { $filter: `appId eq '${clientId}'`, $select: 'appId,requiredResourceAccess' },
    },
    signal,
  );
  const [application] = applications.items;
  // A managed identity has no app registration.
  if (application === undefined) return undefined;
  const requested = requestedOf(application);
  if (objectId !== undefined && (await isGranted(directory, objectId, signal))) return { verdict: 'granted' };
  return { verdict: verdictOf(requested) };
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

/** WindowsDefenderATP and Microsoft Threat Protection: where the permissions are looked for by mistake. */
const otherSecurityApis: ReadonlySet<string> = new Set(['fc780465-2017-40d4-a0c5-307022471b92', '8ee8fdad-f234-4243-8f3b-15c294843740']);

async function isGranted(directory: Directory, objectId: string, signal: AbortSignal): Promise<boolean> {
  const path = `/v1.0/servicePrincipals/${encodeURIComponent(objectId)}/appRoleAssignments`;
  const { items } = await directory.getPage({ path, apiVersion: '', query: { $top: '999' } }, signal);
  return items.some((item) => incidentRoles.some(({ role }) => role === textAt(item, 'appRoleId')));
}

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
