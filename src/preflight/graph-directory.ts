/** What the app registration asks for, what was granted to it, and when its credentials end, where the application may read that (azure.md §2.3, step 3). */
import { isAnswer } from './results.ts';
import type { PreflightInput } from './types.ts';
import { incidentRoles, microsoftGraph, microsoftThreatProtection, windowsDefenderAtp } from './graph-permissions.ts';

export type Directory = NonNullable<PreflightInput['directory']>;

/** The app registration, as its directory shows it. */
export interface AppRegistration {
  readonly requested: readonly RequestedAccess[];
  readonly credentials: readonly AppCredential[];
}

export interface RequestedAccess {
  /** Application id of the API. */
  readonly resource: string;
  readonly id: string;
  /** `Role` (application permission) or `Scope` (delegated). */
  readonly type: string;
}

export interface AppCredential {
  readonly type: 'secret' | 'certificate';
  readonly keyId: string;
  readonly displayName: string;
  /** The first three characters of a secret: never shown, only compared. */
  readonly hint: string;
  /** NaN where the directory does not say. */
  readonly endsAtMs: number;
}

/** Needs Application.Read.All, which few have. Undefined where the directory knows no such app registration (managed identities). */
export async function readAppRegistration(
  directory: Directory,
  clientId: string,
  signal: AbortSignal,
): Promise<AppRegistration | undefined> {
  const query = { $filter: `appId eq '${clientId}'`, $select: 'appId,requiredResourceAccess,passwordCredentials,keyCredentials' };
  const [application] = await readAll(directory, { path: '/v1.0/applications', query }, signal);
  if (application === undefined) return undefined;
  const credentialsAt = (key: string, type: AppCredential['type']): AppCredential[] =>
    listAt(application, key).map((entry) => ({
      type,
      keyId: textAt(entry, 'keyId'),
      displayName: textAt(entry, 'displayName'),
      hint: textAt(entry, 'hint'),
      endsAtMs: Date.parse(textAt(entry, 'endDateTime')),
    }));
  return {
    requested: requestedOf(application),
    credentials: [...credentialsAt('passwordCredentials', 'secret'), ...credentialsAt('keyCredentials', 'certificate')],
  };
}

/** The token carries no permission, so where grants are not readable the likelier answer is that there are none. */
export async function isGranted(directory: Directory, clientId: string, signal: AbortSignal): Promise<boolean> {
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

function requestedOf(application: unknown): readonly RequestedAccess[] {
  return listAt(application, 'requiredResourceAccess').flatMap((resource) =>
    listAt(resource, 'resourceAccess').map((access) => ({
      resource: textAt(resource, 'resourceAppId'),
      id: textAt(access, 'id'),
      type: textAt(access, 'type'),
    })),
  );
}

/** What of the registration explains that a token carries no permission on incidents. */
export type RequestedWhat =
  /** Requested as Scope only. */
  | 'delegated-only'
  /** Requested as Role, not granted. */
  | 'no-consent'
  /** Only another security API is requested; the permissions exist on Microsoft Graph alone. */
  | 'wrong-resource'
  | 'not-requested';

export function requestedWhat({ requested }: AppRegistration): RequestedWhat {
  const onGraph = requested.filter(({ resource }) => resource === microsoftGraph);
  const has = (type: string, id: (permission: (typeof incidentRoles)[number]) => string): boolean =>
    onGraph.some((entry) => entry.type === type && incidentRoles.some((permission) => id(permission) === entry.id));
  if (has('Role', ({ role }) => role)) return 'no-consent';
  if (has('Scope', ({ scope }) => scope)) return 'delegated-only';
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
