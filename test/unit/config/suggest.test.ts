import { expect, test } from '@jest/globals';
import { nearestWord } from '../../../src/config/index.ts';

test.each([
  ['snyc', 'sync'],
  ['staus', 'status'],
  ['Doctor', 'doctor'],
  ['client_secret', 'clientSecret'],
  ['zebra', undefined],
  ['', undefined],
])('%j → %j', (word, expected) => {
  expect(nearestWord(word, ['sync', 'status', 'doctor', 'report', 'clientSecret'])).toBe(expected);
});
