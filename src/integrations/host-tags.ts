/**
 * Tags of a cloud resource become host tags of its discovered item (servicenow.md §1.4, §4; docs/decisions/host-tags.md).
 *
 *     tag                     ─▶ sn_sec_cmn_host_tag, one per text, whatever its case; whoever was first spells it
 *     tag on a resource       ─▶ the item's list of host tags, and sn_sec_cmn_m2m_src_ci_tag, one row per item and tag
 *
 * At most 31 of a resource; the others, and those that cannot be host tags, are counted in the resource's body.
 */
import { createHash } from 'node:crypto';
import type { DesiredRecord, FieldValue, Json, JsonObject } from '../model.ts';
import { naturalKey } from './natural-key.ts';
import { cleanLine } from './text.ts';

/** The platform's own limit per discovered item (servicenow.md §4). */
export const maxHostTags = 31;
/** Longest host tag, in UTF-16 code units: Azure allows names of 512 and values of 256. */
const maxTagLength = 255;

export const hostTagTable = 'sn_sec_cmn_host_tag';
export const hostTagLinkTable = 'sn_sec_cmn_m2m_src_ci_tag';

/** Name and value; the value may be empty. */
export type Tag = readonly [name: string, value: string];

/**
 * The `tags` of a row as part of an observed body: what is kept, in a stable order, and how many are not. Total: whatever
 * `tags` is, nothing is thrown.
 */
export function tagsBody(tags: unknown): Readonly<Record<string, Json | undefined>> {
  if (tags === undefined || tags === null) return {};
  if (typeof tags !== 'object' || Array.isArray(tags)) return { tagsUnusable: 1 };
  let unusable = 0;
  const byName = new Map<string, { readonly text: string; readonly tag: Tag }>();
  for (const [name, value] of Object.entries(tags)) {
    const tag = tagOf(name, value);
    if (tag === undefined) {
      unusable += 1;
      continue;
    }
    const text = hostTagText(tag);
    const rival = byName.get(naturalKey(text));
    if (rival === undefined || text < rival.text) byName.set(naturalKey(text), { text, tag });
  }
  const kept = [...byName].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, { tag }]) => tag);
  return {
    tags: kept.slice(0, maxHostTags),
    tagsLeftOut: kept.length > maxHostTags ? kept.length - maxHostTags : undefined,
    tagsUnusable: unusable > 0 ? unusable : undefined,
  };
}

/** Undefined for what no host tag can be made of: no text, no name, or a text that a query would not find again. */
function tagOf(name: string, value: unknown): Tag | undefined {
  if (typeof value !== 'string') return undefined;
  const tag: Tag = [oneLine(name), oneLine(value)];
  return tag[0] === '' || isUnsearchable(hostTagText(tag)) ? undefined : tag;
}

function oneLine(text: string): string {
  return cleanLine(text).replaceAll(/\s+/g, ' ').trim();
}

/** `^` separates conditions and cannot be escaped; the others would be taken for an operator or a script (servicenow.md §5.2). */
function isUnsearchable(text: string): boolean {
  return text.includes('^') || /^(?:=|javascript:)/i.test(text);
}

/** `name: value`, or the name alone. Too long: cut, then `~` and 16 hex digits of the SHA-256 of the whole in lower case. */
export function hostTagText([name, value]: Tag): string {
  const text = value === '' ? name : `${name}: ${value}`;
  if (text.length <= maxTagLength) return text;
  const hash = createHash('sha256').update(text.toLowerCase()).digest('hex').slice(0, 16);
  return `${text.slice(0, maxTagLength - 17).replace(/[\ud800-\udbff]$/, '')}~${hash}`;
}

/** The tags of an observed body. */
export function tagsOf(body: JsonObject | undefined): readonly Tag[] {
  const tags = body?.['tags'];
  if (!Array.isArray(tags)) return [];
  return (tags as readonly Json[]).flatMap((tag): Tag[] => {
    if (!Array.isArray(tag)) return [];
    const [name, value] = tag as readonly Json[];
    return typeof name === 'string' && typeof value === 'string' ? [[name, value]] : [];
  });
}

/** The host tags themselves: the text is the key. */
export function hostTagRecords(tags: readonly Tag[]): readonly DesiredRecord[] {
  return tags.map(hostTagText).map((text) => ({ table: hostTagTable, key: naturalKey(text), fields: { name: text } }));
}

/** A discovered item's list of host tags. */
export function hostTagList(tags: readonly Tag[]): FieldValue {
  return { records: { table: hostTagTable, keys: tags.map((tag) => naturalKey(hostTagText(tag))) } };
}

/** One row per discovered item and tag. */
export function hostTagLinks(itemKey: string, tags: readonly Tag[]): readonly DesiredRecord[] {
  return tags.map((tag) => {
    const key = naturalKey(hostTagText(tag));
    return {
      table: hostTagLinkTable,
      key: naturalKey(itemKey, key),
      fields: {
        src_ci: { record: { table: 'sn_sec_cmn_src_ci', key: itemKey } },
        host_tag: { record: { table: hostTagTable, key } },
      },
    };
  });
}
