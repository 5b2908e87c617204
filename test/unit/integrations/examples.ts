import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Recorded and published payloads; they lie beside the repository, not in it. */
const directory = join(import.meta.dirname, '../../../../shared/examples/azure');

/** Why tests on recorded payloads are skipped, or undefined when they run. */
export const examplesAbsent = existsSync(join(directory, 'INDEX.md'))
  ? undefined
  : `${directory} is absent: recorded payloads are not tested`;

/** Names of the JSON files of a folder that match. */
export function exampleFiles(folder: string, name: RegExp): string[] {
  if (examplesAbsent !== undefined) return [];
  return readdirSync(join(directory, folder))
    .filter((file) => file.endsWith('.json') && name.test(file))
    .sort()
    .map((file) => `${folder}/${file}`);
}

/** Rows of a payload: the list's values, the one item, or the rows of a Resource Graph answer. */
export function exampleRows(file: string): unknown[] {
  const content = JSON.parse(readFileSync(join(directory, file), 'utf8')) as {
    responses?: Record<string, { body?: { value?: unknown[] } } | undefined>;
    value?: unknown[];
  };
  if (Array.isArray(content)) return content as unknown[];
  const answer = content.responses?.['200']?.body ?? content;
  return answer.value ?? [answer];
}
