/**
 * Shows how far several runs are: on a terminal one line each, in place; elsewhere a line when something changed, and now and then.
 */
import type { Clock } from '../observability/clock.ts';
import type { Output } from './output.ts';
import { formatCount, formatSeconds } from './table.ts';

/** How far one run is. */
export interface RunProgress {
  /** Search attribute DefenderSyncPhase: `preflight`, an integration, `finished`. */
  readonly phase: string;
  /** Of all integrations so far, by name, in the order to show them; zeros are left out. */
  readonly counts: Readonly<Record<string, number>>;
  /** Something the person should know: no worker answers. */
  readonly remark?: string | undefined;
}

export interface ProgressView {
  update(deployment: string, progress: RunProgress): void;
  /** The deployment's run is over: its line disappears. */
  finish(deployment: string): void;
}

/** Without a terminal: how often a line is written although the phase is the same. */
const lineEveryMs = 15_000;

export function createProgressView(output: Output, clock: Clock): ProgressView {
  const startedMs = clock.nowMs();
  const current = new Map<string, RunProgress>();
  const written = new Map<string, { readonly phase: string; readonly remark: string | undefined; readonly atMs: number }>();
  const elapsed = (): string => formatSeconds(Math.floor((clock.nowMs() - startedMs) / 1000));

  const draw = (): void => {
    const width = Math.max(0, ...[...current.keys()].map((name) => name.length));
    const { bold, dim, warning } = output.noteStyle;
    output.showProgress(
      [...current].map(([name, { phase, counts, remark }]) => {
        const text = [phase, ...countTexts(counts)].join(' · ');
        return `${bold(name.padEnd(width))}  ${text}  ${dim(elapsed())}${remark === undefined ? '' : `  ${warning(remark)}`}`;
      }),
    );
  };
  const writeLine = (name: string, { phase, counts, remark }: RunProgress): void => {
    const last = written.get(name);
    if (last?.phase === phase && last.remark === remark && clock.nowMs() - last.atMs < lineEveryMs) return;
    written.set(name, { phase, remark, atMs: clock.nowMs() });
    output.note([`${name}: ${phase}`, ...countTexts(counts), elapsed(), ...(remark === undefined ? [] : [remark])].join(' · '));
  };
  return {
    update: (deployment, progress) => {
      current.set(deployment, progress);
      if (output.showsProgress) draw();
      else writeLine(deployment, progress);
    },
    finish: (deployment) => {
      current.delete(deployment);
      if (output.showsProgress) draw();
    },
  };
}

function countTexts(counts: Readonly<Record<string, number>>): string[] {
  return Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [] : [`${name} ${formatCount(count)}`]));
}
