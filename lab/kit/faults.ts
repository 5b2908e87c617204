import { createRandom, type SeededRandom } from './random.ts';

/** Which requests a fault rule meets. Every given condition must hold; none given: all requests. */
export interface FaultMatch {
  method?: string;
  /** Start of the path, without the query string. */
  pathPrefix?: string;
  /** Anywhere in path and query string, as sent. */
  pathIncludes?: string;
  /** Anywhere in the raw body. */
  bodyIncludes?: string;
  /** Share of the matching requests that are hit (0..1); default 1. */
  probability?: number;
}

/** What happens to a request that a fault rule meets. */
export interface FaultAction {
  /** Answers with this status instead of doing the work. */
  status?: number;
  headers?: Record<string, string>;
  /** Body of that answer: a string is sent as it is, anything else as JSON. */
  body?: unknown;
  /** Waits so long before anything else. */
  delayMs?: number;
  /** `before`: the connection is cut and no work is done. `after`: the work is done, then the connection is cut without an answer. */
  dropConnection?: 'before' | 'after';
  /** The real answer is announced whole and cut after half of its bytes. */
  truncateBody?: boolean;
  /** The work is done, then the platform cancels the transaction: before it answers, or in the middle of the answer. */
  cancelTransaction?: 'before-answer' | 'while-streaming';
  /** For parts of a request that a lab judges one by one (an IRE item, for example): the error code to report. */
  errorCode?: string;
}

export interface FaultRule {
  match: FaultMatch;
  action: FaultAction;
  /** So many hits, then the rule is spent; absent: without end. */
  times?: number;
}

/** A request, or a part of one, as fault rules see it. */
export interface FaultSubject {
  method: string;
  /** Path with query string. */
  url: string;
  body: string | Buffer;
}

/** The fault rules of one lab. The first rule that matches and is not spent wins. */
export interface FaultBook {
  add(rule: FaultRule): number;
  clear(): void;
  list(): (FaultRule & { id: number; hits: number })[];
  /** The action for this subject, if a rule meets it; counts the hit. */
  take(subject: FaultSubject): FaultAction | undefined;
}

/** An empty fault book; `seed` fixes the draws of rules with a probability. */
export function createFaultBook(seed: string | number = 'faults'): FaultBook {
  let rules: (FaultRule & { id: number; hits: number })[] = [];
  let nextId = 1;
  const random = createRandom(seed);
  return {
    add: (rule) => {
      const id = nextId++;
      rules.push({ ...rule, id, hits: 0 });
      return id;
    },
    clear: () => {
      rules = [];
    },
    list: () => rules.map((rule) => ({ ...rule })),
    take: (subject) => {
      for (const rule of rules) {
        if (rule.times !== undefined && rule.hits >= rule.times) continue;
        if (!meets(rule.match, subject, random)) continue;
        rule.hits += 1;
        return rule.action;
      }
      return undefined;
    },
  };
}

function meets(match: FaultMatch, subject: FaultSubject, random: SeededRandom): boolean {
  if (match.method !== undefined && match.method.toUpperCase() !== subject.method.toUpperCase()) return false;
  if (match.pathPrefix !== undefined && !pathOf(subject.url).startsWith(match.pathPrefix)) return false;
  if (match.pathIncludes !== undefined && !subject.url.includes(match.pathIncludes)) return false;
  if (match.bodyIncludes !== undefined && !subject.body.includes(match.bodyIncludes)) return false;
  return match.probability === undefined || random.chance(match.probability);
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}

/** Checks a rule that came in as JSON; the error says what is wrong. */
export function parseFaultRule(value: unknown): FaultRule {
  if (typeof value !== 'object' || value === null) throw new Error('A fault rule is an object {match, action, times?}.');
  const { match, action, times } = value as Record<string, unknown>;
  if (typeof match !== 'object' || match === null) throw new Error('A fault rule needs "match": an object, {} for every request.');
  if (typeof action !== 'object' || action === null) throw new Error('A fault rule needs "action": an object.');
  if (times !== undefined && (typeof times !== 'number' || !Number.isInteger(times) || times < 1)) {
    throw new Error('"times" is a whole number of at least 1.');
  }
  return { match: match, action: action, ...(times === undefined ? {} : { times }) };
}
