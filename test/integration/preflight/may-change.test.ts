/** Who may configure and who may only read, asked of a real instance before a command begins (servicenow.md §1.1). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { requireMayChange } from '../../../activities/require-may-change.ts';
import type { Configuration } from '../../../src/config/index.ts';
import { isSyncError, type SyncError } from '../../../src/errors.ts';
import { createManualClock } from '../../../src/observability/clock.ts';
import { startLabs, type Choice, type Labs } from './labs.ts';
import { engineUser, grant, play, revoke } from './states/servicenow-give.ts';

const configure = 'sn_vul_msft_tvm.configure_integration';
const read = 'sn_vul_msft_tvm.read_integration';
let labs: Labs;

beforeAll(async () => {
  labs = await startLabs();
});
afterAll(() => labs.stop());

/** What a command is told: nothing, or why it may not begin. */
async function asked(choice: Choice = {}): Promise<SyncError | undefined> {
  const { serviceNow } = labs.inputFor(choice);
  const configuration = { serviceNow } as Configuration;
  const signal = new AbortController().signal;
  try {
    await requireMayChange({ configuration, command: 'defender-sync sync', signal }, createManualClock(labs.clock.nowMs()));
    return undefined;
  } catch (error) {
    if (!isSyncError(error)) throw error;
    return error;
  }
}

describe('a command that changes something', () => {
  test('begins for a user who may configure, directly or by a group', async () => {
    expect(await asked()).toBeUndefined();
    await revoke(configure)(labs);
    await play('grant-role', { group: 'Cloud Security', role: configure })(labs);
    await play('group-member', { user: engineUser, group: 'Cloud Security' })(labs);
    expect(await asked()).toBeUndefined();
  });

  test('does not begin for a user who may only read, and says which role is missing', async () => {
    await play('group-member', { user: engineUser, group: 'Cloud Security', member: false })(labs);
    await grant(read)(labs);
    const refused = await asked();
    expect(refused).toMatchObject({ kind: 'forbidden', code: 'read-integration-only' });
    expect(refused?.message).toContain(`defender-sync sync was not begun: ${engineUser} has ${read}`);
    expect(refused?.remedy).toContain(`add ${configure}`);
    expect(refused?.remedy).toContain('doctor, status, report, explain, cis pairs');
  });

  test('nor for one with neither role; but for an administrator', async () => {
    await revoke(read)(labs);
    expect(await asked()).toMatchObject({ code: 'configure-integration-missing' });
    expect(await asked({ userName: 'admin' })).toBeUndefined();
  });

  test('begins where nobody can be asked: the run itself says why', async () => {
    expect(await asked({ password: 'wrong' })).toBeUndefined();
    expect(await asked({ serviceNow: { url: 'https://127.0.0.1:1' } })).toBeUndefined();
  });

  test('begins where the plugin, and with it its roles, is not installed', async () => {
    await play('uninstall', { scope: 'sn_vul_msft_tvm' })(labs);
    expect(await asked()).toBeUndefined();
  });
});
