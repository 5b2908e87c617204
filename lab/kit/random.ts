import { createHash } from 'node:crypto';

/** A deterministic stream of numbers: the same seed gives the same stream on every machine. */
export interface SeededRandom {
  /** In [0, 1). */
  next(): number;
  /** A whole number in [min, max]. */
  integer(min: number, max: number): number;
  /** True with this probability (0..1). */
  chance(probability: number): boolean;
  pick<T>(choices: readonly T[]): T;
  /** So many lower-case hexadecimal digits. */
  hex(digits: number): string;
  /** A version-4-shaped UUID, lower case. */
  uuid(): string;
  /** An independent stream for a part: what another part draws does not move it. */
  fork(label: string): SeededRandom;
}

/** Random access: the stream that belongs to (seed, parts), without drawing what comes before it. */
export function randomAt(seed: string | number, ...parts: (string | number)[]): SeededRandom {
  return createRandom([seed, ...parts].join('\u0000'));
}

/** sfc32, seeded from a SHA-256 of the seed's text. */
export function createRandom(seed: string | number): SeededRandom {
  const digest = createHash('sha256').update(String(seed)).digest();
  let a = digest.readUInt32LE(0);
  let b = digest.readUInt32LE(4);
  let c = digest.readUInt32LE(8);
  let counter = digest.readUInt32LE(12);
  const nextUint32 = (): number => {
    const sum = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = (b ^ (b >>> 9)) >>> 0;
    b = (c + (c << 3)) >>> 0;
    c = (((c << 21) | (c >>> 11)) + sum) >>> 0;
    return sum;
  };
  const next = (): number => nextUint32() / 4_294_967_296;
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  const hex = (digits: number): string => {
    let text = '';
    while (text.length < digits) text += nextUint32().toString(16).padStart(8, '0');
    return text.slice(0, digits);
  };
  return {
    next,
    integer,
    hex,
    chance: (probability) => next() < probability,
    pick: (choices) => {
      const choice = choices[integer(0, choices.length - 1)];
      if (choice === undefined) throw new Error('Cannot pick from an empty list.');
      return choice;
    },
    uuid: () => {
      const digits = hex(32);
      const variant = ((parseInt(digits.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
      return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-4${digits.slice(13, 16)}-${variant}${digits.slice(17, 20)}-${digits.slice(20)}`;
    },
    fork: (label) => createRandom(`${String(seed)}\u0000${label}`),
  };
}
