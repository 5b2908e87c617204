import type { RunHandle } from '../src/ledger/index.ts';
import type { IntegrationName } from '../src/model.ts';
import type { ServiceNowClient } from '../src/servicenow/index.ts';
import type { ActivityContext } from './context.ts';
import type { StepScope } from './run-step.ts';

/** What publishing one table needs; the same for an integration's tables and the engine's own records. */
export interface Publisher {
  readonly context: ActivityContext;
  readonly run: RunHandle;
  /** Whom the counts belong to. */
  readonly integration: IntegrationName;
  readonly client: ServiceNowClient;
  readonly step: StepScope;
}

/** Until then after sending, the platform may still be working on it (design §2): its quota for a Batch, and a margin. */
export function settleTimeMs(context: ActivityContext): number {
  return context.config.serviceNow.batchTransactionQuotaMs + context.config.serviceNow.settleMs;
}
