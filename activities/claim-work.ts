/** What the steps of publishing one claim hand to each other. */
import type { RecordClaim, RecordOutcome } from '../src/ledger/index.ts';
import type { SysId } from '../src/model.ts';
import type { WriteResult, WriteValues } from '../src/servicenow/index.ts';
import type { InstanceTable } from './instance-model.ts';
import type { PreparedRecord } from './prepare-records.ts';
import type { Publisher } from './publisher.ts';

/** How long a record waits for something that somebody else is writing. */
export const waitForOthersMs = 2_000;

export type Settle = (outcomes: readonly RecordOutcome[]) => Promise<void>;

/** One record on its way to the instance. */
export interface Send {
  readonly record: PreparedRecord;
  /** Of the record to update; undefined: it is to be created. */
  readonly sysId: SysId | undefined;
  readonly values: WriteValues;
}

/** A claim with what is known of its table. */
export interface ClaimWork {
  readonly publisher: Publisher;
  readonly claim: RecordClaim;
  readonly mapped: InstanceTable;
  /** Columns that are left out, but for the one record that tries some of them again. */
  readonly leftOut: ReadonlySet<string>;
  readonly onTrial: ReadonlySet<string>;
  /** Those of them that are kept at first and changed afterwards. */
  readonly undone: ReadonlySet<string>;
  readonly settle: Settle;
}

/** A record and what the instance said of it. */
export interface Answered {
  readonly send: Send;
  readonly result: WriteResult;
}
