import { describe, expect, test } from '@jest/globals';
import { CommanderError } from 'commander';
import { presentError } from '../../../src/cli/errors.ts';
import { exitCodeOf } from '../../../src/cli/exit-codes.ts';
import { runProgram } from '../../../src/cli/program.ts';
import { withReleases } from '../../../src/cli/releases.ts';
import { SyncError } from '../../../src/errors.ts';
import { createTestContext } from './samples.ts';

describe('exit codes of runs', () => {
  test.each([
    [['succeeded', 'succeeded'], 0],
    [['succeeded', 'degraded'], 3],
    [['degraded', 'parked'], 4],
    [['parked', 'failed', 'succeeded'], 1],
    [['cancelled'], 1],
    [[], 0],
  ] as const)('%j → %d', (outcomes, code) => {
    expect(exitCodeOf(outcomes)).toBe(code);
  });
});

describe('errors', () => {
  const shown = (error: unknown, verbose = false): { readonly code: number; readonly text: string } => {
    const { context, stderr } = createTestContext();
    return { code: presentError(error, context.output, verbose), text: stderr.text() };
  };

  test('a sentence and the remedy, no stack', () => {
    const error = new SyncError({ kind: 'forbidden', message: 'ServiceNow refuses the table.', remedy: 'Grant the role.' });
    expect(shown(error)).toEqual({ code: 1, text: 'ServiceNow refuses the table.\nGrant the role.\n' });
  });

  test('wrong use is another exit code', () => {
    expect(shown(new SyncError({ kind: 'usage', message: 'No.' }))).toEqual({ code: 2, text: 'No.\n' });
  });

  test('a defect says so; its stack only with --verbose', () => {
    const defect = new TypeError('x is not a function', { cause: new Error('inner') });
    expect(shown(defect)).toEqual({
      code: 1,
      text: 'Something unexpected happened: x is not a function\nThis is a defect of defender-sync; run it again with --verbose to see where.\n',
    });
    expect(shown(defect, true).text).toMatch(/at .*exit\.test\.ts[^]*caused by: Error: inner/);
  });

  test('no secret and no control character', () => {
    const { text } = shown(
      new SyncError({ kind: 'bug', message: 'client_secret=canary \u001b[2J', remedy: 'postgres://u:canary@h/' }),
      true,
    );
    expect(text).not.toContain('canary');
    expect(text.split('\n')[0]).toBe('client_secret=[secret]  [2J');
  });

  test('help is no error', () => {
    expect(shown(new CommanderError(0, 'commander.helpDisplayed', ''))).toEqual({ code: 0, text: '' });
    expect(shown(new CommanderError(1, 'commander.unknownCommand', ''))).toEqual({ code: 2, text: '' });
  });
});

describe('the command line', () => {
  async function run(...args: string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
    const { context, stdout, stderr } = createTestContext();
    try {
      const code = await runProgram(args, {
        contextOf: ({ config, verbose }) => ({ ...context, configFile: config, verbose }),
        output: {
          writeOut: (text) => stdout.write(text),
          writeErr: (text) => stderr.write(text),
          getOutHasColors: () => false,
          getErrHasColors: () => false,
        },
      });
      return { code, stdout: stdout.text(), stderr: stderr.text() };
    } catch (error) {
      return { code: presentError(error, context.output, false), stdout: stdout.text(), stderr: stderr.text() };
    }
  }

  test('--help goes to stdout and is no error', async () => {
    const { code, stdout, stderr } = await run('--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const command of ['sync', 'status', 'report', 'doctor', 'schedules', 'up', 'demo', 'lab', 'temporal']) {
      expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
    }
    expect(stdout).toContain('0 in sync, 1 failed, 2 usage, 3 degraded');
  });

  test.each([
    ['no command at all', [], 'Usage: defender-sync'],
    ['an unknown command', ['snyc'], '(Did you mean sync?)'],
    ['an unknown option', ['sync', '--jsno'], '(Did you mean --json?)'],
    ['an argument too many', ['status', 'a'], 'too many arguments'],
  ])('%s: usage, on stderr', async (_name, args, expected) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(expected);
  });
});

describe('giving back', () => {
  test('in the reverse order, also after an error', async () => {
    const order: string[] = [];
    const body = withReleases(async ({ defer }) => {
      defer(() => void order.push('first'));
      defer(async () => void order.push('second'));
      throw new Error('body');
    });
    await expect(body).rejects.toThrow('body');
    expect(order).toEqual(['second', 'first']);
  });

  test('goes on when one fails, and says so', async () => {
    const order: string[] = [];
    const body = withReleases(async ({ defer }) => {
      defer(() => void order.push('first'));
      defer(() => Promise.reject(new Error('second')));
    });
    await expect(body).rejects.toThrow('second');
    expect(order).toEqual(['first']);
  });
});
