import { existsSync } from 'node:fs';
import { afterAll, describe, expect, it } from '@jest/globals';
import { apiDrivers } from './replay/api-drivers.ts';
import { errorDrivers } from './replay/error-drivers.ts';
import { measurementDrivers } from './replay/measurement-drivers.ts';
import { EXAMPLES, payloadFiles, readPayload } from './replay/payloads.ts';
import { removeSharedDir } from './replay/presuppose.ts';
import { replayTables, stopBareLab, type Driver } from './replay/send.ts';
import { VERDICTS } from './replay/table.ts';

const drivers: Record<string, Driver> = { ...apiDrivers, ...errorDrivers, ...measurementDrivers };

const isThere = existsSync(EXAMPLES);

/**
 * Every recorded or published payload is sent to the lab, which answers with the same status, the headers that matter and the same shape, or
 * differs for the reason that the table states. Those of the identification engine, which presuppose a CMDB, are sent by
 * ire-replay.test.ts. Without the folder of payloads there is nothing to send.
 */
(isThere ? describe : describe.skip)('recorded and published payloads', () => {
  afterAll(async () => {
    await stopBareLab();
    await removeSharedDir();
  });

  const files = isThere ? payloadFiles() : [];

  it('each has a line in the table, and the table has no other line; its lines are sorted', () => {
    const listed = Object.keys(VERDICTS);
    expect([...listed].sort()).toEqual(files);
    expect(listed).toEqual([...listed].sort());
  });

  it.each(files)('%s', async (file) => {
    const payload = readPayload(file);
    const verdict = VERDICTS[file];
    const driver = drivers[file];
    if (verdict?.startsWith('no request') === true) {
      expect(driver).toBeUndefined();
      expect(payload.exchanges.filter(({ request }) => request !== undefined)).toEqual([]);
      return;
    }
    const found = await (driver ?? replayTables)(payload);
    if (verdict === 'equal') expect(found).toEqual([]);
    else expect({ file, verdict, found }).not.toMatchObject({ found: [] });
  });
});
