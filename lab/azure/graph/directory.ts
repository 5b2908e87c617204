import type { Directory, Registration } from '../entra/directory.ts';
import { RESOURCE_APIS } from '../entra/permissions.ts';
import type { LabTenantInfo } from '../estate/model.ts';
import { textAt, type JsonObject } from '../json.ts';
import { notFound, unsupportedQuery } from './errors.ts';
import { entityAnswer, listAnswer, type EntitySet, type QueryOptions } from './query.ts';
import {
  applicationRow,
  appRoleAssignmentRows,
  delegatedGrantRows,
  federatedCredentialRows,
  resourcePrincipalRow,
  servicePrincipalRow,
} from './rows.ts';

/** A question to the directory: the path's segments after `/v1.0`, its OData options, its URL. */
export interface DirectoryQuestion {
  readonly segments: readonly string[];
  readonly query: QueryOptions;
  readonly self: URL;
}

const APPLICATIONS: EntitySet = { name: 'applications', type: 'Application', filterable: ['id', 'appId', 'displayName'] };
const PRINCIPALS: EntitySet = {
  name: 'servicePrincipals',
  type: 'ServicePrincipal',
  filterable: ['id', 'appId', 'displayName', 'servicePrincipalType'],
};
const ASSIGNMENTS: EntitySet = {
  name: 'appRoleAssignments',
  type: 'AppRoleAssignment',
  filterable: ['resourceId', 'principalId', 'appRoleId'],
};
const GRANTS: EntitySet = {
  name: 'oauth2PermissionGrants',
  type: 'OAuth2PermissionGrant',
  filterable: ['id', 'clientId', 'consentType', 'principalId', 'resourceId'],
};

const READ_APPLICATIONS = ['Application.Read.All', 'Application.ReadWrite.All', 'Directory.Read.All'];
const READ_GRANTS = ['Directory.Read.All', 'DelegatedPermissionGrant.Read.All', 'DelegatedPermissionGrant.ReadWrite.All'];

/** Application permissions of which one opens that part of the directory; undefined where there is no such part (azure.md §2.3). */
export function directoryPermissions({ segments }: DirectoryQuestion): readonly string[] | undefined {
  const part = partOf(segments[0] ?? '')?.name;
  const below = segments[1 + (isKeyed(segments[0] ?? '') ? 0 : 1)];
  if (part === 'oauth2PermissionGrants' || below === 'oauth2PermissionGrants') return READ_GRANTS;
  return part === undefined ? undefined : READ_APPLICATIONS;
}

/** What the directory answers (azure.md §2.3, step 3). */
export function directoryAnswer(question: DirectoryQuestion, directory: Directory, tenant: LabTenantInfo): JsonObject {
  const { query, self } = question;
  const [first = ''] = question.segments;
  const part = partOf(first);
  const named = isKeyed(first) ? question.segments : question.segments.slice(1);
  const key = named.at(0);
  const below = named.at(1);
  const known = directory.registrations.filter(({ presence }) => presence !== 'not-in-tenant');
  const withPrincipal = known.filter(({ presence }) => presence !== 'service-principal-missing');
  if (part === GRANTS) return grantsAnswer(withPrincipal.flatMap(delegatedGrantRows), question);
  if (part === APPLICATIONS) {
    if (key === undefined) return listAnswer(known.map(applicationRow), APPLICATIONS, query, self);
    const found = known.find((registration) => isNamed(applicationRow(registration), key));
    if (found === undefined) throw notFound(key);
    if (below === 'federatedIdentityCredentials') {
      const name = `applications('${textAt(applicationRow(found), 'id')}')/federatedIdentityCredentials`;
      return listAnswer(federatedCredentialRows(found), { name, type: 'FederatedIdentityCredential', filterable: ['name'] }, query, self);
    }
    if (below !== undefined) throw notFound(below);
    return entityAnswer(applicationRow(found), APPLICATIONS, query, self);
  }
  return principalsAnswer(question, withPrincipal, tenant, { key, below });
}

function principalsAnswer(
  { query, self }: DirectoryQuestion,
  registrations: readonly Registration[],
  tenant: LabTenantInfo,
  { key, below }: { key: string | undefined; below: string | undefined },
): JsonObject {
  const rows = [...registrations.map((one) => servicePrincipalRow(one, tenant)), ...RESOURCE_APIS.map(resourcePrincipalRow)];
  if (key === undefined) return listAnswer(rows, PRINCIPALS, query, self);
  const row = rows.find((candidate) => isNamed(candidate, key));
  if (row === undefined) throw notFound(key);
  if (below === undefined) return entityAnswer(row, PRINCIPALS, query, self);
  const registration = registrations.find(({ application }) => application.principalId === textAt(row, 'id'));
  if (below === 'appRoleAssignments')
    return listAnswer(registration === undefined ? [] : appRoleAssignmentRows(registration), ASSIGNMENTS, query, self);
  if (below === 'oauth2PermissionGrants')
    return listAnswer(registration === undefined ? [] : delegatedGrantRows(registration), GRANTS, query, self);
  throw notFound(below);
}

/** The list of a whole tenant may be large: filters other than by equality are not answered, and no single grant is asked for. */
function grantsAnswer(rows: JsonObject[], { segments, query, self }: DirectoryQuestion): JsonObject {
  if (segments.length > 1) throw unsupportedQuery('Unsupported Query.');
  return listAnswer(rows, GRANTS, query, self);
}

/** `servicePrincipals(appId='…')`. */
function isKeyed(segment: string): boolean {
  return segment.includes('(');
}

function partOf(segment: string): EntitySet | undefined {
  const name = segment.split('(', 1)[0]?.toLowerCase();
  return [APPLICATIONS, PRINCIPALS, GRANTS].find((set) => set.name.toLowerCase() === name);
}

/** An object is named by its id, or by `(appId='…')`. */
function isNamed(row: JsonObject, key: string): boolean {
  const byAppId = /\(appId='([^']*)'\)$/i.exec(key)?.[1];
  return byAppId === undefined ? textAt(row, 'id') === key.toLowerCase() : textAt(row, 'appId') === byAppId.toLowerCase();
}
