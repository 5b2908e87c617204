/** Killing workers at failpoints, and what that may cost. */
import type { Lab } from './harness.ts';
import { azureRequests, untilKilled, type AzureRequests, type Run, type Scenario } from './scenario.ts';

/** One death of a worker, and what the lab's Azure had been asked until then. */
export interface Death {
  readonly failpoint: string;
  readonly atMs: number;
  readonly requests: AzureRequests;
}

/** Starts a worker that kills itself at the failpoint, begins the runs (or goes on with those that are open), and waits for its death. */
export async function dieAt(scenario: Scenario, failpoint: string, begin: () => Promise<readonly Run[]>): Promise<Death> {
  const worker = await scenario.startWorker({ failpoint });
  await untilKilled(worker, await begin(), failpoint);
  const atMs = Date.now();
  return { failpoint, atMs, requests: await azureRequests(scenario.lab) };
}

/** A list that was asked for so shortly before a death may have been open then. */
const mayBeOpenForMs = 10_000;
/** The page whose commit was lost, and the one that was fetched ahead (design §2). */
const pagesLostPerDeath = 2;

/**
 * Lists of which more pages were read than an undisturbed run reads, beyond what the deaths explain. Judged by the lab's own
 * log, without asking the engine which of its scans were open.
 */
export async function pagesReadTooOften(lab: Lab, undisturbed: AzureRequests, deaths: readonly Death[]): Promise<string[]> {
  const found: string[] = [];
  for (const [path, requests] of await azureRequests(lab)) {
    if (isSignIn(path)) continue;
    const usual = undisturbed.get(path)?.length ?? 0;
    const deathsWhileOpen = deaths.filter((death) => {
      const last = death.requests.get(path)?.at(-1);
      return last !== undefined && last.atMs > death.atMs - mayBeOpenForMs;
    });
    const allowed = deathsWhileOpen.length * pagesLostPerDeath * readersOf(undisturbed, path);
    if (requests.length - usual > allowed) found.push(`${path}: ${requests.length} instead of ${usual}, ${allowed} more allowed`);
  }
  return found;
}

/** Every worker process signs in for itself; that is no page of a list. */
function isSignIn(path: string): boolean {
  return path.includes('/.well-known/') || path.includes('/oauth2/');
}

/** How many deployments read a list: as often as an undisturbed run asks for each of its pages. */
function readersOf(undisturbed: AzureRequests, path: string): number {
  const requests = undisturbed.get(path) ?? [];
  return Math.max(1, Math.round(requests.length / Math.max(1, new Set(requests.map(({ url }) => url)).size)));
}
