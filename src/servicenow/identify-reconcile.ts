/** Identification and Reconciliation: CIs by payload, one outcome per item (servicenow.md §5.1; examples/servicenow/identifyreconcile). */
import { SyncError } from '../errors.ts';
import type { CallKind, SysId } from '../model.ts';
import type { BatchItem } from './batch.ts';
import type { Send, ServiceNowRequest } from './http.ts';
import { ireRemedy } from './ire-codes.ts';
import { isObject, vendorSentence } from '../transport.ts';

export interface IreItem {
  readonly className: string;
  /** Name by which relations can refer to the item. */
  readonly internal_id?: string;
  /** Texts only: a JSON number makes the engine fail. Never sys_* columns. */
  readonly values: Readonly<Record<string, string>>;
  readonly lookup?: readonly { readonly className: string; readonly values: Readonly<Record<string, string>> }[];
  readonly related?: readonly { readonly className: string; readonly values: Readonly<Record<string, string>> }[];
  readonly settings?: Readonly<Record<string, boolean>>;
  readonly sys_object_source_info?: Readonly<Record<string, string>>;
}

/** By index in `items`, or by `internal_id`. */
export type IreRelation =
  | { readonly parent: number; readonly child: number; readonly type: string }
  | { readonly parent_id: string; readonly child_id: string; readonly type: string };

export interface IrePayload {
  /** At most 500. */
  readonly items: readonly IreItem[];
  readonly relations?: readonly IreRelation[];
  readonly referenceItems?: readonly { readonly referenced: number; readonly referencedBy: number; readonly referenceField: string }[];
}

export interface EnhancedOptions {
  readonly partialPayloads?: boolean;
  readonly partialCommits?: boolean;
  readonly deduplicatePayloads?: boolean;
  readonly generateSummary?: boolean;
}

export interface IreOptions {
  /** Value of a choice of `cmdb_ci.discovery_source`, in its exact spelling. */
  readonly dataSource: string;
  /** Ask what would happen, change nothing (default false). */
  readonly simulate?: boolean | undefined;
  /** Use the enhanced endpoint with these options. */
  readonly enhanced?: EnhancedOptions | undefined;
}

/** What became of one input item. */
export type IreOutcome =
  | {
      readonly outcome: 'matched' | 'inserted' | 'updated';
      /** Undefined only in simulations. */
      readonly sysId: SysId | undefined;
      readonly className: string;
      /** The engine's word: INSERT, UPDATE_WITH_UPGRADE, NO_CHANGE, … */
      readonly operation: string;
    }
  /** LOCK_TIMEOUT, ABANDONED, or no answer for this item. Sending it again is safe: the engine identifies before it inserts. */
  | { readonly outcome: 'retry'; readonly code: string; readonly message: string }
  | { readonly outcome: 'refused'; readonly code: string; readonly message: string; readonly remedy: string };

export interface IreAnswer {
  /** By input index. */
  readonly items: readonly IreOutcome[];
  /** Relations that the engine reports, by their operation; none of it is needed to know the items. */
  readonly relationOperations: readonly string[];
  readonly logContextId: string | undefined;
}

export interface IreSendOptions {
  readonly kind: CallKind;
  /** The place to commit an intent. */
  readonly beforeSend?: ServiceNowRequest['beforeSend'];
}

export interface IdentifyReconcileApi {
  /**
   * HTTP 200 does not mean success: look at every item.
   * @throws SyncError `outcome-unknown` when a commit got no usable answer, `forbidden` (missing role, unscoped OAuth client)
   */
  identify(payload: IrePayload, options: IreOptions & IreSendOptions, signal?: AbortSignal): Promise<IreAnswer>;
}

export function createIdentifyReconcileApi({ send }: { readonly send: Send }): IdentifyReconcileApi {
  return {
    identify: async (payload, options, signal) => {
      checkPayload(payload);
      const { path, query } = addressOf(options);
      const answer = await send({
        method: 'POST',
        path,
        query,
        body: payload,
        kind: options.kind,
        effect: options.simulate === true ? 'read' : 'write',
        // Some engine refusals arrive as 400 with the engine's own envelope.
        alsoFine: [400],
        beforeSend: options.beforeSend,
        signal,
      });
      return readIreAnswer(answer.body, payload.items.length, options, answer.status);
    },
  };
}

/** The same request as an item of a Batch; read its outcome's body with {@link readIreAnswer}. */
export function ireBatchItem(id: string, payload: IrePayload, options: IreOptions): BatchItem {
  checkPayload(payload);
  const { path, query } = addressOf(options);
  const parameters = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return { id, method: 'POST', path: `${path}?${parameters.join('&')}`, body: payload };
}

function addressOf({ dataSource, simulate, enhanced }: IreOptions): { readonly path: string; readonly query: Record<string, string> } {
  const root = '/api/now/identifyreconcile';
  if (enhanced === undefined) {
    return { path: simulate === true ? `${root}/query` : root, query: { sysparm_data_source: dataSource } };
  }
  const chunks = [
    ['partial_payloads', enhanced.partialPayloads],
    ['partial_commits', enhanced.partialCommits],
    ['deduplicate_payloads', enhanced.deduplicatePayloads],
    ['generate_summary', enhanced.generateSummary],
  ] as const;
  const options = chunks.flatMap(([name, value]) => (value === undefined ? [] : [`${name}:${String(value)}`]));
  return {
    path: simulate === true ? `${root}/queryEnhanced` : `${root}/enhanced`,
    query: { sysparm_data_source: dataSource, ...(options.length === 0 ? {} : { options: options.join(',') }) },
  };
}

const maxItems = 500;

function checkPayload({ items }: IrePayload): void {
  const system = items.flatMap(({ values }) => Object.keys(values)).find((column) => column.startsWith('sys_'));
  const because =
    items.length === 0
      ? 'it has no items'
      : items.length > maxItems
        ? `it has ${items.length} items, more than ${maxItems}`
        : system !== undefined
          ? `it sets ${system}, which belongs to the platform`
          : undefined;
  if (because !== undefined) {
    throw new SyncError({ kind: 'bug', service: 'servicenow', message: `An identification payload was not sent: ${because}.` });
  }
}

/**
 * Reads the engine's answer, alone or from a Batch. No key of it is certain to be there: items are told by `inputIndices`, by
 * their place only when there are as many answers as inputs and none has indices.
 * @throws SyncError `rejected` for a 400 without the engine's envelope, `malformed-answer` for any other answer without it
 */
export function readIreAnswer(body: unknown, inputCount: number, options: Pick<IreOptions, 'simulate'>, status = 200): IreAnswer {
  const result = isObject(body) ? body['result'] : undefined;
  const items = isObject(result) ? result['items'] : undefined;
  if (!isObject(result) || !Array.isArray(items)) {
    throw new SyncError({
      kind: status === 400 ? 'rejected' : 'malformed-answer',
      service: 'servicenow',
      status,
      message: `The identification engine answered with ${status} and without a list of items.`,
    });
  }
  const outcomes: (IreOutcome | undefined)[] = Array.from({ length: inputCount }, () => undefined);
  const hasIndices = items.some((item) => isObject(item) && Array.isArray(item['inputIndices']));
  items.forEach((item, position) => {
    if (!isObject(item)) return;
    const indices = Array.isArray(item['inputIndices'])
      ? item['inputIndices']
      : hasIndices || items.length !== inputCount
        ? []
        : [position];
    const outcome = readItem(item, options.simulate === true);
    for (const index of indices) if (Number.isInteger(index) && index in outcomes) outcomes[index as number] = outcome;
  });
  const relations = Array.isArray(result['relations']) ? result['relations'] : [];
  return {
    items: outcomes.map(
      (outcome) => outcome ?? { outcome: 'retry', code: 'NOT_ANSWERED', message: 'The answer does not mention this item.' },
    ),
    relationOperations: relations.flatMap((relation) =>
      isObject(relation) && typeof relation['operation'] === 'string' ? [relation['operation']] : [],
    ),
    logContextId: typeof result['logContextId'] === 'string' ? result['logContextId'] : undefined,
  };
}

const retryCodes = new Set(['LOCK_TIMEOUT', 'ABANDONED']);

function readItem(item: Readonly<Record<string, unknown>>, simulated: boolean): IreOutcome {
  const operation = typeof item['operation'] === 'string' ? item['operation'] : '';
  const [error] = problemsOf(item['errors']);
  if (error !== undefined) return refusedOrRetry(error);
  if (operation === 'INSERT_AS_PARTIAL' || operation === 'INSERT_AS_INCOMPLETE' || operation === '') {
    // The reason of a partial item is among its warnings.
    const [warning] = problemsOf(item['warnings']);
    return refusedOrRetry(warning ?? { code: operation === '' ? 'NO_OPERATION' : operation, message: 'The engine gave no reason.' });
  }
  const given = typeof item['sysId'] === 'string' && item['sysId'] !== '' && item['sysId'] !== 'Unknown' ? item['sysId'] : undefined;
  if (given === undefined && !simulated) {
    return { outcome: 'retry', code: 'NO_SYS_ID', message: `The engine reports ${vendorSentence(operation)} without naming the record.` };
  }
  return {
    outcome: operation === 'INSERT' ? 'inserted' : operation === 'NO_CHANGE' ? 'matched' : 'updated',
    sysId: given as SysId | undefined,
    className: typeof item['className'] === 'string' ? item['className'] : '',
    operation,
  };
}

interface Problem {
  readonly code: string;
  readonly message: string;
}

function problemsOf(list: unknown): Problem[] {
  if (!Array.isArray(list)) return [];
  return list.filter(isObject).map((problem) => ({
    code: typeof problem['error'] === 'string' ? problem['error'] : 'UNKNOWN',
    // The engine appends the whole payload item after "payload item": it is data.
    message: vendorSentence(
      typeof problem['message'] === 'string' ? problem['message'].replace(/ (?:in payload item|for) '\{[\s\S]*$/, '') : '',
    ),
  }));
}

function refusedOrRetry({ code, message }: Problem): IreOutcome {
  return retryCodes.has(code) ? { outcome: 'retry', code, message } : { outcome: 'refused', code, message, remedy: ireRemedy(code) };
}
