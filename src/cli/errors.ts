/** What a person sees when something went wrong: one sentence, and what to do about it. */
import { CommanderError } from 'commander';
import { isSyncError } from '../errors.ts';
import { redactText } from '../observability/redact.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { Output } from './output.ts';
import { plainText } from './table.ts';

/** Says what went wrong and returns the exit code for it. The stack only when asked for. */
export function presentError(error: unknown, output: Output, verbose: boolean): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.inSync : exitCodes.usage;
  const bad = output.noteStyle.bad;
  if (isSyncError(error)) {
    output.note(bad(plainText(redactText(error.message))));
    if (error.remedy !== undefined) output.note(plainText(redactText(error.remedy)));
  } else {
    output.note(bad(`Something unexpected happened: ${plainText(redactText(Error.isError(error) ? error.message : String(error)))}`));
    if (!verbose) output.note('This is a defect of defender-sync; run it again with --verbose to see where.');
  }
  if (verbose) output.note(output.noteStyle.dim(redactText(stackOf(error))));
  return isSyncError(error, 'usage') ? exitCodes.usage : exitCodes.failed;
}

/** The stack of an error and of what caused it. */
function stackOf(error: unknown): string {
  if (!Error.isError(error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
