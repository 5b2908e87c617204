/** Both labs for the tests of preflight, and a deployment that is set up against them as an operator would. */
import { createAzureLab, type AzureLab, type LabTenant } from '../../../lab/azure/index.ts';
import { createAdminApi } from '../../../lab/kit/admin-api.ts';
import { createClock, type LabClock } from '../../../lab/kit/clock.ts';
import { loadOrCreateAuthority } from '../../../lab/kit/tls.ts';
import { createArmClient, createAzureConnection, type CredentialChoice } from '../../../src/azure/index.ts';
import { Secret } from '../../../src/config/secret.ts';
import type { DeploymentSettings, ServiceNowSettings } from '../../../src/config/index.ts';
import { tableSpecs } from '../../../src/integrations/tables.ts';
import type { DeploymentName } from '../../../src/model.ts';
import { runPreflight, type Finding, type PreflightInput } from '../../../src/preflight/index.ts';
import { createServiceNowConnection, type ServiceNowAuth } from '../../../src/servicenow/index.ts';
import { createTransport } from '../../../src/transport.ts';
import { createCountingGate, createTestAuthority, type TestAuthority } from '../azure-client/test-server.ts';
import { ENGINE_SOURCE, startLab, type StartedLab } from '../lab-servicenow/start.ts';

/** A local Azure and a local ServiceNow, each with its admin API. */
export interface Labs {
  readonly azure: AzureLab;
  readonly tenant: LabTenant;
  readonly serviceNow: StartedLab;
  /** The clock of both labs. */
  readonly clock: LabClock;
  readonly caFile: string;
  /** `POST /azure/change`: what an administrator of Azure or Entra does. */
  readonly change: (body: unknown) => Promise<void>;
  /** Any route of Azure's admin API; the parsed answer. */
  readonly azureAdmin: (method: string, path: string, body?: unknown) => Promise<unknown>;
  /** What the preflight of a deployment needs; new connections each time, so that no token of earlier is kept. */
  readonly inputFor: (choice?: Choice) => PreflightInput;
  readonly findingsFor: (choice?: Choice) => Promise<readonly Finding[]>;
  readonly stop: () => Promise<void>;
}

/** What an operator wrote into the configuration, where it is not the usual. */
export interface Choice {
  readonly scope?: DeploymentSettings['scope'];
  readonly incidents?: boolean;
  readonly tenantId?: string;
  /** Empty: none, as for the system-assigned identity of a host. */
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** Instead of the secret; it is not shown in the settings. */
  readonly credential?: CredentialChoice;
  readonly caFile?: string;
  readonly authorityHost?: string;
  readonly resourceManager?: string;
  /** A ServiceNow user with a password (basic). */
  readonly userName?: string;
  readonly password?: string;
  /** Instead of user name and password. */
  readonly serviceNowAuth?: ServiceNowAuth;
  readonly serviceNow?: Partial<
    Pick<ServiceNowSettings, 'dataSource' | 'runAs' | 'concurrentRequests' | 'url' | 'caFile' | 'notApplicableResult'>
  >;
  /** The worker's clock; default: that of the labs. */
  readonly nowMs?: () => number;
  readonly more?: Partial<PreflightInput>;
}

export const ledgerId = '44444444-4444-4444-8444-444444444444';

export async function startLabs({ estate = 'generated:11:600' }: { readonly estate?: string } = {}): Promise<Labs> {
  const authority = await createTestAuthority();
  const clock = createClock();
  const admin = createAdminApi();
  const azure = await createAzureLab({
    authority: await loadOrCreateAuthority(authority.dir),
    dir: authority.dir,
    estate,
    clock,
    admin,
  });
  const { url: adminUrl } = await admin.listen({});
  const serviceNow = await startLab({ clock });
  const [tenant] = azure.tenants;
  if (tenant === undefined) throw new Error('The estate has no deployment.');
  const opened: { close(): void }[] = [];

  const azureAdmin = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(`${adminUrl}/azure${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${String(answer.status)} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const inputFor = (choice: Choice = {}): PreflightInput => openInput({ azure, tenant, serviceNow, clock, authority, opened }, choice);
  return {
    azure,
    tenant,
    serviceNow,
    clock,
    caFile: authority.caFile,
    change: async (body) => {
      await azureAdmin('POST', '/change', body);
    },
    azureAdmin,
    inputFor,
    findingsFor: async (choice) => (await runPreflight(inputFor(choice))).findings,
    stop: async () => {
      for (const connection of opened.splice(0)) connection.close();
      await serviceNow.stop();
      await azure.close();
      await admin.close();
      await authority.remove();
    },
  };
}

interface Parts {
  readonly azure: AzureLab;
  readonly tenant: LabTenant;
  readonly serviceNow: StartedLab;
  readonly clock: LabClock;
  readonly authority: TestAuthority;
  readonly opened: { close(): void }[];
}

function openInput({ azure: lab, tenant, serviceNow: instance, clock, authority, opened }: Parts, choice: Choice): PreflightInput {
  const gate = createCountingGate();
  const nowMs = choice.nowMs ?? ((): number => clock.nowMs());
  const { tenantId = tenant.tenantId, clientId = tenant.clientId, clientSecret = tenant.clientSecret } = choice;
  const { caFile = authority.caFile, userName = 'defender.sync' } = choice;
  const azure = createAzureConnection({
    cloud: {
      authorityHost: choice.authorityHost ?? lab.urls.authority,
      armEndpoint: choice.resourceManager ?? lab.urls.arm,
      graphEndpoint: lab.urls.graph,
    },
    tenantId,
    clientId,
    credential: choice.credential ?? { type: 'secret', value: clientSecret },
    caFile,
    nowMs,
  });
  const password = choice.password ?? instance.lab.users.find((user) => user.userName === userName)?.password ?? '';
  const url = choice.serviceNow?.url ?? instance.lab.url;
  const instanceCaFile = choice.serviceNow?.caFile ?? `${instance.dir}/ca.pem`;
  const serviceNow = createServiceNowConnection({
    url,
    auth: choice.serviceNowAuth ?? { type: 'basic', userName, password },
    caFile: instanceCaFile,
    nowMs,
  });
  const transport = createTransport({ caFile, maxAnswerBytes: 1024 * 1024 });
  opened.push(azure, serviceNow, transport);
  return {
    deployment: {
      name: 'contoso' as DeploymentName,
      precedence: 0,
      azure: {
        cloud: 'custom',
        authorityHost: azure.cloud.authorityHost,
        resourceManager: azure.cloud.armEndpoint,
        graph: azure.cloud.graphEndpoint,
        caFile,
        tenantId,
        clientId: clientId === '' ? undefined : clientId,
        credential: credentialSettings(choice.credential, clientSecret),
      },
      scope: choice.scope ?? { type: 'subscriptions', subscriptions: tenant.subscriptions },
      incidents: choice.incidents ?? true,
      subAssessments: false,
      concurrentRequests: 4,
      schedule: undefined,
    },
    serviceNow: {
      url,
      auth: authSettings(choice.serviceNowAuth ?? { type: 'basic', userName, password }),
      caFile: instanceCaFile,
      source: undefined,
      dataSource: ENGINE_SOURCE,
      runAs: { mode: 'enforce', user: 'VR.System' },
      concurrentRequests: 4,
      batchTransactionQuotaMs: 30_000,
      transactionQuotaMs: 60_000,
      settleMs: 30_000,
      notApplicableResult: undefined,
      hostTags: true,
      ...choice.serviceNow,
    },
    clients: { azure: azure.through(gate), serviceNow: serviceNow.through(gate) },
    tokens: azure.tokens,
    gate,
    directory: createArmClient({
      endpoint: azure.cloud.graphEndpoint,
      scope: azure.cloud.graphScope,
      tokens: azure.tokens,
      gate,
      transport,
      service: 'graph',
    }),
    tableSpecs,
    signal: new AbortController().signal,
    onCheck: () => undefined,
    nowMs,
    ledgerId,
    ...choice.more,
  };
}

function credentialSettings(choice: CredentialChoice | undefined, clientSecret: string): DeploymentSettings['azure']['credential'] {
  switch (choice?.type) {
    case 'certificate':
      return { type: 'certificate', certificateFile: choice.pemPath };
    case 'federated-token-file':
      return { type: 'federated-token', federatedTokenFile: choice.path };
    case 'managed-identity':
      return { type: 'managed-identity' };
    case undefined:
    case 'unreadable':
    case 'secret':
      return { type: 'client-secret', clientSecret: new Secret('the environment variable CONTOSO_SECRET', () => clientSecret) };
  }
}

function authSettings(auth: ServiceNowAuth): ServiceNowSettings['auth'] {
  const secret = (value: string): Secret => new Secret('the environment variable SERVICENOW_SECRET', () => value);
  switch (auth.type) {
    case 'unreadable':
      return { type: 'basic', userName: 'defender.sync', password: secret('') };
    case 'basic':
      return { type: 'basic', userName: auth.userName, password: secret(auth.password) };
    case 'client-credentials':
      return { type: auth.type, clientId: auth.clientId, clientSecret: secret(auth.clientSecret) };
    case 'password': {
      const { type, clientId, clientSecret, userName, password } = auth;
      return { type, clientId, clientSecret: secret(clientSecret), userName, password: secret(password) };
    }
  }
}
