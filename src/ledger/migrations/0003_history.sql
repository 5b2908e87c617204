-- What was done for each record, and how each CI was matched (the story that `explain` tells). Insert-only; an unchanged estate adds no row.

-- A small number for a run: a million history rows name theirs.
ALTER TABLE run ADD COLUMN run_no integer GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX run_by_no ON run (run_no);

-- Every write that the instance was made to take. `what` is a word: created, updated, parked, found (it was there already), lost, …
CREATE TABLE write_event (
  key bytea NOT NULL,
  -- 32 hexadecimal digits fit into a uuid; the few names that platform records have instead stand in sys_name.
  sys_id uuid,
  at timestamptz NOT NULL,
  run_no integer NOT NULL,
  table_id smallint NOT NULL,
  what smallint NOT NULL,
  sys_name text,
  reason text
);
CREATE INDEX write_event_by_key ON write_event (key, table_id);
-- Runs only get newer numbers, so this index grows at its end and holds each number once for many rows.
CREATE INDEX write_event_by_run ON write_event (run_no);

-- Which CI each identity was matched to, by whom and on what evidence; one row per change.
CREATE TABLE ci_event (
  ci_event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  instance_id integer NOT NULL,
  ci_key bytea NOT NULL,
  at timestamptz NOT NULL,
  run_no integer NOT NULL,
  what text NOT NULL CHECK (what IN ('matched', 'parked', 'reconciled', 'put-back')),
  sys_id text,
  class_name text,
  match text,
  -- The rule, the discovered item, or what the identification engine said it did; for `parked` the reason.
  evidence text
);
CREATE INDEX ci_event_by_ci ON ci_event (instance_id, ci_key, ci_event_id);
CREATE INDEX ci_event_by_sys_id ON ci_event (instance_id, sys_id) WHERE sys_id IS NOT NULL;

-- When a deployment first saw a resource. Those known before this migration have none.
ALTER TABLE observed_group ADD COLUMN first_seen_at timestamptz;
ALTER TABLE observed_group ALTER COLUMN first_seen_at SET DEFAULT ledger_now();
