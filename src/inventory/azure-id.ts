/** Azure Resource Manager ids (azure.md §1.4, §1.5, §1.7). */
import type { ResourceId } from '../model.ts';
import { regionCode } from './regions.ts';
import type { InvalidId, ParsedImage, ParsedResource } from './resource-id.ts';

const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const imageTail =
  /^(?<registryId>\/.*\/providers\/microsoft\.containerregistry\/registries\/(?<registry>[^/]+))?\/?repositories\/(?<repository>.+)\/images\/sha256:(?<digest>[0-9a-f]{64})$/;

/** True for a lower-case GUID, the only form a subscription id has. */
export function isGuid(text: string): boolean {
  return guid.test(text);
}

/**
 * Parses an ARM id in any case: subscription, resource group, resource, child resource (scale-set instances), extension
 * resource (nested `providers`), management group, tenant-level resource, and images below a container registry.
 * @param raw already checked by `reasonNotAnId`
 */
export function parseAzureId(raw: string): ParsedResource | ParsedImage | InvalidId {
  // Some services leave the leading slash out; a subscription is recognised without it.
  const displayId = raw.replace(/^(?=subscriptions\/)/i, '/').replace(/\/+$/, '');
  const id = displayId.toLowerCase();
  const tail = imageTail.exec(id)?.groups;
  if (tail !== undefined) return parseImage(displayId, id, tail);
  if (!id.startsWith('/')) return { invalid: 'is no id of Azure, AWS, GCP or an image' };
  const segments = id.split('/').slice(1);
  if (segments.includes('')) return { invalid: 'has an empty segment' };
  if (segments.some((segment) => segment.trim() !== segment)) return { invalid: 'has a segment that begins or ends with white space' };

  const [root, subscription] = segments;
  let rest = segments;
  let accountId: string | undefined;
  let resourceType: string | undefined;
  if (root === 'subscriptions') {
    if (subscription === undefined || !isGuid(subscription)) return { invalid: 'names a subscription that is not a GUID' };
    accountId = subscription;
    resourceType = 'microsoft.resources/subscriptions';
    rest = segments.slice(2);
    if (rest[0] === 'resourcegroups') {
      if (rest[1] === undefined) return { invalid: 'names no resource group' };
      resourceType = 'microsoft.resources/subscriptions/resourcegroups';
      rest = rest.slice(2);
    }
  } else if (root !== 'providers') {
    return { invalid: 'begins with neither /subscriptions/ nor /providers/' };
  }
  let region: string | undefined;
  while (rest.length > 0) {
    const provider = takeProvider(rest);
    if ('invalid' in provider) return provider;
    ({ resourceType, rest } = provider);
    region = provider.region ?? region;
  }
  if (resourceType === undefined) return { invalid: 'names no resource' };
  return {
    kind: 'resource',
    cloud: 'azure',
    resourceId: id as ResourceId,
    displayId,
    name: displayId.slice(displayId.lastIndexOf('/') + 1),
    resourceType,
    ...(accountId !== undefined && { accountId }),
    ...(region !== undefined && { region }),
  };
}

/** Takes `providers/{namespace}/{type}/{name}(/{type}/{name})*` off the front. */
function takeProvider(segments: readonly string[]): { resourceType: string; region: string | undefined; rest: string[] } | InvalidId {
  const [keyword, namespace, ...tail] = segments;
  if (keyword !== 'providers') return { invalid: `has ${String(keyword)} where "providers" is expected` };
  if (namespace === undefined || !/^[a-z0-9]+(?:\.[a-z0-9-]+)+$/.test(namespace)) return { invalid: 'names no resource provider' };
  // A type is never called "providers", a name may be: look for the keyword at type positions only.
  let end = 0;
  while (end < tail.length && tail[end] !== 'providers') end += 2;
  const own = tail.slice(0, end);
  if (own.length === 0 || own.length > tail.length || own.length % 2 !== 0) {
    return { invalid: `has a type without a name below ${namespace}` };
  }
  const types = own.filter((_, index) => index % 2 === 0);
  const place = types.indexOf('locations');
  const location = place < 0 ? undefined : own[place * 2 + 1];
  return {
    resourceType: [namespace, ...types].join('/'),
    region: location === undefined ? undefined : regionCode(location),
    rest: tail.slice(end),
  };
}

function parseImage(displayId: string, id: string, groups: Readonly<Record<string, string | undefined>>): ParsedImage | InvalidId {
  const { registryId, registry, repository = '', digest = '' } = groups;
  if (!/^[a-z0-9._-]+(?:\/[a-z0-9._-]+)*$/.test(repository)) return { invalid: 'names a repository that no registry allows' };
  const owner = registryId === undefined ? undefined : parseAzureId(registryId);
  if (owner !== undefined && 'invalid' in owner) return owner;
  return {
    kind: 'image',
    cloud: 'azure',
    // Relative ids are recorded with and without their leading slash (azure.md §1.5).
    resourceId: (id.startsWith('/') ? id : `/${id}`) as ResourceId,
    displayId,
    digestHex: digest,
    repository,
    ...(registry !== undefined && { registry }),
    ...(owner?.accountId !== undefined && { accountId: owner.accountId }),
  };
}
