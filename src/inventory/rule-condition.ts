/**
 * The condition of a lookup rule: an encoded query on the discovered item (servicenow.md §1.5, §5.2). It is evaluated here, on what
 * the item would hold; a condition of which any part is not understood makes the whole rule one that cannot be evaluated, because
 * a dropped part would match more than the administrator meant.
 */
import type { CiIdentity } from '../model.ts';

type ResourceIdentity = Extract<CiIdentity, { type: 'resource' }>;

export interface Condition {
  readonly holds: (identity: ResourceIdentity) => boolean;
}

const providers = { azure: 'microsoft azure', aws: 'amazon web services', gcp: 'google cloud', 'on-premises': 'on-premises' } as const;

/** Fields of a discovered item, as far as they are known before it exists; references by the name they show. */
const fields: ReadonlyMap<string, (identity: ResourceIdentity) => string> = new Map<string, (identity: ResourceIdentity) => string>([
  ['resource_id', ({ displayId }) => displayId],
  ['resource_name', ({ name }) => name],
  ['source_id', ({ resourceId }) => resourceId],
  ['asset_category', () => 'Cloud'],
  ['cloud_account.name', ({ accountId }) => accountId ?? ''],
  ['cloud_region.name', ({ region }) => region ?? ''],
  ['cloud_resource_type.name', ({ resourceType }) => resourceType],
  ['cloud_service_provider.name', ({ cloud }) => providers[cloud]],
]);

/** Longest operator first: `!=` before `=`. */
const term =
  /^(?<field>[a-z][a-z0-9_.]*?)(?<operator>ISNOTEMPTY|ISEMPTY|NOT LIKE|NOTLIKE|STARTSWITH|ENDSWITH|NOT IN|NOTIN|LIKE|IN|!=|=)(?<operand>.*)$/s;

type Test = (identity: ResourceIdentity) => boolean;

/** Reads an encoded query: `^` and, `^OR` or, `^NQ` another query beside it. An empty one always holds. */
export function conditionOf(text: string): Condition | { readonly because: string } {
  const trimmed = text.trim().replace(/(?:\^EQ)+$/, '');
  if (trimmed === '') return { holds: () => true };
  const queries: Test[][][] = [];
  for (const query of trimmed.split('^NQ')) {
    const anyOfs: Test[][] = [];
    for (const part of query.split('^')) {
      const isOr = part.startsWith('OR') && anyOfs.length > 0 && !part.startsWith('ORDERBY');
      const test = testOf(isOr ? part.slice(2) : part);
      if (test === undefined) return { because: `its condition has a part that cannot be evaluated here: ${part.slice(0, 80)}` };
      if (isOr) anyOfs.at(-1)?.push(test);
      else anyOfs.push([test]);
    }
    queries.push(anyOfs);
  }
  return { holds: (identity) => queries.some((anyOfs) => anyOfs.every((anyOf) => anyOf.some((test) => test(identity)))) };
}

function testOf(part: string): Test | undefined {
  const { field = '', operator = '', operand = '' } = term.exec(part)?.groups ?? {};
  const valueOf = fields.get(field);
  // Scripts are the platform's to run.
  if (valueOf === undefined || /^\s*javascript:/i.test(operand)) return undefined;
  const wanted = operand.toLowerCase();
  const compare = comparison(operator, wanted);
  return compare && ((identity) => compare(valueOf(identity).toLowerCase()));
}

function comparison(operator: string, wanted: string): ((value: string) => boolean) | undefined {
  switch (operator) {
    case '=':
      return (value) => value === wanted;
    case '!=':
      return (value) => value !== wanted;
    case 'IN':
      return (value) => wanted.split(',').includes(value);
    case 'NOT IN':
    case 'NOTIN':
      return (value) => !wanted.split(',').includes(value);
    case 'LIKE':
      return (value) => value.includes(wanted);
    case 'NOT LIKE':
    case 'NOTLIKE':
      return (value) => !value.includes(wanted);
    case 'STARTSWITH':
      return (value) => value.startsWith(wanted);
    case 'ENDSWITH':
      return (value) => value.endsWith(wanted);
    case 'ISEMPTY':
      return (value) => value === '';
    case 'ISNOTEMPTY':
      return (value) => value !== '';
    default:
      return undefined;
  }
}
