/** One condition of an encoded query: `field operator value`. */
export interface Condition {
  field: string;
  operator: Operator;
  value: string;
}

export const OPERATORS = [
  'ISNOTEMPTY',
  'ISEMPTY',
  'NOT LIKE',
  'NOTLIKE',
  'NOT IN',
  'NOTIN',
  'STARTSWITH',
  'ENDSWITH',
  'LIKE',
  'IN',
  '!=',
  '>=',
  '<=',
  '=',
  '>',
  '<',
] as const;

export type Operator = (typeof OPERATORS)[number];

/** Conditions joined by OR (`a^ORb`). */
export type AnyOf = Condition[];

export interface EncodedQuery {
  /** Whole queries joined by `^NQ`; inside one, every AnyOf must hold. */
  alternatives: AnyOf[][];
  orderBy: { field: string; descending: boolean }[];
  /** Fragments that could not be read. The platform drops them without a word (servicenow.md §5.2). */
  dropped: string[];
}

const FIELD = /^[a-z0-9_.]+/;

/** Reads `sysparm_query`. Nothing is refused: what cannot be read is dropped, as on the platform. */
export function parseQuery(text: string): EncodedQuery {
  const query: EncodedQuery = { alternatives: [[]], orderBy: [], dropped: [] };
  let current = query.alternatives[0] ?? [];
  const fragments = text.split('^');
  for (const raw of fragments) {
    let fragment = raw;
    if (fragment === '' || fragment === 'EQ') continue;
    const order = /^ORDERBY(DESC)?(.+)$/.exec(fragment);
    if (order !== null) {
      query.orderBy.push({ field: order[2] ?? '', descending: order[1] !== undefined });
      continue;
    }
    let isOr = false;
    if (fragment.startsWith('NQ')) {
      current = [];
      query.alternatives.push(current);
      fragment = fragment.slice(2);
    } else if (fragment.startsWith('OR')) {
      isOr = true;
      fragment = fragment.slice(2);
    }
    const condition = parseCondition(fragment);
    if (condition === undefined) {
      query.dropped.push(raw);
      continue;
    }
    const last = current.at(-1);
    if (isOr && last !== undefined) last.push(condition);
    else current.push([condition]);
  }
  return query;
}

function parseCondition(fragment: string): Condition | undefined {
  const field = FIELD.exec(fragment)?.[0];
  if (field === undefined) return undefined;
  const rest = fragment.slice(field.length);
  const operator = OPERATORS.find((candidate) => rest.startsWith(candidate));
  return operator === undefined ? undefined : { field, operator, value: rest.slice(operator.length) };
}
