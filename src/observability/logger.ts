/**
 * The engine's log: to stderr, because stdout belongs to reports. JSON lines where a machine reads, short lines on a terminal.
 */
import { Writable } from 'node:stream';
import pino from 'pino';
import { redact } from './redact.ts';

export type Logger = pino.Logger;

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Default `info`. */
  readonly level?: LogLevel;
  /** Default: `human` when the destination is a terminal, else `json`. */
  readonly format?: 'json' | 'human';
  /** Default stderr. */
  readonly destination?: Writable & { readonly isTTY?: boolean };
}

/** Creates the logger of a process. Fields whose names look like secrets, and texts that look like credentials, are masked. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const destination = options.destination ?? process.stderr;
  const format = options.format ?? (destination.isTTY ? 'human' : 'json');
  return pino(
    {
      level: options.level ?? 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: (error: unknown) => error, error: (error: unknown) => error },
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redact(fields) as Record<string, unknown>,
      },
    },
    redactingStream(destination, format === 'json' ? JSON.stringify : humanLine),
  );
}

type LogLine = Readonly<Record<string, unknown>>;

/** Everything passes here once more, because messages taken from errors and the fields of child loggers do not pass `formatters.log`. */
function redactingStream(destination: Writable, format: (line: LogLine) => string): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      const lines = chunk
        .trimEnd()
        .split('\n')
        .map((line) => format(redact(JSON.parse(line)) as LogLine));
      destination.write(`${lines.join('\n')}\n`);
      done();
    },
  });
}

/** A line for people. */
function humanLine({ time, level, msg, err, error, ...fields }: LogLine): string {
  const clock = typeof time === 'string' ? time.slice(11, 19) : '';
  const sign = level === 'error' || level === 'fatal' ? 'error: ' : level === 'warn' ? 'warning: ' : '';
  const details = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const reason = messageOf(err) ?? messageOf(error);
  const cause = reason === msg ? undefined : reason;
  return [clock, `${sign}${typeof msg === 'string' ? msg : ''}`, ...details, ...(cause === undefined ? [] : [`(${cause})`])]
    .join(' ')
    .trimEnd();
}

function messageOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string' ? error.message : undefined;
}
