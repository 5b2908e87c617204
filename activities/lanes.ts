/** Says to the lanes whether another one has failed: the rest then finishes the item in hand and stops. */
export interface LaneSignal {
  readonly stopped: () => boolean;
}

/**
 * Runs the same work side by side and returns when all of it has ended. The first failure is thrown after that: a lane that
 * went on behind a failed activity would meet the next attempt of it.
 */
export async function inLanes(count: number, lane: (signal: LaneSignal, index: number) => Promise<void>): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  const signal: LaneSignal = { stopped: () => failure !== undefined };
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      try {
        await lane(signal, index);
      } catch (error) {
        failure ??= { error };
      }
    }),
  );
  if (failure) throw failure.error;
}
