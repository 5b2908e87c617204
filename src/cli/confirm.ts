/** Asking a person before something is done that they may not have meant. */
import { createInterface } from 'node:readline/promises';
import { SyncError } from '../errors.ts';
import type { CliContext } from './context.ts';

/** Whether a person answered yes. False where nobody can be asked: stdin or stderr is no terminal. */
async function confirm({ output, interrupts }: CliContext, question: string): Promise<'yes' | 'no' | 'nobody'> {
  if (!process.stdin.isTTY || !output.showsProgress) return 'nobody';
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: interrupts.signal });
    return /^y(es)?$/i.test(answer.trim()) ? 'yes' : 'no';
  } catch (error) {
    if (interrupts.signal.aborted) return 'no';
    throw error;
  } finally {
    lines.close();
  }
}

/**
 * A person at a terminal is asked; a script has to say that it means it.
 * @param nothingDone what is said when it was not meant: `Nothing was re-pointed`
 * @throws SyncError `usage` where nobody can be asked
 */
export async function agreed(context: CliContext, nothingDone: string): Promise<boolean> {
  const answer = await confirm(context, 'Go on?');
  if (answer === 'nobody') {
    throw new SyncError({
      kind: 'usage',
      message: `${nothingDone}: nobody can be asked here.`,
      remedy: 'Say that you mean it: --yes',
    });
  }
  if (answer === 'no') context.output.note(`${nothingDone}.`);
  return answer === 'yes';
}
