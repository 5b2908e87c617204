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
  if (!bucket && (segments.length < 2 || segments.length % 2 !== 0)) return { invalid: 'is not a list of collection/name pairs' };

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
  const collection = bucket ? 'buckets' : (lower.at(-2) ?? '');
  return {
    kind: 'resource',
    cloud: 'gcp',
    resourceId: (isProject
      ? lower.join('/')
      : `${service === undefined ? '' : `//${service}.googleapis.com/`}${lower.join('/')}`) as ResourceId,
    displayId: service === undefined ? path : `//${service}.googleapis.com/${path}`,
    name,
    resourceType: isProject ? 'gcp::project' : ['gcp', ...(service === undefined ? [] : [service]), collection].join('::'),
    ...(project !== undefined && project !== '_' && { accountId: project }),
    ...(region !== undefined && region !== 'global' && { region }),
  };
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
