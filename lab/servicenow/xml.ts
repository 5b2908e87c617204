/**
 * A JSON answer as the platform writes it in XML: one `response` element, a list as a repeated element, an empty value as an empty
 * element (batch/batch_two_gets_one_post.json, item 11).
 */
export function toXml(body: unknown): string {
  return `<?xml version="1.0" encoding="UTF-8"?>${element('response', body)}`;
}

function element(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((member) => element(name, member)).join('');
  const inner = isObject(value)
    ? Object.entries(value)
        .map(([key, member]) => element(key, member))
        .join('')
    : escaped(plain(value));
  return inner === '' ? `<${name}/>` : `<${name}>${inner}</${name}>`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : value === null || value === undefined ? '' : JSON.stringify(value);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
