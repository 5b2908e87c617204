import { expect, test } from '@jest/globals';
import pg from 'pg';
import { dropDatabase } from '../../../src/ledger/server/index.ts';
import { superuserUrl, withPostgres } from '../servers.ts';

const postgres = withPostgres();

test('a database that somebody is in whom its owner cannot send away is dropped once they have left', async () => {
  const url = await postgres.freshDatabase();
  // As the server's own cleaner, which comes when it likes.
  const visitor = new pg.Client({ connectionString: superuserUrl(url) });
  await visitor.connect();
  let hasLeft = false;
  setTimeout(() => {
    hasLeft = true;
    void visitor.end();
  }, 500);
  await dropDatabase(postgres.url, new URL(url).pathname.slice(1));
  expect(hasLeft).toBe(true);
  const late = new pg.Client({ connectionString: url });
  await expect(late.connect()).rejects.toMatchObject({ code: '3D000' });
});
