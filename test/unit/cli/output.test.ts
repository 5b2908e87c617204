import { describe, expect, test } from '@jest/globals';
import { createOutput } from '../../../src/cli/output.ts';
import { createProgressView } from '../../../src/cli/progress.ts';
import { createManualClock } from '../../../src/observability/clock.ts';
import { collectStream } from './samples.ts';

describe('colours', () => {
  const of = (isTTY: boolean, noColor: boolean, dumbTerminal = false): string => {
    const output = createOutput({ stdout: collectStream({ isTTY }), stderr: collectStream({ isTTY }), noColor, dumbTerminal });
    return output.style.bad('x') + output.noteStyle.bold('y');
  };
  test('on a terminal', () => expect(of(true, false)).toBe('\u001b[31mx\u001b[39m\u001b[1my\u001b[22m'));
  test('not elsewhere', () => expect(of(false, false)).toBe('xy'));
  test('not with NO_COLOR', () => expect(of(true, true)).toBe('xy'));
  test('not on a dumb terminal', () => expect(of(true, false, true)).toBe('xy'));

  test('each stream for itself: a redirected stdout stays plain', () => {
    const output = createOutput({
      stdout: collectStream({ isTTY: false }),
      stderr: collectStream({ isTTY: true }),
      noColor: false,
      dumbTerminal: false,
    });
    expect(output.style.bad('x')).toBe('x');
    expect(output.noteStyle.bad('x')).not.toBe('x');
  });
});

describe('progress on a terminal', () => {
  test('is drawn in place, steps aside for other output, and disappears', () => {
    const stdout = collectStream({ isTTY: true, columns: 20 });
    const stderr = collectStream({ isTTY: true, columns: 20 });
    const output = createOutput({ stdout, stderr, noColor: true, dumbTerminal: false });
    output.showProgress(['one', 'two']);
    output.print('result');
    output.showProgress([]);
    output.note('bye');
    expect(stderr.text()).toBe('one\ntwo\n' + '\u001b[2A\u001b[J' + 'one\ntwo\n' + '\u001b[2A\u001b[J' + 'bye\n');
    expect(stdout.text()).toBe('result\n');
  });

  test('lines that would wrap are cut', () => {
    const stderr = collectStream({ isTTY: true, columns: 10 });
    createOutput({ stdout: collectStream(), stderr, noColor: true, dumbTerminal: false }).showProgress(['0123456789abc']);
    expect(stderr.text()).toBe('01234567…\n');
  });

  test('one line per run', () => {
    const stderr = collectStream({ isTTY: true, columns: 100 });
    const clock = createManualClock(0);
    const view = createProgressView(createOutput({ stdout: collectStream(), stderr, noColor: true, dumbTerminal: false }), clock);
    view.update('production', { phase: 'policies', counts: { read: 1200, created: 0 } });
    clock.advanceBy(65_000);
    view.update('b', { phase: 'preflight', counts: {}, remark: 'no worker answers' });
    view.finish('production');
    expect(stderr.text().split('\u001b[J').at(-1)).toBe('b  preflight  1 min 5 s  no worker answers\n');
    expect(stderr.text()).toContain('production  policies · read 1,200  1 min 5 s\n');
  });
});

describe('progress elsewhere', () => {
  test('is a line when the phase changes, and now and then', () => {
    const stderr = collectStream();
    const clock = createManualClock(0);
    const view = createProgressView(createOutput({ stdout: collectStream(), stderr, noColor: false, dumbTerminal: false }), clock);
    for (let second = 0; second < 20; second += 1) {
      view.update('a', { phase: second < 3 ? 'preflight' : 'policies', counts: { read: second } });
      clock.advanceBy(1_000);
    }
    view.finish('a');
    expect(stderr.text()).toBe('a: preflight · 0 s\na: policies · read 3 · 3 s\na: policies · read 18 · 18 s\n');
  });
});
