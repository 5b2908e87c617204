-- CIs are claimed by their parent: two workers then seldom send payloads that wait for the same account's or datacenter's lock.
ALTER TABLE ci
  ADD COLUMN parent_key text GENERATED ALWAYS AS (coalesce(identity ->> 'accountId', '') || ' ' || coalesce(identity ->> 'region', '')) STORED,
  -- What is worth knowing about the match as long as it is so: several CIs match, it is retired.
  ADD COLUMN note text,
  -- When the instance was last asked whether the CI is still what we know.
  ADD COLUMN checked_at timestamptz;

DROP INDEX ci_wanted;
CREATE INDEX ci_wanted ON ci (instance_id, parent_key, ci_key) WHERE state = 'wanted';
CREATE INDEX ci_check ON ci (instance_id, checked_at NULLS FIRST, ci_key) WHERE state = 'resolved';

ALTER TABLE instance
  -- Up to when changes of CIs were read, and when a part of them was last looked up one by one.
  ADD COLUMN ci_changes_read_at timestamptz,
  ADD COLUMN ci_slice_at timestamptz;
