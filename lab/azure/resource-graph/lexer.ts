import { QueryError } from './syntax.ts';

export interface Token {
  readonly kind: 'name' | 'string' | 'number' | 'symbol' | 'end';
  readonly text: string;
  readonly line: number;
  /** Position in the line, from 0. */
  readonly column: number;
}

const SPACE = /^(?:\s+|\/\/[^\n]*)/;
/** `!in~`, `in~`, `project-away`, `mv-expand` are one word each. */
const PATTERNS: readonly (readonly [Token['kind'], RegExp])[] = [
  ['name', /^(?:project-away|mv-expand|!in~|!in\b|in~|!(?:contains|startswith|endswith|has)\b|[A-Za-z_$][A-Za-z0-9_]*)/i],
  ['number', /^\d+(?:\.\d+)?/],
  ['string', /^(?:@"(?:[^"]|"")*"|@'(?:[^']|'')*'|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/],
  ['symbol', /^(?:==|!=|=~|!~|<=|>=|[|(),.=<>[\]-])/],
];

/** Splits a query into tokens; strings come out unquoted. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let rest = text;
  let line = 1;
  let column = 0;
  const advance = (part: string): void => {
    const lines = part.split('\n');
    line += lines.length - 1;
    column = lines.length > 1 ? (lines.at(-1) ?? '').length : column + part.length;
    rest = rest.slice(part.length);
  };
  while (rest !== '') {
    const space = SPACE.exec(rest)?.[0];
    if (space !== undefined) {
      advance(space);
      continue;
    }
    const found = match(rest);
    if (found === undefined) throw new QueryError('ParserFailure', rest.split(/\s/, 1)[0] ?? '', line, column);
    tokens.push({ kind: found.kind, text: found.kind === 'string' ? unquote(found.text) : found.text, line, column });
    advance(found.text);
  }
  tokens.push({ kind: 'end', text: '<EOF>', line, column });
  return tokens;
}

function match(text: string): { kind: Token['kind']; text: string } | undefined {
  for (const [kind, pattern] of PATTERNS) {
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) return { kind, text: found };
  }
  return undefined;
}

function unquote(quoted: string): string {
  if (quoted.startsWith('@')) {
    const quote = quoted.charAt(1);
    return quoted.slice(2, -1).replaceAll(quote + quote, quote);
  }
  const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r' };
  return quoted.slice(1, -1).replace(/\\(.)/g, (_whole, character: string) => escapes[character] ?? character);
}
