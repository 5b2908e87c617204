/** The preflight room: the gate before a run, and what `doctor` shows. */
export { catalogue } from './catalogue.ts';
export { renderFindings } from './render.ts';
export { runPreflight } from './run.ts';
export type { Check, CheckContext, Finding, PreflightInput, PreflightResult, Result, Verdict } from './types.ts';
