import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { invalidRequest } from './errors.ts';
import { compareValues, evaluate, holds } from './evaluate.ts';
import { parseQuery } from './parser.ts';
import { QueryError, type Expression } from './syntax.ts';

/** One facet of a request (examples/azure/resource-graph/ResourcesFacetQuery.json). */
export interface FacetRequest {
  readonly expression: string;
  /** Condition on the rows before they are counted. */
  readonly filter: string | undefined;
  /** Column or expression to sort by; `count` where it is not said. */
  readonly sortBy: string;
  readonly descending: boolean;
  readonly top: number;
}

const DEFAULT_TOP = 10;

/** Reads `facets`; throws ArmError 400 for one without an expression. */
export function readFacets(value: Json | undefined): FacetRequest[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly Json[]).map((facet) => {
    if (!isJsonObject(facet) || typeof facet.expression !== 'string') {
      throw invalidRequest('InvalidFacet', 'A facet names the expression it counts by.');
    }
    const options = isJsonObject(facet.options) ? facet.options : {};
    return {
      expression: facet.expression,
      filter: typeof options.filter === 'string' ? options.filter : undefined,
      sortBy: typeof options.sortBy === 'string' ? options.sortBy : 'count',
      descending: options.sortOrder !== 'asc',
      top: typeof options.$top === 'number' && options.$top > 0 ? options.$top : DEFAULT_TOP,
    };
  });
}

/** Counts the rows of a result by each facet; one whose column is not in the result is an error of its own. */
export function facetResults(facets: readonly FacetRequest[], rows: readonly JsonObject[]): JsonObject[] {
  return facets.map((facet) => facetResult(facet, rows));
}

function facetResult(facet: FacetRequest, rows: readonly JsonObject[]): JsonObject {
  const { expression } = facet;
  // `properties.a.b` of the query is the column `properties_a_b` of its result.
  const column = expression.replaceAll('.', '_');
  if (!rows.some((row) => column in row)) return facetError(expression);
  try {
    const filter = facet.filter === undefined ? undefined : conditionOf(facet.filter);
    const counted = countBy(column, filter === undefined ? rows : rows.filter((row) => holds(filter, row)));
    const sortBy = conditionOf(facet.sortBy);
    const sorted = counted.toSorted((left, right) => {
      const order = compareValues(evaluate(sortBy, left), evaluate(sortBy, right));
      return facet.descending ? -order : order;
    });
    const data = sorted.slice(0, facet.top);
    return { expression, resultType: 'FacetResult', totalRecords: counted.length, count: data.length, data };
  } catch (error) {
    if (error instanceof QueryError) return facetError(expression);
    throw error;
  }
}

function countBy(column: string, rows: readonly JsonObject[]): JsonObject[] {
  const counts = new Map<string, { value: Json | undefined; count: number }>();
  for (const row of rows) {
    const value = row[column];
    const key = JSON.stringify(value ?? null);
    const known = counts.get(key) ?? { value, count: 0 };
    known.count += 1;
    counts.set(key, known);
  }
  return [...counts.values()].map(({ value, count }) => ({ [column]: value ?? null, count }));
}

function facetError(expression: string): JsonObject {
  return {
    expression,
    resultType: 'FacetError',
    errors: [
      { code: 'NoValidColumns', message: 'No valid columns in facet expression.' },
      { code: 'InvalidColumnNames', message: `Invalid column names: [${expression}].` },
    ],
  };
}

/** An expression on its own, in the language of the queries. */
function conditionOf(text: string): Expression {
  const [operator] = parseQuery(`rows | where ${text}`).operators;
  if (operator?.kind !== 'where') throw new QueryError('ParserFailure', text, 1, 0);
  return operator.condition;
}
