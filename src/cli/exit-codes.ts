/** What the exit code of a command says. */
import type { RunOutcome } from '../model.ts';

export const exitCodes = { inSync: 0, failed: 1, usage: 2, degraded: 3, parked: 4, interrupted: 130 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const codeOfOutcome: Readonly<Record<RunOutcome, ExitCode>> = {
  succeeded: exitCodes.inSync,
  degraded: exitCodes.degraded,
  parked: exitCodes.parked,
  failed: exitCodes.failed,
  cancelled: exitCodes.failed,
};

/** From the worst to the best. */
const severity: readonly ExitCode[] = [exitCodes.failed, exitCodes.parked, exitCodes.degraded, exitCodes.inSync];

/** The exit code of several runs is that of the worst: failed before parked before degraded. */
export function exitCodeOf(outcomes: readonly RunOutcome[]): ExitCode {
  const codes = outcomes.map((outcome) => codeOfOutcome[outcome]);
  return severity.find((code) => codes.includes(code)) ?? exitCodes.inSync;
}
