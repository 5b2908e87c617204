import { isJsonObject, valueAt, type Json, type JsonObject } from '../json.ts';
import type { ComparisonOperator, Expression } from './syntax.ts';

/** Marks a value that cannot be known without the row: see `decide`. */
const UNKNOWN = Symbol('unknown');
type Known = Json | undefined;
type Value = Known | typeof UNKNOWN;
type Lookup = (path: readonly string[]) => Value;

/** The value of an expression in a row; undefined is KQL's null. */
export function evaluate(expression: Expression, row: JsonObject): Known {
  const value = compute(expression, (path) => valueAt(row, path));
  return value === UNKNOWN ? undefined : value;
}

/** Whether a condition holds for a row. */
export function holds(condition: Expression, row: JsonObject): boolean {
  return evaluate(condition, row) === true;
}

/**
 * What a condition says about rows of which only some columns are known: true for all of them, false for all of them,
 * or undefined where each row has to be asked. It spares a page the reading of rows that cannot match.
 */
export function decide(condition: Expression, constants: ReadonlyMap<string, Json>): boolean | undefined {
  const value = compute(condition, (path) => {
    const constant = constants.get(path.join('.'));
    return constant === undefined ? UNKNOWN : constant;
  });
  return value === UNKNOWN ? undefined : value === true;
}

function compute(expression: Expression, lookup: Lookup): Value {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'path':
      return lookup(expression.path);
    case 'and':
      return combine(expression.parts, lookup, false);
    case 'or':
      return combine(expression.parts, lookup, true);
    case 'call':
      return call(
        expression.name,
        expression.args.map((argument) => compute(argument, lookup)),
      );
    case 'compare': {
      const left = compute(expression.left, lookup);
      const right = compute(expression.right, lookup);
      return left === UNKNOWN || right === UNKNOWN ? UNKNOWN : compare(expression.operator, left, right);
    }
    case 'in': {
      const left = compute(expression.left, lookup);
      if (left === UNKNOWN) return UNKNOWN;
      const operator = expression.ignoreCase ? '=~' : '==';
      const found = expression.values.some((value) => {
        const right = compute(value, lookup);
        return right !== UNKNOWN && compare(operator, left, right);
      });
      return found !== expression.negated;
    }
  }
}

/** Three-valued and/or: one deciding part is enough, whatever the others are. */
function combine(parts: readonly Expression[], lookup: Lookup, decisive: boolean): Value {
  let unknown = false;
  for (const part of parts) {
    const value = compute(part, lookup);
    if (value === UNKNOWN) unknown = true;
    else if ((value === true) === decisive) return decisive;
  }
  return unknown ? UNKNOWN : !decisive;
}

function call(name: string, args: Value[]): Value {
  if (args.includes(UNKNOWN)) return UNKNOWN;
  const values = args as Known[];
  const [first] = values;
  switch (name) {
    case 'tostring':
      return asText(first);
    case 'tolower':
      return asText(first).toLowerCase();
    case 'toupper':
      return asText(first).toUpperCase();
    case 'tobool':
      return typeof first === 'boolean' ? first : asText(first).toLowerCase() === 'true';
    case 'toint':
    case 'todouble':
      return asNumber(name, first);
    case 'parse_json':
    case 'todynamic':
      return parseJson(first);
    case 'isempty':
      return isNull(first) || first === '';
    case 'isnotempty':
      return !(isNull(first) || first === '');
    case 'isnull':
      return isNull(first);
    case 'isnotnull':
      return !isNull(first);
    case 'not':
      return first !== true;
    case 'coalesce':
      return values.find((value) => !isNull(value) && value !== '');
    case 'array_length':
      return Array.isArray(first) ? first.length : null;
    case 'strcat':
      return values.map(asText).join('');
    default:
      throw new Error(`The parser admitted the function '${name}', which has no meaning here.`);
  }
}

function isNull(value: Known): boolean {
  return value === undefined || value === null;
}

function asNumber(name: string, value: Known): Json {
  const number = Number(asText(value));
  if (isNull(value) || asText(value) === '' || Number.isNaN(number)) return null;
  return name === 'toint' ? Math.trunc(number) : number;
}

function asText(value: Known): string {
  if (isNull(value)) return '';
  if (typeof value === 'string') return value;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function parseJson(value: Known): Known {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as Json;
  } catch {
    // KQL keeps text that is no JSON as it is.
    return value;
  }
}

function compare(operator: ComparisonOperator, left: Known, right: Known): boolean {
  if (operator.startsWith('!'))
    return !compare((operator === '!=' ? '==' : operator === '!~' ? '=~' : operator.slice(1)) as ComparisonOperator, left, right);
  if (operator === '<' || operator === '<=' || operator === '>' || operator === '>=') return compareOrder(operator, left, right);
  if (operator === '==') return equal(left, right);
  if (isNull(left) || isNull(right)) return false;
  const text = asText(left).toLowerCase();
  const sought = asText(right).toLowerCase();
  switch (operator) {
    case '=~':
      return text === sought;
    case 'contains':
      return text.includes(sought);
    case 'startswith':
      return text.startsWith(sought);
    case 'endswith':
      return text.endsWith(sought);
    case 'has':
      return new RegExp(`(?:^|[^a-z0-9])${sought.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}(?:$|[^a-z0-9])`).test(text);
    default:
      throw new Error(`The parser admitted the operator '${operator}', which has no meaning here.`);
  }
}

function equal(left: Known, right: Known): boolean {
  if (isNull(left) || isNull(right)) return isNull(left) && isNull(right);
  return typeof left === typeof right ? left === right : asText(left) === asText(right);
}

function compareOrder(operator: '<' | '<=' | '>' | '>=', left: Known, right: Known): boolean {
  if (isNull(left) || isNull(right)) return false;
  const order = compareValues(left, right);
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  return operator === '>' ? order > 0 : order >= 0;
}

/** Order of two values for `order by`: numbers by size, text by lower case, missing values first. */
export function compareValues(left: Known, right: Known): number {
  if (isNull(left) || isNull(right)) return Number(!isNull(left)) - Number(!isNull(right));
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  const leftText = asText(left).toLowerCase();
  const rightText = asText(right).toLowerCase();
  return leftText < rightText ? -1 : leftText > rightText ? 1 : 0;
}

/** The elements `mv-expand` makes of a value: those of an array, the members of an object, or the value itself. */
export function expandedValues(value: Known): readonly Json[] {
  if (isNull(value)) return [null];
  if (Array.isArray(value)) return value as readonly Json[];
  if (isJsonObject(value)) return Object.entries(value).map(([name, member]) => ({ [name]: member }));
  return value === undefined ? [null] : [value];
}
