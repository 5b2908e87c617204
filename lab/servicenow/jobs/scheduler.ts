import type { LabClock } from '../../kit/clock.ts';

/** A job that ships with the platform. */
export interface StockJob {
  /** How the admin API calls it: `close-stale-results`. */
  name: string;
  /** How the platform calls it; in quotes where the references print the name, else the lab's wording. */
  title: string;
  /** The interval by the lab clock; undefined: on demand only. */
  everyMs: number | undefined;
  /** Where it is stated. */
  because: string;
  /** Does the work; returns how many records it changed. */
  run(): number;
}

export interface JobState {
  name: string;
  title: string;
  everyMs: number | null;
  because: string;
  runs: number;
  /** Records changed by the last run; null before it. */
  lastChanged: number | null;
  nextRunMs: number | null;
}

/** Runs jobs by the lab clock while it is on, and by name at any time. */
export interface Scheduler {
  list(): JobState[];
  /** @throws RangeError for a name that no job has */
  run(name: string): number;
  /** Runs every job whose time has come, in the order given; a job that missed several turns runs once, as on the platform. */
  runDue(): void;
  /** Switches the clock on or off; on: the first turns come one interval later. */
  setOn(on: boolean): void;
  close(): void;
}

/** How often lab time is looked at while nobody moves it. */
const TICK_MS = 250;

/** `isActive`: whether the instance's record of a job, found by title, lets it run by the clock. */
export function createScheduler(clock: LabClock, jobs: StockJob[], isActive: (title: string) => boolean): Scheduler {
  const states = new Map(jobs.map((job) => [job.name, { job, runs: 0, lastChanged: null as number | null, nextRunMs: 0 }]));
  let timer: NodeJS.Timeout | undefined;
  const runState = (state: { job: StockJob; runs: number; lastChanged: number | null }): number => {
    state.lastChanged = state.job.run();
    state.runs += 1;
    return state.lastChanged;
  };
  const runDue = (): void => {
    if (timer === undefined) return;
    for (const state of states.values()) {
      const { everyMs } = state.job;
      if (everyMs === undefined) continue;
      const nowMs = clock.nowMs();
      // A clock that was set back must not silence a job for the distance.
      if (state.nextRunMs - nowMs > everyMs) state.nextRunMs = nowMs + everyMs;
      if (state.nextRunMs > nowMs) continue;
      state.nextRunMs = nowMs + everyMs;
      if (isActive(state.job.title)) runState(state);
    }
  };
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  clock.onMove(runDue);
  return {
    list: () =>
      [...states.values()].map(({ job, runs, lastChanged, nextRunMs }) => ({
        name: job.name,
        title: job.title,
        everyMs: job.everyMs ?? null,
        because: job.because,
        runs,
        lastChanged,
        nextRunMs: timer === undefined || job.everyMs === undefined ? null : nextRunMs,
      })),
    run: (name) => {
      const state = states.get(name);
      if (state === undefined) throw new RangeError(`No job "${name}"; there are ${[...states.keys()].join(', ')}.`);
      return runState(state);
    },
    runDue,
    setOn: (on) => {
      stop();
      if (!on) return;
      for (const state of states.values()) state.nextRunMs = clock.nowMs() + (state.job.everyMs ?? 0);
      timer = setInterval(runDue, TICK_MS);
      timer.unref();
    },
    close: stop,
  };
}
