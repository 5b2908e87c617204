/** The Azure room: everything that talks to Entra, ARM, Resource Graph and Graph. */
import type { Gate } from '../model.ts';
import { createArmClient, maxPageBytes, type ArmClient } from './arm.ts';
import { resolveCloud, type Cloud, type CloudChoice } from './clouds.ts';
import type { CredentialChoice } from './credentials.ts';
import { createDiscovery, type Discovery } from './discovery.ts';
import { createGraphClient, type GraphClient } from './graph.ts';
import { createResourceGraphClient, type ResourceGraphClient } from './resource-graph.ts';
import { createTokenSource, type TokenSource } from './tokens.ts';
import { createTransport } from '../transport.ts';

export type { ArmAnswer, ArmClient, ArmPage, PageRequest } from './arm.ts';
export { decodeClaims, type TokenClaims } from './claims.ts';
export { resolveCloud, type Cloud, type CloudChoice, type CustomCloud } from './clouds.ts';
export { certificateEnd, type CredentialChoice } from './credentials.ts';
export type { Discovery, Pricing, Subscription } from './discovery.ts';
export { deniedAction } from './errors.ts';
export { readMissingRoles, type GraphClient, type IncidentsProbe } from './graph.ts';
export { allowsAction, type PermissionEntry } from './permissions.ts';
export { defaultPagingLimits, guardPage, startOfPaging, type PagingLimits, type PagingState, type PagingStep } from './paging.ts';
export {
  isTruncated,
  splitSubscriptions,
  type ResourceGraphClient,
  type ResourceGraphPage,
  type ResourceGraphQuery,
} from './resource-graph.ts';
export { createTokenSource, type AccessToken, type GetTokenOptions, type TokenSource, type TokenSourceOptions } from './tokens.ts';
export { identityNotOnHost, noIdentityService, notEntra } from './entra-errors.ts';
export { createArmClient } from './arm.ts';

export interface AzureConnectionOptions {
  readonly cloud: CloudChoice;
  readonly tenantId: string;
  readonly clientId: string;
  readonly credential: CredentialChoice;
  readonly caFile?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
}

/** What lives as long as the worker: tokens and connections of one app registration. */
export interface AzureConnection {
  readonly cloud: Cloud;
  readonly tokens: TokenSource;
  /** Clients whose every request passes the given gate (one per run and fence); cheap to make. */
  through(gate: Gate): AzureClients;
  close(): void;
}

export interface AzureClients {
  readonly arm: ArmClient;
  readonly resourceGraph: ResourceGraphClient;
  readonly discovery: Discovery;
  readonly graph: GraphClient;
  /** Graph's own resources (applications, service principals), for what the directory says of the application. */
  readonly directory: ArmClient;
}

/** Opens nothing yet: the first request does. @throws SyncError `usage` for a cloud that is not https */
export function createAzureConnection(options: AzureConnectionOptions): AzureConnection {
  const cloud = resolveCloud(options.cloud);
  const { tenantId, clientId, credential, caFile, timeoutMs, nowMs } = options;
  const tokens = createTokenSource({
    tenantId,
    clientId,
    credential,
    caFile,
    nowMs,
    authorityHost: cloud.authorityHost,
    disableInstanceDiscovery: !cloud.instanceDiscovery,
  });
  const transport = createTransport({ caFile, maxAnswerBytes: maxPageBytes });
  return {
    cloud,
    tokens,
    through: (gate) => {
      const shared = { tokens, gate, transport, timeoutMs, nowMs };
      const arm = createArmClient({ ...shared, endpoint: cloud.armEndpoint, scope: cloud.armScope });
      const graph = createArmClient({ ...shared, endpoint: cloud.graphEndpoint, scope: cloud.graphScope, service: 'graph' });
      return {
        arm,
        resourceGraph: createResourceGraphClient({ arm, gate }),
        discovery: createDiscovery(arm),
        graph: createGraphClient(graph),
        directory: graph,
      };
    },
    close: () => transport.close(),
  };
}
