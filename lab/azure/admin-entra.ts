/**
 * What an administrator of Entra does to the lab, as keys of `POST /azure/change`; each takes one object.
 * The lab starts in good order: one valid secret, both incident permissions granted as Application permissions, nothing else.
 *
 * - `consent {clientId, state?, directoryReader?}`: SecurityIncident.Read.All and .ReadWrite.All on Microsoft Graph together.
 *   `state`: any of PERMISSION_STATES (entra/permissions.ts). `granted` is the whole remedy: requested as Application, consented,
 *   Delegated entries gone. `directoryReader`: Application.Read.All and Directory.Read.All granted, or not requested.
 * - `permissions {clientId, resource?, states: {"<permission>": "<state>"}}`: each permission by itself. `resource`: `Microsoft Graph`
 *   (default), `WindowsDefenderATP`, `Microsoft Threat Protection`, or an application id.
 * - `adminConsent {clientId}`: "Grant admin consent": whatever is requested now, in the way it is requested, is granted.
 * - `secrets {clientId, add? | rotate? {displayName?, value?, startDateTime?, endDateTime? | endsInDays?}, expire?, remove?}`: `expire`,
 *   `remove`: a keyId or `all`. `rotate` adds one and removes all others. Values and keyIds stand in `GET /azure/directory`.
 * - `certificates {clientId, add? {pem, displayName?, endDateTime?}, expire?, remove?}`: `pem` is the public part.
 * - `federatedCredentials {clientId, add? {name, subject, issuer?, audiences?}, remove?}`: default issuer: the lab's own; default
 *   audience: `api://AzureADTokenExchange`; `remove`: a name or `all`. `POST /azure/federated-tokens` mints what a workload presents.
 * - `application {clientId, presence?, redirectUris?}`: `presence`: `present`, `not-in-tenant`, `service-principal-missing` (its grants
 *   go with it and do not come back by themselves), `disabled`.
 * - `conditionalAccess {clientId, blocked}`.
 * - `authority {clockSkewSeconds?, cloud?, transient?, federatedCodes?, consentAnswer?}`: `cloud`: `public`, `usgovernment`; `transient`:
 *   `{code, times?}` or null; `federatedCodes`: `by-claim`, `one` (AADSTS70021); `consentAnswer`: `accept`, `decline`.
 * - `managedIdentity {systemAssigned?: clientId | null, userAssigned?: clientId[]}`: the identities of the host.
 */
import { randomUUID, X509Certificate } from 'node:crypto';
import { AdminError } from '../kit/admin-api.ts';
import { TRANSIENT_CODES, type Authority } from './entra/authority.ts';
import { createSecret, PRESENCES, type Registration } from './entra/directory.ts';
import {
  DIRECTORY_PERMISSIONS,
  INCIDENT_PERMISSIONS,
  MICROSOFT_GRAPH,
  PERMISSION_STATES,
  RESOURCE_APIS,
  resourceApi,
  type PermissionState,
  type ResourceApi,
} from './entra/permissions.ts';
import type { Entra } from './entra/index.ts';
import { TOKEN_EXCHANGE_AUDIENCE } from './entra/workload-issuer.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';

export type EntraAdminContext = Entra;

const DAY_MS = 86_400_000;

/** The keys of a change that concern Entra and Microsoft Graph. */
export function entraChanges(context: EntraAdminContext): Record<string, (value: JsonObject) => void> {
  const { authority } = context;
  const of = (value: JsonObject): Registration => registrationIn(context, value);
  return {
    consent: (value) => setConsent(of(value), value, authority.now()),
    permissions: (value) => setPermissions(of(value), value, authority.now()),
    adminConsent: (value) => of(value).permissions.consent(authority.now()),
    secrets: (value) => changeSecrets(of(value), value, authority.now()),
    certificates: (value) => changeCertificates(of(value), value, authority.now()),
    federatedCredentials: (value) => changeFederatedCredentials(of(value), value, context),
    application: (value) => changeApplication(of(value), value),
    conditionalAccess: (value) => {
      if (typeof value.blocked !== 'boolean') throw new AdminError(400, 'conditionalAccess.blocked is true or false.');
      of(value).blockedByPolicy = value.blocked;
    },
    authority: (value) => changeAuthority(authority, value),
    managedIdentity: (value) => changeManagedIdentity(context, value),
  };
}

function setConsent({ permissions }: Registration, { state, directoryReader }: JsonObject, now: Date): void {
  const set = (names: readonly string[], wanted: PermissionState): void => {
    for (const name of names) permissions.set(MICROSOFT_GRAPH, name, wanted, now);
  };
  if (state !== undefined) set(INCIDENT_PERMISSIONS, permissionState('consent.state', state));
  if (typeof directoryReader === 'boolean') set(DIRECTORY_PERMISSIONS, directoryReader ? 'granted' : 'not-requested');
}

function setPermissions({ permissions }: Registration, { resource = MICROSOFT_GRAPH.name, states }: JsonObject, now: Date): void {
  const api = typeof resource === 'string' ? resourceApi(resource) : undefined;
  if (api === undefined) throw new AdminError(400, `permissions.resource is one of ${RESOURCE_APIS.map(({ name }) => name).join(', ')}.`);
  if (!isJsonObject(states)) throw new AdminError(400, 'permissions.states is an object: {"<permission>": "<state>"}.');
  for (const [permission, wanted] of Object.entries(states)) {
    const state = permissionState(`permissions.states.${permission}`, wanted);
    refuseWhatIsNot(api, permission, state);
    permissions.set(api, permission, state, now);
  }
}

function refuseWhatIsNot(api: ResourceApi, permission: string, state: PermissionState): void {
  const ids = api.permissions[permission];
  if (ids === undefined)
    throw new AdminError(400, `${api.name} has no permission '${permission}'; there are ${Object.keys(api.permissions).join(', ')}.`);
  const types: readonly string[] = [...PERMISSION_STATES[state].requested, ...PERMISSION_STATES[state].granted];
  if (types.includes('Scope') && ids.scope === undefined)
    throw new AdminError(400, `'${permission}' exists as an Application permission only.`);
}

function permissionState(name: string, value: Json | undefined): PermissionState {
  const states = Object.keys(PERMISSION_STATES) as PermissionState[];
  return oneOf(name, value, states);
}

function changeSecrets(registration: Registration, { add, rotate, expire, remove }: JsonObject, now: Date): void {
  if (isJsonObject(rotate)) registration.secrets = [secretOf(rotate, now)];
  if (isJsonObject(add)) registration.secrets = [...registration.secrets, secretOf(add, now)];
  for (const secret of named('secrets.expire', registration.secrets, expire)) secret.endsAt = new Date(now.getTime() - DAY_MS);
  const gone = named('secrets.remove', registration.secrets, remove);
  registration.secrets = registration.secrets.filter((secret) => !gone.includes(secret));
}

function secretOf(value: JsonObject, now: Date): ReturnType<typeof createSecret> {
  const { displayName = 'made by the administrator', value: text } = value;
  const endsAt = endOf(value, now);
  return createSecret({
    displayName: textIn('secrets.displayName', displayName),
    startsAt: dateIn('startDateTime', value.startDateTime) ?? now,
    ...(typeof text === 'string' ? { value: text } : {}),
    ...(endsAt === undefined ? {} : { endsAt }),
  });
}

function endOf({ endDateTime, endsInDays }: JsonObject, now: Date): Date | undefined {
  return typeof endsInDays === 'number' ? new Date(now.getTime() + endsInDays * DAY_MS) : dateIn('endDateTime', endDateTime);
}

function changeCertificates(registration: Registration, { add, expire, remove }: JsonObject, now: Date): void {
  if (isJsonObject(add)) {
    const certificate = certificateOf(add.pem);
    const { displayName = certificate.subject } = add;
    const endsAt = endOf(add, now) ?? new Date(certificate.validTo);
    const startsAt = new Date(certificate.validFrom);
    const added = { keyId: randomUUID(), displayName: textIn('certificates.add.displayName', displayName), certificate, startsAt, endsAt };
    registration.certificates = [...registration.certificates, added];
  }
  for (const one of named('certificates.expire', registration.certificates, expire)) one.endsAt = new Date(now.getTime() - DAY_MS);
  const gone = named('certificates.remove', registration.certificates, remove);
  registration.certificates = registration.certificates.filter((one) => !gone.includes(one));
}

function certificateOf(pem: Json | undefined): X509Certificate {
  try {
    return new X509Certificate(typeof pem === 'string' ? pem : '');
  } catch {
    throw new AdminError(400, 'certificates.add.pem is the public part of a certificate, as PEM.');
  }
}

function changeFederatedCredentials(registration: Registration, { add, remove }: JsonObject, { workloads }: EntraAdminContext): void {
  if (isJsonObject(add)) {
    const { name, subject, issuer = workloads.issuer(), audiences = [TOKEN_EXCHANGE_AUDIENCE] } = add;
    if (typeof name !== 'string' || typeof subject !== 'string' || typeof issuer !== 'string' || !Array.isArray(audiences))
      throw new AdminError(400, 'federatedCredentials.add is {name, subject, issuer?, audiences?}.');
    const added = { id: randomUUID(), name, subject, issuer, audiences: audiences.map(String) };
    registration.federatedCredentials = [...registration.federatedCredentials.filter((one) => one.name !== name), added];
  }
  if (remove === undefined) return;
  registration.federatedCredentials = registration.federatedCredentials.filter(({ name }) => remove !== 'all' && remove !== name);
}

function changeApplication(registration: Registration, { presence, redirectUris }: JsonObject): void {
  if (presence !== undefined) registration.presence = oneOf('application.presence', presence, PRESENCES);
  // Grants belong to the service principal.
  if (registration.presence === 'service-principal-missing' || registration.presence === 'not-in-tenant')
    registration.permissions.revokeAll();
  if (Array.isArray(redirectUris)) registration.redirectUris = redirectUris.map(String);
}

function changeAuthority({ state }: Authority, value: JsonObject): void {
  const { clockSkewSeconds, cloud, transient, federatedCodes, consentAnswer } = value;
  if (typeof clockSkewSeconds === 'number') state.clockSkewMs = clockSkewSeconds * 1000;
  if (cloud !== undefined) state.cloud = oneOf('authority.cloud', cloud, ['public', 'usgovernment']);
  if (transient === null) state.transient = undefined;
  if (isJsonObject(transient)) {
    const code = TRANSIENT_CODES.find((known) => known === transient.code);
    if (code === undefined) throw new AdminError(400, `authority.transient.code is one of ${TRANSIENT_CODES.join(', ')}.`);
    state.transient = { code, times: typeof transient.times === 'number' ? transient.times : Number.POSITIVE_INFINITY };
  }
  if (federatedCodes !== undefined)
    state.oneFederatedCode = oneOf('authority.federatedCodes', federatedCodes, ['by-claim', 'one']) === 'one';
  if (consentAnswer !== undefined) state.consentAnswer = oneOf('authority.consentAnswer', consentAnswer, ['accept', 'decline']);
}

function changeManagedIdentity(context: EntraAdminContext, { systemAssigned, userAssigned }: JsonObject): void {
  const { state } = context.authority;
  const known = (clientId: Json): string => registrationIn(context, { clientId }).application.clientId;
  if (systemAssigned !== undefined) state.systemAssignedIdentity = systemAssigned === null ? undefined : known(systemAssigned);
  if (Array.isArray(userAssigned)) state.userAssignedIdentities = (userAssigned as readonly Json[]).map(known);
}

/** Everything the directory holds, secrets included: the lab has none that matter. */
export function directoryTruth({ tenant, directory, authority, workloads, managedIdentity }: EntraAdminContext): object {
  const { transient, ...state } = authority.state;
  return {
    tenant,
    authority: { now: authority.now().toISOString(), ...state, transient: transient?.code ?? null },
    workloadIssuer: workloads.issuer(),
    managedIdentity: managedIdentity(),
    applications: directory.registrations.map(({ application, presence, blockedByPolicy, secrets, certificates, ...rest }) => ({
      deployment: application.deployment,
      clientId: application.clientId,
      principalId: application.principalId,
      presence,
      blockedByPolicy,
      secrets,
      certificates: certificates.map(({ certificate, ...one }) => ({ ...one, thumbprint: certificate.fingerprint.replaceAll(':', '') })),
      federatedCredentials: rest.federatedCredentials,
      permissions: RESOURCE_APIS.map((api) => ({
        resource: api.name,
        requested: rest.permissions.requested(api),
        roles: rest.permissions.roles(api),
      })),
    })),
  };
}

/** `{subject, audience?, issuer?, expiresInSeconds?, notBeforeInSeconds?}` → the token that a workload of that name would present. */
export async function mintFederatedToken({ authority, workloads }: EntraAdminContext, body: unknown): Promise<object> {
  if (!isJsonObject(body) || typeof body.subject !== 'string') throw new AdminError(400, 'A federated token needs a subject.');
  const {
    subject,
    audience = TOKEN_EXCHANGE_AUDIENCE,
    issuer = workloads.issuer(),
    expiresInSeconds = 3600,
    notBeforeInSeconds = 0,
  } = body;
  const nowSeconds = Math.floor(authority.now().getTime() / 1000);
  const token = await workloads.mint({
    sub: subject,
    aud: textIn('audience', audience),
    iss: textIn('issuer', issuer),
    nbf: nowSeconds + Math.min(Number(notBeforeInSeconds), Number(expiresInSeconds) - 1),
    exp: nowSeconds + Number(expiresInSeconds),
  });
  return { token, issuer };
}

function registrationIn({ directory }: EntraAdminContext, { clientId }: JsonObject): Registration {
  const registration = typeof clientId === 'string' ? directory.byClientId(clientId) : undefined;
  if (registration !== undefined) return registration;
  throw new AdminError(404, `No application has the clientId '${JSON.stringify(clientId ?? null)}'.`);
}

/** The entries with that keyId, or all of them. */
function named<T extends { readonly keyId: string }>(name: string, entries: readonly T[], wanted: Json | undefined): readonly T[] {
  if (wanted === undefined) return [];
  const found = wanted === 'all' ? entries : entries.filter(({ keyId }) => keyId === wanted);
  if (found.length === 0) throw new AdminError(404, `${name}: there is no keyId '${JSON.stringify(wanted)}'.`);
  return found;
}

function textIn(name: string, value: Json): string {
  if (typeof value !== 'string') throw new AdminError(400, `${name} is a text.`);
  return value;
}

function dateIn(name: string, value: Json | undefined): Date | undefined {
  if (value === undefined) return undefined;
  const moment = new Date(textIn(name, value));
  if (Number.isNaN(moment.getTime())) throw new AdminError(400, `${name} is a date, 2026-12-24T00:00:00Z.`);
  return moment;
}

function oneOf<T extends string>(name: string, value: Json | undefined, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw new AdminError(400, `${name} is one of ${choices.join(', ')}.`);
  return found;
}
