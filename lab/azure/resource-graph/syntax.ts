/** What the lab understands of KQL, as a tree. Names follow the language's own operator names. */
export type Expression =
  | { readonly kind: 'path'; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'compare'; readonly operator: ComparisonOperator; readonly left: Expression; readonly right: Expression }
  | {
      readonly kind: 'in';
      readonly left: Expression;
      readonly values: readonly Expression[];
      readonly ignoreCase: boolean;
      readonly negated: boolean;
    }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Expression[] };

export const COMPARISON_OPERATORS = [
  '==',
  '!=',
  '=~',
  '!~',
  '<',
  '<=',
  '>',
  '>=',
  'contains',
  '!contains',
  'startswith',
  '!startswith',
  'endswith',
  '!endswith',
  'has',
  '!has',
] as const;
export type ComparisonOperator = (typeof COMPARISON_OPERATORS)[number];

/** A column of a result: its name and how it is computed. */
export interface NamedExpression {
  readonly name: string;
  readonly expression: Expression;
}

export interface SortKey {
  readonly expression: Expression;
  readonly descending: boolean;
}

export interface Aggregate {
  readonly name: string;
  readonly function: 'count' | 'dcount';
  readonly argument: Expression | undefined;
}

export type Operator =
  | { readonly kind: 'where'; readonly condition: Expression }
  | { readonly kind: 'extend'; readonly columns: readonly NamedExpression[] }
  | { readonly kind: 'project'; readonly columns: readonly NamedExpression[] }
  | { readonly kind: 'project-away'; readonly names: readonly string[] }
  | { readonly kind: 'order'; readonly keys: readonly SortKey[] }
  | { readonly kind: 'limit'; readonly count: number }
  | { readonly kind: 'summarize'; readonly aggregates: readonly Aggregate[]; readonly by: readonly NamedExpression[] }
  | { readonly kind: 'mv-expand'; readonly column: NamedExpression };

export interface Query {
  /** Lower case. */
  readonly table: string;
  readonly operators: readonly Operator[];
}

/** A fragment the parser or the evaluator does not know: answered as Resource Graph's `ParserFailure`. */
export class QueryError extends Error {
  readonly line: number;
  readonly column: number;
  readonly token: string;
  readonly code: string;

  constructor(code: string, token: string, line: number, column: number) {
    super(`${code} at ${String(line)}:${String(column)}: ${token}`);
    this.name = 'QueryError';
    this.code = code;
    this.token = token;
    this.line = line;
    this.column = column;
  }
}
