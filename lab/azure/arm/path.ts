export type ScopeKind = 'tenant' | 'managementGroup' | 'subscription' | 'resourceGroup' | 'resource';

/** An ARM request path, taken apart at its last `providers` segment. Names keep the caller's casing; ARM ignores case throughout. */
export interface ArmPath {
  /** What the resource type is asked of: '' for the tenant, else an id with a leading slash. */
  readonly scope: string;
  readonly scopeKind: ScopeKind;
  /** `Microsoft.Security/assessments/subAssessments`, as sent. */
  readonly resourceType: string;
  /** Names of the types that have one. A list's last type has none. */
  readonly names: readonly string[];
  readonly form: 'list' | 'item';
}

/** Takes an ARM path apart; undefined where it has no resource type at all. */
export function parseArmPath(path: string): ArmPath | undefined {
  const segments = path.split('/').slice(1).map(decodeSegment);
  if (segments.at(-1) === '') segments.pop();
  if (segments.length === 0 || segments.includes('')) return undefined;
  const provider = segments.findLastIndex((segment) => segment.toLowerCase() === 'providers');
  return provider === -1 ? rootPath(segments) : providerPath(segments, provider);
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function providerPath(segments: string[], provider: number): ArmPath | undefined {
  const [namespace, ...rest] = segments.slice(provider + 1);
  if (namespace === undefined || rest.length === 0) return undefined;
  const types = rest.filter((_segment, index) => index % 2 === 0);
  const names = rest.filter((_segment, index) => index % 2 === 1);
  const scope = provider === 0 ? '' : `/${segments.slice(0, provider).join('/')}`;
  return {
    scope,
    scopeKind: scopeKindOf(scope),
    resourceType: [namespace, ...types].join('/'),
    names,
    form: rest.length % 2 === 1 ? 'list' : 'item',
  };
}

/** `/tenants`, `/subscriptions[/{id}[/resources]]`: ARM's own resources, which have no provider in their path. */
function rootPath(segments: string[]): ArmPath | undefined {
  const [first = '', id, ...rest] = segments;
  const collection = first.toLowerCase();
  if (collection !== 'tenants' && collection !== 'subscriptions') return undefined;
  if (id === undefined)
    return { scope: '', scopeKind: 'tenant', resourceType: `Microsoft.Resources/${collection}`, names: [], form: 'list' };
  if (rest.length === 0) {
    return {
      scope: `/${first}/${id}`,
      scopeKind: 'subscription',
      resourceType: `Microsoft.Resources/${collection}`,
      names: [id],
      form: 'item',
    };
  }
  const [child] = rest;
  if (rest.length !== 1 || child === undefined) return undefined;
  return {
    scope: `/${first}/${id}`,
    scopeKind: 'subscription',
    resourceType: `Microsoft.Resources/${collection}/${child}`,
    names: [id],
    form: 'list',
  };
}

export function scopeKindOf(scope: string): ScopeKind {
  const lower = scope.toLowerCase();
  if (lower === '') return 'tenant';
  if (/^\/providers\/microsoft\.management\/managementgroups\/[^/]+$/.test(lower)) return 'managementGroup';
  if (/^\/subscriptions\/[^/]+$/.test(lower)) return 'subscription';
  if (/^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+$/.test(lower)) return 'resourceGroup';
  return 'resource';
}

/** The group's name in a management-group scope. */
export function managementGroupOf(scope: string): string {
  return scope.split('/')[4] ?? '';
}
