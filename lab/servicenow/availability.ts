import type { LabClock } from '../kit/clock.ts';
import type { ApiResponse } from './http.ts';

/** `up`: the instance answers. The others answer every URL, token endpoint included, with a page of their own. */
export type AvailabilityMode = 'up' | 'hibernating' | 'maintenance';

export const AVAILABILITY_MODES: readonly AvailabilityMode[] = ['up', 'hibernating', 'maintenance'];

export interface AvailabilityState {
  mode: AvailabilityMode;
  /** Lab time, ISO, when the instance is up again by itself; undefined: when told. */
  until?: string;
}

/** Whether the instance can be talked to at all. */
export interface Availability {
  state(): AvailabilityState;
  /** `durationMs` is measured on the lab clock. */
  set(mode: AvailabilityMode, durationMs?: number): void;
  /** The page that stands for every answer; undefined while the instance is up. */
  page(): ApiResponse | undefined;
}

export function createAvailability(clock: LabClock): Availability {
  let mode: AvailabilityMode = 'up';
  let untilMs = Infinity;
  const current = (): AvailabilityMode => (clock.nowMs() < untilMs ? mode : 'up');
  return {
    state: () => {
      const now = current();
      return { mode: now, ...(now === 'up' || untilMs === Infinity ? {} : { until: new Date(untilMs).toISOString() }) };
    },
    set: (wanted, durationMs) => {
      mode = wanted;
      untilMs = durationMs === undefined ? Infinity : clock.nowMs() + durationMs;
    },
    page: () => {
      const now = current();
      if (now === 'up') return undefined;
      const headers = { 'content-type': 'text/html;charset=UTF-8' };
      return now === 'hibernating' ? { status: 200, headers, body: HIBERNATING } : { status: 503, headers, body: MAINTENANCE };
    },
  };
}

/** Title, class and heading are what clients look for (errors/200_hibernating_instance_html.http); the real page is longer. */
const HIBERNATING = `<!DOCTYPE html>
<html><head><title>Instance Hibernating page</title></head>
<body class="instance-hibernating-page"><h1>Your instance is hibernating</h1>
<p>This developer instance sleeps until somebody signs in to the developer site and wakes it.</p></body></html>
`;

/** Nothing of a maintenance page was recorded (INDEX, "open"); the lab answers 503 in HTML, without Retry-After. */
const MAINTENANCE = `<!DOCTYPE html>
<html><head><title>Instance maintenance</title></head>
<body><h1>This instance is currently under maintenance</h1><p>Please try again later.</p></body></html>
`;
