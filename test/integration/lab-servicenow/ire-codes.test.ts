import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { codeCases, INCOMPLETE } from './ire-code-cases.ts';
import { codes, itemsOf } from './ire-payloads.ts';
import { ENGINE_SOURCE, startLab, type StartedLab } from './start.ts';

/** Shown where they are natural: two payloads at a time, and messages that no request over REST can bring about. */
const ELSEWHERE: Record<string, string> = {
  'LOCK_TIMEOUT 0': 'ire-locks.test.ts',
  'ABANDONED 2': 'only a server script can call the engine recursively',
  'ABANDONED 5': 'ire.test.ts: HTTP 400, the payload is not read',
};

const FILE = join(import.meta.dirname, '../../../../shared/examples/servicenow/identifyreconcile/error_message_templates.json');
const templates: Record<string, string[]> | undefined = existsSync(FILE)
  ? (JSON.parse(readFileSync(FILE, 'utf8')) as { messages: Record<string, string[]> }).messages
  : undefined;
if (templates === undefined) console.warn(`Skipped: no message templates at ${FILE}.`);

/** The page's placeholders xyz, abc, def and the numbers stand for anything. */
function patternOf(template: string): RegExp {
  const text = template
    .replaceAll('‘', "'")
    .replaceAll('’', "'")
    .replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll(/\bxyz\b|\babc\b|\bdef\b|\b\d+\b|(?<=\\\[)duplicate_of(?=\\\]$)/g, '[\\s\\S]*');
  return new RegExp(`^${text}$`);
}

const CODE_CASES = codeCases();
let started: StartedLab;
let undo: unknown;

beforeAll(async () => {
  started = await startLab();
});
afterEach(async () => {
  if (typeof undo === 'function') await (undo as () => Promise<unknown>)();
  undo = undefined;
});
afterAll(() => started.stop());

describe('every code of the engine (servicenow.md §5.1; identifyreconcile/error_message_templates.json)', () => {
  it.each(CODE_CASES.map((row) => [`${row.code} ${String(row.template ?? 0)}`, row] as const))('%s', async (_name, row) => {
    undo = await row.given?.(started);
    const plain = await started.ire(row.payload, '', row.dataSource ?? ENGINE_SOURCE);
    expect(plain.status).toBe(200);
    const relations = plain.json.result.relations as { errors?: { error: string; message: string }[] }[];
    expect(itemsOf(plain).map(codes)).toEqual(row.items);
    if (row.relations !== undefined) expect(relations.map(codes)).toEqual(row.relations);
    // All or nothing: no item of the plain endpoint is done.
    const isAside = row.dataSource === '';
    expect(itemsOf(plain).map(({ operation }) => operation)).toEqual(row.items.map(() => (isAside ? INCOMPLETE : undefined)));
    const found = [...itemsOf(plain), ...relations].flatMap(({ errors = [] }) => errors).filter(({ error }) => error === row.code);
    const template = templates?.[row.code]?.[row.template ?? 0];
    if (template !== undefined) expect(found.map(({ message }) => message)).toContainEqual(expect.stringMatching(patternOf(template)));

    const enhanced = await started.ire(row.payload, '/enhanced', row.dataSource ?? ENGINE_SOURCE);
    expect(itemsOf(enhanced).map(({ operation }) => operation)).toEqual(row.enhanced);
    const finds = row.enhancedFinds ?? 'errors';
    const places = {
      errors: itemsOf(enhanced).flatMap(({ errors = [] }) => errors),
      warnings: itemsOf(enhanced).flatMap(({ warnings = [] }) => warnings),
      relations: (enhanced.json.result.relations as { errors?: { error: string }[] }[]).flatMap(({ errors = [] }) => errors),
    };
    const where = Object.entries(places).flatMap(([place, list]) => (list.some(({ error }) => error === row.code) ? [place] : []));
    expect(where).toEqual(finds === 'nothing' ? [] : expect.arrayContaining([finds]));
  });

  (templates === undefined ? it.skip : it)('has a row for every code and every message of the template file', () => {
    const rowsByName = new Set([...CODE_CASES.map((row) => `${row.code} ${String(row.template ?? 0)}`), ...Object.keys(ELSEWHERE)]);
    const wanted = Object.entries(templates ?? {}).flatMap(([code, list]) => list.map((_, at) => `${code} ${String(at)}`));
    expect(wanted.filter((name) => !rowsByName.has(name))).toEqual([]);
    expect(wanted.length).toBeGreaterThan(30);
  });
});
