import type { Rows } from '../model.ts';
import { perVersion } from './memo.ts';

/** The rows of a short list that are still there. Memory: four bytes a row, and none before anything went away. */
export function presentRows<T>(input: {
  readonly size: number;
  readonly at: (position: number) => T;
  readonly isPresent: (position: number) => boolean;
  /** 0 as long as nothing went away; rises with every removal. */
  readonly version: () => number;
}): Rows<T> {
  const { at, isPresent, version } = input;
  const positions = perVersion(version, () =>
    version() === 0 ? undefined : Uint32Array.from({ length: input.size }, (_unused, position) => position).filter(isPresent),
  );
  return {
    get size() {
      return positions()?.length ?? input.size;
    },
    at: (index) => {
      const present = positions();
      if (present === undefined) return at(index);
      const position = present[index];
      if (position === undefined) throw new RangeError(`Row ${String(index)} of ${String(present.length)}.`);
      return at(position);
    },
  };
}
