const GUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;

/** What a request is counted under: its path with ids left out, so that counters stay few. */
export function patternOf(url: string): string {
  const path = url.split('?', 1)[0] ?? '';
  const provider = path.toLowerCase().lastIndexOf('/providers/');
  const [scope, rest] = provider === -1 ? ['', path] : [path.slice(0, provider), path.slice(provider)];
  return `${scopePattern(scope)}${rest.replace(GUID, '{id}')}`;
}

function scopePattern(scope: string): string {
  if (scope === '') return '';
  if (/^\/subscriptions\/[^/]+$/i.test(scope)) return '/subscriptions/{id}';
  if (/^\/providers\/Microsoft\.Management\/managementGroups\/[^/]+$/i.test(scope)) return '/managementGroups/{name}';
  return '/{resource}';
}
