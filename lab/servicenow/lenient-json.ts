/**
 * Parses a request body. The platform's own documentation sends records with single quotes and prints a 200 or 201 for them
 * (table-api/post_incident_201.json, patch_incident_200.json, batch item 13), and one payload with keys that have no quotes at all
 * (identifyreconcile/vcenter_insert_with_related_item.json); these are read too, nothing else is forgiven.
 */
export function parseLeniently(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(withDoubleQuotes(text));
  }
}

/** Strings are taken whole, so that nothing inside them is taken for a quote or a key. */
const STRING_OR_KEY = /"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'|([A-Za-z_]\w*)(?=\s*:)/gs;

function withDoubleQuotes(text: string): string {
  return text.replace(STRING_OR_KEY, (whole, single: string | undefined, key: string | undefined) => {
    if (key !== undefined) return `"${key}"`;
    return single === undefined ? whole : `"${single.replaceAll("\\'", "'").replaceAll('"', '\\"')}"`;
  });
}
