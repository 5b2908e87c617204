import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { arrayAt, isJsonObject, textAt, valueAt, type Json, type JsonObject } from '../../json.ts';
import type { ServedFile } from './mapping.ts';

/** The items of a recorded file, rewritten as the mapping says, in the order of the file. */
export async function readItems(dir: string, entry: ServedFile): Promise<JsonObject[]> {
  const text = await readFile(join(dir, entry.file), 'utf8');
  const payload = JSON.parse(rewritten(text, entry.rewrite ?? {})) as Json;
  const skipped = new Set((entry.skip ?? []).map(({ id }) => id.toLowerCase()));
  return itemsOf(payload).filter((item) => !skipped.has(textAt(item, 'id').toLowerCase()));
}

/** Ids are GUIDs or placeholders: they may be replaced wherever they stand in the text, whatever their casing. */
function rewritten(text: string, rewrite: Readonly<Record<string, string>>): string {
  return Object.entries(rewrite).reduce((result, [from, to]) => result.replaceAll(new RegExp(escaped(from), 'gi'), to), text);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

/** Specification files wrap the answer; lists hold `value`, Resource Graph answers hold `data`; the rest is one item or an array. */
function itemsOf(payload: Json): JsonObject[] {
  if (Array.isArray(payload)) return payload.filter(isJsonObject);
  const body = valueAt(payload, ['responses', '200', 'body']) ?? payload;
  for (const list of ['value', 'data']) {
    const items = arrayAt(body, list);
    if (items.length > 0) return items.filter(isJsonObject);
  }
  return isJsonObject(body) ? [body] : [];
}
