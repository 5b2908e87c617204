import { expect, jest, test } from '@jest/globals';
import { createFailpoints, failpointNames } from '../../../src/observability/failpoints.ts';

test('nothing happens without a setting', async () => {
  const kill = jest.fn();
  const failpoint = createFailpoints(undefined, kill);
  for (const name of failpointNames) await failpoint(name);
  expect(kill).not.toHaveBeenCalled();
});

test('the first hit of the named point kills, and nothing after it runs', async () => {
  const kill = jest.fn();
  const failpoint = createFailpoints('publish.after-send', kill);
  await failpoint('publish.after-intent');
  expect(kill).not.toHaveBeenCalled();
  const after = jest.fn();
  void failpoint('publish.after-send').then(after);
  await new Promise((resolve) => setImmediate(resolve));
  expect(kill.mock.calls).toEqual([['SIGKILL']]);
  expect(after).not.toHaveBeenCalled();
});

test('the n-th hit', async () => {
  const kill = jest.fn();
  const failpoint = createFailpoints('observe.between-pages#3', kill);
  await failpoint('observe.between-pages');
  await failpoint('observe.between-pages');
  expect(kill).not.toHaveBeenCalled();
  void failpoint('observe.between-pages');
  expect(kill).toHaveBeenCalledTimes(1);
});

test('a pause goes on behind the point, and only once', async () => {
  const signal = jest.fn();
  const failpoint = createFailpoints('publish.after-intent#2:pause', signal);
  for (let hit = 1; hit <= 4; hit += 1) await failpoint('publish.after-intent');
  expect(signal.mock.calls).toEqual([['SIGSTOP']]);
});

test.each(['publish.after-sned', 'publish.after-send#0', 'publish.after-send#x', '#1', 'publish.after-send:paus'])(
  '%j is refused',
  (setting) => {
    expect(() => createFailpoints(setting)).toThrow('which is not a failpoint');
  },
);

test('did you mean', () => {
  expect(() => createFailpoints('publish.after-sned')).toThrow('did you mean publish.after-send?');
});
