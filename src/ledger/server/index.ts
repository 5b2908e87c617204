export {
  acquireEmbeddedPostgres,
  holdEmbeddedPostgres,
  removeEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from './embedded-postgres.ts';
export { createDatabase, dropDatabase } from './databases.ts';
export type { Durability } from './cluster.ts';
