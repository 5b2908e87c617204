-- Pairs of a placeholder and the CI that Discovery made beside it, as they were shown; and what was done about them on command.

-- A question that a person asks takes a slot like every request, but it belongs to no run and has no fence.
CREATE FUNCTION acquire_slot_for_reading(p_key text, p_slots integer, p_holder uuid, p_hold interval) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := ledger_now();
  v_not_before timestamptz;
  v_slot integer;
BEGIN
  SELECT not_before INTO v_not_before FROM throttle WHERE slot_key = p_key AND not_before > v_now;
  IF FOUND THEN
    RETURN greatest(1, ceil(extract(epoch FROM v_not_before - v_now) * 1000));
  END IF;
  SELECT slot_no INTO v_slot FROM slot
   WHERE slot_key = p_key AND slot_no <= p_slots AND (holder IS NULL OR held_until < v_now)
   ORDER BY slot_no LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN 25;
  END IF;
  UPDATE slot SET holder = p_holder, held_until = v_now + p_hold WHERE slot_key = p_key AND slot_no = v_slot;
  RETURN 0;
END $$;

CREATE TABLE ci_pair_set (
  set_id text PRIMARY KEY,
  instance_id integer NOT NULL REFERENCES instance,
  -- Of all its pairs; set when the set is complete.
  hash text,
  -- Whether the platform moves results with their discovered item; null where that cannot be read.
  platform_moves_results boolean,
  found_at timestamptz NOT NULL
);

CREATE TABLE ci_pair (
  set_id text NOT NULL REFERENCES ci_pair_set ON DELETE CASCADE,
  ci_key bytea NOT NULL,
  -- Both CIs, who points at which, and why it cannot be reconciled, if so.
  pair jsonb NOT NULL,
  digest bytea NOT NULL,
  PRIMARY KEY (set_id, ci_key)
);

CREATE TABLE reconcile (
  reconcile_id text PRIMARY KEY,
  instance_id integer NOT NULL REFERENCES instance,
  set_id text NOT NULL REFERENCES ci_pair_set,
  -- The reconcile that this one takes back.
  undo_of text REFERENCES reconcile,
  workflow_run_id text NOT NULL UNIQUE,
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  outcome text
);

CREATE TABLE reconcile_pair (
  reconcile_id text NOT NULL REFERENCES reconcile ON DELETE CASCADE,
  ci_key bytea NOT NULL,
  resource_id text NOT NULL,
  -- The ledger's CI before and after: {sysId, className, match, createdByEngine}.
  from_ci jsonb NOT NULL,
  to_ci jsonb NOT NULL,
  -- What is re-pointed, planned with the intent; null before that.
  steps jsonb,
  state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'sent', 'moved', 'unchanged', 'refused', 'parked')),
  because text,
  sent_at timestamptz,
  claim_token uuid,
  claim_until timestamptz,
  PRIMARY KEY (reconcile_id, ci_key)
);
CREATE INDEX reconcile_pair_by_ci ON reconcile_pair (ci_key);
CREATE INDEX reconcile_pair_open ON reconcile_pair (reconcile_id, ci_key) WHERE state IN ('due', 'sent');
