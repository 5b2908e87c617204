/** Two names of one thing: regulatory standards have two id spaces, and assessments were given new keys (azure.md §1.2, §1.6, §1.8). */

/** securityStandard GUID ↔ regulatory standard name, where the names alone do not show it. */
const standardNames: ReadonlyMap<string, readonly string[]> = new Map([
  // The initiative behind the default standard: it was renamed, its id was not (azure.md §1.1).
  ['1f3afdf9-d0c9-4c3d-847f-89da613e70a8', ['microsoft-cloud-security-benchmark', 'azure-security-benchmark']],
]);

/** Letters and digits only: `PCI DSS 4` and `PCI-DSS-4` are one name. */
function bare(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

export interface NamedStandard {
  /** securityStandard GUID, lower case. */
  readonly id: string;
  readonly displayName: string;
}

/**
 * Joins the two id spaces: securityStandard GUID → regulatory standard name (lower case). A standard is joined when the
 * table says so, or when exactly one security standard has the regulatory standard's name, punctuation aside.
 */
export function joinStandards(regulatoryNames: Iterable<string>, securityStandards: readonly NamedStandard[]): ReadonlyMap<string, string> {
  const byName = new Map<string, string[]>();
  for (const { id, displayName } of securityStandards) {
    for (const name of [displayName, ...(standardNames.get(id) ?? [])].map(bare)) byName.set(name, [...(byName.get(name) ?? []), id]);
  }
  const joined = new Map<string, string>();
  for (const regulatory of regulatoryNames) {
    const ids = new Set(byName.get(bare(regulatory)));
    const [id] = ids;
    if (ids.size === 1 && id !== undefined && bare(regulatory) !== '') joined.set(id, regulatory);
  }
  return joined;
}

/** Identity recommendations that got a fixed new key; the first eight digits of the old key → those of the new one (azure.md §1.6). */
const rekeyed: readonly (readonly [string, string])[] = [
  ['050ac097', 'a4899b81'],
  ['0354476c', '009678ce'],
  ['20606e75', 'f2864482'],
  ['fde1c0c9', '422107c6'],
  ['1ff0b4c9', '9b4f4dd4'],
];

/**
 * What to say of an assessment that exists under two keys, or undefined. The two stay two tests: results of the old key
 * become stale by themselves, and nothing is moved.
 */
export function noteOnRekeyed(key: string): string | undefined {
  const start = key.slice(0, 8);
  const [, successor] = rekeyed.find(([old]) => old === start) ?? [];
  if (successor !== undefined) return `Replaced by the assessment whose key begins with ${successor}.`;
  const [predecessor] = rekeyed.find(([, current]) => current === start) ?? [];
  return predecessor === undefined ? undefined : `Replaces the assessment whose key begins with ${predecessor}.`;
}
