/**
 * The custom search attributes by which runs are found in the Web UI and by `temporal workflow list`. They are made through the operator
 * API: the dev server's `--search-attribute` adds nothing to an existing database (temporal.md §8).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError, type Connection } from '@temporalio/client';
import { SearchAttributeType } from '@temporalio/common';
import { searchAttributes } from '../../workflows/contract.ts';
import { SyncError } from '../errors.ts';

export interface WantedSearchAttribute {
  readonly name: string;
  readonly type: SearchAttributeType;
}

export interface SearchAttributesResult {
  readonly created: readonly string[];
  readonly present: readonly string[];
  /** Not there and not to be made by us; a run that sets one would fail. Each with a reason and what to do. */
  readonly refused: readonly RefusedSearchAttribute[];
}

export interface RefusedSearchAttribute {
  readonly name: string;
  readonly cause: 'wrong-type' | 'not-made';
  readonly reason: string;
  readonly remedy: string;
}

/** Numbers of `temporal.api.enums.v1.IndexedValueType`. */
const indexedValueTypes = { TEXT: 1, KEYWORD: 2, INT: 3, DOUBLE: 4, BOOL: 5, DATETIME: 6, KEYWORD_LIST: 7 } as const satisfies Record<
  SearchAttributeType,
  number
>;
/** As the CLI names them. */
const cliTypes: Record<SearchAttributeType, string> = {
  TEXT: 'Text',
  KEYWORD: 'Keyword',
  INT: 'Int',
  DOUBLE: 'Double',
  BOOL: 'Bool',
  DATETIME: 'Datetime',
  KEYWORD_LIST: 'KeywordList',
};

const grpc = {
  invalidArgument: 3,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  unauthenticated: 16,
};
const refusals: ReadonlySet<number> = new Set([
  grpc.invalidArgument,
  grpc.permissionDenied,
  grpc.resourceExhausted,
  grpc.failedPrecondition,
  grpc.unimplemented,
  grpc.unauthenticated,
]);
const usableTimeoutMs = 90_000;

/** The engine's own, from the workflows' contract. */
export const engineSearchAttributes: readonly WantedSearchAttribute[] = Object.values(searchAttributes).map(({ name, type }) => ({
  name,
  type,
}));

/**
 * Makes the search attributes a namespace lacks, one by one (a full list of one type must not hide the others), and waits until queries
 * accept them: a server may learn of new ones from a cache that it refreshes once a minute only.
 * Errors: {@link SyncError} `transient` when the server does not answer, or does not accept new ones within 90 seconds.
 * What the server refuses is returned, not thrown.
 */
export async function ensureSearchAttributes(
  connection: Connection,
  namespace: string,
  wanted: readonly WantedSearchAttribute[] = engineSearchAttributes,
): Promise<SearchAttributesResult> {
  const existing = await listTypes(connection, namespace);
  const created: string[] = [];
  const present: string[] = [];
  const refused: RefusedSearchAttribute[] = [];
  for (const attribute of wanted) {
    const existingType = existing?.[attribute.name];
    if (existingType !== undefined && existingType !== indexedValueTypes[attribute.type]) {
      refused.push(
        refusal(attribute, namespace, 'wrong-type', `it exists as ${typeName(existingType)} instead of ${cliTypes[attribute.type]}`),
      );
    } else if (existingType !== undefined || (existing === undefined && (await isUsable(connection, namespace, attribute.name)))) {
      present.push(attribute.name);
    } else {
      const refusedBecause = await addOne(connection, namespace, attribute);
      if (refusedBecause === undefined) created.push(attribute.name);
      else refused.push(refusal(attribute, namespace, 'not-made', refusedBecause));
    }
  }
  await untilUsable(connection, namespace, [...created, ...present]);
  return { created, present, refused };
}

/** Types of the custom attributes by name; undefined where the server does not let us list them (Temporal Cloud has no operator API). */
async function listTypes(connection: Connection, namespace: string): Promise<Record<string, number> | undefined> {
  try {
    return (await connection.operatorService.listSearchAttributes({ namespace })).customAttributes;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw castError(error);
  }
}

/** Undefined when it is there now, else the server's reason why not. */
async function addOne(connection: Connection, namespace: string, { name, type }: WantedSearchAttribute): Promise<string | undefined> {
  try {
    const attributes: Record<string, number> = { [name]: indexedValueTypes[type] };
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: attributes });
    return undefined;
  } catch (error) {
    // Another process made it in the same moment.
    if (codeOf(error) === grpc.alreadyExists) return undefined;
    if (isRefusal(error)) return Error.isError(error) ? error.message : String(error);
    throw castError(error);
  }
}

async function untilUsable(connection: Connection, namespace: string, names: readonly string[]): Promise<void> {
  const deadline = Date.now() + usableTimeoutMs;
  for (const name of names) {
    while (!(await isUsable(connection, namespace, name))) {
      if (Date.now() > deadline) {
        throw new SyncError({
          kind: 'transient',
          service: 'temporal',
          message: `The Temporal server does not accept the search attribute ${name} in queries ${usableTimeoutMs / 1000} seconds after it was made.`,
          remedy: 'Try again; if it stays so, look into the log of the Temporal frontend service.',
        });
      }
      await sleep(250);
    }
  }
}

/** A query that names an unknown attribute is an invalid argument; this one is valid for every type. */
async function isUsable(connection: Connection, namespace: string, name: string): Promise<boolean> {
  try {
    await connection.workflowService.countWorkflowExecutions({ namespace, query: `${name} IS NULL` });
    return true;
  } catch (error) {
    if (codeOf(error) === grpc.invalidArgument) return false;
    throw castError(error);
  }
}

function refusal(
  { name, type }: WantedSearchAttribute,
  namespace: string,
  cause: RefusedSearchAttribute['cause'],
  reason: string,
): RefusedSearchAttribute {
  return {
    name,
    cause,
    reason,
    remedy: `Have an administrator of the Temporal server run: temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${cliTypes[type]} (after removing one of the same name but another type).`,
  };
}

function typeName(indexedValueType: number): string {
  const found = Object.values(SearchAttributeType).find((type) => indexedValueTypes[type] === indexedValueType);
  return found === undefined ? `type ${indexedValueType}` : cliTypes[found];
}

function codeOf(error: unknown): number | undefined {
  return isGrpcServiceError(error) ? error.code : undefined;
}

/** The server understood and does not want to, as opposed to not answering. */
function isRefusal(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && refusals.has(code);
}

function castError(error: unknown): SyncError {
  return new SyncError({
    kind: 'transient',
    service: 'temporal',
    message: `The Temporal server did not answer about search attributes (${Error.isError(error) ? error.message : String(error)}).`,
    remedy: 'Check that the Temporal server runs and can be reached, then try again.',
    cause: error,
  });
}
