-- Only what this ledger created may ever be removed from an instance again (docs/decisions/host-tags.md).
ALTER TABLE record ADD COLUMN created_here boolean NOT NULL DEFAULT false;
-- Nobody wants it any more, and what it hangs on is still there: it is to be removed.
ALTER TABLE record ADD COLUMN to_remove boolean NOT NULL DEFAULT false;
CREATE INDEX record_to_remove ON record (instance_id, table_id, key) WHERE to_remove;
-- The few resources that have more tags than are kept, or tags that nothing can be made of.
CREATE INDEX observed_with_lost_tags ON observed (deployment_id, group_key) WHERE body ?| ARRAY['tagsLeftOut', 'tagsUnusable'];

-- What the report says of an integration beside its counts.
CREATE TABLE run_note (
  run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
  integration text NOT NULL,
  position integer NOT NULL,
  note text NOT NULL,
  PRIMARY KEY (run_id, integration, position)
);
