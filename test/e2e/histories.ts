/** What a run left in Temporal, and a look through text for what must not be there. */
import { isGrpcServiceError, type Client } from '@temporalio/client';
import type { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { integrationOrder, integrationWorkflowId, syncWorkflowId } from '../../workflows/contract.ts';

type History = Parameters<typeof historyToJSON>[0];

const grpcNotFound = 5;

export interface HistoryOfWorkflow {
  readonly workflowId: string;
  readonly history: History;
}

/** Histories of the newest run of a deployment: the parent's and those of the children that were started. */
export async function historiesOfRun(client: Client, deployment: string): Promise<HistoryOfWorkflow[]> {
  const ids = [syncWorkflowId(deployment), ...integrationOrder.map((integration) => integrationWorkflowId(deployment, integration))];
  const found: HistoryOfWorkflow[] = [];
  for (const workflowId of ids) {
    try {
      found.push({ workflowId, history: await client.workflow.getHandle(workflowId).fetchHistory() });
    } catch (error) {
      if (!isGrpcServiceError(error) || (error.code as number) !== grpcNotFound) throw error;
    }
  }
  return found;
}

/** The history as text, with payloads decoded: a secret in one must be found whatever way it is stored. */
export function historyText({ events }: History): string {
  const texts: string[] = [];
  visit(
    events,
    (bytes) => texts.push(Buffer.from(bytes).toString('utf8')),
    (text) => texts.push(text),
  );
  return texts.join('\n');
}

/** The largest payload (or heartbeat, memo, search attribute: anything stored as bytes) of a history, and where it is. */
export function largestPayload({ events }: History): { readonly sizeBytes: number; readonly where: string } {
  let largest = { sizeBytes: 0, where: 'none' };
  for (const event of events ?? []) {
    visit(
      event,
      (bytes) => {
        if (bytes.byteLength > largest.sizeBytes) largest = { sizeBytes: bytes.byteLength, where: kindOf(event) };
      },
      () => undefined,
    );
  }
  return largest;
}

function kindOf(event: object): string {
  return Object.keys(event).find((name) => name.endsWith('EventAttributes')) ?? 'unknown';
}

function visit(value: unknown, onBytes: (bytes: Uint8Array) => void, onText: (text: string) => void): void {
  if (typeof value === 'string') onText(value);
  else if (ArrayBuffer.isView(value)) onBytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) visit(part, onBytes, onText);
}
