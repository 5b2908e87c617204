import { ApiError, errorResponse } from './http.ts';

/** After so much time the platform cancels a transaction (servicenow.md §5.8). */
export interface Quotas {
  /** Table, Import Set, Aggregate, Attachment; default 60,000 ms. Identification has none of its own on that page; the lab takes this one. */
  transactionQuotaMs: number;
  /** Default 30,000 ms. */
  batchQuotaMs: number;
}

const MESSAGE = 'Transaction cancelled: maximum execution time exceeded';

/** The answer of a transaction that its quota rule cancelled before it had begun to answer (KB0813119). */
export function transactionCancelled(): ApiError {
  return new ApiError(500, MESSAGE, `${MESSAGE}. Check logs for error trace.`);
}

/**
 * Runs one transaction under its quota (servicenow.md §5.8: 60 s). When the time is up the caller gets the 500; what the transaction has
 * written by then stays written (errors/transaction_cancelled_500_or_partial_200.json).
 */
export async function withinQuota<T>(quotaMs: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(transactionCancelled());
    }, quotaMs);
  });
  try {
    return await Promise.race([work(), expired]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What a fault rule makes of an answer whose work was done. `while-streaming`: the status had gone out, half of the rows followed, and the
 * error stands behind the cut (same file; the status 200 is inferred there).
 */
export function cancelledAnswer(
  kind: 'before-answer' | 'while-streaming',
  answer: { status: number; body: string | Buffer },
): { status: number; body: string } {
  const cancelled = errorResponse(transactionCancelled()).body.toString();
  if (kind === 'before-answer') return { status: 500, body: cancelled };
  const text = answer.body.toString();
  return { status: answer.status, body: `${text.slice(0, Math.floor(text.length / 2))}""\n  ],\n  ${cancelled.slice(1)}\n` };
}
