import { randomAt } from '../../kit/random.ts';

/** The clouds the lab's authority can be part of: azure.md §3.5. */
export type LabCloud = 'public' | 'usgovernment';

/** `Role`: application permission; `Scope`: delegated permission (azure.md §2.3). */
export type PermissionType = 'Role' | 'Scope';

interface PermissionIds {
  readonly role?: string;
  readonly scope?: string;
}

/** An API of Microsoft's that applications ask permissions on. */
export interface ResourceApi {
  readonly name: string;
  readonly appId: string;
  /** Object id of its service principal in the lab's tenant. */
  readonly principalId: string;
  /** Resource identifiers by cloud. */
  readonly audiences: Readonly<Record<LabCloud, readonly string[]>>;
  readonly permissions: Readonly<Record<string, PermissionIds>>;
}

export const MICROSOFT_GRAPH: ResourceApi = {
  name: 'Microsoft Graph',
  appId: '00000003-0000-0000-c000-000000000000',
  principalId: randomAt('microsoft-graph', 'principal').uuid(),
  audiences: { public: ['https://graph.microsoft.com'], usgovernment: ['https://graph.microsoft.us'] },
  // Ids: azure.md §2.3. Tokens list roles in this order.
  permissions: {
    'SecurityIncident.Read.All': { role: '45cc0394-e837-488b-a098-1918f48d186c', scope: 'b9abcc4f-94fc-4457-9141-d20ce80ec952' },
    'SecurityIncident.ReadWrite.All': { role: '34bf0e97-1971-4929-b999-9e2442d941d7', scope: '128ca929-1a19-45e6-a3b8-435ec44a36ba' },
    'Application.Read.All': { role: '9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30', scope: 'c79f8feb-a9db-4090-85f9-90d820caa0eb' },
    'Directory.Read.All': { role: '7ab1d382-f21e-4acd-a863-ba3e13f7da61', scope: '06da0dbc-49e2-44d2-8312-53f166ab848a' },
    'SecurityAlert.Read.All': { role: '472e4a4d-bb4a-4026-98d1-0b0d74cb74a5' },
  },
};

/** The APIs where SecurityIncident.* is looked for by mistake: it exists on Microsoft Graph alone (azure.md §2.3). */
const OTHER_SECURITY_APIS: readonly ResourceApi[] = [
  {
    name: 'WindowsDefenderATP',
    appId: 'fc780465-2017-40d4-a0c5-307022471b92',
    principalId: randomAt('windows-defender-atp', 'principal').uuid(),
    audiences: { public: ['https://api.securitycenter.microsoft.com'], usgovernment: [] },
    permissions: {
      'Alert.Read.All': { role: '71fe6b80-7034-4028-9ed8-0f316df9c3ff' },
      'Machine.Read.All': { role: 'ea8291d3-4b9a-44b5-bc3a-6cea3026dc79' },
    },
  },
  {
    name: 'Microsoft Threat Protection',
    appId: '8ee8fdad-f234-4243-8f3b-15c294843740',
    principalId: randomAt('microsoft-threat-protection', 'principal').uuid(),
    audiences: { public: ['https://api.security.microsoft.com'], usgovernment: [] },
    permissions: {
      'Incident.Read.All': { role: 'a9790345-4595-42e4-971a-ccdc79f19b7c' },
      'Incident.ReadWrite.All': { role: '8d90f441-09cf-4fdc-ab45-e874fa3a28e8' },
    },
  },
];

export const RESOURCE_APIS: readonly ResourceApi[] = [MICROSOFT_GRAPH, ...OTHER_SECURITY_APIS];

/** The permissions the incidents part of Graph asks for, either of them. */
export const INCIDENT_PERMISSIONS = ['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All'] as const;
/** The permissions that let an application read its own registration. */
export const DIRECTORY_PERMISSIONS = ['Application.Read.All', 'Directory.Read.All'] as const;

/** What a registration asks for and what of it an administrator granted, by each way there is to get there. */
export const PERMISSION_STATES = {
  'not-requested': { requested: [], granted: [] },
  'delegated-only': { requested: ['Scope'], granted: ['Scope'] },
  'delegated-without-consent': { requested: ['Scope'], granted: [] },
  'no-consent': { requested: ['Role'], granted: [] },
  granted: { requested: ['Role'], granted: ['Role'] },
  both: { requested: ['Role', 'Scope'], granted: ['Role', 'Scope'] },
  'both-without-consent': { requested: ['Role', 'Scope'], granted: [] },
  // An assignment made past the registration's list, as `New-MgServicePrincipalAppRoleAssignment` does.
  'granted-unrequested': { requested: [], granted: ['Role'] },
} as const satisfies Record<string, { requested: readonly PermissionType[]; granted: readonly PermissionType[] }>;
export type PermissionState = keyof typeof PERMISSION_STATES;

/** One permission of one API, as it was granted. */
export interface Grant {
  readonly api: ResourceApi;
  readonly permission: string;
  readonly grantedAt: Date;
}

/** The permissions of one registration. */
export interface PermissionBook {
  set(api: ResourceApi, permission: string, state: PermissionState, now: Date): void;
  /** "Grant admin consent": everything requested is granted. */
  consent(now: Date): void;
  /** What goes with the service principal when it is deleted. */
  revokeAll(): void;
  requested(api: ResourceApi): { permission: string; id: string; type: PermissionType }[];
  granted(type: PermissionType): Grant[];
  /** Application permissions granted on one API: the `roles` of a token issued now. */
  roles(api: ResourceApi): string[];
}

interface Entry {
  requested: readonly PermissionType[];
  granted: Map<PermissionType, Date>;
}

/** A book where nothing is requested. */
export function createPermissionBook(): PermissionBook {
  const entries = new Map<string, Entry>();
  const keyOf = (api: ResourceApi, permission: string): string => `${api.appId}|${permission}`;
  const each = function* (): Generator<{ api: ResourceApi; permission: string; ids: PermissionIds; entry: Entry }> {
    for (const api of RESOURCE_APIS) {
      for (const [permission, ids] of Object.entries(api.permissions)) {
        const entry = entries.get(keyOf(api, permission));
        if (entry !== undefined) yield { api, permission, ids, entry };
      }
    }
  };
  const granted = (type: PermissionType): Grant[] =>
    [...each()].flatMap(({ api, permission, entry }) => {
      const grantedAt = entry.granted.get(type);
      return grantedAt === undefined ? [] : [{ api, permission, grantedAt }];
    });
  return {
    set: (api, permission, state, now) => {
      const { requested, granted: types } = PERMISSION_STATES[state];
      const before = entries.get(keyOf(api, permission))?.granted;
      entries.set(keyOf(api, permission), { requested, granted: new Map(types.map((type) => [type, before?.get(type) ?? now])) });
    },
    consent: (now) => {
      for (const { entry } of each()) for (const type of entry.requested) entry.granted.set(type, entry.granted.get(type) ?? now);
    },
    revokeAll: () => {
      for (const { entry } of each()) entry.granted.clear();
    },
    requested: (wanted) =>
      [...each()]
        .filter(({ api }) => api.appId === wanted.appId)
        .flatMap(({ permission, ids, entry }) =>
          entry.requested.map((type) => ({ permission, id: (type === 'Role' ? ids.role : ids.scope) ?? '', type })),
        ),
    granted,
    roles: (wanted) =>
      granted('Role')
        .filter(({ api }) => api.appId === wanted.appId)
        .map(({ permission }) => permission),
  };
}

/** The API with that name or application id. */
export function resourceApi(nameOrAppId: string): ResourceApi | undefined {
  return RESOURCE_APIS.find(({ name, appId }) => name === nameOrAppId || appId === nameOrAppId.toLowerCase());
}
