import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseLenient } from '../../../lab/servicenow/ire/lenient-json.ts';
import { createLocks } from '../../../lab/servicenow/ire/locks.ts';

/** A value as the published requests write it: single quotes, and keys without any where they are names. */
function loosely(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(loosely).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const key = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : single(name));
    return `{ ${Object.entries(value)
      .map(([name, entry]) => `${key(name)} : ${loosely(entry)}`)
      .join(', ')} }`;
  }
  return typeof value === 'string' ? single(value) : JSON.stringify(value);
}

function single(text: string): string {
  const inner = JSON.stringify(text).slice(1, -1);
  return `'${inner.replaceAll(String.raw`\"`, '"').replaceAll("'", String.raw`\'`)}'`;
}

describe('the pseudo-JSON of published identification requests', () => {
  it('is read like the JSON it stands for', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.stringify(value);
        expect(parseLenient(json)).toEqual(JSON.parse(json));
        expect(parseLenient(loosely(value))).toEqual(JSON.parse(json));
      }),
    );
  });

  it.each(['{ items: ', "{'a' 'b'}", '[1,]', 'words', ''])('%s is still an error', (text) => {
    expect(() => parseLenient(text)).toThrow(SyntaxError);
  });
});

describe('the engine’s mutexes', () => {
  it('are granted in the order they were asked for, whoever gave up in between', async () => {
    const locks = createLocks();
    const first = await locks.acquire('a', 1000);
    const granted: string[] = [];
    const wait = async (name: string, timeoutMs: number): Promise<void> => {
      const release = await locks.acquire('a', timeoutMs);
      granted.push(`${name} ${release === undefined ? 'timed out' : 'granted'}`);
      release?.();
    };
    const impatient = wait('impatient', 5);
    const others = ['b', 'c'].map((name) => wait(name, 1000));
    await impatient;
    first?.();
    await Promise.all(others);
    expect(granted).toEqual(['impatient timed out', 'b granted', 'c granted']);
    await expect(locks.acquire('a', 0)).resolves.toBeInstanceOf(Function);
  });

  it('of different records do not wait for each other', async () => {
    const locks = createLocks();
    await expect(Promise.all([locks.acquire('a', 0), locks.acquire('b', 0)])).resolves.toEqual([
      expect.any(Function),
      expect.any(Function),
    ]);
  });
});
