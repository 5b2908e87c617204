/** Leaves word in the state folder where the servers of a demo or a lab are, for other commands, scripts and clients, as long as they run. */
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Releases } from '../releases.ts';
import { readTemporalRecord, removeTemporalRecord, writeTemporalRecord, type TemporalRecord } from '../servers.ts';
import type { RunningLab } from './lab-process.ts';

/** The folder where other commands look for what runs here. */
export const stateDir = '.defender-sync';

/** For `defender-sync temporal` and scripts. */
export function announceTemporal({ address, namespace, uiUrl }: TemporalRecord, releases: Releases): void {
  writeTemporalRecord(stateDir, { address, namespace, uiUrl });
  releases.defer(() => {
    // Another one may have announced itself since.
    if (readTemporalRecord(stateDir)?.address === address) removeTemporalRecord(stateDir);
  });
}

/** For any client of the lab (design §8). */
export function announceLab(lab: RunningLab, releases: Releases): void {
  const file = join(stateDir, 'lab.json');
  const description = readFileSync(lab.file, 'utf8');
  mkdirSync(stateDir, { recursive: true });
  // Removed first, so that the copy has the mode of the original: it holds the lab's secrets.
  rmSync(file, { force: true });
  copyFileSync(lab.file, file);
  releases.defer(() => {
    if (readIfThere(file) === description) rmSync(file, { force: true });
  });
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
