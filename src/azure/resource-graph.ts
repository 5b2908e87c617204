/** Azure Resource Graph queries, page by page (azure.md §1.9). */
import { isSyncError, SyncError } from '../errors.ts';
import type { Gate } from '../model.ts';
import type { ArmAnswer, ArmClient } from './arm.ts';
import { quotaResetMs } from './errors.ts';

export interface ResourceGraphQuery {
  /** KQL that projects `id` and orders by it: otherwise there is no reliable skip token. */
  readonly query: string;
  readonly subscriptions?: readonly string[] | undefined;
  readonly managementGroups?: readonly string[] | undefined;
  /** Rows per page, 1 to 1,000. */
  readonly top: number;
  readonly skipToken?: string | undefined;
}

export interface ResourceGraphPage {
  readonly rows: readonly unknown[];
  /** As the service counts them; undefined where it does not say. */
  readonly totalRecords: number | undefined;
  /** Absent on the last page. `resultTruncated` says nothing about further pages. */
  readonly skipToken: string | undefined;
  /** The page size that worked: smaller than asked for when an answer was too large. Go on with it. */
  readonly top: number;
  readonly quotaRemaining: number | undefined;
  readonly quotaResetsAfterMs: number | undefined;
}

export interface ResourceGraphClient {
  /**
   * One page. Answers that are too large are asked for again with half the rows, down to one.
   * @throws SyncError as ArmClient; `rejected` with code `truncated` when rows were dropped: the scan is partial
   */
  queryPage(query: ResourceGraphQuery, signal?: AbortSignal): Promise<ResourceGraphPage>;
}

/** 2022-10-01 is what sovereign clouds have too; the newer one adds nothing that is read here. */
const apiVersion = '2022-10-01';
const path = '/providers/Microsoft.ResourceGraph/resources';
const maxSubscriptions = 1_000;
const tooLargeCodes = new Set([
  'responsepayloadtoolarge',
  'queryexecutionresultsizelimitexceeded',
  'queryexecutionresponsesizelimitexceeded',
  'e_query_result_set_too_large',
]);

export function createResourceGraphClient({ arm, gate }: { readonly arm: ArmClient; readonly gate: Gate }): ResourceGraphClient {
  return {
    queryPage: async (query, signal) => {
      requireUsable(query);
      for (let top = query.top; ; top = Math.max(1, Math.floor(top / 2))) {
        try {
          const answer = await arm.post(path, apiVersion, bodyOf(query, top), signal);
          const page = readPage(answer, top);
          if (page.quotaRemaining === 0) await gate.holdBack(page.quotaResetsAfterMs ?? 5_000);
          return page;
        } catch (error) {
          if (top === 1 || !isTooLarge(error)) throw error;
        }
      }
    },
  };
}

/** True for the error that says: the service dropped rows, this scan cannot be complete. */
export function isTruncated(error: unknown): error is SyncError {
  return isSyncError(error, 'rejected') && error.code === 'truncated';
}

/** Cuts a list of subscriptions into groups of at most `groupSize` (Microsoft suggests 300; more than 1,000 are refused). */
export function splitSubscriptions(subscriptions: readonly string[], groupSize = 300): string[][] {
  const groups: string[][] = [];
  for (let start = 0; start < subscriptions.length; start += groupSize) groups.push(subscriptions.slice(start, start + groupSize));
  return groups;
}

function requireUsable({ subscriptions, top }: ResourceGraphQuery): void {
  const because =
    (subscriptions?.length ?? 0) > maxSubscriptions
      ? `it names ${subscriptions?.length ?? 0} subscriptions, more than ${maxSubscriptions}`
      : !Number.isInteger(top) || top < 1 || top > 1_000
        ? `its page size ${top} is not between 1 and 1,000`
        : undefined;
  if (because !== undefined)
    throw new SyncError({ kind: 'bug', service: 'azure', message: `A Resource Graph query was not sent: ${because}.` });
}

function bodyOf({ query, subscriptions, managementGroups, skipToken }: ResourceGraphQuery, top: number): unknown {
  return {
    ...(subscriptions === undefined ? {} : { subscriptions }),
    ...(managementGroups === undefined ? {} : { managementGroups }),
    query,
    options: {
      $top: top,
      ...(skipToken === undefined ? {} : { $skipToken: skipToken }),
      resultFormat: 'objectArray',
      // A cut at the subscription limit must be an error, not fewer rows.
      allowPartialScopes: false,
    },
  };
}

function readPage({ body, header }: ArmAnswer, top: number): ResourceGraphPage {
  const rows = body['data'];
  if (!Array.isArray(rows)) {
    throw new SyncError({ kind: 'malformed-answer', service: 'azure', message: 'Resource Graph answered without a list named "data".' });
  }
  const token = body['$skipToken'];
  const skipToken = typeof token === 'string' && token !== '' ? token : undefined;
  if (skipToken === undefined && String(body['resultTruncated']).toLowerCase() === 'true') {
    throw new SyncError({
      kind: 'rejected',
      service: 'azure',
      code: 'truncated',
      message: 'Resource Graph dropped rows and gave no way to read on: the result is not complete.',
      remedy: 'The query must project id and order by it.',
    });
  }
  const total = body['totalRecords'];
  const remaining = Number(header('x-ms-user-quota-remaining') ?? Number.NaN);
  return {
    rows: rows as readonly unknown[],
    totalRecords: typeof total === 'number' ? total : undefined,
    skipToken,
    top,
    quotaRemaining: Number.isFinite(remaining) ? remaining : undefined,
    quotaResetsAfterMs: quotaResetMs(header('x-ms-user-quota-resets-after')),
  };
}

function isTooLarge(error: unknown): boolean {
  if (isSyncError(error, 'rejected')) return tooLargeCodes.has((error.code ?? '').toLowerCase());
  return isSyncError(error, 'malformed-answer') && error.code === 'too-large';
}
