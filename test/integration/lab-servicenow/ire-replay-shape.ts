/** Keys whose values must be the same word for word; of everything else the kind is compared. */
const EXACT = new Set([
  'className',
  'operation',
  'attemptResult',
  'identifierName',
  'attributes',
  'searchOnTable',
  'hybridEntryCiAttributes',
  'info',
  'error',
  'code',
  'inputIndices',
  'errorCount',
  'warningCount',
  'hasError',
  'hasWarning',
]);

/**
 * Where two answers differ, as `path: difference`; no difference: the same keys, kinds, lists and words. sys_ids are compared by kind
 * (`Unknown`, null or an id), messages without the item they quote, numbers of the summary word for word.
 */
export function differences(recorded: unknown, answered: unknown, path = ''): string[] {
  const key = /([A-Za-z]+)(?:\[\d+\])*$/.exec(path)?.[1] ?? '';
  if (Array.isArray(recorded) && Array.isArray(answered)) {
    if (recorded.length !== answered.length) return [`${path}: ${String(recorded.length)} recorded, ${String(answered.length)} answered`];
    return recorded.flatMap((value: unknown, at) => differences(value, answered[at], `${path}[${String(at)}]`));
  }
  if (isObject(recorded) && isObject(answered)) {
    const names = [...new Set([...Object.keys(recorded), ...Object.keys(answered)])].sort();
    return names.flatMap((name) => {
      const at = path === '' ? name : `${path}.${name}`;
      if (!(name in recorded)) return [`${at}: not recorded`];
      if (!(name in answered)) return [`${at}: not answered`];
      return differences(recorded[name], answered[name], at);
    });
  }
  const isExact = EXACT.has(key) || path.startsWith('summary.');
  const [one, other] = isExact ? [JSON.stringify(recorded), JSON.stringify(answered)] : [kindOf(key, recorded), kindOf(key, answered)];
  return one === other ? [] : [`${path}: ${one} recorded, ${other} answered`];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(key: string, value: unknown): string {
  if (value === null || Array.isArray(value)) return JSON.stringify(value);
  if (typeof value !== 'string') return typeof value;
  if (value === 'Unknown') return value;
  if (/^[0-9a-f]{32}$/.test(value)) return 'sys_id';
  return key === 'message' ? value.replace(/ '\{[\s\S]*$/, '') : 'text';
}
