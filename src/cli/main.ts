/** Entry of the command line: `node src/cli/main.ts <command>`. */
import { Writable } from 'node:stream';
import { readEnvironment } from '../config/index.ts';
import { systemClock } from '../observability/clock.ts';
import { createLogger } from '../observability/logger.ts';
import type { CliContext, Engine } from './context.ts';
import { presentError } from './errors.ts';
import { listenForInterrupts } from './interrupts.ts';
import { createOutput } from './output.ts';
import { runProgram, type GlobalOptions } from './program.ts';

const environment = readEnvironment();
const output = createOutput({ ...environment, stdout: process.stdout, stderr: process.stderr });
const args = process.argv.slice(2);

/** Loaded when a command needs it: most commands start no worker, and need not wait for its libraries. */
const lazyEngine: Engine = {
  startWorker: async (options) => (await import('./engine.ts')).createEngine(systemClock).startWorker(options),
  runDoctor: async (options) => (await import('./engine.ts')).createEngine(systemClock).runDoctor(options),
  requireMayChange: async (options) => (await import('./engine.ts')).createEngine(systemClock).requireMayChange(options),
  findPairs: async (options) => (await import('./engine.ts')).createEngine(systemClock).findPairs(options),
  listAttachments: async (options) => (await import('./engine.ts')).createEngine(systemClock).listAttachments(options),
  deleteAttachments: async (options) => (await import('./engine.ts')).createEngine(systemClock).deleteAttachments(options),
};

function contextOf({ config, verbose }: GlobalOptions): CliContext {
  const destination = new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      output.note(text.trimEnd());
      done();
    },
  });
  return {
    environment,
    output,
    clock: systemClock,
    // On a terminal people read; elsewhere a machine collects.
    logger: createLogger({ level: verbose ? 'debug' : 'warn', format: process.stderr.isTTY ? 'human' : 'json', destination }),
    interrupts: listenForInterrupts(() => output.note('Stopping … (Ctrl-C again to stop at once)')),
    engine: lazyEngine,
    configFile: config,
    verbose,
  };
}

try {
  process.exitCode = await runProgram(args, {
    contextOf,
    output: {
      writeOut: (text) => process.stdout.write(text),
      writeErr: (text) => process.stderr.write(text),
      getOutHasColors: () => process.stdout.isTTY && !environment.noColor,
      getErrHasColors: () => process.stderr.isTTY && !environment.noColor,
    },
  });
} catch (error) {
  output.showProgress([]);
  process.exitCode = presentError(error, output, args.includes('--verbose'));
}
// Everything has been given back. What still keeps the process alive then (an idle connection of a library) is not waited for.
setTimeout(() => process.exit(), 2_000).unref();
