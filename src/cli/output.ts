/**
 * Where the command line writes: results to stdout, everything else to stderr. Colours and movement only on a terminal.
 */
import { stripVTControlCharacters } from 'node:util';

export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Marks text up for a terminal; returns it unchanged elsewhere. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly bad: (text: string) => string;
}

export interface Output {
  /** Whether stdout shows colours. */
  readonly hasColours: boolean;
  /** A result, to stdout; a line break is added. */
  readonly print: (text: string) => void;
  /** What goes on, to stderr; a line break is added. Keeps clear of a progress block. */
  readonly note: (text: string) => void;
  /** For stdout. */
  readonly style: Style;
  /** For stderr. */
  readonly noteStyle: Style;
  /**
   * Shows these lines in place of the previous ones, on a terminal only; an empty list removes them. Lines are cut to the terminal's width.
   */
  readonly showProgress: (lines: readonly string[]) => void;
  /** Whether {@link Output.showProgress} shows anything; elsewhere a line now and then is better. */
  readonly showsProgress: boolean;
}

export interface OutputOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly noColor: boolean;
  readonly dumbTerminal: boolean;
}

export function createOutput({ stdout, stderr, noColor, dumbTerminal }: OutputOptions): Output {
  const showsProgress = stderr.isTTY === true && !dumbTerminal;
  const styled = (stream: OutputStream): Style => (stream.isTTY === true && !noColor && !dumbTerminal ? colours : plain);
  let shown: readonly string[] = [];

  const eraseProgress = (): void => {
    if (shown.length > 0) stderr.write(`\u001b[${shown.length}A\u001b[J`);
  };
  const drawProgress = (): void => {
    if (shown.length > 0) stderr.write(shown.map((line) => `${line}\n`).join(''));
  };
  /** Both streams may be the same terminal, so the progress block steps aside for either. */
  const around = (write: () => void): void => {
    eraseProgress();
    write();
    drawProgress();
  };
  return {
    hasColours: styled(stdout) === colours,
    print: (text) => around(() => stdout.write(`${text}\n`)),
    note: (text) => around(() => stderr.write(`${text}\n`)),
    style: styled(stdout),
    noteStyle: styled(stderr),
    showsProgress,
    showProgress: (lines) => {
      if (!showsProgress) return;
      eraseProgress();
      shown = lines.map((line) => cut(line, (stderr.columns ?? 80) - 1));
      drawProgress();
    },
  };
}

/** A line that would wrap would be erased as one line and leave the rest behind. Styled lines lose their style when they are cut. */
function cut(line: string, width: number): string {
  const bare = stripVTControlCharacters(line);
  return bare.length <= width ? line : `${bare.slice(0, Math.max(0, width - 1))}…`;
}

const plain: Style = { bold: same, dim: same, good: same, warning: same, bad: same };

const colours: Style = {
  bold: (text) => `\u001b[1m${text}\u001b[22m`,
  dim: (text) => `\u001b[2m${text}\u001b[22m`,
  good: (text) => `\u001b[32m${text}\u001b[39m`,
  warning: (text) => `\u001b[33m${text}\u001b[39m`,
  bad: (text) => `\u001b[31m${text}\u001b[39m`,
};

function same(text: string): string {
  return text;
}
