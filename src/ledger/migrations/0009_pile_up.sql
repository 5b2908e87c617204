-- Attachments on the data sources of ServiceNow's own plugin (servicenow.md §6), and what is done about them.

-- What each run counted: growth shows only over time.
CREATE TABLE attachment_count (
  run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
  -- sys_id of the data source.
  data_source text NOT NULL,
  attachments integer NOT NULL,
  counted_at timestamptz NOT NULL,
  PRIMARY KEY (run_id, data_source)
);

-- Run-as fields that a run put back: what the engine changed on records of others.
CREATE TABLE run_as_change (
  run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
  position integer GENERATED ALWAYS AS IDENTITY,
  -- What it was, whose record, who had changed it.
  note text NOT NULL,
  PRIMARY KEY (run_id, position)
);

-- Attachments as they were shown. What is deleted later is this, or nothing.
CREATE TABLE attachment_list (
  list_id text PRIMARY KEY,
  instance_url text NOT NULL,
  found_at timestamptz NOT NULL,
  -- Per data source: its attachments, and which of them are surplus.
  data_sources jsonb NOT NULL,
  -- Set when somebody has asked for the deletion: a list is used once.
  deleted_at timestamptz
);
