/**
 * Ctrl-C and SIGTERM: the first asks the command to end in order (stop what it started, give back what it holds); the second ends it.
 */
import { exitCodes } from './exit-codes.ts';

export interface Interrupts {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Resolves with the first signal. */
  readonly wait: () => Promise<void>;
  /** Stops listening, so that a signal ends the process as usual. */
  readonly dispose: () => void;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** @param onFirst called with the first signal, to tell the person that the command is ending */
export function listenForInterrupts(onFirst: () => void): Interrupts {
  const controller = new AbortController();
  const listener = (): void => {
    // The second signal: whoever sends it does not want to wait.
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort();
    onFirst();
  };
  for (const name of signals) process.on(name, listener);
  return {
    signal: controller.signal,
    wait: () =>
      new Promise((resolve) => {
        if (controller.signal.aborted) resolve();
        else {
          // A promise alone does not keep the process alive.
          const keepAlive = setInterval(() => undefined, 60_000);
          controller.signal.addEventListener('abort', () => {
            clearInterval(keepAlive);
            resolve();
          });
        }
      }),
    dispose: () => {
      for (const name of signals) process.off(name, listener);
    },
  };
}
