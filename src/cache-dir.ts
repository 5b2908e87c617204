/** Where downloaded and unpacked programs are kept between runs, for all projects of one user. */
import { chmodSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * The user's cache folder of this product: `DEFENDER_SYNC_CACHE_DIR`, else `$XDG_CACHE_HOME/defender-sync`, else `~/.cache/defender-sync`.
 * For root `/var/cache/defender-sync`: the embedded PostgreSQL runs as another user there and must be able to read it.
 */
export function defaultCacheDir(environment: Readonly<Record<string, string | undefined>> = {}): string {
  const chosen = environment['DEFENDER_SYNC_CACHE_DIR'];
  if (chosen) return chosen;
  if (process.getuid?.() === 0) return '/var/cache/defender-sync';
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'defender-sync');
}

/** Makes a folder of the cache. Programs are no secret, and a server's user must get to them whatever our umask is. */
export function makeCacheFolder(folder: string): void {
  const firstMade = mkdirSync(folder, { recursive: true });
  if (firstMade === undefined) return;
  for (let made = folder; made.length >= firstMade.length; made = dirname(made)) chmodSync(made, 0o755);
}
