const TOKEN = /"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'|([A-Za-z_$][\w$]*)(?=\s*:)|[^"'A-Za-z_$]+|[A-Za-z_$][\w$]*/gs;

/**
 * Reads what the engine's endpoints accept beside JSON: strings in single quotes and keys without quotes, as in published requests
 * (identifyreconcile/queryenhanced_find_sys_id_by_name.json, vcenter_insert_with_related_item.json).
 * @throws SyntaxError
 */
export function parseLenient(text: string): unknown {
  const json = text.replaceAll(TOKEN, (token: string, quoted?: string, key?: string) => {
    if (quoted !== undefined) return `"${quoted.replaceAll(/\\.|"/gs, inDoubleQuotes)}"`;
    return key === undefined ? token : JSON.stringify(key);
  });
  return JSON.parse(json) as unknown;
}

function inDoubleQuotes(piece: string): string {
  if (piece === '"') return String.raw`\"`;
  return piece === String.raw`\'` ? "'" : piece;
}
