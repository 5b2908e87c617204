/** Asking a person before something is done that they may not have meant. */
import { createInterface } from 'node:readline/promises';
import type { CliContext } from './context.ts';

/** Whether a person answered yes. False where nobody can be asked: stdin or stderr is no terminal. */
export async function confirm({ output, interrupts }: CliContext, question: string): Promise<'yes' | 'no' | 'nobody'> {
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
