/** Gives back what a command took, in the reverse order, whatever happens. */

export interface Releases {
  /** Called at the end; later ones first. */
  readonly defer: (release: () => Promise<void> | void) => void;
}

/** Runs the body, then everything it deferred. An error of the body wins over errors of giving back. */
export async function withReleases<Result>(body: (releases: Releases) => Promise<Result>): Promise<Result> {
  const deferred: (() => Promise<void> | void)[] = [];
  let result: Result;
  try {
    result = await body({ defer: (release) => deferred.push(release) });
  } catch (error) {
    await releaseAll(deferred).catch((releaseError: unknown) => {
      if (Error.isError(error) && error.cause === undefined) error.cause = releaseError;
    });
    throw error;
  }
  await releaseAll(deferred);
  return result;
}

async function releaseAll(deferred: readonly (() => Promise<void> | void)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const release of deferred.toReversed()) {
    try {
      await release();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
