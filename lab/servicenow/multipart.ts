/** One part of a multipart/form-data body; `fileName` and `contentType` are empty for a plain field. */
export interface FormPart {
  name: string;
  fileName: string;
  contentType: string;
  content: Buffer;
}

const LINE_END = '\r\n';

/** Reads a multipart/form-data body (RFC 7578); undefined where it is none. */
export function parseMultipart(contentType: string, body: Buffer): FormPart[] | undefined {
  const [, quoted, plain] = /^multipart\/form-data\b.*?;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) return undefined;
  const delimiter = Buffer.from(`${LINE_END}--${boundary}`);
  // The first delimiter has no line end before it; with one in front it is like the others.
  const bytes = Buffer.concat([Buffer.from(LINE_END), body]);
  const parts: FormPart[] = [];
  let at = bytes.indexOf(delimiter);
  while (at !== -1) {
    const start = at + delimiter.length;
    if (bytes.toString('latin1', start, start + 2) === '--') return parts;
    const end = bytes.indexOf(delimiter, start);
    const headEnd = bytes.indexOf(LINE_END + LINE_END, start);
    if (end === -1 || headEnd === -1 || headEnd > end) return undefined;
    parts.push(partOf(bytes.toString('utf8', start, headEnd), bytes.subarray(headEnd + 4, end)));
    at = end;
  }
  return undefined;
}

function partOf(head: string, content: Buffer): FormPart {
  const parameter = (name: string): string => new RegExp(`[;\\s]${name}="([^"]*)"`, 'i').exec(head)?.[1] ?? '';
  const contentType = /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim() ?? '';
  return { name: parameter('name'), fileName: parameter('filename'), contentType, content };
}
