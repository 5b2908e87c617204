import type { Socket } from 'node:net';

/** Passes on what either says to the other; they end together. An error ends both, and is no news: that is what a cut line is. */
export function joinSockets(near: Socket, far: Socket): void {
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => undefined).on('close', () => other.destroy());
  }
  near.pipe(far).pipe(near);
}
