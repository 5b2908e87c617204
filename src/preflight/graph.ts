/**
 * May the application read security incidents (azure.md §2.3)? An application-only token is issued without complaint even when it
 * carries no permission at all, which is what the sentence "Missing required roles" hides.
 */
import { decodeClaims, type IncidentsProbe, type TokenClaims } from '../azure/index.ts';
import { isGranted, requestedWhat, type RequestedWhat } from './graph-directory.ts';
import { incidentRoles, microsoftGraph } from './graph-permissions.ts';
import { blocking, ok } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

export const graphIncidentPermissions: Check = {
  id: 'graph.incident-permissions',
  area: 'Graph permissions',
  question: 'May the application read security incidents?',
  fixedBy: 'A Global Administrator or Privileged Role Administrator',
  permissions: [
    {
      feature: 'security incidents (incidents: true)',
      system: 'Microsoft Graph',
      permission: 'SecurityIncident.Read.All (45cc0394-e837-488b-a098-1918f48d186c), Application permission',
      where: 'the app registration, with admin consent',
    },
  ],
  needs: ['entra.sign-in'],
  applies: ({ deployment }) => deployment.incidents,
  run: async (context) => {
    const held = heldRoles(await readClaims(context, false));
    if (held.length > 0) return [granted(held)];
    // Permissions may have been granted after the kept token was issued.
    const claims = await readClaims(context, true);
    const fresh = heldRoles(claims);
    if (fresh.length > 0) return [granted(fresh)];
    const probe = await context.clients.azure.graph.readIncidentsProbe(context.signal);
    if (probe.verdict === 'ok') return [ok('Microsoft Graph lets the application read security incidents.')];
    return [await explain(context, claims, probe)];
  },
};

async function readClaims(context: CheckContext, forceNew: boolean): Promise<TokenClaims | undefined> {
  const scope = `${context.deployment.azure.graph}/.default`;
  const token = await context.tokens.getToken(scope, { signal: context.signal, gate: context.gate, forceNew });
  return decodeClaims(token.token);
}

const wanted: readonly string[] = incidentRoles.map(({ name }) => name);
/** With the ids of the Application permissions, by which the portal and the az command know them. */
const wantedWithIds = incidentRoles.map(({ name, role }) => `${name} (${role})`).join(' and ');

function heldRoles(claims: TokenClaims | undefined): readonly string[] {
  return claims?.roles.filter((role) => wanted.includes(role)) ?? [];
}

function granted(held: readonly string[]): Result {
  return ok(`The Microsoft Graph token carries the application permission ${held.join(' and ')}.`);
}

async function explain(
  context: CheckContext,
  claims: TokenClaims | undefined,
  probe: Extract<IncidentsProbe, { verdict: 'missing-roles' }>,
): Promise<Result> {
  const clientId = context.deployment.azure.clientId ?? claims?.applicationId ?? '<clientId>';
  const cause = await causeFor(context, clientId);
  const said = `Microsoft Graph answers 403 to /v1.0/security/incidents: "Missing application roles. API required roles: ${probe.required.join(',')}, application roles: ${probe.held.join(',')}."`;
  const token = tokenSentence(claims, probe);
  const words = cause === 'token-older-than-grant' ? { fixedBy: 'Nobody: it passes' } : {};
  if (context.deployment.azure.credential.type === 'managed-identity' && cause !== 'token-older-than-grant') {
    const identity = claims?.objectId ?? '<object id of the managed identity>';
    return blocking('not-assigned', `${notAssigned} ${token} ${said}`, assignTo(identity));
  }
  return blocking(cause, `${sentenceOf(cause, claims)} ${token} ${said}`, remedyOf(clientId, cause), words);
}

/** A managed identity has no app registration, so that there is no page and no consent: its application roles are assigned one by one. */
const notAssigned = `Not assigned: a managed identity is given application permissions directly, and this one has neither ${wantedWithIds}.`;

function assignTo(identity: string): string {
  const find = `az ad sp show --id ${microsoftGraph} --query id --output tsv`;
  const assign = incidentRoles.map(
    ({ role }) =>
      `az rest --method POST --uri https://graph.microsoft.com/v1.0/servicePrincipals/${identity}/appRoleAssignments --body '{"principalId":"${identity}","resourceId":"<object id of Microsoft Graph>","appRoleId":"${role}"}'`,
  );
  return `A Global or Privileged Role Administrator: 1. ${find} gives the object id of Microsoft Graph in this tenant. 2. ${assign.join(' ; ')}. In another cloud than the public one, Microsoft Graph has another host. Tokens of managed identities are kept for up to 24 hours: it may take that long to work.`;
}

type Cause =
  | RequestedWhat
  /** Granted: the token is older than the grant. */
  | 'token-older-than-grant'
  /** The application may not read its own registration, which is the usual case and no fault. */
  | 'no-role-in-token';

async function causeFor({ facts, directory, signal }: CheckContext, clientId: string): Promise<Cause> {
  const registration = await facts.appRegistration();
  if (registration === undefined || directory === undefined) return 'no-role-in-token';
  return (await isGranted(directory, clientId, signal)) ? 'token-older-than-grant' : requestedWhat(registration);
}

/** What the token itself shows: no `roles` claim is the mark of the mistake. */
function tokenSentence(claims: TokenClaims | undefined, probe: { readonly held: readonly string[] }): string {
  const roles = claims?.roles ?? probe.held;
  if (roles.length > 0) {
    return `The Microsoft Graph token carries the application permissions ${roles.join(', ')}, but neither ${wanted.join(' nor ')}.`;
  }
  return `The Microsoft Graph token was issued, but carries no application permission (no roles claim): neither ${wanted.join(' nor ')}.`;
}

function sentenceOf(cause: Cause, claims: TokenClaims | undefined): string {
  switch (cause) {
    case 'delegated-only':
      return `Delegated instead of Application: the app registration requests ${wantedWithIds} as Delegated (Scope), which a service without a signed-in user cannot use.`;
    case 'no-consent':
      return `No admin consent: the app registration requests the Application permissions ${wantedWithIds}, but nobody has granted them.`;
    case 'wrong-resource':
      return 'Wrong API: the permissions were added on WindowsDefenderATP or another API, and these exist on Microsoft Graph only.';
    case 'not-requested':
      return 'Not requested: the app registration does not ask for either permission.';
    case 'token-older-than-grant':
      return 'The Application permission is granted, but tokens do not carry it yet: the grant is younger than the token.';
    case 'no-role-in-token':
      return (claims?.roles.length ?? 0) > 0
        ? 'The permission was never added as Application, or its admin consent is missing.'
        : `Delegated instead of Application, or no admin consent, for ${wantedWithIds} (which of the two cannot be told: the application may not read its own registration).`;
  }
}

function remedyOf(clientId: string, cause: Cause): string {
  if (cause === 'token-older-than-grant') {
    return 'Wait some minutes until Entra issues tokens with it (an hour at most), then check again: defender-sync doctor.';
  }
  const page = `Entra admin centre › App registrations › ${clientId} › API permissions`;
  const consent = `az ad app permission admin-consent --id ${clientId}`;
  if (cause === 'no-consent') {
    return `A Global Administrator or Privileged Role Administrator opens ${page} › Grant admin consent, until both ${wanted.join(' and ')} show a green check; or: ${consent}`;
  }
  const add = `az ad app permission add --id ${clientId} --api ${microsoftGraph} --api-permissions ${incidentRoles.map(({ role }) => `${role}=Role`).join(' ')}`;
  return `1. ${page}: remove SecurityIncident entries of type Delegated. 2. Add a permission › Microsoft Graph (not WindowsDefenderATP) › Application permissions: ${wanted.join(', ')}. 3. A Global or Privileged Role Administrator: Grant admin consent, until both show a green check. Or by command, the ids in the same order: ${add} && ${consent}`;
}
