/** One state of the labs, and everything that preflight has to say about it. */
import { describe, expect, test } from '@jest/globals';
import { runPreflight, type Finding, type Verdict } from '../../../../src/preflight/index.ts';
import { startLabs, type Choice, type Labs } from '../labs.ts';

type Words = readonly (string | RegExp)[];

export interface Expected {
  /** With the scope, for checks that speak of one. */
  readonly check: string;
  readonly verdict: Exclude<Verdict, 'ok' | 'not-checked'>;
  readonly cause: string;
  readonly evidence?: Words;
  /** Who can put it right. */
  readonly fixedBy?: string | RegExp;
  /** Null: there is nothing to do. */
  readonly remedy: Words | null;
}

export interface State {
  /** In the words of the people who meet it. */
  readonly state: string;
  /** Default: `generated:11:600`. */
  readonly estate?: string;
  /** What administrators of Azure and ServiceNow did. */
  readonly give?: (labs: Labs) => Promise<unknown>;
  /** What was so when the worker, which keeps its tokens, looked the first time; `give` is done after that. */
  readonly earlier?: (labs: Labs) => Promise<unknown>;
  /** What the operator configured, where it is not the usual. */
  readonly choose?: (labs: Labs) => Choice | Promise<Choice>;
  /** All that is not ok, and nothing else: a cause that is not named here must not be named at all. */
  readonly finds: (labs: Labs) => readonly Expected[];
  /** Ids of checks that say that all is well, where that is what the state is about. */
  readonly wellIn?: readonly string[];
  /** Ids of checks that cannot be made, because of what is found. */
  readonly notChecked?: readonly string[];
}

/** Gives the state to labs of its own and compares all that preflight says. */
export async function expectState(state: State): Promise<void> {
  const { estate, earlier, give, choose, finds, wellIn = [], notChecked = [] } = state;
  const labs = await startLabs(estate === undefined ? {} : { estate });
  try {
    await earlier?.(labs);
    if (earlier === undefined) await give?.(labs);
    const input = labs.inputFor(await choose?.(labs));
    if (earlier !== undefined) {
      await runPreflight(input);
      await give?.(labs);
    }
    const { findings } = await runPreflight(input);
    expectFindings(findings, finds(labs), notChecked);
    for (const check of wellIn) expect(findings.filter((one) => one.check === check).map(({ verdict }) => verdict)).toEqual(['ok']);
  } finally {
    await labs.stop();
  }
}

/** These, and nothing else. */
export function expectFindings(findings: readonly Finding[], expected: readonly Expected[], notChecked: readonly string[]): void {
  const isExpected = (finding: Finding): boolean => expected.some((one) => nameOf(one) === nameOf(finding));
  const wrong = findings.filter((one) => one.verdict !== 'ok' && one.verdict !== 'not-checked' && (!isUsual(one) || isExpected(one)));
  expect(wrong.map(nameOf).sort()).toEqual(expected.map(nameOf).sort());
  expect(findings.filter(({ verdict }) => verdict === 'not-checked').map(({ check }) => check)).toEqual(notChecked);
  for (const one of expected) {
    const finding = wrong.find((candidate) => nameOf(candidate) === nameOf(one));
    if (finding !== undefined) compare(finding, one);
  }
}

function nameOf({ check, verdict, cause }: Pick<Finding, 'check' | 'verdict' | 'cause'>): string {
  return `${check} ${verdict} ${cause}`;
}

/** The application has no role at the tenant root group: said in every state, and as it should be. */
function isUsual(finding: Finding): boolean {
  return nameOf(finding) === 'azure.cve-details warning cve-details-hidden';
}

function compare(finding: Finding, { evidence = [], fixedBy, remedy }: Expected): void {
  contains(finding.evidence, evidence);
  expect(finding.follows).toBeTruthy();
  if (remedy === null) {
    expect(finding.remedy).toBeNull();
    return;
  }
  contains(finding.remedy ?? '', remedy);
  expect(finding.fixedBy).toBeTruthy();
  if (fixedBy !== undefined) contains(finding.fixedBy ?? '', [fixedBy]);
}

function contains(text: string, words: Words): void {
  for (const word of words) {
    if (typeof word === 'string') expect(text).toContain(word);
    else expect(text).toMatch(word);
  }
}

/** The healthy state, and a test for each state of each area. */
export function describeStates(areas: readonly (readonly [area: string, states: readonly State[]])[]): void {
  describe('everything is set up well', () => {
    test('nothing is wrong', () => expectState({ state: 'healthy', finds: () => [] }));
  });
  describe.each(areas)('%s', (_area, states) => {
    test.each(states.map((state) => [state.state, state] as const))('%s', (_state, state) => expectState(state));
  });
}
