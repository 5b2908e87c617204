/** The recorded histories: what workflows of an earlier version did, as Temporal keeps it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface RecordedHistory {
  readonly workflowId: string;
  /** As `temporal workflow show --output json` prints it. */
  readonly history: object;
}

export const historiesDir = fileURLToPath(new URL('./histories/', import.meta.url));

export function recordedHistories(): readonly (RecordedHistory & { readonly name: string })[] {
  return readdirSync(historiesDir)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({
      name: file.replace(/\.json$/, ''),
      ...(JSON.parse(readFileSync(join(historiesDir, file), 'utf8')) as RecordedHistory),
    }));
}
