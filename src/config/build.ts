/**
 * From the validated content of the file to the configuration: defaults, absolute paths, milliseconds, secrets.
 */
import { dirname, resolve } from 'node:path';
import type { DeploymentName } from '../model.ts';
import type { EnvironmentVariables } from './environment.ts';
import type { FileContent } from './schema.ts';
import type { Secret } from './secret.ts';
import { secretFrom, type SecretRef } from './secret.ts';
import type {
  AzureCredential,
  AzureSettings,
  Configuration,
  DeploymentScope,
  DeploymentSettings,
  ScheduleSettings,
  ServiceNowAuth,
  ServiceNowSettings,
  TemporalSettings,
  TlsSettings,
} from './types.ts';

/** Entra, Azure Resource Manager and Microsoft Graph of the clouds that have Defender for Cloud (azure.md §3.5). */
const endpointsOfCloud = {
  public: {
    authorityHost: 'https://login.microsoftonline.com',
    resourceManager: 'https://management.azure.com',
    graph: 'https://graph.microsoft.com',
  },
  usgovernment: {
    authorityHost: 'https://login.microsoftonline.us',
    resourceManager: 'https://management.usgovcloudapi.net',
    graph: 'https://graph.microsoft.us',
  },
} as const;

/** More than a year: last year's audit can still be answered. */
const defaultHistoryDays = 400;

interface Place {
  /** Absolute path of the configuration file. */
  readonly file: string;
  readonly variables: EnvironmentVariables;
}

type DeploymentContent = FileContent['deployments'][number];

/** Fills in what the file leaves out. The content must have passed both the schema and checks.ts. */
export function buildConfiguration(content: FileContent, place: Place): Configuration {
  const builder = builderAt(place);
  return {
    file: place.file,
    stateDir: builder.path(content.stateDir ?? '.defender-sync'),
    temporal: builder.temporal(content.temporal),
    ledger: { url: builder.secret(content.ledger?.url), historyDays: content.ledger?.historyDays ?? defaultHistoryDays },
    serviceNow: builder.serviceNow(content.serviceNow),
    park: { recheckEveryMs: (content.park?.recheckSeconds ?? 300) * 1_000, giveUpAfterMs: (content.park?.giveUpHours ?? 168) * 3_600_000 },
    deployments: content.deployments.map((deployment, precedence) => builder.deployment(deployment, precedence)),
  };
}

function builderAt({ file, variables }: Place) {
  const path = (value: string): string => resolve(dirname(file), value);
  const optionalPath = (value: string | undefined): string | undefined => (value === undefined ? undefined : path(value));
  const requiredSecret = (ref: SecretRef): Secret => secretFrom('file' in ref ? { file: path(ref.file) } : ref, variables);
  const secret = (ref: SecretRef | undefined): Secret | undefined => (ref === undefined ? undefined : requiredSecret(ref));
  return { path, secret, temporal, serviceNow, deployment };

  function temporal(content: FileContent['temporal'] = {}): TemporalSettings {
    return {
      address: content.address,
      namespace: content.namespace ?? 'default',
      taskQueue: content.taskQueue ?? 'defender-sync',
      tls: tls(content.tls),
      apiKey: secret(content.apiKey),
      uiUrl: content.uiUrl,
    };
  }

  function tls(content: NonNullable<FileContent['temporal']>['tls']): TlsSettings | undefined {
    if (content === undefined || content === false) return undefined;
    const given = content === true ? {} : content;
    return {
      caFile: optionalPath(given.caFile),
      certificateFile: optionalPath(given.certificateFile),
      keyFile: optionalPath(given.keyFile),
      serverName: given.serverName,
    };
  }

  function serviceNow(content: FileContent['serviceNow']): ServiceNowSettings {
    return {
      url: content.url,
      auth: serviceNowAuth(content.auth),
      caFile: optionalPath(content.caFile),
      source: content.source,
      dataSource: content.dataSource ?? 'Microsoft Defender for Cloud',
      runAs: { mode: content.runAs?.mode ?? 'enforce', user: content.runAs?.user ?? 'VR.System' },
      concurrentRequests: content.concurrentRequests ?? 4,
      batchTransactionQuotaMs: (content.batchTransactionQuotaSeconds ?? 30) * 1000,
      transactionQuotaMs: (content.transactionQuotaSeconds ?? 60) * 1000,
      settleMs: (content.settleSeconds ?? 30) * 1000,
      notApplicableResult: content.notApplicableResult,
      hostTags: content.hostTags ?? true,
    };
  }

  function serviceNowAuth(content: FileContent['serviceNow']['auth']): ServiceNowAuth {
    switch (content.type) {
      case 'client-credentials':
        return { ...content, clientSecret: requiredSecret(content.clientSecret) };
      case 'password':
        return { ...content, clientSecret: requiredSecret(content.clientSecret), password: requiredSecret(content.password) };
      case 'basic':
        return { ...content, password: requiredSecret(content.password) };
    }
  }

  function deployment(content: DeploymentContent, precedence: number): DeploymentSettings {
    return {
      // The schema has checked its form.
      name: content.name as DeploymentName,
      precedence,
      azure: azure(content.azure),
      scope: scope(content.scope),
      incidents: content.incidents ?? false,
      subAssessments: content.subAssessments ?? false,
      concurrentRequests: content.concurrentRequests ?? 4,
      schedule: content.schedule === undefined ? undefined : schedule(content.schedule),
    };
  }

  function azure(content: DeploymentContent['azure']): AzureSettings {
    const cloud = content.cloud ?? 'public';
    const endpoints =
      cloud === 'custom'
        ? {
            authorityHost: present(content.authorityHost),
            resourceManager: present(content.resourceManager),
            graph: present(content.graph),
          }
        : endpointsOfCloud[cloud];
    return {
      cloud,
      ...endpoints,
      caFile: optionalPath(content.caFile),
      tenantId: content.tenantId,
      clientId: content.clientId,
      credential: credential(content.credential),
    };
  }

  function credential(content: DeploymentContent['azure']['credential']): AzureCredential {
    if (content.clientSecret !== undefined) return { type: 'client-secret', clientSecret: requiredSecret(content.clientSecret) };
    if (content.certificateFile !== undefined) return { type: 'certificate', certificateFile: path(content.certificateFile) };
    if (content.federatedTokenFile !== undefined) return { type: 'federated-token', federatedTokenFile: path(content.federatedTokenFile) };
    return { type: 'managed-identity' };
  }
}

function scope(content: DeploymentContent['scope']): DeploymentScope {
  return content.subscriptions !== undefined
    ? { type: 'subscriptions', subscriptions: content.subscriptions }
    : { type: 'management-groups', managementGroups: content.managementGroups ?? [] };
}

function schedule(content: NonNullable<DeploymentContent['schedule']>): ScheduleSettings {
  return {
    cron: typeof content.cron === 'string' ? [content.cron] : content.cron,
    timeZone: content.timeZone,
    jitterMs: (content.jitterMinutes ?? 0) * 60_000,
    catchUpMs: content.catchUpMinutes === undefined ? undefined : content.catchUpMinutes * 60_000,
    paused: content.paused ?? false,
  };
}

/** checks.ts refuses a custom cloud without its endpoints. */
function present(value: string | undefined): string {
  if (value === undefined) throw new Error('a custom cloud without endpoints passed the checks');
  return value;
}
