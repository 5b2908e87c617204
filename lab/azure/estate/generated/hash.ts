/**
 * A 32-bit number that belongs to these whole numbers. Rows are computed by index, millions of them: a draw per row must cost
 * nanoseconds, which the seeded stream of the kit (a SHA-256 per stream) does not.
 */
export function hash32(seed: number, ...parts: readonly number[]): number {
  let state = seed | 0;
  for (const part of parts) {
    state = Math.imul(state ^ part, 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state ^= state >>> 16;
    state = (state + 0x9e3779b9) | 0;
  }
  state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
  state = Math.imul(state ^ (state >>> 12), 0x297a2d39);
  return (state ^ (state >>> 15)) >>> 0;
}

/** So many hexadecimal digits that belong to these numbers. */
export function hexOf(digits: number, seed: number, ...parts: readonly number[]): string {
  let text = '';
  for (let word = 0; text.length < digits; word += 1)
    text += hash32(seed, ...parts, word)
      .toString(16)
      .padStart(8, '0');
  return text.slice(0, digits);
}

/** A version-4-shaped UUID that belongs to these numbers; `head` replaces its first eight digits. */
export function uuidOf(seed: number, parts: readonly number[], head?: string): string {
  const digits = hexOf(32, seed, ...parts);
  const variant = ((parseInt(digits.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return `${head ?? digits.slice(0, 8)}-${digits.slice(8, 12)}-4${digits.slice(13, 16)}-${variant}${digits.slice(17, 20)}-${digits.slice(20)}`;
}

/** The choice that belongs to a hash. */
export function choose<T>(choices: readonly T[], hash: number): T {
  const choice = choices[hash % choices.length];
  if (choice === undefined) throw new Error('Cannot choose from an empty list.');
  return choice;
}
