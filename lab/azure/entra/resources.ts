import { MICROSOFT_GRAPH, RESOURCE_APIS, type LabCloud, type ResourceApi } from './permissions.ts';

const ARM_AUDIENCES: Readonly<Record<LabCloud, string>> = {
  public: 'https://management.azure.com',
  usgovernment: 'https://management.usgovcloudapi.net',
};

/** What a token is asked for: ARM, whose tokens carry no roles, or an API with permissions. */
export type TokenResource = { readonly kind: 'arm' } | { readonly kind: 'api'; readonly api: ResourceApi };

/** The audience of ARM in a cloud (azure.md §3.5). */
export function armAudience(cloud: LabCloud): string {
  return ARM_AUDIENCES[cloud];
}

/** The audiences of Microsoft Graph in a cloud. */
export function graphAudiences(cloud: LabCloud): readonly string[] {
  return MICROSOFT_GRAPH.audiences[cloud];
}

/**
 * The resource behind an identifier; undefined where the tenant's cloud has none of that name (AADSTS500011).
 * `https://management.azure.com//.default` is legal: the resource then ends with a slash, and so does the audience.
 * The lab's own ARM and Graph URLs are resources in every cloud: what a custom cloud's client asks for.
 */
export function resourceNamed(identifier: string, cloud: LabCloud, own: { arm: string; graph: string }): TokenResource | undefined {
  const bare = identifier.replace(/\/$/, '');
  if (bare === ARM_AUDIENCES[cloud] || bare === own.arm) return { kind: 'arm' };
  if (bare === own.graph) return { kind: 'api', api: MICROSOFT_GRAPH };
  const api = RESOURCE_APIS.find(({ appId, audiences }) => appId === bare.toLowerCase() || audiences[cloud].includes(bare));
  return api === undefined ? undefined : { kind: 'api', api };
}
