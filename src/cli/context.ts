/** What every command is handed. */
import type { Configuration, Environment } from '../config/index.ts';
import type { AttachmentOptions, Deletion, FoundAttachments } from '../../activities/attachments.ts';
import type { DoctorOptions } from '../../activities/doctor.ts';
import type { FindPairsOptions } from '../../activities/find-pairs.ts';
import type { MayChangeOptions } from '../../activities/require-may-change.ts';
import type { CheckFinding } from '../../workflows/contract.ts';
import type { TemporalAddress } from '../temporal/connect.ts';
import type { PairSet } from '../ledger/index.ts';
import type { Clock } from '../observability/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Interrupts } from './interrupts.ts';
import type { Output } from './output.ts';
import type { DatabaseUrl } from '../ledger/index.ts';

export interface CliContext {
  readonly environment: Environment;
  readonly output: Output;
  /** Writes through the output, so that it keeps clear of a progress block. */
  readonly logger: Logger;
  readonly clock: Clock;
  readonly interrupts: Interrupts;
  readonly engine: Engine;
  /** `--config`, relative to the current folder. */
  readonly configFile: string;
  readonly verbose: boolean;
}

/** The engine's parts that a command starts; everything else a command reads for itself. */
export interface Engine {
  readonly startWorker: (options: WorkerOptions) => Promise<RunningWorker>;
  readonly runDoctor: (options: DoctorOptions) => Promise<readonly CheckFinding[]>;
  /** Rejects when the instance says that its user may only read. The first thing of every command that changes something. */
  readonly requireMayChange: (options: MayChangeOptions) => Promise<void>;
  readonly findPairs: (options: FindPairsOptions) => Promise<{ readonly looked: number; readonly set: PairSet | undefined }>;
  readonly listAttachments: (options: AttachmentOptions) => Promise<FoundAttachments>;
  readonly deleteAttachments: (options: AttachmentOptions & { readonly listId: string }) => Promise<readonly Deletion[]>;
}

export interface WorkerOptions {
  readonly configuration: Configuration;
  readonly temporal: TemporalAddress;
  readonly ledgerUrl: DatabaseUrl;
  readonly logger: Logger;
  /** See src/observability/failpoints.ts. */
  readonly failpoint: string | undefined;
}

export interface RunningWorker {
  /** Lets running activities finish or give up in order, then closes everything. May be called more than once. */
  readonly stop: () => Promise<void>;
  /** Settles when the worker has ended: resolves after `stop`, rejects when it failed. */
  readonly ended: Promise<void>;
}
