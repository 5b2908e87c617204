import { tokenize, type Token } from './lexer.ts';
import {
  COMPARISON_OPERATORS,
  QueryError,
  type Aggregate,
  type ComparisonOperator,
  type Expression,
  type NamedExpression,
  type Operator,
  type Query,
  type SortKey,
} from './syntax.ts';

/** Parses the KQL subset (azure.md §1.9 and the official queries of §1.7); QueryError names the first fragment it does not know. */
export function parseQuery(text: string): Query {
  const cursor = createCursor(tokenize(text));
  const table = cursor.take('name').text.toLowerCase();
  const operators: Operator[] = [];
  while (cursor.peek().kind !== 'end') {
    cursor.takeSymbol('|');
    operators.push(...parseOperator(cursor));
  }
  return { table, operators };
}

interface Cursor {
  peek(ahead?: number): Token;
  take(kind: Token['kind']): Token;
  takeSymbol(symbol: string): void;
  /** Takes the symbol if it is next. */
  optional(symbol: string): boolean;
  /** Takes the name (case-insensitive) if it is next. */
  optionalName(name: string): boolean;
  fail(token: Token): QueryError;
}

function createCursor(tokens: Token[]): Cursor {
  let position = 0;
  const end = tokens.at(-1) ?? { kind: 'end', text: '<EOF>', line: 1, column: 0 };
  const peek = (ahead = 0): Token => tokens[position + ahead] ?? end;
  const fail = (token: Token): QueryError => new QueryError('ParserFailure', token.text, token.line, token.column);
  const takeIf = (holds: boolean): boolean => {
    if (holds) position += 1;
    return holds;
  };
  return {
    peek,
    fail,
    take: (kind) => {
      const token = peek();
      if (!takeIf(token.kind === kind)) throw fail(token);
      return token;
    },
    takeSymbol: (symbol) => {
      if (!takeIf(peek().kind === 'symbol' && peek().text === symbol)) throw fail(peek());
    },
    optional: (symbol) => takeIf(peek().kind === 'symbol' && peek().text === symbol),
    optionalName: (name) => takeIf(peek().kind === 'name' && peek().text.toLowerCase() === name),
  };
}

function parseOperator(cursor: Cursor): Operator[] {
  const token = cursor.take('name');
  switch (token.text.toLowerCase()) {
    case 'where':
    case 'filter':
      return [{ kind: 'where', condition: parseOr(cursor) }];
    case 'extend':
      return [{ kind: 'extend', columns: parseColumns(cursor) }];
    case 'project':
      return [{ kind: 'project', columns: parseColumns(cursor) }];
    case 'project-away':
      return [{ kind: 'project-away', names: parseList(cursor, () => cursor.take('name').text) }];
    case 'order':
    case 'sort':
      if (!cursor.optionalName('by')) throw cursor.fail(cursor.peek());
      return [{ kind: 'order', keys: parseList(cursor, () => parseSortKey(cursor)) }];
    case 'limit':
    case 'take':
      return [{ kind: 'limit', count: Number(cursor.take('number').text) }];
    case 'top': {
      const count = Number(cursor.take('number').text);
      if (!cursor.optionalName('by')) throw cursor.fail(cursor.peek());
      return [
        { kind: 'order', keys: [parseSortKey(cursor)] },
        { kind: 'limit', count },
      ];
    }
    case 'summarize':
      return [parseSummarize(cursor)];
    case 'distinct':
      return [{ kind: 'summarize', aggregates: [], by: parseColumns(cursor) }];
    case 'count':
      return [{ kind: 'summarize', aggregates: [{ name: 'Count', function: 'count', argument: undefined }], by: [] }];
    case 'mv-expand':
      return [{ kind: 'mv-expand', column: parseColumn(cursor) }];
    default:
      throw new QueryError('InvalidQueryLanguage', token.text, token.line, token.column);
  }
}

function parseList<T>(cursor: Cursor, parse: () => T): T[] {
  const items = [parse()];
  while (cursor.optional(',')) items.push(parse());
  return items;
}

function parseColumns(cursor: Cursor): NamedExpression[] {
  return parseList(cursor, () => parseColumn(cursor));
}

function parseColumn(cursor: Cursor): NamedExpression {
  if (cursor.peek().kind === 'name' && cursor.peek(1).kind === 'symbol' && cursor.peek(1).text === '=') {
    const name = cursor.take('name').text;
    cursor.takeSymbol('=');
    return { name, expression: parseOr(cursor) };
  }
  const first = cursor.peek();
  const expression = parseOr(cursor);
  const name = impliedName(expression);
  if (name === undefined) throw cursor.fail(first);
  return { name, expression };
}

/** `properties.a.b` and `tostring(properties.a.b)` become the column `properties_a_b`. */
function impliedName(expression: Expression): string | undefined {
  if (expression.kind === 'path') return expression.path.join('_');
  const [argument] = expression.kind === 'call' ? expression.args : [];
  return argument === undefined ? undefined : impliedName(argument);
}

function parseSortKey(cursor: Cursor): SortKey {
  const expression = parseOr(cursor);
  if (cursor.optionalName('asc')) return { expression, descending: false };
  cursor.optionalName('desc');
  return { expression, descending: true };
}

function parseSummarize(cursor: Cursor): Operator {
  const aggregates = cursor.peek().text.toLowerCase() === 'by' ? [] : parseList(cursor, () => parseAggregate(cursor));
  const by = cursor.optionalName('by') ? parseColumns(cursor) : [];
  return { kind: 'summarize', aggregates, by };
}

function parseAggregate(cursor: Cursor): Aggregate {
  let name: string | undefined;
  if (cursor.peek(1).kind === 'symbol' && cursor.peek(1).text === '=') {
    name = cursor.take('name').text;
    cursor.takeSymbol('=');
  }
  const token = cursor.take('name');
  const called = token.text.toLowerCase();
  if (called !== 'count' && called !== 'dcount') throw cursor.fail(token);
  cursor.takeSymbol('(');
  const argument = called === 'dcount' ? parseOr(cursor) : undefined;
  cursor.takeSymbol(')');
  const implied = argument === undefined ? '' : (impliedName(argument) ?? '');
  return { name: name ?? `${called}_${implied}`, function: called, argument };
}

function parseOr(cursor: Cursor): Expression {
  const parts = [parseAnd(cursor)];
  while (cursor.optionalName('or')) parts.push(parseAnd(cursor));
  return onlyOne(parts) ?? { kind: 'or', parts };
}

function parseAnd(cursor: Cursor): Expression {
  const parts = [parseComparison(cursor)];
  while (cursor.optionalName('and')) parts.push(parseComparison(cursor));
  return onlyOne(parts) ?? { kind: 'and', parts };
}

function onlyOne(parts: Expression[]): Expression | undefined {
  return parts.length === 1 ? parts[0] : undefined;
}

const SYMBOL_OPERATORS: ReadonlySet<string> = new Set(COMPARISON_OPERATORS);
const MEMBERSHIP = new Map([
  ['in', { ignoreCase: false, negated: false }],
  ['in~', { ignoreCase: true, negated: false }],
  ['!in', { ignoreCase: false, negated: true }],
  ['!in~', { ignoreCase: true, negated: true }],
]);

function parseComparison(cursor: Cursor): Expression {
  const left = parsePrimary(cursor);
  const token = cursor.peek();
  const text = token.text.toLowerCase();
  if (token.kind === 'name') {
    const membership = MEMBERSHIP.get(text);
    if (membership !== undefined) {
      cursor.take('name');
      cursor.takeSymbol('(');
      const values = parseList(cursor, () => parsePrimary(cursor));
      cursor.takeSymbol(')');
      return { kind: 'in', left, values, ...membership };
    }
  }
  if ((token.kind !== 'name' && token.kind !== 'symbol') || !SYMBOL_OPERATORS.has(text)) return left;
  cursor.take(token.kind);
  return { kind: 'compare', operator: text as ComparisonOperator, left, right: parsePrimary(cursor) };
}

/** Functions of one value, and `coalesce` of several. */
const FUNCTIONS: ReadonlySet<string> = new Set([
  'tostring',
  'tolower',
  'toupper',
  'tobool',
  'toint',
  'todouble',
  'parse_json',
  'todynamic',
  'isempty',
  'isnotempty',
  'isnull',
  'isnotnull',
  'not',
  'coalesce',
  'array_length',
  'strcat',
]);

function parsePrimary(cursor: Cursor): Expression {
  const token = cursor.peek();
  if (cursor.optional('(')) {
    const inner = parseOr(cursor);
    cursor.takeSymbol(')');
    return inner;
  }
  if (cursor.optional('-')) return { kind: 'literal', value: -Number(cursor.take('number').text) };
  if (token.kind === 'string') return { kind: 'literal', value: cursor.take('string').text };
  if (token.kind === 'number') return { kind: 'literal', value: Number(cursor.take('number').text) };
  cursor.take('name');
  if (cursor.peek().kind === 'symbol' && cursor.peek().text === '(') return parseCall(cursor, token);
  if (/^(?:true|false)$/i.test(token.text)) return { kind: 'literal', value: token.text.toLowerCase() === 'true' };
  return { kind: 'path', path: [token.text, ...parseSteps(cursor)] };
}

function parseCall(cursor: Cursor, name: Token): Expression {
  if (!FUNCTIONS.has(name.text.toLowerCase())) throw cursor.fail(name);
  cursor.takeSymbol('(');
  const args = parseList(cursor, () => parseOr(cursor));
  cursor.takeSymbol(')');
  return { kind: 'call', name: name.text.toLowerCase(), args };
}

/** `.a`, `["a b"]` and `['a b']` after a column. */
function parseSteps(cursor: Cursor): string[] {
  const steps: string[] = [];
  for (;;) {
    if (cursor.optional('.')) steps.push(cursor.take('name').text);
    else if (cursor.optional('[')) {
      steps.push(cursor.take('string').text);
      cursor.takeSymbol(']');
    } else return steps;
  }
}
