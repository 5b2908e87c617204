-- What a strict instance teaches about its tables (design §4, §5).

-- Who can change what stands in `reason`, and how.
ALTER TABLE record ADD COLUMN remedy text;
-- Columns (separated by commas) that the instance did not keep when the record was last written.
ALTER TABLE record ADD COLUMN without text;
-- Created by us, but not all of its columns are written yet: known by its sys_id, to be completed, never looked up again.
ALTER TABLE record ADD COLUMN incomplete boolean NOT NULL DEFAULT false;
-- Writes since the last one with a known outcome that the instance answered without saying whether it did them.
ALTER TABLE record ADD COLUMN tries smallint NOT NULL DEFAULT 0;
CREATE INDEX record_without ON record (instance_id, table_id, key) WHERE without IS NOT NULL;

CREATE TABLE column_behaviour (
  instance_id integer NOT NULL REFERENCES instance,
  table_id smallint NOT NULL,
  column_name text NOT NULL,
  -- second-step: dropped on insert, kept by an update; skipped: never kept; undone: kept, and changed again afterwards.
  behaviour text NOT NULL CHECK (behaviour IN ('second-step', 'skipped', 'undone')),
  evidence text NOT NULL,
  since timestamptz NOT NULL,
  -- The run that last wrote it to one record, to see whether it has been put right.
  tried_in_run uuid,
  tried_at timestamptz NOT NULL,
  PRIMARY KEY (instance_id, table_id, column_name)
);

-- The first record of a table under one definition of it, to be read again a little after it was written.
CREATE TABLE read_back (
  instance_id integer NOT NULL REFERENCES instance,
  table_id smallint NOT NULL,
  dictionary bytea NOT NULL,
  key bytea NOT NULL,
  sys_id text NOT NULL,
  -- Real column → value as it was sent and kept.
  sent jsonb NOT NULL,
  -- The record's content then: a record that has changed since proves nothing.
  content bytea NOT NULL,
  due_at timestamptz NOT NULL,
  done boolean NOT NULL DEFAULT false,
  PRIMARY KEY (instance_id, table_id)
);
