/** From a parsed resource to what the CMDB needs to know to find or make its CI (mapping.md §4, §5). */
import type { CiKey, CiRequest } from '../model.ts';
import { accountClass, lookupClassOf } from './resource-class.ts';
import type { ParsedImage, ParsedResource, ParsedResourceId } from './resource-id.ts';
import { parseResourceId } from './resource-id.ts';

/** Facts about a resource that its id does not carry. */
export interface ResourceFacts {
  /** Subscription's display name, connector's name. */
  readonly accountName?: string | undefined;
  /** The account the resource belongs to; wins over the id's, which names the connector's subscription for a connector's entity. */
  readonly accountId?: string | undefined;
  /** Programmatic region, from the resource list. */
  readonly region?: string | undefined;
  /** Spelling of the id in the resource list, which is the one Discovery sees. */
  readonly displayId?: string | undefined;
}

/** Key of the CI behind an image: the digest alone, because that is what identifies a Docker image (servicenow.md §3). */
export function imageCiKey(digestHex: string): CiKey {
  return `image:${digestHex}` as CiKey;
}

/** Key of the CI behind a normalised id: `image:<sha256 hex>` for images, else `resource:<ResourceId>`. */
export function ciKeyOf(normalId: string): CiKey {
  const parsed = parseResourceId(normalId);
  return !('invalid' in parsed) && parsed.kind === 'image' ? imageCiKey(parsed.digestHex) : (`resource:${normalId}` as CiKey);
}

/** What has to be looked up, or created, so that the resource has a CI. */
export function ciRequestOf(parsed: ParsedResourceId, facts: ResourceFacts = {}): CiRequest {
  return parsed.kind === 'image' ? imageRequest(parsed) : resourceRequest(parsed, facts);
}

function imageRequest(parsed: ParsedImage): CiRequest {
  const name = parsed.registry === undefined ? parsed.repository : `${parsed.registry}/${parsed.repository}`;
  return { key: imageCiKey(parsed.digestHex), identity: { type: 'image', digest: `sha256:${parsed.digestHex}`, name } };
}

function resourceRequest(parsed: ParsedResource, facts: ResourceFacts): CiRequest {
  const foreign = parsed.cloud !== 'azure' && parsed.resourceId.startsWith('/subscriptions/');
  const accountId = facts.accountId ?? (foreign ? undefined : parsed.accountId);
  const region = parsed.region ?? facts.region;
  const lookupClass = lookupClassOf(parsed.resourceType);
  return {
    key: `resource:${parsed.resourceId}` as CiKey,
    identity: {
      type: 'resource',
      cloud: parsed.cloud,
      resourceId: parsed.resourceId,
      // An account's CI is identified by the bare account id, which is also what Discovery writes into its object_id.
      displayId: lookupClass === accountClass && accountId !== undefined ? accountId : (facts.displayId ?? parsed.displayId),
      name: parsed.name,
      resourceType: parsed.resourceType,
      lookupClass,
      ...(accountId !== undefined && { accountId }),
      ...(facts.accountName !== undefined && { accountName: facts.accountName }),
      ...(region !== undefined && { region }),
    },
  };
}
