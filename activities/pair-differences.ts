import type { CiPair, PairCi, PairItem, PairResult } from '../src/ledger/index.ts';

/** At most so many are told; how many more there are is said. */
const differencesTold = 5;

/**
 * What has changed since a pair was shown, one sentence each; empty when it is as it was.
 * @param now undefined: the two are not side by side any more
 */
export function differencesOf(shown: CiPair, now: CiPair | undefined): readonly string[] {
  if (now === undefined) return ['the two CIs are no longer side by side: one of them is gone, or has another class or object_id'];
  return [
    ...ciDifferences('the placeholder', [shown.placeholder], [now.placeholder]),
    ...ciDifferences('the specific CI', shown.specific, now.specific),
    ...pointerDifferences('discovered item', shown.items, now.items),
    ...pointerDifferences('test result', shown.results, now.results),
  ];
}

/** The differences as one sentence. */
export function differenceSentence(differences: readonly string[]): string {
  const told = differences.slice(0, differencesTold).join('; ');
  const more = differences.length - differencesTold;
  return `changed since it was shown: ${told}${more > 0 ? `; and ${more} more` : ''}`;
}

function ciDifferences(what: string, shown: readonly PairCi[], now: readonly PairCi[]): string[] {
  const before = new Map(shown.map((ci) => [ci.sysId, ci]));
  const after = new Map(now.map((ci) => [ci.sysId, ci]));
  return [
    ...shown.filter(({ sysId }) => !after.has(sysId)).map(({ sysId }) => `${what} ${sysId} is gone`),
    ...now.filter(({ sysId }) => !before.has(sysId)).map(({ sysId, className }) => `there is ${className} ${sysId} besides`),
    ...now.flatMap((ci) => {
      const was = before.get(ci.sysId);
      if (was === undefined) return [];
      return [
        ...(was.className === ci.className ? [] : [`${what} ${ci.sysId} was a ${was.className} and is a ${ci.className}`]),
        ...(was.objectId === ci.objectId ? [] : [`the object_id of ${what} ${ci.sysId} was ${was.objectId} and is ${ci.objectId}`]),
        ...(was.retired === ci.retired ? [] : [`${what} ${ci.sysId} is ${ci.retired ? 'retired now' : 'no longer retired'}`]),
      ];
    }),
  ];
}

function pointerDifferences(what: string, shown: readonly (PairItem | PairResult)[], now: readonly (PairItem | PairResult)[]): string[] {
  const before = new Map(shown.map((one) => [one.sysId, one.cmdbCi]));
  const after = new Map(now.map((one) => [one.sysId, one.cmdbCi]));
  return [
    ...shown
      .filter(({ sysId }) => !after.has(sysId))
      .map(({ sysId, cmdbCi }) => `${what} ${sysId} pointed at ${cmdbCi} and points at neither now`),
    ...now
      .filter(({ sysId }) => !before.has(sysId))
      .map(({ sysId, cmdbCi }) => `${what} ${sysId} points at ${cmdbCi} now and was not there`),
    ...now
      .filter(({ sysId, cmdbCi }) => before.has(sysId) && before.get(sysId) !== cmdbCi)
      .map(({ sysId, cmdbCi }) => `${what} ${sysId} pointed at ${before.get(sysId) ?? ''} and points at ${cmdbCi}`),
  ];
}
