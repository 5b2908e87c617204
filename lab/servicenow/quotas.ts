import { ApiError, type ApiResponse } from './http.ts';

/** After so much time the platform cancels a transaction (servicenow.md §5.8). */
export interface Quotas {
  /** Table, Import Set, Aggregate, Attachment; default 60,000 ms. Identification has none of its own on that page; the lab takes this one. */
  transactionQuotaMs: number;
  /** Default 30,000 ms. */
  batchQuotaMs: number;
}

/**
 * The answer, or the cancellation once the quota is used up. What was written by then stays written: a POST that was answered 500 had
 * been committed (errors/transaction_cancelled_500_or_partial_200.json). Its other form, a 200 cut while streaming, can be had by a fault rule.
 */
export async function withinQuota(quotaMs: number, work: Promise<ApiResponse>): Promise<ApiResponse> {
  let timer: NodeJS.Timeout | undefined;
  const cancelled = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(transactionCancelled()), quotaMs);
  });
  try {
    return await Promise.race([work, cancelled]);
  } finally {
    clearTimeout(timer);
  }
}

function transactionCancelled(): ApiError {
  const message = 'Transaction cancelled: maximum execution time exceeded';
  return new ApiError(500, message, `${message}. Check logs for error trace.`);
}
