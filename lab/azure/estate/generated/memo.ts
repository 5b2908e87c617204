/** The last few results: rows of one page come from a few neighbouring blocks. */
export function cached<T>(limit: number, make: (key: number) => T): (key: number) => T {
  const values = new Map<number, T>();
  return (key) => {
    const known = values.get(key);
    if (known !== undefined) return known;
    const value = make(key);
    if (values.size >= limit) values.delete(values.keys().next().value ?? key);
    values.set(key, value);
    return value;
  };
}

/** Computes once per version. */
export function perVersion<T>(version: () => number, make: () => T): () => T {
  let known: { version: number; value: T } | undefined;
  return () => {
    const now = version();
    if (known?.version !== now) known = { version: now, value: make() };
    return known.value;
  };
}

/** Room for the last few of something that many owners make: the oldest goes, whoever made it. */
export interface SharedCache<T> {
  /** A lookup with keys of its own. */
  readonly region: (make: (key: number) => T) => (key: number) => T;
}

export function createSharedCache<T>(limit: number): SharedCache<T> {
  const KEYS_PER_REGION = 2 ** 26;
  const values = new Map<number, T>();
  let regions = 0;
  return {
    region: (make) => {
      const base = regions * KEYS_PER_REGION;
      regions += 1;
      return (key) => {
        const known = values.get(base + key);
        if (known !== undefined) return known;
        const value = make(key);
        if (values.size >= limit) values.delete(values.keys().next().value ?? 0);
        values.set(base + key, value);
        return value;
      };
    },
  };
}
