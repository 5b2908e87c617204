import { randomUUID, type X509Certificate } from 'node:crypto';
import { randomAt } from '../../kit/random.ts';
import type { Estate, LabApplication } from '../estate/model.ts';
import { createPermissionBook, DIRECTORY_PERMISSIONS, INCIDENT_PERMISSIONS, MICROSOFT_GRAPH, type PermissionBook } from './permissions.ts';

const DAY_MS = 86_400_000;
/** The longest end date that the portal offers for a client secret: 24 months. */
const SECRET_DAYS = 730;

/** A client secret of an app registration. */
export interface AppSecret {
  readonly keyId: string;
  readonly displayName: string;
  readonly value: string;
  readonly startsAt: Date;
  endsAt: Date;
}

/** The public part of a certificate uploaded to an app registration. */
export interface AppCertificate {
  readonly keyId: string;
  readonly displayName: string;
  readonly certificate: X509Certificate;
  readonly startsAt: Date;
  endsAt: Date;
}

/** A federated credential: whose tokens are taken instead of a secret. */
export interface FederatedCredential {
  readonly id: string;
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
}

/** How much of an application the tenant has. */
export const PRESENCES = ['present', 'not-in-tenant', 'service-principal-missing', 'disabled'] as const;
export type Presence = (typeof PRESENCES)[number];

/** An app registration and its service principal, with what an administrator changed meanwhile. */
export interface Registration {
  readonly application: LabApplication;
  readonly createdAt: Date;
  presence: Presence;
  /** True where a Conditional Access policy for workload identities blocks it. */
  blockedByPolicy: boolean;
  redirectUris: readonly string[];
  secrets: AppSecret[];
  certificates: AppCertificate[];
  federatedCredentials: FederatedCredential[];
  readonly permissions: PermissionBook;
}

/** The tenant's app registrations. */
export interface Directory {
  readonly registrations: readonly Registration[];
  byClientId(clientId: string): Registration | undefined;
}

/** One registration per deployment of the estate, in good order: a secret, and both incident permissions granted. */
export function createDirectory(estate: Estate, now: Date): Directory {
  const registrations = estate.applications.map((application) => registrationOf(application, now));
  return {
    registrations,
    byClientId: (clientId) => registrations.find(({ application }) => application.clientId === clientId.toLowerCase()),
  };
}

/** A secret that is valid from now on. */
export function createSecret(input: { displayName: string; value?: string; startsAt: Date; endsAt?: Date }): AppSecret {
  const { displayName, startsAt } = input;
  const endsAt = input.endsAt ?? new Date(startsAt.getTime() + SECRET_DAYS * DAY_MS);
  const keyId = randomUUID();
  return { keyId, displayName, value: input.value ?? `lab8Q~${keyId.replaceAll('-', '')}`, startsAt, endsAt };
}

function registrationOf(application: LabApplication, now: Date): Registration {
  const createdAt = new Date(now.getTime() - 30 * DAY_MS);
  const permissions = createPermissionBook();
  for (const permission of INCIDENT_PERMISSIONS) permissions.set(MICROSOFT_GRAPH, permission, 'granted', createdAt);
  for (const permission of DIRECTORY_PERMISSIONS) permissions.set(MICROSOFT_GRAPH, permission, 'not-requested', createdAt);
  const secret = createSecret({ displayName: application.displayName, value: application.clientSecret, startsAt: createdAt });
  return {
    application,
    createdAt,
    presence: 'present',
    blockedByPolicy: false,
    redirectUris: ['https://localhost/consented'],
    secrets: [{ ...secret, keyId: randomAt('client-secret', application.clientId).uuid() }],
    certificates: [],
    federatedCredentials: [],
    permissions,
  };
}
