import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../lab/azure/json.ts';
import { decide, evaluate, holds } from '../../../lab/azure/resource-graph/evaluate.ts';
import { parseQuery } from '../../../lab/azure/resource-graph/parser.ts';
import { QueryError, type Expression } from '../../../lab/azure/resource-graph/syntax.ts';

function condition(text: string): Expression {
  const [operator] = parseQuery(`t | where ${text}`).operators;
  if (operator?.kind !== 'where') throw new Error('No condition.');
  return operator.condition;
}

const row: JsonObject = {
  id: '/a/B',
  type: 'microsoft.x/y',
  count: 3,
  properties: { name: 'OpenSSL', flag: true, list: ['a', 'b'], 'odd key': 'x', text: '[{"k":1}]', nothing: null },
};

describe('conditions of the KQL subset (azure.md §1.9)', () => {
  test.each([
    [`type == 'microsoft.x/y'`, true],
    [`type == 'Microsoft.X/Y'`, false],
    [`type =~ 'Microsoft.X/Y'`, true],
    [`type !~ 'Microsoft.X/Y'`, false],
    [`type in ('a', 'microsoft.x/y')`, true],
    [`type in~ ('A', 'MICROSOFT.X/Y')`, true],
    [`type !in ('a', 'b')`, true],
    [`type !in~ ('MICROSOFT.x/y')`, false],
    [`properties.name contains 'ssl'`, true],
    [`properties.name !contains 'ssl'`, false],
    [`properties.name startswith 'open'`, true],
    [`id has 'b'`, true],
    [`properties.missing == 'x'`, false],
    [`properties.missing != 'x'`, true],
    [`isnull(properties.nothing) and isempty(properties.missing)`, true],
    [`isnotempty(properties.name)`, true],
    [`count > 2 and count <= 3`, true],
    [`count == '3'`, true],
    [`properties['odd key'] == "x"`, true],
    [`properties.flag == true`, true],
    [`not(type == 'a') and (count == 9 or properties.name == 'OpenSSL')`, true],
    [`type == 'a' or type == 'microsoft.x/y' and count == 9`, false],
    [`tolower(properties.name) == 'openssl'`, true],
    [`array_length(properties.list) == 2`, true],
    [`coalesce(properties.missing, properties.name) == 'OpenSSL'`, true],
    [`strcat(type, '!') == 'microsoft.x/y!'`, true],
  ])('%s is %p', (text, expected) => {
    expect(holds(condition(text), row)).toBe(expected);
  });

  test('parse_json makes a value of a text, and leaves other text alone', () => {
    const [operator] = parseQuery('t | extend v = parse_json(tostring(properties.text)), w = parse_json(id)').operators;
    if (operator?.kind !== 'extend') throw new Error('No columns.');
    expect(operator.columns.map(({ expression }) => evaluate(expression, row))).toEqual([[{ k: 1 }], '/a/B']);
  });

  test('comments, verbatim strings and escapes', () => {
    expect(holds(condition(`// a comment\n id == @'/a/B' and type != "a\\"b"`), row)).toBe(true);
  });

  test.each([
    ['t | where', 1, 9],
    ['t | where a ==', 1, 14],
    ['t |\nwhere a == "open', 2, 11],
    ['t | project count()', 1, 12],
    ['t | order id', 1, 10],
  ])('%j fails where the fragment is', (text, line, column) => {
    let failure: unknown;
    try {
      parseQuery(text);
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(QueryError);
    expect(failure).toMatchObject({ line, column });
  });
});

describe('what a condition says about rows that share columns', () => {
  const constants = new Map([
    ['type', 'a'],
    ['properties.category', 'S'],
  ]);
  test.each([
    [`type == 'a'`, true],
    [`type == 'b'`, false],
    [`name == 'x'`, undefined],
    [`type == 'b' and name == 'x'`, false],
    [`type == 'a' or name == 'x'`, true],
    [`type == 'a' and name == 'x'`, undefined],
    [`tolower(properties.category) in ('s')`, true],
    [`properties.other == 'x'`, undefined],
  ])('%s: %p', (text, expected) => {
    expect(decide(condition(text), constants)).toBe(expected);
  });

  test('a column that no row has is known to be missing', () => {
    expect(decide(condition(`properties.category == 'S'`), new Map([['properties.category', null]]))).toBe(false);
    expect(decide(condition(`isnull(properties.category)`), new Map([['properties.category', null]]))).toBe(true);
  });
});
