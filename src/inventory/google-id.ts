/** Ids of Google Cloud resources as Defender for Cloud shows them: full resource names, self links, relative names (azure.md §1.5, §1.9). */
import type { ResourceId } from '../model.ts';
import type { InvalidId, ParsedResource } from './resource-id.ts';

/**
 * Parses `//compute.googleapis.com/projects/p/zones/z/instances/i`, the self link
 * `https://www.googleapis.com/compute/v1/projects/…` (same resource, same normal form) and `projects/p/…`.
 * A relative name does not say its service, so it stays a form of its own.
 * @param raw already checked by `reasonNotAnId`
 */
export function parseGoogleId(raw: string): ParsedResource | InvalidId {
  const spelled = raw.replace(/\/+$/, '');
  const { service, path } = split(spelled);
  const segments = path.split('/');
  if (segments.includes('')) return { invalid: 'has an empty segment' };
  const lower = segments.map((segment) => segment.toLowerCase());
  const bucket = service === 'storage' && segments.length === 1;
  const kind = bucket ? 'buckets' : collectionOf(lower);
  if (kind === undefined) return { invalid: 'is not a list of collection/name pairs' };

  const named = (collection: string): string | undefined => {
    const at = lower.findIndex((segment, index) => index % 2 === 0 && segment === collection);
    return at < 0 ? undefined : lower[at + 1];
  };
  const project = named('projects');
  const zone = named('zones');
  // A zone is its region and one letter: europe-west1-b lies in europe-west1.
  const region = named('regions') ?? named('locations') ?? zone?.replace(/-[a-z]$/, '');
  const name = segments.at(-1) ?? '';
  const isProject = segments.length === 2 && lower[0] === 'projects';
  return {
    kind: 'resource',
    cloud: 'gcp',
    resourceId: (isProject
      ? lower.join('/')
      : `${service === undefined ? '' : `//${service}.googleapis.com/`}${lower.join('/')}`) as ResourceId,
    displayId: service === undefined ? path : `//${service}.googleapis.com/${path}`,
    name,
    resourceType: isProject ? 'gcp::project' : ['gcp', ...(service === undefined ? [] : [service]), kind].join('::'),
    ...(project !== undefined && project !== '_' && { accountId: project }),
    ...(region !== undefined && region !== 'global' && { region }),
  };
}

/**
 * What the last name is a name of; undefined when the path has no such form. Two words stand alone between the pairs: `global`
 * below a project, and `k8s` below a cluster, behind which an object is named as the cluster itself names it
 * (`namespaces/ns/apps/deployments/d`: a namespace, an API group, kind and name).
 */
function collectionOf(lower: readonly string[]): string | undefined {
  const cluster = lower.indexOf('k8s');
  if (cluster > 0 && cluster % 2 === 0 && lower[cluster - 2] === 'clusters') {
    const object = lower.slice(cluster + 1);
    const inNamespace = object[0] === 'namespaces' && object.length > 2 ? object.slice(2) : object;
    return inNamespace.length === 2 || inNamespace.length === 3 ? `k8s::${inNamespace.at(-2) ?? ''}` : undefined;
  }
  const pairs = lower[0] === 'projects' && lower[2] === 'global' ? [...lower.slice(0, 2), ...lower.slice(3)] : lower;
  return pairs.length >= 2 && pairs.length % 2 === 0 && !(pairs.length === 2 && pairs !== lower) ? pairs.at(-2) : undefined;
}

function split(spelled: string): { readonly service: string | undefined; readonly path: string } {
  const full = /^\/\/([a-z0-9-]+)\.googleapis\.com\/(.*)$/i.exec(spelled);
  if (full) return { service: (full[1] ?? '').toLowerCase(), path: full[2] ?? '' };
  const shared = /^https:\/\/www\.googleapis\.com\/([a-z]+)\/v[0-9a-z]+\/(.*)$/i.exec(spelled);
  if (shared) return { service: (shared[1] ?? '').toLowerCase(), path: shared[2] ?? '' };
  const own = /^https:\/\/([a-z0-9-]+)\.googleapis\.com\/(?:[a-z]+\/)?v[0-9a-z]+\/(.*)$/i.exec(spelled);
  if (own) return { service: (own[1] ?? '').toLowerCase(), path: own[2] ?? '' };
  return { service: undefined, path: spelled };
}
