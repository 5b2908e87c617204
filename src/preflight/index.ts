/** The preflight room: the gate before a run, and what `doctor` shows. */
export { catalogue } from './catalogue.ts';
export { renderFindings } from './render.ts';
export { runPreflight } from './run.ts';
export { requireMayChange } from './servicenow-may-change.ts';
export { tryWrites } from './servicenow-writes.ts';
export type {
  Check,
  CheckContext,
  EngineProbes,
  Finding,
  KnownToLedger,
  PreflightInput,
  PreflightResult,
  Result,
  Verdict,
} from './types.ts';
export { expectedAttachments } from './servicenow-attachments.ts';
export { integrationsOf, describeRunAs } from './servicenow-run-as.ts';
