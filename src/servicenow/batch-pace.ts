/**
 * How many records one Batch request of a table carries (servicenow.md §5.4): as many as the platform works off in about a
 * quarter of its quota, by what its own `execution_time` says. Pure: the state goes in and comes out.
 */

export interface BatchLimits {
  readonly fewest: number;
  readonly most: number;
  /** How long a batch should keep the instance busy. */
  readonly aimMs: number;
}

/** What one answered (or cancelled) batch showed. */
export interface BatchMeasurement {
  /** Records that were sent. */
  readonly sent: number;
  /** Those of them that the platform answered, and how long it worked on them. */
  readonly answered: number;
  readonly executionMs: number;
  /** The quota ended the batch, or cut its answer: some records are unserviced. */
  readonly cutShort: boolean;
}

export interface BatchPace {
  /** Records that the next request may carry. */
  readonly size: number;
  /** Smoothed cost of one record; undefined before the first answer. */
  readonly perRecordMs: number | undefined;
}

/** Before anything is known: a hundred records fit into the quota of every instance that was measured. */
export const firstPace: BatchPace = { size: 100, perRecordMs: undefined };

const growth = 1.5;
/** Weight of the newest batch: business rules come and go with what is written, so old batches say little. */
const newestWeight = 0.5;

/** 8 s of the 30 s quota. */
export function batchLimits(batchTransactionQuotaMs: number): BatchLimits {
  return { fewest: 10, most: 400, aimMs: Math.round((batchTransactionQuotaMs * 8) / 30) };
}

/**
 * The pace after one more batch. It shrinks at once and grows by half of what was sent at most; both are held against the
 * batch that was measured, so that several lanes that saw the same do not shrink or grow it several times.
 */
export function nextPace(pace: BatchPace, measurement: BatchMeasurement, limits: BatchLimits): BatchPace {
  const { sent, answered, executionMs, cutShort } = measurement;
  const measuredMs = answered > 0 ? executionMs / answered : undefined;
  const perRecordMs =
    measuredMs === undefined || pace.perRecordMs === undefined
      ? (measuredMs ?? pace.perRecordMs)
      : newestWeight * measuredMs + (1 - newestWeight) * pace.perRecordMs;
  const within = (size: number): number => Math.min(limits.most, Math.max(limits.fewest, Math.floor(size)));
  if (cutShort) return { size: within(Math.min(pace.size, sent / 2)), perRecordMs };
  if (perRecordMs === undefined) return { size: within(pace.size), perRecordMs };
  const affordable = perRecordMs === 0 ? limits.most : limits.aimMs / perRecordMs;
  return { size: within(Math.min(affordable, Math.max(pace.size, Math.ceil(sent * growth)))), perRecordMs };
}

/** The paces of one worker process, by table. */
export interface BatchPaces {
  /** Records that the next request for the table may carry. */
  sizeOf(table: string): number;
  measured(table: string, measurement: BatchMeasurement): void;
}

export function createBatchPaces(limits: BatchLimits): BatchPaces {
  const paces = new Map<string, BatchPace>();
  const paceOf = (table: string): BatchPace => paces.get(table) ?? firstPace;
  return {
    sizeOf: (table) => Math.min(limits.most, Math.max(limits.fewest, paceOf(table).size)),
    measured: (table, measurement) => {
      paces.set(table, nextPace(paceOf(table), measurement, limits));
    },
  };
}
